use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::body::Body;
use http::{Request, header};
use serde_json::Value;

use super::*;
use crate::{
    access::Peer,
    http::{AppState, HttpService, service},
    inference::DataPlane,
    repository::Registry,
    telemetry::Metrics,
};

fn server() -> HttpService {
    let data_plane =
        DataPlane::new(Arc::new(Registry::default()), Metrics::new().unwrap(), Duration::from_secs(1));
    service(
        AppState {
            data_plane: Arc::new(data_plane),
            max_body_bytes: 1 << 20,
            body_read_timeout: Duration::from_secs(1),
            traces: None,
            access: Arc::default(),
            ui: true,
        },
        None,
    )
}

fn as_json() -> Value {
    serde_json::from_slice(&DOCUMENT).unwrap()
}

/// Beginning of paths that respond with 501, so that Triton's clients learn why.
const NOT_SERVED: &str = "/v2/repository/{repository}/";

/// Returns the router's path for a path of the document. In the router, a verb is part of the last segment.
fn route(path: &str) -> &str {
    let path = path.strip_suffix(":predict").unwrap_or(path);
    if path == "/" { path } else { path.trim_end_matches('/') }
}

/// Returns the methods of each path in the document.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, item) in as_json()["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys().map(|method| method.to_uppercase());
        documented.entry(route(path).to_owned()).or_default().extend(methods);
    }
    documented
}

#[tokio::test]
async fn the_document_has_the_paths_and_methods_of_the_router() {
    let documented = documented();
    // The router lists its paths only in its `Debug` text.
    let shown = format!("{:?}", server());
    let routes = shown.split('"').filter(|text| text.starts_with('/') && !text.contains("__private"));
    let rest = |path: &&str| {
        !path.starts_with("/inference.") && !path.starts_with("/grpc.") && !path.starts_with(NOT_SERVED)
    };
    let routes: BTreeSet<String> = routes.filter(rest).map(|path| route(path).to_owned()).collect();
    assert!(routes.len() > 10, "{shown}");
    assert_eq!(documented.keys().cloned().collect::<BTreeSet<_>>(), routes);
    for (path, methods) in documented {
        let request = Request::builder().method("OPTIONS").uri(path.replace(['{', '}'], ""));
        let request = request.header(header::HOST, "localhost").body(Body::empty()).unwrap();
        let answer = server().respond(request, Peer { is_loopback: true, has_tls: false }).await;
        assert_eq!(answer.status(), 405, "{path}");
        let allowed = answer.headers()[header::ALLOW].to_str().unwrap().split(',').map(str::to_owned);
        assert_eq!(allowed.collect::<BTreeSet<_>>(), methods, "{path}");
    }
}

/// Collects every value under `key`, at any depth.
fn find<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key));
            object.values().for_each(|value| find(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| find(value, key, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_an_id_of_its_own() {
    let document = as_json();
    assert_eq!(document["openapi"], "3.1.0");
    let (mut references, mut ids) = (Vec::new(), Vec::new());
    find(&document, "$ref", &mut references);
    find(&document, "operationId", &mut ids);
    assert!(!references.is_empty());
    for reference in references.iter().filter_map(|reference| reference.as_str()) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let different: BTreeSet<_> = ids.iter().filter_map(|id| id.as_str()).collect();
    assert_eq!(ids.len(), different.len(), "{ids:?}");
}

#[test]
fn no_two_operations_of_a_method_have_the_same_summary() {
    let document = as_json();
    let mut summaries = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let summary = operation["summary"].as_str().unwrap();
            assert!(
                summaries.insert((method, summary)),
                "{method} {path}: another one is called '{summary}' too"
            );
        }
    }
}

#[test]
fn every_body_has_a_schema() {
    let document = as_json();
    let mut contents = Vec::new();
    find(&document, "content", &mut contents);
    assert!(contents.len() > 20);
    for (media_type, content) in contents.iter().flat_map(|content| content.as_object().unwrap()) {
        assert!(content["schema"].is_object(), "{media_type} has none");
    }
}

#[test]
fn the_documentation_has_this_description() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let text = String::from_utf8(DOCUMENT.to_vec()).unwrap() + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let is_same = std::fs::read_to_string(path).is_ok_and(|kept| kept == text);
    assert!(is_same, "docs/openapi.json is another: UPDATE_DOCS=1 cargo test -p decima-server --lib openapi");
}

#[test]
fn schemas_are_schemas_and_examples_fit_them() {
    let document = as_json();
    let mut checked = 0;
    let mut contents = Vec::new();
    find(&document, "application/json", &mut contents);
    for content in contents {
        // References point into the whole document, so the schema gets its components.
        let mut schema = content["schema"].clone();
        schema["components"] = document["components"].clone();
        assert!(jsonschema::draft202012::meta::is_valid(&schema));
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let named = content["examples"].as_object().into_iter().flat_map(|examples| examples.values());
        let examples = named.map(|example| &example["value"]).chain(content.get("example"));
        for example in examples {
            let errors: Vec<_> = validator.iter_errors(example).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", content["schema"]);
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}
