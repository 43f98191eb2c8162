//! REST over HTTP/1.1, with JSON or binary tensors.

use std::{error::Error, fmt, str::FromStr};

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header, request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use oip::{InferRequest, InferResponse, Parameter};
use tokio::net::TcpStream;

use super::{Answer, Transport};
use crate::{
    failure::{Failure, FailureKind},
    inputs::Payload,
};

/// Largest answer that is read.
const LARGEST_ANSWER: usize = 256 << 20;

/// Header with the length of the JSON before binary tensors.
const JSON_LENGTH: HeaderName = HeaderName::from_static(oip::JSON_LENGTH_HEADER);

/// How tensors travel in a request's body, and in its answer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wire {
    /// Numbers as JSON.
    Json,
    /// Little-endian bytes after the JSON (the binary tensor extension).
    Binary,
}

/// Where a server is.
#[derive(Clone, Debug)]
pub struct ServerUrl {
    /// As it was written.
    text: String,
    /// Host and port.
    authority: String,
    /// What comes before `/v2`, without a slash at its end.
    base_path: String,
}

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || "expected http://HOST:PORT (TLS is left to a proxy)".to_owned();
        let uri: Uri = text.parse().map_err(|_| expected())?;
        let (Some("http"), Some(host), None) = (uri.scheme_str(), uri.host(), uri.query()) else {
            return Err(expected());
        };
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        let base_path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { text: text.to_owned(), authority, base_path })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A model at a server.
#[derive(Clone, Debug)]
pub struct Http {
    server: ServerUrl,
    infer_path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    wire: Wire,
}

impl Http {
    /// Speaks to `server`, with `headers` on every request.
    pub fn new(server: ServerUrl, headers: Vec<(HeaderName, HeaderValue)>, wire: Wire) -> Self {
        Self { server, infer_path: String::new(), headers, wire }
    }

    /// Sends requests to a model, of one version or of the server's choice.
    #[must_use]
    pub fn with_model(mut self, model: &str, version: Option<&str>) -> Self {
        self.infer_path = format!("{}/infer", model_path(model, version));
        self
    }

    /// The body of a `GET` at `path` below `/v2`.
    ///
    /// # Errors
    /// The server cannot be reached, or does not answer 200.
    pub async fn get(&self, path: &str) -> Result<Bytes, Failure> {
        let mut connection = self.connect().await?;
        let parts = self.parts(Method::GET, path);
        Ok(send(&mut connection, Request::from_parts(parts, Full::default())).await?.body)
    }

    fn parts(&self, method: Method, path: &str) -> request::Parts {
        let mut request = Request::new(());
        *request.method_mut() = method;
        let target = format!("{}/v2{path}", self.server.base_path);
        *request.uri_mut() = target.parse().expect("model names are percent-encoded");
        let host = HeaderValue::from_str(&self.server.authority).expect("it came from a URI");
        request.headers_mut().insert(header::HOST, host);
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        request.into_parts().0
    }
}

/// Path of a model below `/v2`, with its name percent-encoded.
pub fn model_path(model: &str, version: Option<&str>) -> String {
    let encode = |segment: &str| -> String {
        let encoded = segment.bytes().map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        });
        encoded.collect()
    };
    let version = version.map(|version| format!("/versions/{}", encode(version))).unwrap_or_default();
    format!("/models/{}{version}", encode(model))
}

impl Transport for Http {
    type Request = Request<Full<Bytes>>;
    type Connection = SendRequest<Full<Bytes>>;

    fn prepare(&self, payload: &Payload) -> Result<Self::Request> {
        let (body, json_length) = match (self.wire, &payload.verbatim) {
            (Wire::Json, Some(body)) => (body.clone(), None),
            (Wire::Json, None) => encode(&payload.request, false)?,
            (Wire::Binary, _) => {
                let mut request = payload.request.clone();
                request.parameters.0.push(("binary_data_output".into(), Parameter::Bool(true)));
                for output in &mut request.outputs {
                    output.parameters.0.push(("binary_data".into(), Parameter::Bool(true)));
                }
                encode(&request, true)?
            }
        };
        let mut parts = self.parts(Method::POST, &self.infer_path);
        let content_type =
            if json_length.is_some() { "application/octet-stream" } else { "application/json" };
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(length) = json_length {
            parts.headers.insert(JSON_LENGTH, length.into());
        }
        Ok(Request::from_parts(parts, Full::new(body)))
    }

