//! Schemas of the bodies of requests and responses. They describe what other modules read and write.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ComponentsBuilder, ObjectBuilder, RefOr, Schema, Type},
};

use super::feedback_schemas::{Correction, FeedbackState, Label, Stored};

/// Returns all schemas by name.
pub(super) fn components() -> ComponentsBuilder {
    ComponentsBuilder::new()
        .schema_from::<Error>()
        .schema_from::<Alive>()
        .schema_from::<Live>()
        .schema_from::<Ready>()
        .schema_from::<ServerMetadata>()
        .schema_from::<ModelNames>()
        .schema_from::<ModelMetadata>()
        .schema_from::<ModelReady>()
        .schema_from::<ModelConfiguration>()
        .schema_from::<Statistics>()
        .schema_from::<InferRequest>()
        .schema_from::<InferResponse>()
        .schema_from::<PredictRequest>()
        .schema_from::<PredictResponse>()
        .schema_from::<IndexRequest>()
        .schema_from::<Index>()
        .schema_from::<ControlRequest>()
        .schema_from::<Loaded>()
        .schema_from::<Unloaded>()
        .schema_from::<OpenApiDocument>()
        .schema_from::<Datatype>()
        .schema_from::<TensorMetadata>()
        .schema_from::<TensorConfiguration>()
        .schema_from::<ModelStatistics>()
        .schema_from::<Durations>()
        .schema_from::<BatchStatistics>()
        .schema_from::<Parameter>()
        .schema_from::<InferInput>()
        .schema_from::<InferOutput>()
        .schema_from::<OutputTensor>()
        .schema_from::<IndexEntry>()
        .schema_from::<FeedbackState>()
        .schema_from::<Correction>()
        .schema_from::<Label>()
        .schema_from::<Stored>()
}

/// What went wrong: what the request had and what was expected.
#[derive(Serialize, ToSchema)]
pub(super) struct Error {
    error: String,
}

/// The server is there.
#[derive(Serialize, ToSchema)]
pub(super) struct Alive {
    #[schema(example = "alive")]
    status: String,
}

/// The server is there.
#[derive(Serialize, ToSchema)]
pub(super) struct Live {
    live: bool,
}

/// Whether the server's models are loaded and it is not draining.
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    live: bool,
    ready: bool,
}

/// The server.
#[derive(Serialize, ToSchema)]
pub(super) struct ServerMetadata {
    name: String,
    version: String,
    /// Extensions of the protocol that it implements.
    extensions: Vec<String>,
}

/// Names of all models, ready or not.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelNames {
    models: Vec<String>,
}

/// Inputs, outputs and versions of a model.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelMetadata {
    name: String,
    /// Versions that are ready, oldest first.
    versions: Vec<String>,
    platform: String,
    inputs: Vec<TensorMetadata>,
    outputs: Vec<TensorMetadata>,
}

/// An input or output of a model.
#[derive(Serialize, ToSchema)]
pub(super) struct TensorMetadata {
    name: String,
    datatype: Datatype,
    /// Size along each axis; -1 where it varies.
    shape: Vec<i64>,
}

/// The type of a tensor's elements. Requests may write it in any case.
#[derive(Serialize)]
pub(super) struct Datatype;

impl PartialSchema for Datatype {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The type of a tensor's elements. Requests may write it in any case."))
            .enum_values(Some(oip::Datatype::ALL.map(oip::Datatype::as_str)))
            .into()
    }
}

impl ToSchema for Datatype {}

/// A model is ready.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelReady {
    name: String,
    ready: bool,
}

/// A model's configuration in Triton's terms. These members are always present.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelConfiguration {
    name: String,
    platform: String,
    backend: String,
    /// Most rows of one request; 0 for a model whose requests are not batched along the first axis.
    max_batch_size: u32,
    input: Vec<TensorConfiguration>,
    output: Vec<TensorConfiguration>,
    #[schema(value_type = Object)]
    version_policy: Value,
    #[schema(value_type = Vec<Object>)]
    instance_group: Vec<Value>,
    /// What was decided when the model was loaded, by name: whether requests are batched and why, and what was
    /// measured.
    #[schema(value_type = Object)]
    parameters: Value,
}

/// An input or output in a model's configuration.
#[derive(Serialize, ToSchema)]
pub(super) struct TensorConfiguration {
    name: String,
    #[schema(example = "TYPE_FP32")]
    data_type: String,
    /// Size along each axis, without the first one if `max_batch_size` is not 0; -1 where it varies.
    dims: Vec<i64>,
}

/// Statistics of versions of models.
#[derive(Serialize, ToSchema)]
pub(super) struct Statistics {
    model_stats: Vec<ModelStatistics>,
}

/// Statistics of one version of a model.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelStatistics {
    name: String,
    version: String,
    /// Start of the last run, in milliseconds since 1970; 0 before the first run.
    last_inference: u64,
    /// Rows that were computed.
    inference_count: u64,
    /// Batches that were run.
    execution_count: u64,
    /// Counts and times by kind: `success`, `fail`, `queue`, `compute_input`, `compute_infer` and more.
    inference_stats: BTreeMap<String, Durations>,
    response_stats: BTreeMap<String, Durations>,
    batch_stats: Vec<BatchStatistics>,
    #[schema(value_type = Vec<Object>)]
    memory_usage: Vec<Value>,
}

