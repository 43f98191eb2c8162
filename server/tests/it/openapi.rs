//! The description of the API, and the page that shows it, held to what the server answers.

use std::path::Path;

use serde_json::Value;

use crate::support::{Answer, Server, ServerBuilder, get, post};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// The digits model, for which the examples are.
fn server() -> Server {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let server = ServerBuilder::new();
    let feedback = server.models().join("feedback"); // its own repository is not served here
    let server = server.args(["--model-repository", models.to_str().unwrap()]);
    let server = server.args(["--feedback", feedback.to_str().unwrap()]).spawn();
    server.wait_until_ready();
    server
}

fn document(server: &Server) -> Value {
    let answer = get(&format!("{}/openapi.json", server.url()));
    assert_eq!(answer.headers["content-type"], "application/json");
    answer.json()
}

/// Whether the answer is one that the operation describes: its status, its type and its body.
fn assert_described(document: &Value, operation: &Value, answer: &Answer) {
    let id = &operation["operationId"];
    let mut response = &operation["responses"][answer.status.to_string()];
    assert!(!response.is_null(), "{id}: {} is not described", answer.status);
    if let Some(reference) = response["$ref"].as_str() {
        response = document.pointer(&reference[1..]).unwrap();
    }
    let content_type = answer.headers["content-type"].to_str().unwrap();
    let media_type = content_type.split(';').next().unwrap();
    let content = &response["content"][media_type];
    assert!(!content.is_null(), "{id}: {content_type} is not described for {}", answer.status);
    if media_type == "application/json" {
        let mut schema = content["schema"].clone();
        schema["components"] = document["components"].clone();
        let body = answer.json();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let errors: Vec<_> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{id}: {errors:?}");
    }
}

/// A path with its parameters as their examples are.
fn fill_in(path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.filter(|parameter| parameter["in"] == "path").fold(path.to_owned(), |path, parameter| {
        let name = format!("{{{}}}", parameter["name"].as_str().unwrap());
        path.replace(&name, parameter["example"].as_str().unwrap_or("digits")) // unloading has no example
    })
}

#[test]
fn every_example_is_answered_as_described() {
    let server = server();
    let document = document(&server);
    for (path, item) in document["paths"].as_object().unwrap() {
        let get_or_post = [("get", item.get("get")), ("post", item.get("post"))];
        for (method, operation) in get_or_post.into_iter().filter_map(|(method, op)| Some((method, op?))) {
            let url = format!("{}{}", server.url(), fill_in(path, operation));
            let examples = operation.pointer("/requestBody/content/application~1json/examples");
            let bodies: Vec<_> = match examples.and_then(Value::as_object) {
                Some(examples) => examples.values().map(|example| example["value"].to_string()).collect(),
                None => vec![String::new()],
            };
            for body in bodies {
                let answer = if method == "get" { get(&url) } else { post(&url, &JSON, body.as_bytes()) };
                assert!([200, 201].contains(&answer.status), "{url}: {answer:?}");
                assert_described(&document, operation, &answer);
            }
        }
    }
}

#[test]
fn faults_are_answered_as_described() {
    let server = server();
    let (url, document) = (server.url(), document(&server));
    let paths = &document["paths"];
    for (path, method, address, body) in [
        ("/v2/models/{model}", "get", "/v2/models/none", None),
        ("/v2/models/{model}", "get", "/v2/models/%FF", None),
        ("/v2/models/{model}/infer", "post", "/v2/models/none/infer", Some("{}")),
        ("/v2/models/{model}/infer", "post", "/v2/models/digits/infer", Some("{")),
        ("/v2/models/{model}/infer", "post", "/v2/models/digits/infer", Some("{\"inputs\":[]}")),
        ("/v1/models/{model}:predict", "post", "/v1/models/digits:predict", Some("[]")),
        ("/v2/repository/index", "post", "/v2/repository/index", Some("[]")),
        ("/v2/repository/models/{model}/load", "post", "/v2/repository/models/none/load", Some("")),
        ("/feedback", "post", "/feedback", Some("{}")),
    ] {
        let address = format!("{url}{address}");
        let answer = match body {
            Some(body) => post(&address, &[], body.as_bytes()),
            None => get(&address),
        };
        assert!((400..500).contains(&answer.status), "{address}: {}", answer.status);
        assert_described(&document, &paths[path][method], &answer);
    }
    let encoded = post(&format!("{url}/v2/models/digits/infer"), &[("content-encoding", "br")], b"{}");
    assert_described(&document, &paths["/v2/models/{model}/infer"]["post"], &encoded);
    let wrong_method = post(&format!("{url}/v2"), &[], b"");
    assert_described(&document, &paths["/v2"]["get"], &wrong_method);
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let server = server();
    let page = get(&format!("{}/docs", server.url()));
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!html.contains("https://") && !html.contains("style=") && !html.contains("onclick"));
    for (path, content_type, coding) in [
        ("docs/start.js", "text/javascript; charset=utf-8", None),
        ("docs/style.css", "text/css; charset=utf-8", None),
        ("docs/swagger-ui-bundle.js", "text/javascript", Some("gzip")),
        ("docs/swagger-ui.css", "text/css", Some("gzip")),
    ] {
        assert!(html.contains(&format!("\"{path}\"")), "{path}");
        let file = get(&format!("{}/{path}", server.url()));
        assert_eq!(file.headers["content-type"], content_type);
        assert_eq!(file.headers.get("content-encoding").map(|coding| coding.to_str().unwrap()), coding);
        assert_eq!(file.headers["x-content-type-options"], "nosniff");
    }
    assert_eq!(get(&format!("{}/docs/other.js", server.url())).status, 404);
    // Below another address the page's relative addresses would lead astray.
    let slash = get(&format!("{}/docs/", server.url()));
    assert_eq!((slash.status, slash.body), (200, page.body));
}
