//! Inference over HTTP: JSON, the binary tensor extension, and pictures.

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, Request, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use oip::{Encoded, InferRequest, InferResponse};

use super::{
    content_coding::{compressed, decompressed},
    models::ModelPath,
    picture::{self, Announced},
};
use crate::{
    error::ServeError,
    http::{AppState, body, pieces::Pieces},
    inference::{Call, Codec, EncodedSize},
    loading::ServedModel,
    request::preprocess::PictureOptions,
    telemetry::Protocol,
};

/// Header with the number of bytes of JSON before the binary tensors. Without it, the whole body is JSON.
const JSON_LENGTH: HeaderName = HeaderName::from_static(oip::JSON_LENGTH_HEADER);

/// Path of inference requests.
pub(in crate::http) const ROUTE: &str = "/v2/models/{model}/infer";
/// Path of inference requests to one version of a model.
pub(in crate::http) const VERSION_ROUTE: &str = "/v2/models/{model}/versions/{version}/infer";

/// The model, version and query in the URI of an inference request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Target<'a> {
    model: &'a str,
    version: Option<&'a str>,
    /// The query of the URI.
    pub(in crate::http) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads model and version from a path. Returns `None` for other paths, and for paths with percent escapes, which
    /// the router decodes.
    pub(in crate::http) fn of(path: &'a str) -> Option<Self> {
        let name = path.strip_prefix("/v2/models/")?.strip_suffix("/infer")?;
        let is_plain = |segment: &str| !segment.is_empty() && !segment.contains(['/', '%']);
        let (model, version) = match name.split_once('/') {
            Some((model, rest)) => (model, Some(rest.strip_prefix("versions/")?)),
            None => (name, None),
        };
        (is_plain(model) && version.is_none_or(is_plain)).then_some(Self { model, version, query: None })
    }

    /// Returns the route of the path.
    pub(in crate::http) fn route(self) -> &'static str {
        if self.version.is_some() { VERSION_ROUTE } else { ROUTE }
    }
}

/// Serves an inference request whose path the router has decoded.
pub(in crate::http) async fn routed(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
    request: Request<Body>,
) -> Response {
    let (head, body) = request.into_parts();
    let query = head.uri.query();
    let target = Target { model: &path.model, version: path.version.as_deref(), query };
    infer(&state, target, &head.headers, body).await
}

/// Serves an inference request: decompresses the body, calls the data plane, and compresses the response.
pub(in crate::http) async fn infer(
    state: &AppState,
    target: Target<'_>,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let body = match decompressed(headers, body).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let Target { model, version, query } = target;
    let call = Call { model, version, protocol: Protocol::Rest, timeout: None };
    let codec = HttpCodec { state, headers, query, body };
    match state.data_plane.infer(call, codec).await {
        Ok(response) => compressed(headers, response).await,
        Err(error) => error.into_response(),
    }
}

/// The codec for JSON, binary tensors and pictures.
struct HttpCodec<'a> {
    state: &'a AppState,
    headers: &'a HeaderMap,
    query: Option<&'a str>,
    body: Body,
}

/// A body and its format.
struct HttpBody {
    bytes: Bytes,
    form: Form,
    /// The query, which has options for pictures.
    query: Option<String>,
}

