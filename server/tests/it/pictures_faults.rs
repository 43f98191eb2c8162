//! What is wrong with pictures, and what is said of it.

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use image::ImageFormat;
use oip::{
    Datatype, InferRequest, InputTensor, Parameter, Parameters, RequestedOutput, Tensor,
    grpc::{self, TensorForm},
};
use serde_json::json;
use tonic::Code;

use crate::support::{Grpc, Server, ServerBuilder, get, infer_binary, models, pictures, post};

const DIGIT: [&str; 4] = ["N", "28", "28", "1"];
const PNG: [(&str, &str); 1] = [("content-type", "image/png")];

fn server() -> Server {
    let digit = models::identity_of(Datatype::Fp32, &DIGIT, &DIGIT);
    ServerBuilder::new()
        .model("seen", "1", &digit)
        .file("seen/config.toml", format!("max_batch_size = 3\n{}", pictures::MNIST))
        .model("plain", "1", &digit)
        .model("colours", "1", &pictures::mean_colour(Datatype::Fp32, &["N", "3", "8", "8"], [2, 3]))
        .file("colours/config.toml", "[image]\npreprocess = \"rgb\"\n")
        .args(["--max-picture-pixels", "400000"])
        .start()
}

fn request(tensor: Tensor) -> InferRequest {
    let input = InputTensor { name: "x".into(), parameters: Parameters::default(), tensor };
    InferRequest { inputs: vec![input], ..InferRequest::default() }
}

fn with(mut request: InferRequest, key: &str, value: Parameter) -> InferRequest {
    request.parameters.0.push((key.into(), value));
    request
}

fn asking(mut request: InferRequest, name: &str, parameters: Parameters) -> InferRequest {
    request.outputs.push(RequestedOutput { name: name.into(), parameters });
    request
}

