//! The list of all paths and methods of the HTTP API. A test compares it with the router.
//!
//! Paths that always respond with 501 are not listed.

use serde_json::json;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use super::{
    endpoint::{
        Endpoint,
        Group::{Documentation, Feedback, Inference, Models, Repository, Server, V1},
    },
    examples,
};
use crate::error::ErrorCode::{
    DeadlineExceeded, InvalidArgument, NotFound, Overloaded, PayloadTooLarge, PermissionDenied,
    RequestTimeout, Unavailable, UnsupportedEncoding,
};

pub(super) fn all() -> Vec<Endpoint> {
    let guarded = [inference(), models(), feedback(), repository()].into_iter().flatten();
    let others = [server(), v1(), documentation()].into_iter().flatten();
    guarded.map(Endpoint::guarded).chain(others).collect()
}

const JSON_LENGTH: &str = "Inference-Header-Content-Length";

/// Errors that any request with a body can get.
const BODY: [crate::error::ErrorCode; 4] =
    [InvalidArgument, RequestTimeout, PayloadTooLarge, UnsupportedEncoding];

fn inference() -> Vec<Endpoint> {
    let length = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
    let digits = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["all"])).build();
    let flag = Object::with_type(Type::Boolean);
    let infer = Endpoint::post(Inference, "/v2/models/{model}/infer", "infer", "Infer")
        .or_version("/v2/models/{model}/versions/{version}/infer")
        .details(
            "Runs the newest version that is ready, or the one that the path names. Tensors come as JSON, or as bytes \
             after it: little-endian, packed, in the order of the inputs that have a `binary_data_size`. Outputs \
             go out as bytes when they are asked for with `binary_data`. The body may be gzip or deflate. The \
             Content-Type is not looked at, but for `image/...`: the body is one encoded picture, for a model that \
             takes pictures. The query is for such a body alone; the parameters `digits` and `return_input` say the \
             same for pictures in JSON.",
        )
        .header(JSON_LENGTH, "Bytes of JSON before the tensors. 0: the body is the model's one input.", length)
        .header("X-Request-Id", "An id for the log. The response repeats it.", Object::with_type(Type::String))
        .query("digits", "For a picture: `all` makes a row of each digit, from left to right.", digits)
        .query("return_input", "For a picture: whether the response has the model's input tensor too.", flag)
        .takes("InferRequest", true, [
            ("A digit", examples::infer_request()),
            ("Its two best classes", examples::classification_request()),
        ])
        .or_takes_bytes("application/octet-stream")
        .or_takes_bytes("image/*")
        .gives("InferResponse", examples::infer_response())
        .or_gives_bytes("application/octet-stream", JSON_LENGTH, "Bytes of JSON before the tensors.")
        .of_a_model()
        .fails(&BODY)
        .fails(&[Overloaded, DeadlineExceeded]);
    vec![infer]
}

fn models() -> Vec<Endpoint> {
    vec![
        Endpoint::get(Models, "/v2/models", "models", "Names of all models")
            .gives("ModelNames", json!({ "models": ["digits"] })),
        Endpoint::get(Models, "/v2/models/{model}", "model", "Inputs, outputs and versions")
            .or_version("/v2/models/{model}/versions/{version}")
            .gives("ModelMetadata", examples::model_metadata())
            .of_a_model(),
        Endpoint::get(Models, "/v2/models/{model}/ready", "model_ready", "Whether it is ready")
            .or_version("/v2/models/{model}/versions/{version}/ready")
            .gives("ModelReady", json!({ "name": "digits", "ready": true }))
            .of_a_model(),
        Endpoint::get(Models, "/v2/models/{model}/config", "model_config", "Configuration in Triton's terms")
            .or_version("/v2/models/{model}/versions/{version}/config")
            .gives("ModelConfiguration", examples::model_configuration())
            .of_a_model(),
        Endpoint::get(Models, "/v2/models/{model}/stats", "model_stats", "Statistics of a model")
            .or_version("/v2/models/{model}/versions/{version}/stats")
            .gives("Statistics", examples::statistics())
            .of_a_model(),
        Endpoint::get(Models, "/v2/models/stats", "stats", "Statistics of all models")
            .gives("Statistics", examples::statistics()),
    ]
}

