//! Hostile and clumsy clients: a clear answer, bounded memory, and everyone else served.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, read::GzEncoder};
use futures_util::StreamExt as _;
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use oip::{Datatype, Shape, Tensor};

use crate::support::{Server, ServerBuilder, get, infer_binary, models, post};

const BODY: &str = r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}"#;

fn server(args: &[&str]) -> Server {
    ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32)).args(args.iter().copied()).start()
}

fn infer_url(server: &Server) -> String {
    format!("{}/v2/models/m/infer", server.url())
}

fn gzip(data: impl Read) -> Vec<u8> {
    let mut packed = Vec::new();
    GzEncoder::new(data, Compression::fast()).read_to_end(&mut packed).unwrap();
    packed
}

#[test]
fn bodies_beyond_the_limit_are_refused_by_length_and_while_they_stream() {
    let server = server(&["--max-body-size", "1MiB"]);
    let body = vec![b' '; 2 << 20];
    let answer = post(&infer_url(&server), &[], &body);
    assert_eq!(answer.status, 413);
    assert!(answer.error().contains("1048576 bytes (--max-body-size)"), "{}", answer.error());

    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
        .write_all(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    for _ in 0..40 {
        let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
        if stream.write_all(&chunk).is_err() {
            break; // refused while it was still being sent
        }
    }
    let mut answer = [0; 64];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_bomb_costs_no_more_memory_than_the_limit() {
    let server = server(&["--max-body-size", "16MiB"]);
    assert_eq!(post(&infer_url(&server), &[], BODY.as_bytes()).status, 200);
    let bomb = gzip(std::io::repeat(b' ').take(600 << 20));
    assert!(bomb.len() < 16 << 20, "{} bytes", bomb.len());
    let cost = server.memory_for(|| {
        let answer = post(&infer_url(&server), &[("content-encoding", "gzip")], &bomb);
        assert_eq!(answer.status, 413);
    });
    assert!(cost < 2 * (16 << 20), "{cost} bytes for a limit of 16 MiB");
}

#[test]
fn deep_nesting_is_refused_without_harm() {
    let server = server(&[]);
    let nest = |open: &str| open.repeat(100_000);
    for body in [
        nest("["),
        nest("{\"a\":"),
        format!(r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[1,2],"data":{}"#, nest("[")),
        format!(r#"{{"unknown":{}{}}}"#, nest("["), nest("]")),
    ] {
        let answer = post(&infer_url(&server), &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{}", answer.error());
    }
    assert_eq!(post(&infer_url(&server), &[], BODY.as_bytes()).status, 200, "and the server still serves");
}

#[test]
fn a_shape_claims_nothing() {
    let server = server(&[]);
    assert_eq!(post(&infer_url(&server), &[], BODY.as_bytes()).status, 200);
    let cost = server.memory_for(|| {
        for shape in [
            "[1000000000,1000000000]",
            "[18446744073709551615,2]",
            "[9999999999999999999999,2]",
            "[-1,2]",
            "[1.5,2]",
        ] {
            let input = format!(r#"{{"name":"x","datatype":"FP32","shape":{shape},"data":[1,2]}}"#);
            let body = format!(r#"{{"inputs":[{input}]}}"#);
            let answer = post(&infer_url(&server), &[], body.as_bytes());
            assert_eq!(answer.status, 400, "{shape}: {}", answer.error());
        }
    });
    assert!(cost < 16 << 20, "{cost} bytes");
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let server = server(&["--body-read-timeout", "300ms"]);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
        .write_all(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"inp")
        .unwrap();
    let mut answer = [0; 64];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(get(&format!("{}/v2/health/ready", server.url())).status, 200);
}

#[tokio::test]
async fn a_message_that_does_not_come_is_given_up() {
    let server = server(&["--body-read-timeout", "300ms"]);
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let start = Bytes::from_static(&[0, 0, 0, 0, 100, 1, 2, 3]); // of a message of 100 bytes
    let start = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(Frame::data(start))]);
    let body = StreamBody::new(start.chain(futures_util::stream::pending()));
    let url = format!("{}/inference.GRPCInferenceService/ModelInfer", server.url());
    let request =
        hyper::Request::post(url).header("content-type", "application/grpc").header("te", "trailers");
    let answer = client.send_request(request.body(body).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "4");
    let message = answer.headers()["grpc-message"].to_str().unwrap();
    assert!(message.contains("--body-read-timeout"), "{message}");
}

#[tokio::test]
async fn a_body_of_http2_may_be_larger_than_its_window() {
    let server = server(&[]);
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut body = BODY.as_bytes().to_vec();
    body.resize(4 << 20, b' ');
    let request = hyper::Request::post(infer_url(&server)).body(Full::new(Bytes::from(body))).unwrap();
    assert_eq!(client.send_request(request).await.unwrap().status(), 200);
}

#[test]
fn a_connection_is_closed_when_it_is_idle_and_not_before() {
    let server = server(&["--keep-alive-timeout", "1s"]);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let mut piece = [0; 4096];
    for _ in 0..4 {
        stream.write_all(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let length = stream.read(&mut piece).unwrap();
        assert!(piece[..length].starts_with(b"HTTP/1.1 200"));
        stream.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
        let still_open = stream.read(&mut piece).unwrap_err();
        assert_eq!(still_open.kind(), std::io::ErrorKind::WouldBlock);
    }
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(stream.read(&mut piece).unwrap(), 0);
}

#[test]
fn heads_that_are_not_http_are_refused_and_the_connection_is_closed() {
    let server = server(&[]);
    let long = |count: usize| "a".repeat(count);
    for (head, status) in [
        ("no request at all\r\n\r\n".to_owned(), 400),
        ("GET /v2 HTTP/1.1\r\nwithout a colon\r\n\r\n".to_owned(), 400),
        ("POST /v2/models/m/infer HTTP/1.1\r\nContent-Length: many\r\n\r\n".to_owned(), 400),
        (format!("GET /v2 HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101)), 431),
        (format!("GET /{} HTTP/1.1\r\n\r\n", long(65535)), 414),
        // The second of two requests in one segment.
        ("GET /v2/health/live HTTP/1.1\r\n\r\nGET /v2 HTTP/9\r\n\r\n".to_owned(), 400),
    ] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap(); // to the end: the connection is closed
        assert!(answers.contains(&format!("HTTP/1.1 {status} ")), "{answers}");
    }
}

/// Bytes of an answer are a client's own, whatever they look like.
#[test]
fn a_tensor_that_looks_like_a_refusal_comes_back_as_it_is() {
    let onnx = models::identity_of(Datatype::Uint8, &["N", "size"], &["N", "size"]);
    let server = ServerBuilder::new().model("bytes", "1", &onnx).start();
    let (start, end) = (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n", b"\r\n\r\n");
    for size in [start.len() + end.len(), 4 << 10, 64 << 10, 1 << 20, 8 << 20] {
        let mut data = start.to_vec();
        data.resize(size - end.len(), b' ');
        data.extend_from_slice(end);
        let tensor = Tensor::new(Datatype::Uint8, Shape::from(&[1, size][..]), data.into()).unwrap();
        let response = infer_binary(&server.url(), "bytes", &[("x", tensor.clone())]).response();
        assert_eq!(response.outputs[0].1, tensor, "{size}");
    }
}

#[tokio::test]
async fn a_large_head_of_http2_is_answered_in_json_too() {
    let server = server(&[]);
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    for (bytes, status) in [(60_000, 200), (70_000, 431), (200_000, 431), (10, 200)] {
        let request = hyper::Request::get(format!("{}/v2", server.url())).header("x-long", "a".repeat(bytes));
        let answer = client.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status, "{bytes}");
        assert_eq!(answer.headers()["content-type"], "application/json");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"].is_string(), status == 431, "{body}");
    }
    drop(client);
    connection.await.unwrap().unwrap();
}

#[test]
fn a_request_that_waits_too_long_is_told_so() {
    let server = ServerBuilder::new()
        .model("slow", "1", &models::slow())
        .args(["--request-timeout", "20ms", "--threads", "1"])
        .start();
    let body = format!(
        r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[64,1,1],"data":{:?}}}]}}"#,
        vec![1; 64]
    );
    let answer = post(&format!("{}/v2/models/slow/infer", server.url()), &[], body.as_bytes());
    assert_eq!(answer.status, 504, "{}", answer.error());
}

#[test]
fn http_2_without_tls_is_spoken_on_the_same_port() {
    let server = server(&[]);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&settings).unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4, "the first frame of a server is SETTINGS");
}
