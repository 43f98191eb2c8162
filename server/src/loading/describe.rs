//! Describes a model in the form of Triton's model configuration. Pure.

use std::collections::BTreeMap;

use oip::{
    DynamicBatchingConfiguration, InstanceGroupConfiguration, ModelConfiguration, ParameterConfiguration,
    ReshapeConfiguration, TensorConfiguration, VersionPolicyConfiguration,
};

use super::{instances::Chosen, served_model::PLATFORM};
use crate::{
    model::{ModelConfig, TensorSpec, VersionPolicy},
    request::validate::Rules,
};

/// What `backend` says: Triton's name for ONNX Runtime.
const BACKEND: &str = "onnxruntime";

/// Returns the configuration of a model, with what was chosen for it.
///
/// `max_batch_size` is the most rows of one request. Clients that read it, such as `perf_analyzer`, refuse to send more. In
/// this format a batch lies along the first axis. If the rows of a model lie along another, `max_batch_size` is 0, and
/// `parameters` name the axes.
pub(super) fn describe(
    name: &str,
    rules: &Rules,
    config: &ModelConfig,
    chosen: &Chosen,
) -> ModelConfiguration {
    let has_rows = rules.batching.is_along_first_axes();
    let side =
        |specs: &[TensorSpec]| specs.iter().map(|spec| tensor(spec, has_rows && !spec.optional)).collect();
    let kind = if chosen.on_gpu { "KIND_GPU" } else { "KIND_CPU" };
    ModelConfiguration {
        name: name.to_owned(),
        platform: PLATFORM.to_owned(),
        backend: BACKEND.to_owned(),
        version_policy: version_policy(&config.version_policy),
        max_batch_size: if has_rows { saturated(rules.max_rows.unwrap_or(usize::MAX)) } else { 0 },
        input: side(&rules.signature.inputs),
        output: side(&rules.signature.outputs),
        instance_group: vec![InstanceGroupConfiguration {
            name: name.to_owned(),
            kind: kind.to_owned(),
            count: saturated(chosen.plan.count),
        }],
        dynamic_batching: rules.batching.axes().map(|_| {
            let batching = &config.dynamic_batching;
            DynamicBatchingConfiguration {
                preferred_batch_size: batching.preferred_batch_size.iter().copied().map(saturated).collect(),
                max_queue_delay_microseconds: batching.max_queue_delay_microseconds,
            }
        }),
        parameters: parameters(rules, config, chosen),
    }
}

fn parameters(
    rules: &Rules,
    config: &ModelConfig,
    Chosen { plan, on_gpu, session_rows, reason, pin, .. }: &Chosen,
) -> BTreeMap<String, ParameterConfiguration> {
    let mut parameters = vec![
        ("batching", rules.batching.to_string()),
        ("batching_mode", plan.mode.to_string()),
        ("intra_op_threads", plan.intra_op_threads.to_string()),
        ("idle_session_threads", plan.idle_session_threads.to_string()),
        ("lanes", plan.lanes.to_string()),
        ("returning_clients", plan.returning_clients.to_string()),
        ("reason", reason.clone()),
        ("pin", pin.clone()),
    ];
    if rules.batching.axes().is_some() {
        parameters.push(("joined_rows", plan.joined_rows.to_string()));
    }
    if *on_gpu {
        parameters.push(("session_rows", format!("{session_rows:?}")));
    }
    if let Some(image) = &config.image {
        parameters.push(("image", image.preprocess.name().to_owned()));
    }
    let entry =
        |(name, value): (&str, String)| (name.to_owned(), ParameterConfiguration { string_value: value });
    parameters.into_iter().map(entry).collect()
}

fn tensor(spec: &TensorSpec, has_rows: bool) -> TensorConfiguration {
    let dims = spec.shape().split_off(usize::from(has_rows));
    let (dims, reshape) =
        if dims.is_empty() { (vec![1], Some(ReshapeConfiguration { shape: dims })) } else { (dims, None) };
    TensorConfiguration {
        name: spec.name.to_string(),
        data_type: spec.datatype.config_name(),
        dims,
        reshape,
        optional: spec.optional,
    }
}

