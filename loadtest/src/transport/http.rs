//! REST over HTTP/1.1, with JSON or binary tensors.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header, request};
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use oip::{InferRequest, InferResponse, Parameter};

use super::{Answer, ServerUrl, Transport, broken, open_stream, read, refused};
use crate::{
    failure::{Failure, FailureKind},
    inputs::Payload,
    metadata::{ModelMetadata, ServerMetadata},
};

/// Header with the length of the JSON, which binary tensors follow.
const JSON_LENGTH: HeaderName = HeaderName::from_static(oip::JSON_LENGTH_HEADER);

/// A model on a server.
#[derive(Clone, Debug)]
pub struct Http {
    server: ServerUrl,
    /// Path of the model below `/v2`.
    model_path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    binary: bool,
}

impl Http {
    /// A transport for one model. `None` as version lets the server choose. `headers` are sent with every request. If
    /// `binary` is true, tensors are sent as bytes after the JSON, else as numbers in it.
    pub fn new(
        server: ServerUrl,
        headers: Vec<(HeaderName, HeaderValue)>,
        model: &str,
        version: Option<&str>,
        binary: bool,
    ) -> Self {
        Self { server, model_path: model_path(model, version), headers, binary }
    }

    /// Sends `GET` for a path below `/v2`, and returns the body of the response.
    async fn get(&self, path: &str) -> Result<Bytes, Failure> {
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
fn model_path(model: &str, version: Option<&str>) -> String {
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

    async fn describe(&self) -> Result<(ServerMetadata, ModelMetadata)> {
        let server =
            serde_json::from_slice(&self.get("").await?).context("the server's metadata is malformed")?;
        let model = serde_json::from_slice(&self.get(&self.model_path).await?)
            .context("the server's model metadata is malformed")?;
        Ok((server, model))
    }

    fn prepare(&self, payload: &Payload) -> Result<Self::Request> {
        let (body, json_length) = match (self.binary, &payload.verbatim) {
            (false, Some(body)) => (body.clone(), None),
            (false, None) => encode(&payload.request, false)?,
            (true, _) => {
                let mut request = payload.request.clone();
                request.parameters.0.push(("binary_data_output".into(), Parameter::Bool(true)));
                for output in &mut request.outputs {
                    output.parameters.0.push(("binary_data".into(), Parameter::Bool(true)));
                }
                encode(&request, true)?
            }
        };
        let mut parts = self.parts(Method::POST, &format!("{}/infer", self.model_path));
        let content_type =
            if json_length.is_some() { "application/octet-stream" } else { "application/json" };
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(length) = json_length {
            parts.headers.insert(JSON_LENGTH, length.into());
        }
        Ok(Request::from_parts(parts, Full::new(body)))
    }

    async fn connect(&self) -> Result<Self::Connection, Failure> {
        let stream = open_stream(&self.server).await?;
        let (sender, connection) =
            http1::handshake(stream).await.map_err(|error| refused(&self.server, &error))?;
        // The task ends when the sender is dropped. Errors of the connection appear in `exchange`.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn is_open(connection: &mut Self::Connection) -> bool {
        connection.ready().await.is_ok()
    }

    async fn send(connection: &mut Self::Connection, request: &Self::Request) -> Result<Answer, Failure> {
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
    let response = connection.send_request(request).await.map_err(|error| broken(&error))?;
    let (parts, body) = response.into_parts();
    let body = read(body).await?.to_bytes();
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

/// The text of an error response: the field `error` of its JSON, or else the whole body.
fn error_text(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct ErrorBody {
        error: String,
    }
    serde_json::from_slice::<ErrorBody>(body)
        .map_or_else(|_| String::from_utf8_lossy(body).trim().to_owned(), |body| body.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_models_are_encoded_in_paths() {
        let url: ServerUrl = "http://[::1]/digits/".parse().unwrap();
        let http = Http::new(url, Vec::new(), "a model/1", Some("2"), false);
        let parts = http.parts(Method::GET, &http.model_path);
        assert_eq!(parts.uri.path(), "/digits/v2/models/a%20model%2F1/versions/2");
        assert_eq!(parts.headers[header::HOST], "[::1]:80");
    }

    #[test]
    fn the_error_text_is_the_protocols_field_or_the_whole_body() {
        assert_eq!(error_text(br#"{"error": "the queue is full"}"#), "the queue is full");
        assert_eq!(error_text(b"upstream connect error\n"), "upstream connect error");
    }
}
