//! What errors and logs tell: no paths of the server, no lines of its files, nothing longer than a client reads.

use std::fs;

use oip::{
    Datatype,
    grpc::messages::{ModelInferRequest, model_infer_request::InferInputTensor},
};
use serde_json::json;
use tonic::Code;

use crate::{
    model_control::{infer, load},
    support::{Grpc, Server, ServerBuilder, get, graphs, models, post},
};

fn builder() -> ServerBuilder {
    ServerBuilder::new().model("m", "1", &models::identity(Datatype::Fp32))
}

/// What the index says of the model `m`, and what the answer to a load of it says.
fn told(server: &Server) -> [String; 2] {
    let loaded = load(server, "m");
    let index = post(&format!("{}/v2/repository/index", server.url()), &[], b"");
    let texts = [loaded, index].map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
    assert_eq!(infer(server, "m").status, 200);
    texts
}

#[test]
fn errors_quote_no_line_of_a_file_and_no_path() {
    let server = builder().start();
    let folder = server.models().to_str().unwrap().to_owned();
    let model = server.models().join("m");
    for (config, told_of) in [
        ("# a-secret-of-the-operator\nmax_batch_sise = 1 # a-secret-of-the-operator", "line 2"),
        ("labels = [\"a-secret-of-the-operator\", 5]", "line 1"),
        ("sha256 = \"a-secret-of-the-operator", "line 1"),
        ("default_model_filename = \"elsewhere.onnx\"", "elsewhere.onnx"),
        (&format!("sha256 = \"{}\"", "0".repeat(64)), "sha256"),
        ("[instance_group]\ncount = 0", "count"),
    ] {
        fs::write(model.join("config.toml"), config).unwrap();
        let texts = told(&server);
        assert!(texts[0].contains(told_of), "{config}: {}", texts[0]);
        for text in texts {
            assert!(!text.contains("a-secret-of-the-operator"), "{config}: {text}");
            assert!(!text.contains(&folder) && !text.contains("/tmp"), "{config}: {text}");
        }
    }
    fs::remove_file(model.join("config.toml")).unwrap();
    for (name, content) in [
        ("2/model.onnx", &b"half a file"[..]),
        ("3/model.onnx", b""),
        ("4/model.onnx", &graphs::division_with_external_data()),
    ] {
        let path = model.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        for text in told(&server) {
            assert!(!text.contains(&folder) && !text.contains("/tmp"), "{name}: {text}");
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
    for path in ["/v2/models/..%2f..%2fetc%2fpasswd", "/docs/..%2fCargo.toml", "/ui/%2e%2e", "/v2/models/%00"]
    {
        let answer = get(&format!("{}{path}", server.url()));
        assert!(!answer.error().contains(&folder), "{path}: {}", answer.error());
    }
}

#[test]
fn an_error_fits_whatever_a_request_has() {
    let server = builder().start();
    let shape = vec![1_i64; 10_000];
    let body = json!({ "inputs": [{ "name": "x", "datatype": "FP32", "shape": shape, "data": [1.0] }] });
    let url = format!("{}/v2/models/m/infer", server.url());
    let answer = post(&url, &[], body.to_string().as_bytes());
    assert_eq!(answer.status, 400);
    assert!(answer.error().len() <= 4200, "{}", answer.error().len());
    let long = "n".repeat(100_000);
    let body = json!({ "inputs": [{ "name": long, "datatype": "FP32", "shape": [1, 2], "data": [1, 2] }] });
    let answer = post(&url, &[], body.to_string().as_bytes());
    assert!(answer.status == 400 && answer.error().len() <= 4200, "{}", answer.error().len());

    let grpc = Grpc::connect(&server.url());
    let mut client = grpc.client.clone();
    let input = |name: &str, shape: &[i64]| ModelInferRequest {
        model_name: "m".into(),
        inputs: vec![InferInputTensor {
            name: name.into(),
            datatype: "FP32".into(),
            shape: shape.to_vec(),
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![vec![0_u8; 4].into()],
        ..ModelInferRequest::default()
    };
    for request in [input("x", &shape), input(&long, &[1, 2]), input(&"\u{6570}".repeat(10_000), &[1, 2])] {
        let status = grpc.wait(client.model_infer(request)).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(!status.message().is_empty() && status.message().len() <= 2048, "{}", status.message().len());
    }
    let request = ModelInferRequest { model_name: "m".repeat(100_000), ..ModelInferRequest::default() };
    let status = grpc.wait(client.model_infer(request)).unwrap_err();
    assert!(status.code() == Code::NotFound && status.message().len() <= 2048, "{status:?}");
}

#[test]
fn ids_are_bounded() {
    let server = builder().args(["--log-level", "debug"]).start();
    let url = format!("{}/v2/models/m/infer", server.url());
    let body = |id: &str| {
        json!({ "id": id, "inputs": [{ "name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2] }] })
            .to_string()
    };
    for length in [1, 36, 256] {
        let answer = post(&url, &[], body(&"i".repeat(length)).as_bytes());
        assert_eq!(answer.json()["id"], "i".repeat(length), "{length}");
    }
    let answer = post(&url, &[], body(&"i".repeat(257)).as_bytes());
    assert!(answer.status == 400 && answer.error().contains("257 bytes"), "{}", answer.error());
    for (sent, kept) in [(256, 256), (257, 256), (20_000, 256)] {
        let answer = post(&url, &[("x-request-id", &"r".repeat(sent))], body("1").as_bytes());
        assert_eq!((answer.status, answer.headers["x-request-id"].len()), (200, kept));
    }
    assert!(server.log().iter().all(|line| !line.contains(&"r".repeat(257))));
}