impl Codec for HttpCodec<'_> {
    type Body = HttpBody;
    /// For each output of the response, in order: whether the client wants it as binary data.
    type Form = Vec<bool>;
    type Reply = Response;

    async fn receive(self, model: &ServedModel) -> Result<HttpBody, ServeError> {
        let form = Form::of(self.headers)?;
        if matches!(form, Form::Picture) {
            picture::pictures_of(model)?;
        }
        let query = self.query.filter(|_| model.pictures.is_some()).map(str::to_owned);
        let bytes = body::read(self.body, form.tensors().unwrap_or(0), self.state).await?;
        Ok(HttpBody { bytes, form, query })
    }

    fn size(HttpBody { bytes, form, .. }: &HttpBody) -> EncodedSize {
        let text = form.tensors().map_or(bytes.len(), |begin| begin.min(bytes.len()));
        EncodedSize { text, tensors: bytes.len() - text }
    }

    fn decode(body: HttpBody, model: &ServedModel) -> Result<(InferRequest, Vec<bool>), ServeError> {
        let HttpBody { bytes, form, query } = body;
        let request = match form {
            Form::Json => oip::json::decode_request(&bytes, model.nulls).map_err(ServeError::from),
            Form::Binary(length) => {
                oip::binary::decode_request(&bytes, length, model.nulls).map_err(ServeError::from)
            }
            Form::Raw => raw(&bytes, model),
            Form::Picture => {
                let mut request = picture::pictures_of(model)?.request(&bytes);
                picture::apply_query(query.as_deref(), &mut request)?;
                return Ok((request, Vec::new()));
            }
        };
        let announced = match form {
            Form::Json | Form::Picture => Announced::ByContentType,
            Form::Binary(_) | Form::Raw => Announced::WithoutLength,
        };
        let mut request = request.map_err(|error| picture::explain(error, &bytes, announced))?;
        if query.is_some() && model.pictures.as_ref().is_some_and(|pictures| pictures.are_in(&request)) {
            picture::apply_query(query.as_deref(), &mut request)?;
        }
        let binary = binary_outputs(&request, model);
        Ok((request, binary))
    }

    fn encode(response: InferResponse, binary: Vec<bool>) -> Result<Response, ServeError> {
        let Encoded { pieces, json_length } = oip::encode_response(&response, &binary)?;
        let mut reply = Response::new(Body::new(Pieces::new(pieces)));
        let headers = reply.headers_mut();
        match json_length {
            None => headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            Some(length) => {
                headers.insert(JSON_LENGTH, HeaderValue::from(length));
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            }
        };
        Ok(reply)
    }
}

/// The format of a body.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// JSON only.
    Json,
    /// This number of bytes of JSON, then binary tensors.
    Binary(usize),
    /// The bytes of one tensor, and nothing else.
    Raw,
    /// One encoded picture.
    Picture,
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, ServeError> {
        let Some(value) = headers.get(JSON_LENGTH) else {
            return Ok(if picture::has_content_type(headers) { Self::Picture } else { Self::Json });
        };
        let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        match length {
            Some(0) => Ok(Self::Raw),
            Some(length) => Ok(Self::Binary(length)),
            None => Err(ServeError::invalid("Inference-Header-Content-Length must be a number of bytes")),
        }
    }

    /// Returns the index of the first byte of tensors, or of a picture; `None` if the body has only JSON.
    fn tensors(self) -> Option<usize> {
        match self {
            Self::Json => None,
            Self::Binary(json_length) => Some(json_length),
            Self::Raw | Self::Picture => Some(0),
        }
    }
}

fn raw(body: &Bytes, model: &ServedModel) -> Result<InferRequest, ServeError> {
    let [input] = model.rules.signature.required() else {
        let message = "a raw body (Inference-Header-Content-Length: 0) needs a model with one input";
        return Err(ServeError::invalid(message));
    };
    let mut dims = input.shape();
    if let Some(rows) = model.rules.input_rows(0) {
        dims[rows] = 1;
    }
    Ok(oip::binary::decode_raw(body, &input.name, input.datatype, &dims)?)
}

fn binary_outputs(request: &InferRequest, model: &ServedModel) -> Vec<bool> {
    let mut binary: Vec<bool> = if request.outputs.is_empty() {
        let outputs = &model.rules.signature.outputs;
        outputs.iter().map(|output| request.wants_binary(&output.name)).collect()
    } else {
        request.outputs.iter().map(|output| request.wants_binary(&output.name)).collect()
    };
    if model.pictures.as_ref().is_some_and(|pictures| pictures.are_in(request)) {
        // Outputs that are added without being requested by name come last, and have the default format.
        binary.resize(binary.len() + PictureOptions::MOST_ADDED, request.wants_binary(""));
    }
    binary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_name_their_model() {
        let target = |path| Target::of(path).map(|target| (target.model, target.version));
        assert_eq!(target("/v2/models/digits/infer"), Some(("digits", None)));
        assert_eq!(target("/v2/models/a.b-c/versions/12/infer"), Some(("a.b-c", Some("12"))));
        for other in [
            "/v2/models/digits",
            "/v2/models//infer",
            "/v2/models/infer",
            "/v2/models/my%20digits/infer",
            "/v2/models/digits/versions//infer",
            "/v2/models/digits/versions/1/2/infer",
            "/v2/models/digits/other/1/infer",
            "/v2/models/digits/infer/",
            "/v1/models/digits/infer",
        ] {
            assert_eq!(target(other), None, "{other}");
        }
    }
}