#[test]
fn every_fault_has_its_status_on_both_transports_and_says_where_it_is() {
    let server = server();
    let grpc = Grpc::connect(&server.url());
    let (seven, two, blank) =
        (pictures::seven(ImageFormat::Png), pictures::one_and_seven(), pictures::blank());
    let broken = &seven[..seven.len() / 2];
    let one = |picture: &[u8]| request(pictures::elements(&[picture]));
    let invalid = (400, Code::InvalidArgument);
    let classes = || Parameters(vec![("classification".into(), Parameter::Int64(1))]);
    for (model, request, (status, code), words) in [
        ("seen", one(&blank), invalid, &["model 'seen', input 'x': ", "no ink found"][..]),
        ("seen", one(&two), invalid, &["2 digits", "digits=all"]),
        ("seen", one(broken), invalid, &["input 'x': ", "PNG", "broken"]),
        ("seen", one(b""), invalid, &["empty"]),
        ("seen", one(b"%PDF-1.7"), invalid, &["PDF", "PNG, JPEG, WebP, GIF or BMP"]),
        ("seen", one(b"<svg/>"), invalid, &["SVG"]),
        ("seen", one(b"data:image/png,abc"), invalid, &["data URL", "base64"]),
        ("seen", one(b"aGVsbG8gd29ybGQ"), invalid, &["not supported"]),
        ("seen", one(b"AAAAA"), invalid, &["not base64"]),
        (
            "seen",
            one(&pictures::plain(700, 700, [9; 3], ImageFormat::Png)),
            (413, Code::ResourceExhausted),
            &["700 x 700", "400000", "--max-picture-pixels"],
        ),
        (
            "seen",
            request(pictures::elements(&[&seven, &blank, &seven])),
            invalid,
            &["input 'x', picture 1: ", "no ink"],
        ),
        (
            "seen",
            request(pictures::elements(&[&seven[..]; 4])),
            invalid,
            &["4 pictures", "at most 3", "max_batch_size"],
        ),
        (
            "seen",
            with(request(pictures::elements(&[&two, &two])), "digits", Parameter::String("all".into())),
            invalid,
            &["4 digits", "at most 3"],
        ),
        ("seen", request(pictures::elements(&[])), invalid, &["'x' has no rows"]),
        (
            "seen",
            with(one(&seven), "digits", Parameter::String("two".into())),
            invalid,
            &["'digits'", "\"all\""],
        ),
        (
            "seen",
            with(one(&seven), "return_input", Parameter::String("yes".into())),
            invalid,
            &["'return_input'"],
        ),
        ("seen", asking(one(&seven), "q", Parameters::default()), invalid, &["unknown output 'q'"]),
        ("seen", asking(one(&seven), "boxes", classes()), invalid, &["'boxes' has no classes"]),
        ("seen", with(one(&seven), "timeout", Parameter::String("1".into())), invalid, &["'timeout'"]),
        (
            "colours",
            with(one(&seven), "digits", Parameter::String("all".into())),
            invalid,
            &["\"mnist\"", "\"rgb\""],
        ),
        ("plain", one(&seven), invalid, &["datatype BYTES", "FP32"]),
    ] {
        let encoded = oip::encode_request(&request, &[true]).unwrap();
        let length = encoded.json_length.unwrap_or_else(|| encoded.body().len()).to_string();
        let url = format!("{}/v2/models/{model}/infer", server.url());
        let answer = post(&url, &[(oip::JSON_LENGTH_HEADER, &length)], &encoded.body());
        let error = answer.error();
        assert_eq!(answer.status, status, "{error}");
        for form in [TensorForm::Raw, TensorForm::Typed] {
            let message = grpc::encode_request(&request, model, "", form);
            let failed = grpc.wait(async { grpc.client.clone().model_infer(message).await }).unwrap_err();
            assert_eq!((failed.code(), failed.message()), (code, &error[..]), "{form:?}");
        }
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
    // Nothing of that stays behind.
    infer_binary(&server.url(), "seen", &[("x", pictures::elements(&[&seven]))]).response();
}

#[test]
fn a_body_says_what_it_is_and_to_whom_it_may_go() {
    let server = server();
    let seven = pictures::seven(ImageFormat::Jpeg);
    let (url, plain) = (server.url(), pictures::seven(ImageFormat::Png));
    let refused = |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let answer = post(&format!("{url}/{path}"), headers, body);
        assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(&answer.body));
        answer.error()
    };
    for headers in [
        &[][..],
        &[("content-type", "application/octet-stream")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/json")],
        &[("content-type", "application/octet-stream"), ("inference-header-content-length", "0")],
    ] {
        let error = refused("v2/models/seen/infer", headers, &seven);
        assert!(error.contains("JPEG") && error.contains("Content-Type: image/jpeg"), "{headers:?}: {error}");
    }
    let error = refused("v2/models/plain/infer", &PNG, &plain);
    assert!(
        error.contains("'plain' takes no pictures")
            && error.contains("config.toml")
            && error.contains("[image]"),
        "{error}"
    );
    for query in ["digits=1", "digit=all", "return_input", "x=y", "digits=all&digits=all", "return_input=1"] {
        let error = refused(&format!("v2/models/seen/infer?{query}"), &PNG, &plain);
        assert!(error.contains("in the query"), "{query}: {error}");
    }
    let json = refused("v2/models/seen/infer", &PNG, b"{\"inputs\":[]}");
    assert!(json.contains("JSON"), "{json}");
    assert_eq!(post(&format!("{url}/v2/models/none/infer"), &PNG, &plain).status, 404);
    let base64 = BASE64_STANDARD.encode(&plain);
    for (body, named) in [
        (json!({ "instances": [{ "b64": base64 }, [[[0]]]] }), "numbers and encoded pictures"),
        (json!({ "instances": [{ "b64": base64, "x": 1 }] }), "'x' beside"),
        (json!({ "instances": [{ "b64": "?" }] }), "not base64"),
        (json!({ "instances": ["?"] }), "not supported"),
        (
            json!({ "instances": [{ "b64": base64 }, { "b64": BASE64_STANDARD.encode(pictures::blank()) }] }),
            "picture 1",
        ),
    ] {
        let error = refused("v1/models/seen:predict", &[], body.to_string().as_bytes());
        assert!(error.contains(named), "{error}");
    }
    let error = refused(
        "v1/models/plain:predict",
        &[],
        json!({ "instances": [{ "b64": base64 }] }).to_string().as_bytes(),
    );
    assert!(error.contains("b64"), "{error}");
}