fn version_policy(policy: &VersionPolicy) -> VersionPolicyConfiguration {
    match policy {
        VersionPolicy::Latest(count) => {
            VersionPolicyConfiguration::Latest { num_versions: saturated(*count) }
        }
        VersionPolicy::All => VersionPolicyConfiguration::All {},
        // Triton's versions are numbers. `v7` counts as 7, and other names are left out.
        VersionPolicy::Specific(names) => VersionPolicyConfiguration::Specific {
            versions: names
                .iter()
                .filter_map(|name| name.strip_prefix('v').unwrap_or(name).parse().ok())
                .collect(),
        },
    }
}

/// Converts to the integers of the format, which have 31 bits for positive numbers.
fn saturated(count: usize) -> u32 {
    i32::try_from(count).unwrap_or(i32::MAX).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use oip::Datatype;
    use serde_json::json;

    use super::{super::plan::Plan, *};
    use crate::{
        config::BatchingMode,
        model::{Batching, Dimension, RowAxes, Signature},
    };

    fn chosen() -> Chosen {
        Chosen {
            plan: Plan {
                mode: BatchingMode::Adaptive,
                count: 2,
                intra_op_threads: 1,
                idle_session_threads: 0,
                lanes: 2,
                joined_rows: 16,
                returning_clients: false,
            },
            on_gpu: true,
            session_rows: vec![1, 16],
            reason: "measured".into(),
            alternative: None,
            pin: "[instance_group]".into(),
        }
    }

    fn rules(batching: Batching) -> Rules {
        let batch = || Dimension::Dynamic("N".into());
        let inputs = vec![
            TensorSpec::new("words", Datatype::Bytes, vec![batch(), Dimension::Dynamic("length".into())]),
            TensorSpec::new("weights", Datatype::Fp16, vec![batch(), Dimension::Fixed(3)]),
        ];
        let outputs = vec![TensorSpec::new("score", Datatype::Fp32, vec![batch()])];
        Rules::new(Signature { inputs, outputs }, batching, Some(64))
    }

    #[test]
    fn the_rows_are_left_out_of_dims() {
        let config = ModelConfig::parse(
            "version_policy = { specific = [\"v3\", \"7\", \"beta\"] }\nmax_batch_size = 64\n\
             [dynamic_batching]\npreferred_batch_size = [8, 16]\nmax_queue_delay_microseconds = 50\n[image]\npreprocess = \"rgb\"",
        )
        .unwrap();
        let rules = rules(Batching::Proven(RowAxes { inputs: vec![0, 0], outputs: vec![0] }));
        let described = serde_json::to_value(describe("m", &rules, &config, &chosen())).unwrap();
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
            "parameters": {
                "batching": { "string_value": "on: the graph keeps rows apart" },
                "batching_mode": { "string_value": "adaptive" },
                "idle_session_threads": { "string_value": "0" },
                "image": { "string_value": "rgb" },
                "intra_op_threads": { "string_value": "1" },
                "joined_rows": { "string_value": "16" },
                "lanes": { "string_value": "2" },
                "pin": { "string_value": "[instance_group]" },
                "reason": { "string_value": "measured" },
                "returning_clients": { "string_value": "false" },
                "session_rows": { "string_value": "[1, 16]" },
            },
        });
        assert_eq!(described, expected);
    }

    #[test]
    fn where_rows_are_not_joined_dims_are_whole_shapes_and_the_reason_is_told() {
        let config = ModelConfig::default();
        let chosen = Chosen { on_gpu: false, ..chosen() };
        let rules = rules(Batching::Off("node 'sort' (TopK) sorts across the batch".into()));
        let described = serde_json::to_value(describe("m", &rules, &config, &chosen)).unwrap();
        assert_eq!(described["max_batch_size"], 0);
        assert_eq!(described["input"][1]["dims"], json!([-1, 3]));
        assert_eq!(described["output"][0]["dims"], json!([-1]));
        assert_eq!(described["version_policy"], json!({ "latest": { "num_versions": 1 } }));
        assert_eq!(described["instance_group"][0]["kind"], "KIND_CPU");
        assert_eq!(described.get("dynamic_batching"), None);
        let reason = "off: node 'sort' (TopK) sorts across the batch";
        assert_eq!(described["parameters"]["batching"]["string_value"], reason);
        assert_eq!(described["parameters"].get("joined_rows"), None);
        assert_eq!(described["parameters"].get("session_rows"), None);
    }
}
