//! How batches are formed with and without adaptive policies, and plans that an operator pins.

use std::{fs, thread};

use oip::{Datatype, Tensor};
use onnx_graph::proto::GraphProto;
use serde_json::Value;

use crate::support::{
    Server, ServerBuilder, get, infer, models,
    models::{constant, node, tensor},
    post, rows,
};

/// Width of [`dense`].
const WIDTH: usize = 512;

/// `[N, 512]` through sixteen dense layers, each of which doubles every number and halves it again: about half a
/// millisecond for a row, nearly all of it for reading the weights.
fn dense() -> Vec<u8> {
    let scale = |name: &str, factor: f32| {
        let mut weights = vec![0.0; WIDTH * WIDTH];
        (0..WIDTH).for_each(|index| weights[index * (WIDTH + 1)] = factor);
        constant(name, &[WIDTH as i64; 2], &weights)
    };
    let value = |index: usize| match index {
        0 => "x".to_owned(),
        16 => "y".to_owned(),
        _ => format!("h{index}"),
    };
    let layer = |index: usize| {
        let weights = if index.is_multiple_of(2) { "double" } else { "half" };
        node("MatMul", &[&value(index), weights], &value(index + 1))
    };
    let width = WIDTH.to_string();
    models::model(GraphProto {
        node: (0..16).map(layer).collect(),
        initializer: vec![scale("double", 2.0), scale("half", 0.5)],
        input: vec![tensor("x", Datatype::Fp32, &["N", &width])],
        output: vec![tensor("y", Datatype::Fp32, &["N", &width])],
        ..GraphProto::default()
    })
}

fn floats(values: &[f32], shape: &[usize]) -> Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { datatype: Datatype::Fp32, shape: shape.into(), data: data.into() }
}

fn configuration(server: &Server, model: &str) -> Value {
    get(&format!("{}/v2/models/{model}/config", server.url())).json()
}

fn parameter(configuration: &Value, name: &str) -> String {
    configuration["parameters"][name]["string_value"].as_str().unwrap_or_default().to_owned()
}

/// The plan of a model: everything in its configuration but why it is so.
fn plan(mut configuration: Value) -> Value {
    configuration["parameters"]["reason"].take();
    configuration
}

/// Asks the model from several clients at once, and checks every answer.
fn answers_are_right(server: &Server, model: &str, width: usize) {
    thread::scope(|scope| {
        for client in 0..8_u16 {
            scope.spawn(move || {
                for turn in 0..10_u16 {
                    let values = vec![f32::from(client * 100 + turn); width];
                    let response =
                        infer(&server.url(), model, &[("x", floats(&values, &[1, width]))]).response();
                    let expected = floats(&values, &[1, width]);
                    assert_eq!(response.outputs[0].1.data, expected.data, "{model}");
                }
            });
        }
    });
}

#[test]
fn a_plan_that_is_written_into_config_toml_is_the_same_on_every_replica() {
    let apart = rows::softmax_over_rows();
    let quick = models::identity(Datatype::Fp32);
    let names = ["quick", "dense", "apart"];
    let server = ServerBuilder::new()
        .model("quick", "1", &quick)
        .model("dense", "1", &dense())
        .model("apart", "1", &apart)
        .args(["--threads", "2"])
        .start();
    let chosen = names.map(|name| configuration(&server, name));
    for (name, chosen) in names.iter().zip(&chosen) {
        let reason = parameter(chosen, "reason");
        assert!(reason.contains("count") && reason.contains("one row takes"), "{name}: {reason}");
        fs::write(server.models().join(name).join("config.toml"), parameter(chosen, "pin")).unwrap();
        let loaded = post(&format!("{}/v2/repository/models/{name}/load", server.url()), &[], b"");
        assert_eq!(loaded.status, 200, "{}", loaded.error());
        let pinned = configuration(&server, name);
        assert_eq!(parameter(&pinned, "reason"), "config.toml", "{name}");
        assert_eq!(plan(pinned), plan(chosen.clone()), "{name}");
    }
    assert_eq!(plan(chosen[0].clone())["parameters"]["batching_mode"]["string_value"], "adaptive");
    answers_are_right(&server, "dense", WIDTH);

    // Another replica, which has more cores.
    let add = |server: ServerBuilder, (name, chosen): (&&str, &Value)| {
        server.file(&format!("{name}/config.toml"), parameter(chosen, "pin"))
    };
    let replica = ServerBuilder::new()
        .model("quick", "1", &quick)
        .model("dense", "1", &dense())
        .model("apart", "1", &apart)
        .args(["--threads", "3"]);
    let replica = names.iter().zip(&chosen).fold(replica, add).start();
    for (name, chosen) in names.iter().zip(&chosen) {
        let pinned = configuration(&replica, name);
        assert_eq!(parameter(&pinned, "reason"), "config.toml", "{name}");
        assert_eq!(plan(pinned), plan(chosen.clone()), "{name}");
    }
    answers_are_right(&replica, "quick", 2);
    answers_are_right(&replica, "dense", WIDTH);
}

