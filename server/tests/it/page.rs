//! The page to draw on, as it is sent; `tests/browser` uses it.

use std::time::Duration;

use serde_json::json;
use ureq::{Agent, Body, http::Response};

use crate::support::{Server, ServerBuilder, get, models};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn server(args: &[&str]) -> Server {
    ServerBuilder::new().model("root", "1", &models::square_root()).args(args.iter().copied()).start()
}

fn ask(url: &str, header: &str, value: &str) -> Response<Body> {
    let config =
        Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_mins(1)));
    Agent::from(config.build()).get(url).header(header, value).call().unwrap()
}

#[test]
fn browsers_get_the_page_and_all_others_what_they_got() {
    let server = server(&[]);
    for (accept, is_page) in [
        (BROWSER, true),
        ("TEXT/HTML;q=0.5", true),
        ("*/*", false),
        ("application/json", false),
        ("application/json, text/plain, text/htmlx", false),
    ] {
        let mut answer = ask(&server.url(), "accept", accept);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["vary"], "accept", "{accept}");
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let text = answer.body_mut().read_to_string().unwrap();
        if is_page {
            assert!(
                content_type == "text/html; charset=utf-8" && text.contains("id=\"pad\""),
                "{accept}: {content_type}"
            );
        } else {
            assert_eq!(
                (content_type.as_str(), text.as_str()),
                ("application/json", "{\"status\":\"alive\"}"),
                "{accept}"
            );
        }
    }
    assert_eq!(get(&server.url()).json(), json!({ "status": "alive" }));
}

#[test]
fn the_page_is_small_and_needs_nothing_from_elsewhere() {
    let server = server(&[]);
    let mut page = ask(&server.url(), "accept", BROWSER);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    let html = page.body_mut().read_to_string().unwrap();
    assert!(!html.contains("style=") && !html.contains("onclick") && !html.contains("<style"));
    let mut texts = vec![html];
    let mut at = 0;
    // Every file that the page names, and every file that those name.
    let mut names: Vec<String> = Vec::new();
    while at < texts.len() {
        let text = texts[at].clone();
        let named = text
            .split(['"', '\''])
            .filter_map(|word| word.strip_prefix("ui/").or_else(|| word.strip_prefix("./")));
        for name in named {
            if !names.contains(&name.to_owned()) {
                let file = get(&format!("{}/ui/{name}", server.url()));
                assert_eq!(file.status, 200, "{name}");
                assert_eq!(file.headers["x-content-type-options"], "nosniff");
                let content_type = match name.rsplit_once('.') {
                    Some((_, "css")) => "text/css",
                    _ => "text/javascript",
                };
                assert_eq!(file.headers["content-type"], format!("{content_type}; charset=utf-8"), "{name}");
                names.push(name.to_owned());
                texts.push(String::from_utf8(file.body.to_vec()).unwrap());
            }
        }
        at += 1;
    }
    assert_eq!(names.len(), 8, "{names:?}");
    for text in &texts {
        for elsewhere in ["://", "=\"/", "(\"/", "(`/", "url("] {
            assert!(!text.contains(elsewhere), "an address from elsewhere, {elsewhere}: {text}");
        }
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    assert!(bytes < 60_000, "{bytes}");
}

#[test]
fn what_a_browser_has_is_not_sent_again() {
    let server = server(&[]);
    for (path, accept) in [("", BROWSER), ("/ui/app.js", "*/*"), ("/ui/style.css", "*/*")] {
        let url = format!("{}{path}", server.url());
        let first = ask(&url, "accept", accept);
        assert_eq!(first.headers()["cache-control"], "no-cache", "a newer server's page is not missed");
        let tag = first.headers()["etag"].to_str().unwrap().to_owned();
        let agent = Agent::from(Agent::config_builder().http_status_as_error(false).build());
        for (known, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("\"other\"".to_owned(), 200),
        ] {
            let again =
                agent.get(&url).header("accept", accept).header("if-none-match", &known).call().unwrap();
            assert_eq!(again.status(), status, "{path}, {known}");
            assert_eq!(again.headers()["etag"], tag.as_str());
        }
    }
}

#[test]
fn it_can_be_left_out() {
    let server = server(&["--ui", "off"]);
    let mut answer = ask(&server.url(), "accept", BROWSER);
    assert_eq!(answer.body_mut().read_to_string().unwrap(), "{\"status\":\"alive\"}");
    let script = get(&format!("{}/ui/app.js", server.url()));
    assert_eq!(
        (script.status, script.error().as_str()),
        (404, "unknown path '/ui/app.js': the page is switched off with --ui off")
    );
}

#[test]
fn other_paths_below_are_unknown() {
    let server = server(&[]);
    for path in ["/ui/index.html", "/ui/app.jsx", "/ui/", "/ui/..%2Fapp.js"] {
        assert_eq!(get(&format!("{}{path}", server.url())).status, 404, "{path}");
    }
}
