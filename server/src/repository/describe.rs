//! A model in the terms of Triton's model configuration. Pure.

use oip::{
    DynamicBatchingConfiguration, InstanceGroupConfiguration, ModelConfiguration, ReshapeConfiguration,
    TensorConfiguration, VersionPolicyConfiguration,
};

use super::served::PLATFORM;
use crate::{
    model::{ModelConfig, TensorSpec, VersionPolicy},
    validate::Rules,
};

/// What runs the models.
const BACKEND: &str = "onnxruntime";

/// The configuration of a model that runs `instances` batches at once.
///
/// `max_batch_size` is what one request should bring at most: clients that read it (`perf_analyzer`) refuse to send
/// more. Where the model's own file says nothing, that is what the queue has room for.
pub(super) fn describe(
    name: &str,
    rules: &Rules,
    config: &ModelConfig,
    max_queue_rows: usize,
    instances: usize,
    on_gpu: bool,
) -> ModelConfiguration {
    let side = |specs: &[TensorSpec]| specs.iter().map(|spec| tensor(spec, rules.batch_axis)).collect();
    let kind = if on_gpu { "KIND_GPU" } else { "KIND_CPU" };
    ModelConfiguration {
        name: name.to_owned(),
        platform: PLATFORM.to_owned(),
        backend: BACKEND.to_owned(),
        version_policy: version_policy(&config.version_policy),
        max_batch_size: if rules.batch_axis {
            saturated(rules.max_rows.unwrap_or(max_queue_rows))
        } else {
            0
        },
        input: side(&rules.signature.inputs),
        output: side(&rules.signature.outputs),
        instance_group: vec![InstanceGroupConfiguration {
            name: name.to_owned(),
            kind: kind.to_owned(),
            count: saturated(instances),
        }],
        dynamic_batching: rules.batch_axis.then(|| {
            let batching = &config.dynamic_batching;
            DynamicBatchingConfiguration {
                preferred_batch_size: batching.preferred_batch_size.iter().copied().map(saturated).collect(),
                max_queue_delay_microseconds: batching.max_queue_delay_microseconds,
            }
        }),
    }
}

fn tensor(spec: &TensorSpec, batch_axis: bool) -> TensorConfiguration {
    let dims = spec.shape().split_off(usize::from(batch_axis));
    let (dims, reshape) =
        if dims.is_empty() { (vec![1], Some(ReshapeConfiguration { shape: dims })) } else { (dims, None) };
    TensorConfiguration { name: spec.name.to_string(), data_type: spec.datatype.config_name(), dims, reshape }
}

fn version_policy(policy: &VersionPolicy) -> VersionPolicyConfiguration {
    match policy {
        VersionPolicy::Latest(count) => {
            VersionPolicyConfiguration::Latest { num_versions: saturated(*count) }
        }
        VersionPolicy::All => VersionPolicyConfiguration::All {},
        // Triton's versions are numbers: `v7` is 7, and other names cannot be said.
        VersionPolicy::Specific(names) => VersionPolicyConfiguration::Specific {
            versions: names
                .iter()
                .filter_map(|name| name.strip_prefix('v').unwrap_or(name).parse().ok())
                .collect(),
        },
    }
}

/// The format's integers are signed and of 32 bits.
fn saturated(count: usize) -> u32 {
    i32::try_from(count).unwrap_or(i32::MAX).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use oip::Datatype;
    use serde_json::json;

    use super::*;
    use crate::model::{Dimension, Signature};

    fn rules(batch_axis: bool) -> Rules {
        let batch = || Dimension::Dynamic("N".into());
        let spec = |name: &str, datatype, dims| TensorSpec { name: name.into(), datatype, dims };
        let inputs = vec![
            spec("words", Datatype::Bytes, vec![batch(), Dimension::Dynamic("length".into())]),
            spec("weights", Datatype::Fp16, vec![batch(), Dimension::Fixed(3)]),
        ];
        let outputs = vec![spec("score", Datatype::Fp32, vec![batch()])];
        Rules { signature: Signature { inputs, outputs }, batch_axis, max_rows: Some(64) }
    }

    #[test]
    fn the_batch_axis_is_left_out_of_dims() {
        let config = ModelConfig::parse(
            "version_policy = { specific = [\"v3\", \"7\", \"beta\"] }\nmax_batch_size = 64\n\
             [dynamic_batching]\npreferred_batch_size = [8, 16]\nmax_queue_delay_microseconds = 50",
        )
        .unwrap();
        let described = serde_json::to_value(describe("m", &rules(true), &config, 100, 2, true)).unwrap();
        let expected = json!({
            "name": "m",
            "platform": "onnxruntime_onnx",
            "backend": "onnxruntime",
            "version_policy": { "specific": { "versions": [3, 7] } },
            "max_batch_size": 64,
            "input": [
                { "name": "words", "data_type": "TYPE_STRING", "dims": [-1] },
                { "name": "weights", "data_type": "TYPE_FP16", "dims": [3] },
            ],
            "output": [{ "name": "score", "data_type": "TYPE_FP32", "dims": [1], "reshape": { "shape": [] } }],
            "instance_group": [{ "name": "m", "kind": "KIND_GPU", "count": 2 }],
            "dynamic_batching": { "preferred_batch_size": [8, 16], "max_queue_delay_microseconds": 50 },
        });
        assert_eq!(described, expected);
    }

    #[test]
    fn without_a_batch_axis_dims_are_whole_shapes() {
        let config = ModelConfig::default();
        let described = serde_json::to_value(describe("m", &rules(false), &config, 100, 1, false)).unwrap();
        assert_eq!(described["max_batch_size"], 0);
        assert_eq!(described["input"][1]["dims"], json!([-1, 3]));
        assert_eq!(described["output"][0]["dims"], json!([-1]));
        assert_eq!(described["version_policy"], json!({ "latest": { "num_versions": 1 } }));
        assert_eq!(described["instance_group"][0]["kind"], "KIND_CPU");
        assert_eq!(described.get("dynamic_batching"), None);
    }
}