#[test]
fn a_claim_of_pixels_costs_nothing() {
    let server = server();
    let claim = pictures::claim();
    let url = format!("{}/v2/models/seen/infer", server.url());
    let started = Instant::now();
    let memory = server.memory_for(|| {
        for _ in 0..10 {
            let answer = post(&url, &PNG, &claim);
            assert_eq!(answer.status, 413);
            assert!(answer.error().contains("50000 x 50000"), "{}", answer.error());
        }
    });
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(memory < 32 << 20, "{memory} bytes");
}

#[test]
fn a_request_that_is_late_is_told_so_while_its_picture_is_decoded() {
    let digit = models::identity_of(Datatype::Fp32, &DIGIT, &DIGIT);
    let server =
        ServerBuilder::new().model("seen", "1", &digit).file("seen/config.toml", pictures::MNIST).start();
    let large = pictures::noise(2500);
    let request = with(request(pictures::elements(&[&large])), "timeout", Parameter::Int64(1000));
    let encoded = oip::encode_request(&request, &[true]).unwrap();
    let length = encoded.json_length.unwrap().to_string();
    let url = format!("{}/v2/models/seen/infer", server.url());
    let answer = post(&url, &[(oip::JSON_LENGTH_HEADER, &length)], &encoded.body());
    assert_eq!(answer.status, 504, "{}", answer.error());
    assert!(answer.error().contains("before its pictures were decoded"), "{}", answer.error());
}

#[test]
fn preprocessing_is_timed_once_a_request() {
    let digit = models::identity_of(Datatype::Fp32, &DIGIT, &DIGIT);
    let server = ServerBuilder::new()
        .model("seen", "1", &digit)
        .file("seen/config.toml", pictures::MNIST)
        .args(["--metrics-compat", "kserve"])
        .start();
    let url = format!("{}/v2/models/seen/infer", server.url());
    for _ in 0..3 {
        post(&url, &PNG, &pictures::seven(ImageFormat::Png)).response();
    }
    let text = String::from_utf8(get(&format!("{}/metrics", server.url())).body.to_vec()).unwrap();
    for stage in ["preprocess", "predict", "postprocess"] {
        let line = format!("request_{stage}_seconds_count{{model_name=\"seen\"}} 3");
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn a_configuration_that_does_not_fit_the_model_is_named_at_load() {
    let colours = || pictures::mean_colour(Datatype::Fp32, &["N", "3", "H", "W"], [2, 3]);
    for (config, named) in [
        (pictures::MNIST, "[rows,28,28,1]"),
        ("[image]\npreprocess = \"rgb\"\n", "size = [height, width]"),
        ("[image]\ninput = \"y\"\npreprocess = \"rgb\"\n", "the model has x"),
        ("[image]\npreprocess = \"grey\"\n", "`mnist` or `rgb`"),
        ("[image]\npreprocess = \"mnist\"\nsize = [1, 1]\n", "image.size"),
    ] {
        let builder =
            ServerBuilder::new().model("colours", "1", &colours()).file("colours/config.toml", config);
        let mut server = builder.start_to_fail();
        assert_eq!(server.wait().code(), Some(70), "{config}");
        let log = server.log().join("\n");
        assert!(
            log.contains("config.toml")
                && log.contains(&serde_json::Value::from(named).to_string()[1..named.len()]),
            "{config}: {log}"
        );
    }
    let server = ServerBuilder::new()
        .model("colours", "1", &colours())
        .file("colours/config.toml", "[image]\npreprocess = \"rgb\"\nsize = [8, 8]\n")
        .start();
    let config = get(&format!("{}/v2/models/colours/config", server.url())).json();
    assert_eq!(config["parameters"]["image"]["string_value"], "rgb");
}