    async fn connect(&self) -> Result<Self::Connection, Failure> {
        let address = &self.server.authority;
        let refused =
            |error: &dyn Error| Failure::new(FailureKind::Connect, format!("{address}: {}", chain(error)));
        let stream = TcpStream::connect(address).await.map_err(|error| refused(&error))?;
        stream.set_nodelay(true).map_err(|error| refused(&error))?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| refused(&error))?;
        // It ends with the sender; its errors come out of `exchange`.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn exchange(
        &self,
        connection: &mut Self::Connection,
        request: &Self::Request,
    ) -> Result<Answer, Failure> {
        // A server may close a connection that was idle, or after an error: that is no failure of this request.
        if connection.ready().await.is_err() {
            *connection = self.connect().await?;
        }
        send(connection, request.clone()).await
    }

    fn decode(&self, answer: &Answer) -> Result<InferResponse, String> {
        oip::decode_response(&answer.body, answer.json_length).map_err(|error| error.to_string())
    }
}

fn encode(request: &InferRequest, binary: bool) -> Result<(Bytes, Option<usize>)> {
    let encoded = oip::encode_request(request, &vec![binary; request.inputs.len()])?;
    Ok((encoded.body(), encoded.json_length))
}

async fn send(
    connection: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Failure> {
    let broken = |error: &dyn Error| Failure::new(FailureKind::Disconnected, chain(error));
    let response = connection.send_request(request).await.map_err(|error| broken(&error))?;
    let (parts, body) = response.into_parts();
    let body =
        Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| broken(&*error))?.to_bytes();
    if parts.status != StatusCode::OK {
        return Err(Failure::new(FailureKind::Status(parts.status.as_u16()), error_text(&body)));
    }
    let json_length = parts.headers.get(JSON_LENGTH).map(|value| {
        let length = value.to_str().ok().and_then(|text| text.parse().ok());
        length.ok_or_else(|| {
            Failure::new(FailureKind::Wrong, format!("{JSON_LENGTH} is {value:?}, expected a length"))
        })
    });
    let json_length = json_length.transpose()?;
    Ok(Answer { body, json_length })
}

/// The text of an error body: `{"error": "…"}` by the protocol, else whatever came.
fn error_text(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct ErrorBody {
        error: String,
    }
    serde_json::from_slice::<ErrorBody>(body)
        .map_or_else(|_| String::from_utf8_lossy(body).trim().to_owned(), |body| body.error)
}

/// An error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_be_below_a_path_and_on_the_usual_port() {
        let url: ServerUrl = "http://[::1]/digits/".parse().unwrap();
        assert_eq!((url.authority.as_str(), url.base_path.as_str()), ("[::1]:80", "/digits"));
        let parts =
            Http::new(url, Vec::new(), Wire::Json).parts(Method::GET, &model_path("a model/1", Some("2")));
        assert_eq!(parts.uri.path(), "/digits/v2/models/a%20model%2F1/versions/2");
        assert_eq!(parts.headers[header::HOST], "[::1]:80");
    }

    #[test]
    fn what_is_no_plain_http_is_refused() {
        for url in ["https://localhost", "localhost:8080", "http://localhost?x=1", "http://", "/v2"] {
            assert!(url.parse::<ServerUrl>().is_err(), "{url}");
        }
    }

    #[test]
    fn an_error_body_is_read_as_the_protocol_has_it_or_as_it_is() {
        assert_eq!(error_text(br#"{"error": "the queue is full"}"#), "the queue is full");
        assert_eq!(error_text(b"upstream connect error\n"), "upstream connect error");
    }
}
