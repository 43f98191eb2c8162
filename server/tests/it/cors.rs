//! Browsers: pages of other origins may ask where the setting says so, and nothing changes where it does not.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use oip::{Datatype, Shape, Tensor};

use crate::support::{Answer, Server, ServerBuilder, models};

const PAGE: &str = "https://app.example.org";

fn server(args: &[&str]) -> Server {
    let server = ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32));
    server.args(args.iter().copied()).start()
}

/// Any request, on a connection of its own.
fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let length = body.len();
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = ureq::http::HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name: ureq::http::HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    Answer { status, headers, body: answer[end + 4..].to_vec().into() }
}

fn header(answer: &Answer, name: &str) -> String {
    let values = answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned());
    values.collect::<Vec<_>>().join(",").to_ascii_lowercase()
}

/// What a browser asks before a page may send a request with binary tensors.
fn question(origin: &str) -> [(&str, &str); 3] {
    [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type,inference-header-content-length"),
    ]
}

const INFER: &str = "/v2/models/m/infer";
const BODY: &[u8] = br#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}"#;

#[test]
fn a_browser_s_question_is_answered_for_the_origins_that_are_allowed() {
    let listed = server(&["--cors-origins", "http://localhost:3000, HTTPS://App.Example.org:443"]);
    for origin in [PAGE, "http://localhost:3000"] {
        for path in [INFER, "/v2/models/m", "/v1/models/m:predict", "/v2/repository/index", "/nowhere"] {
            let answer = ask(&listed, "OPTIONS", path, &question(origin), b"");
            assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
            assert_eq!(header(&answer, "access-control-allow-origin"), origin);
            assert!(header(&answer, "access-control-allow-methods").contains("post"), "{answer:?}");
            let allowed = header(&answer, "access-control-allow-headers");
            assert!(allowed.contains("inference-header-content-length"), "{allowed}");
            assert!(header(&answer, "vary").contains("origin"), "{answer:?}");
        }
    }
    for other in ["https://example.org", "http://app.example.org", "https://app.example.org.evil", "null"] {
        let answer = ask(&listed, "OPTIONS", INFER, &question(other), b"");
        assert_eq!(header(&answer, "access-control-allow-origin"), "", "{other}");
    }
    let all = server(&["--cors-origins", "*"]);
    assert_eq!(
        header(&ask(&all, "OPTIONS", INFER, &question(PAGE), b""), "access-control-allow-origin"),
        "*"
    );
}

#[test]
fn answers_can_be_read_by_pages_that_may_and_errors_too() {
    let server = server(&["--cors-origins", PAGE]);
    let tensor = Tensor::new(Datatype::Fp32, Shape::from(&[1, 2][..]), vec![0; 8].into()).unwrap();
    let json = format!(
        r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[1,2],"parameters":{{"binary_data_size":{}}}}}]}}"#,
        tensor.data.len()
    );
    let binary = [json.as_bytes(), &tensor.data].concat();
    let length = json.len().to_string();
    let long = [("Inference-Header-Content-Length", length.as_str())];
    for (method, path, more, body, status) in [
        ("POST", INFER, &[][..], BODY, 200),
        ("POST", INFER, &[("Accept-Encoding", "gzip")][..], BODY, 200),
        ("POST", INFER, &long[..], &binary[..], 200),
        ("POST", "/v1/models/m:predict", &[][..], br#"{"instances":[[1,2]]}"#, 200),
        ("GET", "/v2/health/ready", &[][..], b"", 200),
        ("POST", INFER, &[][..], b"{", 400),
        ("POST", "/v2/models/other/infer", &[][..], BODY, 404),
        ("DELETE", "/v2/models/m", &[][..], b"", 405),
        ("POST", INFER, &[("Content-Encoding", "br")][..], BODY, 415),
    ] {
        let headers = [&[("Origin", PAGE)], more].concat();
        let answer = ask(&server, method, path, &headers, body);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_eq!(header(&answer, "access-control-allow-origin"), PAGE, "{path}");
        assert!(header(&answer, "vary").contains("origin"), "{path}: {answer:?}");
        let exposed = header(&answer, "access-control-expose-headers");
        assert!(exposed.contains("inference-header-content-length"), "{path}: {exposed}");
        assert!(!answer.headers["x-request-id"].is_empty(), "{path}");
        let other = ask(&server, method, path, &[&[("Origin", "https://other.org")], more].concat(), body);
        assert_eq!((other.status, header(&other, "access-control-allow-origin")), (status, String::new()));
        // What a cache keeps of an answer to nobody's page must not be given to one.
        let plain = ask(&server, method, path, more, body);
        assert_eq!((plain.status, header(&plain, "access-control-allow-origin")), (status, String::new()));
        assert!(header(&plain, "vary").contains("origin"), "{path}: {plain:?}");
    }
    // No browser's question: what the path takes is still said.
    assert_eq!(ask(&server, "OPTIONS", INFER, &[("Origin", PAGE)], b"").status, 405);
}

#[test]
fn without_the_setting_nothing_is_allowed_and_nothing_added() {
    let server = server(&[]);
    let answer = ask(&server, "OPTIONS", INFER, &question(PAGE), b"");
    assert_eq!(answer.status, 405);
    for answer in [answer, ask(&server, "POST", INFER, &[("Origin", PAGE)], BODY)] {
        let names: Vec<_> = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
        assert!(names.iter().all(|name| name != "vary" && !name.starts_with("access-control")), "{names:?}");
    }
}

#[test]
fn a_setting_that_is_no_origin_is_named_before_the_server_starts() {
    for bad in ["example.org", "https://a.org/", "https://a.org,*"] {
        let mut server = ServerBuilder::new().args(["--cors-origins", bad]).start_to_fail();
        assert_eq!(server.wait().code(), Some(64), "{bad}");
        let log = server.log().join("\n");
        assert!(log.contains("--cors-origins is") && log.contains(bad), "{log}");
    }
}
