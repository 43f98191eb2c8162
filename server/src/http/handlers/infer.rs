//! Inference over HTTP: JSON, the binary tensor extension, and pictures.

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, Request, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use oip::{Encoded, InferRequest, InferResponse};

use super::{models::ModelPath, picture};
use crate::{
    error::ServeError,
    http::{
        AppState, body,
        middleware::content_coding::{compressed, decompressed},
        pieces::Pieces,
    },
    inference::{Call, Codec, EncodedSize},
    loading::ServedModel,
    request::preprocess::Wishes,
    telemetry::Protocol,
};

/// Bytes of JSON before the binary tensors; without it the body is all JSON.
const JSON_LENGTH: HeaderName = HeaderName::from_static(oip::JSON_LENGTH_HEADER);

/// Where requests for inference are posted.
pub(in crate::http) const ROUTE: &str = "/v2/models/{model}/infer";
/// The same for one version of a model.
pub(in crate::http) const VERSION_ROUTE: &str = "/v2/models/{model}/versions/{version}/infer";

/// Whom a request for inference is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Target<'a> {
    model: &'a str,
    version: Option<&'a str>,
    /// What follows the path.
    pub(in crate::http) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads it from a path that says it plainly; one with escapes is left to the router.
    pub(in crate::http) fn of(path: &'a str) -> Option<Self> {
        let name = path.strip_prefix("/v2/models/")?.strip_suffix("/infer")?;
        let is_plain = |segment: &str| !segment.is_empty() && !segment.contains(['/', '%']);
        let (model, version) = match name.split_once('/') {
            Some((model, rest)) => (model, Some(rest.strip_prefix("versions/")?)),
            None => (name, None),
        };
        (is_plain(model) && version.is_none_or(is_plain)).then_some(Self { model, version, query: None })
    }

    /// The route that such a path has.
    pub(in crate::http) fn route(self) -> &'static str {
        if self.version.is_some() { VERSION_ROUTE } else { ROUTE }
    }
}

/// Serves a request whose path only the router could read.
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

/// Serves a request for inference: takes off its content coding, has it answered, and compresses the answer.
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

/// The codec of the protocol's JSON, its binary tensors, and pictures.
struct HttpCodec<'a> {
    state: &'a AppState,
    headers: &'a HeaderMap,
    query: Option<&'a str>,
    body: Body,
}

/// A body, and how it is written.
struct HttpBody {
    bytes: Bytes,
    form: Form,
    /// What the query asks of a picture.
    query: Option<String>,
}

impl Codec for HttpCodec<'_> {
    type Body = HttpBody;
    /// For each output of the answer, in its order, whether the client wants it as binary.
    type Form = Vec<bool>;
    type Reply = Response;

    async fn receive(self, model: &ServedModel) -> Result<HttpBody, ServeError> {
        let form = Form::of(self.headers)?;
        let is_picture = matches!(form, Form::Picture);
        if is_picture {
            picture::taken_by(model)?;
        }
        let query = self.query.filter(|_| is_picture).map(str::to_owned);
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
            Form::Binary(length) => Ok(oip::binary::decode_request(&bytes, length, model.nulls)?),
            Form::Raw => raw(&bytes, model),
            Form::Picture => {
                let mut request = picture::taken_by(model)?.request(&bytes);
                picture::heed(query.as_deref(), &mut request)?;
                return Ok((request, Vec::new()));
            }
        };
        let request = request.map_err(|error| picture::or_unannounced(error, &bytes))?;
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

/// How the body is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// All JSON.
    Json,
    /// So many bytes of JSON, then tensors.
    Binary(usize),
    /// One tensor and nothing else.
    Raw,
    /// One encoded picture.
    Picture,
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, ServeError> {
        let Some(value) = headers.get(JSON_LENGTH) else {
            return Ok(if picture::is_announced(headers) { Self::Picture } else { Self::Json });
        };
        let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        match length {
            Some(0) => Ok(Self::Raw),
            Some(length) => Ok(Self::Binary(length)),
            None => Err(ServeError::invalid("Inference-Header-Content-Length must be a number of bytes")),
        }
    }

    /// After how many bytes of text the bytes of tensors, or of a picture, begin, where there are any.
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
        // What is added without being named comes last, and is like what is not named.
        binary.resize(binary.len() + Wishes::MOST_ADDED, request.wants_binary(""));
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