#[test]
fn every_choice_can_be_pinned() {
    let pins = "[instance_group]\ncount = 2\nintra_op_threads = 2\nidle_session_threads = 3\nlanes = 2\n\n\
                [dynamic_batching]\nmode = \"adaptive\"\nreturning_clients = true\njoined_rows = 5\n\
                max_queue_delay_microseconds = 200\npreferred_batch_size = [2, 4]\n";
    let server = ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Fp32))
        .file("m/config.toml", pins)
        .args(["--threads", "2", "--log-level", "info,decima_server::loading=debug"])
        .start();
    let pinned = configuration(&server, "m");
    assert_eq!(parameter(&pinned, "pin"), pins);
    assert_eq!(parameter(&pinned, "reason"), "config.toml");
    assert_eq!(pinned["instance_group"][0]["count"], 2);
    assert_eq!(pinned["dynamic_batching"]["max_queue_delay_microseconds"], 200);
    for (name, value) in [
        ("intra_op_threads", "2"),
        ("idle_session_threads", "3"),
        ("lanes", "2"),
        ("returning_clients", "true"),
        ("joined_rows", "5"),
        ("batching_mode", "adaptive"),
    ] {
        assert_eq!(parameter(&pinned, name), value, "{name}");
    }
    answers_are_right(&server, "m", 2);
    let plan = server.wait_for("model plan");
    assert_eq!(
        (&plan["idle_session_threads"], &plan["lanes"], &plan["reason"]),
        (&3.into(), &2.into(), &"config.toml".into())
    );
}

#[test]
fn static_batching_leaves_nothing_to_what_is_measured() {
    let by_flag = |server: ServerBuilder| server.args(["--batching", "static"]);
    let by_variable = |server: ServerBuilder| server.envs([("DECIMA_BATCHING", "static")]);
    let by_file = |server: ServerBuilder| {
        server.file("dense/config.toml", "[dynamic_batching]\nmode = \"static\"").file(
            "m/config.toml",
            "max_batch_size = 4\n[dynamic_batching]\nmode = \"static\"\nmax_queue_delay_microseconds = 100",
        )
    };
    for (set, reason) in [
        (&by_flag as &dyn Fn(ServerBuilder) -> ServerBuilder, "fixed, by --batching static"),
        (&by_variable, "fixed, by --batching static"),
        (&by_file, "fixed, since mode in config.toml is static"),
    ] {
        let server = ServerBuilder::new()
            .model("dense", "1", &dense())
            .model("m", "1", &models::identity(Datatype::Fp32))
            .file(
                "m/config.toml",
                "max_batch_size = 4\n[dynamic_batching]\nmax_queue_delay_microseconds = 100\n[instance_group]\nlanes = 2",
            )
            .args(["--threads", "2"]);
        let server = set(server).start();
        let fixed = configuration(&server, "dense");
        assert_eq!(fixed["instance_group"][0]["count"], 2);
        for (name, value) in [
            ("batching_mode", "static"),
            ("intra_op_threads", "1"),
            ("idle_session_threads", "0"),
            ("lanes", "1"),
            ("returning_clients", "false"),
            ("joined_rows", "16"),
            ("reason", &format!("count, intra_op_threads, joined_rows: {reason}")),
        ] {
            assert_eq!(parameter(&fixed, name), value, "{name}");
        }
        let limited = configuration(&server, "m");
        assert_eq!([parameter(&limited, "joined_rows"), parameter(&limited, "lanes")], ["4", "1"]);
        answers_are_right(&server, "dense", WIDTH);
        answers_are_right(&server, "m", 2);
    }
}

#[test]
fn a_mode_that_is_not_known_is_refused() {
    let mut server = ServerBuilder::new().args(["--batching", "off"]).start_to_fail();
    assert_eq!(server.wait().code(), Some(64));
    let log = server.log().join("\n");
    assert!(log.contains("expected adaptive or static"), "{log}");
}
