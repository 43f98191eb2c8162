//! The V1 protocol of `KServe` and TensorFlow Serving: `:predict`, and the status of the server and of models.

use axum::{
    body::Body,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use oip::{InferRequest, InferResponse, v1};
use serde_json::json;

use super::{
    content_coding::{compressed, decompressed},
    models::ModelPath,
    picture::{self, Announced},
};
use crate::{
    error::{ErrorCode, ServeError},
    http::{AppState, body, reply},
    inference::{Call, Codec, EncodedSize},
    loading::ServedModel,
    telemetry::Protocol,
};

const PREDICT: &str = "predict";
const EXPLAIN: &str = "explain";

/// Responds to V1 clients that check whether the server is alive.
pub(in crate::http) fn alive() -> Response {
    reply::json(json!({ "status": "alive" }))
}

/// Reports whether a model is ready.
pub(in crate::http) async fn status(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
) -> Result<Response, ServeError> {
    match state.data_plane.model(&path.model, path.version.as_deref()) {
        Ok(model) => Ok(reply::json(json!({ "name": model.name.as_str(), "ready": true }))),
        Err(error) if error.code == ErrorCode::NotFound && Verb::of(path).is_some() => {
            Ok(not_allowed("POST", "this path takes POST"))
        }
        Err(error) => Err(error),
    }
}

/// Serves `{model}:predict`. The last colon of the path precedes the verb.
pub(in crate::http) async fn post(
    State(state): State<AppState>,
    Path(path): Path<ModelPath>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ServeError> {
    let Some(Verb { name, model, version }) = Verb::of(path) else {
        return Ok(not_allowed("GET,HEAD", "this path takes GET: to infer, post to '{model}:predict'"));
    };
    if name == EXPLAIN {
        state.data_plane.model(&model, version.as_deref())?;
        let message = format!("model '{model}' has no explainer: only ':predict' is served");
        return Err(ServeError::new(ErrorCode::Unimplemented, message));
    }
    let body = match decompressed(&headers, body).await {
        Ok(body) => body,
        Err(refusal) => return Ok(refusal),
    };
    let call = Call { model: &model, version: version.as_deref(), protocol: Protocol::V1, timeout: None };
    let response =
        state.data_plane.infer(call, V1Codec { state: &state, query: query.as_deref(), body }).await?;
    Ok(compressed(&headers, response).await)
}

/// A path that ends with a verb, such as `{model}:predict`.
struct Verb {
    name: &'static str,
    model: String,
    version: Option<String>,
}

impl Verb {
    /// Splits the last segment of a path at its last colon. Returns `None` if no known verb follows.
    fn of(path: ModelPath) -> Option<Self> {
        let ModelPath { model, version } = path;
        let (rest, verb) = version.as_deref().unwrap_or(&model).rsplit_once(':')?;
        let name = [PREDICT, EXPLAIN].into_iter().find(|name| *name == verb)?;
        let rest = rest.to_owned();
        Some(match version {
            Some(_) => Self { name, model, version: Some(rest) },
            None => Self { name, model: rest, version: None },
        })
    }
}

/// The codec of V1: JSON with rows (`instances`) or columns (`inputs`).
struct V1Codec<'a> {
    state: &'a AppState,
    query: Option<&'a str>,
    body: Body,
}

/// The format of the response.
struct V1Form {
    form: v1::Form,
    has_pictures: bool,
}

impl Codec for V1Codec<'_> {
    /// The body, and the query, which may have parameters for pictures.
    type Body = (Bytes, Option<String>);
    type Form = V1Form;
    type Reply = Response;

    async fn receive(self, _: &ServedModel) -> Result<(Bytes, Option<String>), ServeError> {
        let bytes = body::read(self.body, 0, self.state).await?;
        Ok((bytes, self.query.map(str::to_owned)))
    }

    fn size((bytes, _): &(Bytes, Option<String>)) -> EncodedSize {
        EncodedSize { text: bytes.len(), tensors: 0 }
    }

    fn decode(
        (bytes, query): (Bytes, Option<String>),
        model: &ServedModel,
    ) -> Result<(InferRequest, V1Form), ServeError> {
        let takes_pictures =
            |name: &str| model.pictures.as_ref().is_some_and(|pictures| pictures.input().name == name);
        let inputs = model.rules.signature.inputs.iter();
        let inputs: Vec<_> = inputs
            .map(|spec| v1::Input {
                name: &spec.name,
                datatype: spec.datatype,
                dims: spec.shape(),
                pictures: takes_pictures(&spec.name),
            })
            .collect();
        let v1::Request { form, mut infer } = v1::decode_request(&bytes, &inputs, model.nulls)
            .map_err(|error| picture::explain(error.into(), &bytes, Announced::InJson))?;
        let has_pictures = model.pictures.as_ref().is_some_and(|pictures| pictures.are_in(&infer));
        if has_pictures {
            picture::apply_query(query.as_deref(), &mut infer)?;
        }
        Ok((infer, V1Form { form, has_pictures }))
    }

    fn encode(response: InferResponse, answer: V1Form) -> Result<Response, ServeError> {
        let V1Form { mut form, has_pictures } = answer;
        if has_pictures && let (v1::Form::Rows(rows), [(_, first), ..]) = (&mut form, &response.outputs[..]) {
            *rows = first.rows().unwrap_or(*rows); // a picture may have several digits, each in a row of its own
        }
        let body = v1::encode_response(&response, form)?;
        Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
    }
}

fn not_allowed(allowed: &'static str, message: &'static str) -> Response {
    let mut response = ServeError::new(ErrorCode::MethodNotAllowed, message).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
