//! Answers of the protocol's extensions that Triton has: the index of the model repository, statistics and
//! the configuration of models. Keys and their values are Triton's, so that its clients can read them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Datatype, metadata::is_false};

/// One version of a model in the answer of `POST /v2/repository/index`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Name of the model.
    pub name: String,
    /// The version.
    pub version: String,
    /// How far it is.
    pub state: ModelState,
    /// Why it does not answer; where it does, why its requests are not joined; else empty.
    pub reason: String,
}

/// How far a version of a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ModelState {
    /// Answers.
    Ready,
    /// Is being downloaded, loaded or warmed.
    Loading,
    /// Could not be loaded, or was unloaded.
    Unavailable,
}

impl ModelState {
    /// The state's name, as in `READY`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Loading => "LOADING",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

/// How often something happened, and how long it took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// How often.
    pub count: u64,
    /// Nanoseconds in all.
    pub ns: u64,
}

/// What a version of a model has done: an entry of `model_stats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelStatistics {
    /// Name of the model.
    pub name: String,
    /// The version.
    pub version: String,
    /// When its last run began, in milliseconds since 1970; 0 before the first.
    pub last_inference: u64,
    /// Rows that it has answered.
    pub inference_count: u64,
    /// Runs that it took: fewer than rows where requests were joined or brought several.
    pub execution_count: u64,
    /// By request.
    pub inference_stats: InferenceStatistics,
    /// Of models that answer one request several times: none here.
    pub response_stats: BTreeMap<String, Durations>,
    /// By the size of the batch, smallest first.
    pub batch_stats: Vec<BatchStatistics>,
    /// Memory of its instances, where it is known.
    pub memory_usage: Vec<MemoryUsage>,
}

/// Where the time of requests went. A request counts with the whole time of the batch that it was part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InferenceStatistics {
    /// Requests that were answered: all of their time.
    pub success: Durations,
    /// Requests that were not: all of their time.
    pub fail: Durations,
    /// Waiting for the batch to begin.
    pub queue: Durations,
    /// Joining the inputs of a batch.
    pub compute_input: Durations,
    /// Running the model.
    pub compute_infer: Durations,
    /// Dividing the outputs of a batch.
    pub compute_output: Durations,
    /// Answers from a cache: there is none here.
    pub cache_hit: Durations,
    /// Requests that a cache could not answer: there is none here.
    pub cache_miss: Durations,
}

/// Batches of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchStatistics {
    /// Rows of the batch.
    pub batch_size: u64,
    /// Joining the inputs.
    pub compute_input: Durations,
    /// Running the model.
    pub compute_infer: Durations,
    /// Dividing the outputs.
    pub compute_output: Durations,
}

/// Memory that a model takes in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUsage {
    /// Kind of memory, such as `CPU` or `GPU`.
    pub r#type: String,
    /// Number of the device.
    pub id: i64,
    /// Bytes.
    pub byte_size: u64,
}

/// Answer of `GET /v2/models/{model}/config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelConfiguration {
    /// Name of the model.
    pub name: String,
    /// Framework and format, such as `onnxruntime_onnx`.
    pub platform: String,
    /// What runs it, such as `onnxruntime`.
    pub backend: String,
    /// Which versions are served.
    pub version_policy: VersionPolicyConfiguration,
    /// Most rows of one request. 0: requests are not joined along the first axis of every input and output, and `dims`
    /// are whole shapes; else `dims` leave that axis out.
    pub max_batch_size: u32,
    /// Inputs, in the model's order.
    pub input: Vec<TensorConfiguration>,
    /// Outputs, in the model's order.
    pub output: Vec<TensorConfiguration>,
    /// What it runs on.
    pub instance_group: Vec<InstanceGroupConfiguration>,
    /// How batches are formed, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_batching: Option<DynamicBatchingConfiguration>,
    /// What was decided at load, by name: whether requests are joined and why, and what was measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, ParameterConfiguration>,
}

/// A value of a model's configuration that has no field of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterConfiguration {
    /// The value, as text.
    pub string_value: String,
}

/// Which versions of a model are served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionPolicyConfiguration {
    /// The newest so many.
    Latest {
        /// How many.
        num_versions: u32,
    },
    /// Every one.
    All {},
    /// These.
    Specific {
        /// Their numbers.
        versions: Vec<i64>,
    },
}

/// An input or output in a model's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorConfiguration {
    /// Its name.
    pub name: String,
    /// Its datatype, as [`Datatype::config_name`] writes it.
    pub data_type: String,
    /// Size along each axis, without the first where `max_batch_size` is not 0; -1 where it varies. `[1]` for a
    /// tensor that has no other axis: Triton knows no empty `dims`.
    pub dims: Vec<i64>,
    /// The shape that `dims` stands for, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reshape: Option<ReshapeConfiguration>,
    /// Whether an input may be left out, since the model has a default for it. Written where it is so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
}

/// A shape behind the `dims` of an input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReshapeConfiguration {
    /// Size along each axis.
    pub shape: Vec<i64>,
}

/// What a model runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceGroupConfiguration {
    /// Name of the group.
    pub name: String,
    /// `KIND_CPU` or `KIND_GPU`.
    pub kind: String,
    /// Batches that it runs at once.
    pub count: u32,
}

/// How batches are formed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicBatchingConfiguration {
    /// Sizes, in rows, at which a batch goes at once while it waits for others.
    pub preferred_batch_size: Vec<u32>,
    /// How long a request may wait for others, in microseconds.
    pub max_queue_delay_microseconds: u64,
}

impl Datatype {
    /// The name in a model's configuration, as in `TYPE_FP32`; BYTES are `TYPE_STRING` there.
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