/// How often something happened, and how long it took in all.
#[derive(Serialize, ToSchema)]
pub(super) struct Durations {
    count: u64,
    /// Total time in nanoseconds.
    ns: u64,
}

/// Statistics of batches with one number of rows.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchStatistics {
    batch_size: u64,
    compute_input: Durations,
    compute_infer: Durations,
    compute_output: Durations,
}

/// A request for inference. Unknown keys are ignored.
#[derive(Serialize, ToSchema)]
pub(super) struct InferRequest {
    /// An id, which the response repeats.
    id: Option<String>,
    /// `priority`, `timeout` in microseconds, `binary_data_output`; for pictures `digits` and `return_input`. Others
    /// are ignored.
    #[schema(nullable = false)]
    parameters: Option<BTreeMap<String, Parameter>>,
    /// Every input of the model, once.
    inputs: Vec<InferInput>,
    /// Outputs of the response, in this order. Without it, the response has all outputs.
    #[schema(nullable = false)]
    outputs: Option<Vec<InferOutput>>,
}

/// A parameter of a request, an input or an output.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only describes the schema")]
pub(super) enum Parameter {
    Bool(bool),
    Number(f64),
    String(String),
}

/// An input tensor.
#[derive(Serialize, ToSchema)]
pub(super) struct InferInput {
    name: String,
    datatype: Datatype,
    /// Size along each axis, the batch axis included.
    shape: Vec<u64>,
    /// `binary_data_size`: the tensor has this number of bytes after the JSON, and there is no `data`. `content_type`:
    /// `base64` for elements of BYTES in base64.
    #[schema(nullable = false)]
    parameters: Option<BTreeMap<String, Parameter>>,
    /// The elements in row-major order, flat or nested like the shape. An element of BYTES is text or `{"b64": "…"}`.
    /// For an input that takes pictures, each element is an encoded picture in base64.
    #[schema(value_type = Vec<Value>, nullable = false, required = false)]
    data: Vec<Value>,
}

/// A requested output.
#[derive(Serialize, ToSchema)]
pub(super) struct InferOutput {
    name: String,
    /// `binary_data`: whether the output comes as bytes after the JSON. `classification`: the number of best classes to
    /// return instead of values.
    #[schema(nullable = false)]
    parameters: Option<BTreeMap<String, Parameter>>,
}

/// The response to an inference request.
#[derive(Serialize, ToSchema)]
pub(super) struct InferResponse {
    model_name: String,
    model_version: String,
    /// The request's id, if it had one.
    #[schema(nullable = false)]
    id: Option<String>,
    outputs: Vec<OutputTensor>,
}

/// An output tensor.
#[derive(Serialize, ToSchema)]
pub(super) struct OutputTensor {
    name: String,
    datatype: Datatype,
    shape: Vec<u64>,
    /// `binary_data_size`: the number of bytes after the JSON, if the output is binary.
    #[schema(nullable = false)]
    parameters: Option<BTreeMap<String, Parameter>>,
    /// The elements in row-major order, flat; `null` for NaN and infinity.
    #[schema(value_type = Vec<Value>, nullable = false, required = false)]
    data: Vec<Value>,
}

/// A request of the V1 protocol: `instances`, a list of rows, or `inputs`, the columns.
#[derive(Serialize, ToSchema)]
pub(super) struct PredictRequest {
    /// Rows: values nested like the model's shape, or objects with one value for each input.
    #[schema(value_type = Vec<Value>, nullable = false, required = false)]
    instances: Vec<Value>,
    /// Columns: values, or an object with the values of each input.
    #[schema(value_type = Value, required = false)]
    inputs: Value,
}

/// The response of the V1 protocol, in the form of the request.
#[derive(Serialize, ToSchema)]
pub(super) struct PredictResponse {
    /// For `instances`: one prediction per row.
    #[schema(value_type = Vec<Value>, nullable = false, required = false)]
    predictions: Vec<Value>,
    /// For `inputs`: values, or an object with the values of each output.
    #[schema(value_type = Value, required = false)]
    outputs: Value,
}

/// Which versions the index lists.
#[derive(Serialize, ToSchema)]
pub(super) struct IndexRequest {
    /// Whether to list ready versions only.
    #[serde(default)]
    ready: bool,
}

/// Every version of every model.
#[derive(Serialize, ToSchema)]
pub(super) struct Index(Vec<IndexEntry>);

/// A version of a model.
#[derive(Serialize, ToSchema)]
pub(super) struct IndexEntry {
    name: String,
    version: String,
    /// `READY`, `LOADING` or `UNAVAILABLE`.
    state: String,
    /// Why it is not ready.
    reason: String,
}

/// Parameters of loading or unloading. Those that would override the repository are refused; all others are ignored.
#[derive(Serialize, ToSchema)]
pub(super) struct ControlRequest {
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
}

/// The model has been loaded.
#[derive(Serialize, ToSchema)]
pub(super) struct Loaded {
    name: String,
    load: bool,
}

/// The model has been unloaded.
#[derive(Serialize, ToSchema)]
pub(super) struct Unloaded {
    name: String,
    unload: bool,
}

/// An OpenAPI 3.1 document.
#[derive(Serialize, ToSchema)]
#[schema(title = "OpenAPI")]
pub(super) struct OpenApiDocument {
    #[schema(example = "3.1.0")]
    openapi: String,
    #[schema(value_type = Object)]
    info: Value,
    #[schema(value_type = Object)]
    paths: Value,
}
