//! Response bodies of the protocol extensions that Triton defines: the repository index, statistics, and the model
//! configuration. Keys and values are the same as Triton's, so that its clients can read them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Datatype, metadata::is_false};

/// One version of a model in the response to `POST /v2/repository/index`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Name of the model.
    pub name: String,
    /// The version.
    pub version: String,
    /// The state of this version.
    pub state: ModelState,
    /// Why the version is not ready. For a version that is ready: why its requests are not batched, or empty if they
    /// are.
    pub reason: String,
}

/// The state of one version of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ModelState {
    /// It serves requests.
    Ready,
    /// It is being downloaded, loaded or warmed up.
    Loading,
    /// It could not be loaded, or it was unloaded.
    Unavailable,
}

impl ModelState {
    /// The state's name on the wire, as in `READY`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Loading => "LOADING",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

/// How often something happened, and the total time that it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// Number of occurrences.
    pub count: u64,
    /// Total time in nanoseconds.
    pub ns: u64,
}

/// Statistics of one version of a model: an entry of `model_stats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelStatistics {
    /// Name of the model.
    pub name: String,
    /// The version.
    pub version: String,
    /// When the last execution began, in milliseconds since 1970 (UTC); 0 if there was none.
    pub last_inference: u64,
    /// Number of rows answered.
    pub inference_count: u64,
    /// Number of executions. It is smaller than `inference_count` if requests were batched or had several rows.
    pub execution_count: u64,
    /// Times per request.
    pub inference_stats: InferenceStatistics,
    /// For models that send several responses to one request. Always empty, because no model here does.
    pub response_stats: BTreeMap<String, Durations>,
    /// Times per batch size, smallest size first.
    pub batch_stats: Vec<BatchStatistics>,
    /// Memory of the instances, as far as it is known.
    pub memory_usage: Vec<MemoryUsage>,
}

/// Times per request. Each request counts the full time of the batch that it was part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InferenceStatistics {
    /// Successful requests: total time in the server.
    pub success: Durations,
    /// Failed requests: total time in the server.
    pub fail: Durations,
    /// Time before the batch began to execute.
    pub queue: Durations,
    /// Time to gather the inputs of the batch.
    pub compute_input: Durations,
    /// Time to execute the model.
    pub compute_infer: Durations,
    /// Time to divide the outputs of the batch among the requests.
    pub compute_output: Durations,
    /// Responses from a cache. Always 0: there is no cache.
    pub cache_hit: Durations,
    /// Cache misses. Always 0: there is no cache.
    pub cache_miss: Durations,
}

/// Times of all batches of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchStatistics {
    /// Batch size in rows.
    pub batch_size: u64,
    /// Time to gather the inputs.
    pub compute_input: Durations,
    /// Time to execute the model.
    pub compute_infer: Durations,
    /// Time to divide the outputs.
    pub compute_output: Durations,
}

/// Memory that a model uses on one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUsage {
    /// Type of memory: `CPU` or `GPU`.
    pub r#type: String,
    /// Number of the device.
    pub id: i64,
    /// Size in bytes.
    pub byte_size: u64,
}

/// Response to `GET /v2/models/{model}/config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelConfiguration {
    /// Name of the model.
    pub name: String,
    /// Framework and format, such as `onnxruntime_onnx`.
    pub platform: String,
    /// The backend that executes the model, such as `onnxruntime`.
    pub backend: String,
    /// Which versions of the model are served.
    pub version_policy: VersionPolicyConfiguration,
    /// Highest number of rows in one request. 0 means that requests are not batched along the first axis of every input
    /// and output; then `dims` are whole shapes. Otherwise `dims` leave out the first axis.
    pub max_batch_size: u32,
    /// Inputs, in the model's order.
    pub input: Vec<TensorConfiguration>,
    /// Outputs, in the model's order.
    pub output: Vec<TensorConfiguration>,
    /// The devices that execute the model.
    pub instance_group: Vec<InstanceGroupConfiguration>,
    /// How batches are formed. Absent if requests are not batched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_batching: Option<DynamicBatchingConfiguration>,
    /// What the server decided when it loaded the model, by name: whether requests are batched and why, and what it
    /// measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, ParameterConfiguration>,
}

/// A value in a model's configuration that has no field of its own in Triton's format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterConfiguration {
    /// The value, as text.
    pub string_value: String,
}

/// Which versions of a model are served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionPolicyConfiguration {
    /// The newest versions.
    Latest {
        /// How many of them.
        num_versions: u32,
    },
    /// All versions.
    All {},
    /// Only the listed versions.
    Specific {
        /// The version numbers.
        versions: Vec<i64>,
    },
}

/// An input or output in a model's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorConfiguration {
    /// Its name.
    pub name: String,
    /// Datatype as [`Datatype::config_name`] writes it, such as `TYPE_FP32`.
    pub data_type: String,
    /// Size along each axis, -1 if it varies, without the first axis if `max_batch_size` is not 0. A tensor with no
    /// other axis has `[1]`, because Triton does not allow empty `dims`.
    pub dims: Vec<i64>,
    /// The real shape, if `dims` had to be written differently from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reshape: Option<ReshapeConfiguration>,
    /// Whether a request may omit the input because the model has a default for it. Written only if true.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
}

/// The real shape of a tensor whose `dims` differ from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReshapeConfiguration {
    /// Size along each axis.
    pub shape: Vec<i64>,
}

/// A group of instances on one type of device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceGroupConfiguration {
    /// Name of the group.
    pub name: String,
    /// `KIND_CPU` or `KIND_GPU`.
    pub kind: String,
    /// Number of batches that the group executes at the same time.
    pub count: u32,
}

/// How batches are formed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicBatchingConfiguration {
    /// Batch sizes, in rows, at which a waiting batch is executed at once.
    pub preferred_batch_size: Vec<u32>,
    /// Longest time that a request waits for other requests, in microseconds.
    pub max_queue_delay_microseconds: u64,
}

impl Datatype {
    /// The name in a model configuration, as in `TYPE_FP32`. BYTES is called `TYPE_STRING` there.
    pub fn config_name(self) -> String {
        match self {
            Self::Bytes => "TYPE_STRING".to_owned(),
            Self::Bool
            | Self::Uint8
            | Self::Uint16
            | Self::Uint32
            | Self::Uint64
            | Self::Int8
            | Self::Int16
            | Self::Int32
            | Self::Int64
            | Self::Fp16
            | Self::Bf16
            | Self::Fp32
            | Self::Fp64 => format!("TYPE_{}", self.as_str()),
        }
    }
}