fn feedback() -> Vec<Endpoint> {
    vec![
        Endpoint::get(Feedback, "/feedback", "feedback", "Whether corrections are accepted")
            .gives("FeedbackState", json!({ "enabled": true })),
        Endpoint::post(Feedback, "/feedback", "correct", "Say what is on a picture")
            .details(
                "The picture (PNG, JPEG, WebP, GIF or BMP, at most 1 MiB) is stored as it came, with its label, for a \
                 later training. The label is one of the model's, or the index of a class. The Content-Type must be \
                 application/json.",
            )
            .takes("Correction", true, [("A seven", examples::correction())])
            .gives("Stored", examples::stored())
            .creates()
            .of_a_model()
            .fails(&BODY)
            .fails(&[Overloaded]),
    ]
}

fn server() -> Vec<Endpoint> {
    vec![
        Endpoint::get(Server, "/v2", "server", "Name, version and extensions").gives(
            "ServerMetadata",
            json!({ "name": "decima", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"] }),
        )
        .guarded(),
        Endpoint::get(Server, "/v2/health/live", "live", "Whether the server is alive")
            .gives("Live", json!({ "live": true })),
        Endpoint::get(Server, "/v2/health/ready", "ready", "Whether the models are loaded")
            .gives("Ready", json!({ "live": true, "ready": true }))
            .fails(&[Unavailable]),
        Endpoint::get(Server, "/metrics", "metrics", "Metrics in Prometheus' text format")
            .gives_text("text/plain")
            .guarded(),
    ]
}

fn repository() -> Vec<Endpoint> {
    vec![
        Endpoint::post(Repository, "/v2/repository/index", "index", "Every version of every model")
            .takes("IndexRequest", false, [("Ready versions only", json!({ "ready": true }))])
            .gives("Index", json!([{ "name": "digits", "version": "1", "state": "READY", "reason": "" }]))
            .fails(&BODY),
        Endpoint::post(Repository, "/v2/repository/models/{model}/load", "load", "Load a model")
            .details("Loads the model's new and changed versions from the repositories, and responds when they are ready.")
            .takes("ControlRequest", false, [("As it is", json!({}))])
            .gives("Loaded", json!({ "name": "digits", "load": true }))
            .of_a_model()
            .fails(&BODY)
            .fails(&[Overloaded, PermissionDenied]),
        Endpoint::post(Repository, "/v2/repository/models/{model}/unload", "unload", "Unload a model")
            .details(
                "Accepted requests are finished; later ones get 503 until the model is loaded again.",
            )
            .without_examples()
            .takes("ControlRequest", false, [("As it is", json!({}))])
            .gives("Unloaded", json!({ "name": "digits", "unload": true }))
            .of_a_model()
            .fails(&BODY)
            .fails(&[Overloaded, PermissionDenied]),
    ]
}

fn v1() -> Vec<Endpoint> {
    vec![
        Endpoint::get(V1, "/", "alive", "Whether the server is alive, over V1")
            .details("Clients that accept HTML get the page to draw on, unless `--ui` is off.")
            .gives("Alive", json!({ "status": "alive" }))
            .or_gives_text("text/html"),
        Endpoint::get(V1, "/v1/models", "v1_models", "Names of all models, over V1")
            .gives("ModelNames", json!({ "models": ["digits"] }))
            .guarded(),
        Endpoint::get(V1, "/v1/models/{model}", "v1_model", "Whether a model is ready")
            .or_version("/v1/models/{model}/versions/{version}")
            .gives("ModelReady", json!({ "name": "digits", "ready": true }))
            .of_a_model(),
        Endpoint::post(V1, "/v1/models/{model}:predict", "predict", "Infer over V1")
            .or_version("/v1/models/{model}/versions/{version}:predict")
            .takes("PredictRequest", true, [("A digit", examples::predict_request())])
            .gives("PredictResponse", json!({ "predictions": [examples::probabilities()] }))
            .guarded()
            .of_a_model()
            .fails(&BODY)
            .fails(&[Overloaded, DeadlineExceeded]),
    ]
}

fn documentation() -> Vec<Endpoint> {
    vec![
        Endpoint::get(Documentation, "/openapi.json", "openapi", "This description")
            .gives("OpenApiDocument", json!({ "openapi": "3.1.0", "info": {}, "paths": {} })),
        Endpoint::get(Documentation, "/docs", "docs", "A page to read and try it").gives_text("text/html"),
        Endpoint::get(Documentation, "/docs/{part}", "docs_part", "A part of that page")
            .gives_text("text/javascript")
            .or_gives_text("text/css")
            .fails(&[NotFound]),
        Endpoint::get(Documentation, "/ui/{file}", "ui", "A part of the page to draw on, which is at `/`")
            .gives_text("text/javascript")
            .or_gives_text("text/css")
            .fails(&[NotFound]),
    ]
}
