//! Conversion of metadata, configuration, statistics and the repository index to gRPC messages.

use oip::{
    BatchStatistics, Durations, IndexEntry, InferenceStatistics, InstanceGroupConfiguration,
    ModelConfiguration, ParameterConfiguration, ReshapeConfiguration, TensorConfiguration, TensorMetadata,
    VersionPolicyConfiguration,
    grpc::messages::{
        DataType, InferBatchStatistics, InferStatistics, MemoryUsage, ModelConfig, ModelDynamicBatching,
        ModelInput, ModelInstanceGroup, ModelMetadataResponse, ModelOutput, ModelParameter, ModelStatistics,
        ModelTensorReshape, ModelVersionPolicy, ServerMetadataResponse, StatisticDuration,
        model_instance_group::Kind,
        model_metadata_response,
        model_version_policy::{All, Latest, PolicyChoice, Specific},
        repository_index_response::ModelIndex,
    },
};

use crate::error::{ErrorCode, ServeError};

pub(super) fn server_metadata(metadata: oip::ServerMetadata) -> ServerMetadataResponse {
    let oip::ServerMetadata { name, version, extensions } = metadata;
    ServerMetadataResponse { name, version, extensions }
}

pub(super) fn model_metadata(metadata: oip::ModelMetadata) -> ModelMetadataResponse {
    let tensor = |TensorMetadata { name, datatype, shape, optional: _ }| {
        model_metadata_response::TensorMetadata { name, datatype: datatype.to_string(), shape }
    };
    ModelMetadataResponse {
        name: metadata.name,
        versions: metadata.versions,
        platform: metadata.platform,
        inputs: metadata.inputs.into_iter().map(tensor).collect(),
        outputs: metadata.outputs.into_iter().map(tensor).collect(),
    }
}

pub(super) fn model_config(config: ModelConfiguration) -> ModelConfig {
    ModelConfig {
        name: config.name,
        platform: config.platform,
        version_policy: Some(version_policy(config.version_policy)),
        max_batch_size: to_i32(config.max_batch_size),
        input: config.input.into_iter().map(input).collect(),
        output: config.output.into_iter().map(output).collect(),
        instance_group: config.instance_group.into_iter().map(instance_group).collect(),
        default_model_filename: "model.onnx".to_owned(),
        dynamic_batching: config.dynamic_batching.map(|batching| ModelDynamicBatching {
            preferred_batch_size: batching.preferred_batch_size.into_iter().map(to_i32).collect(),
            max_queue_delay_microseconds: batching.max_queue_delay_microseconds,
        }),
        backend: config.backend,
        parameters: config.parameters.into_iter().map(parameter).collect(),
    }
}

fn parameter((name, parameter): (String, ParameterConfiguration)) -> (String, ModelParameter) {
    (name, ModelParameter { string_value: parameter.string_value })
}

fn version_policy(policy: VersionPolicyConfiguration) -> ModelVersionPolicy {
    let choice = match policy {
        VersionPolicyConfiguration::Latest { num_versions } => PolicyChoice::Latest(Latest { num_versions }),
        VersionPolicyConfiguration::All {} => PolicyChoice::All(All {}),
        VersionPolicyConfiguration::Specific { versions } => PolicyChoice::Specific(Specific { versions }),
    };
    ModelVersionPolicy { policy_choice: Some(choice) }
}

fn input(tensor: TensorConfiguration) -> ModelInput {
    let TensorConfiguration { name, data_type, dims, reshape: shape, optional } = tensor;
    ModelInput { name, data_type: data_type_of(&data_type).into(), dims, reshape: reshape(shape), optional }
}

fn output(tensor: TensorConfiguration) -> ModelOutput {
    let TensorConfiguration { name, data_type, dims, reshape: shape, optional: _ } = tensor;
    ModelOutput { name, data_type: data_type_of(&data_type).into(), dims, reshape: reshape(shape) }
}

fn data_type_of(name: &str) -> DataType {
    DataType::from_str_name(name).unwrap_or(DataType::TypeInvalid)
}

fn reshape(shape: Option<ReshapeConfiguration>) -> Option<ModelTensorReshape> {
    shape.map(|ReshapeConfiguration { shape }| ModelTensorReshape { shape })
}

fn instance_group(group: InstanceGroupConfiguration) -> ModelInstanceGroup {
    ModelInstanceGroup {
        name: group.name,
        count: to_i32(group.count),
        gpus: Vec::new(),
        kind: Kind::from_str_name(&group.kind).unwrap_or(Kind::Auto).into(),
    }
}

/// Converts a size to the type in the message.
fn to_i32(size: u32) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}

pub(super) fn model_statistics(statistics: oip::ModelStatistics) -> ModelStatistics {
    let memory = |usage: oip::MemoryUsage| MemoryUsage {
        r#type: usage.r#type,
        id: usage.id,
        byte_size: usage.byte_size,
    };
    ModelStatistics {
        name: statistics.name,
        version: statistics.version,
        last_inference: statistics.last_inference,
        inference_count: statistics.inference_count,
        execution_count: statistics.execution_count,
        inference_stats: Some(request_statistics(statistics.inference_stats)),
        batch_stats: statistics.batch_stats.into_iter().map(batch_statistics).collect(),
        memory_usage: statistics.memory_usage.into_iter().map(memory).collect(),
    }
}

fn request_statistics(statistics: InferenceStatistics) -> InferStatistics {
    InferStatistics {
        success: duration(statistics.success),
        fail: duration(statistics.fail),
        queue: duration(statistics.queue),
        compute_input: duration(statistics.compute_input),
        compute_infer: duration(statistics.compute_infer),
        compute_output: duration(statistics.compute_output),
        cache_hit: duration(statistics.cache_hit),
        cache_miss: duration(statistics.cache_miss),
    }
}

fn batch_statistics(statistics: BatchStatistics) -> InferBatchStatistics {
    InferBatchStatistics {
        batch_size: statistics.batch_size,
        compute_input: duration(statistics.compute_input),
        compute_infer: duration(statistics.compute_infer),
        compute_output: duration(statistics.compute_output),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every message within a message may be absent")]
fn duration(durations: Durations) -> Option<StatisticDuration> {
    Some(StatisticDuration { count: durations.count, ns: durations.ns })
}

pub(super) fn index_entry(entry: IndexEntry) -> ModelIndex {
    let IndexEntry { name, version, state, reason } = entry;
    ModelIndex { name, version, state: state.as_str().to_owned(), reason }
}

/// Returns the model that a request to load or unload names. Triton's clients put the name in `model_name`; KServe's
/// clients put it in the field that is `repository_name` in Triton's protocol.
///
/// # Errors
/// There is no name, or the request names a repository in Triton's way, and this server's repositories have no names.
pub(super) fn model_named_in(repository_name: String, model_name: String) -> Result<String, ServeError> {
    match (repository_name.is_empty(), model_name.is_empty()) {
        (true, false) => Ok(model_name),
        (false, true) => Ok(repository_name),
        (true, true) => Err(ServeError::invalid("model_name is missing")),
        (false, false) => Err(named_repository(&repository_name)),
    }
}

/// Refuses a request that names a repository, since this server's repositories have no names.
pub(super) fn refuse_repository(name: &str) -> Result<(), ServeError> {
    if name.is_empty() { Ok(()) } else { Err(named_repository(name)) }
}

fn named_repository(name: &str) -> ServeError {
    let name: String = name.chars().take(64).collect();
    ServeError::new(
        ErrorCode::Unimplemented,
        format!("repository_name is '{name}': leave it empty, repositories have no names here"),
    )
}
