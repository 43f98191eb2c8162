//! Encoded pictures as inputs, over every wire: they are answered like the numbers that they become.

use std::{
    io::Read,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, read::GzEncoder};
use image::ImageFormat;
use oip::{
    Datatype, InferRequest, InferResponse, InputTensor, Parameter, Parameters, RequestedOutput, Shape,
    Tensor,
    grpc::{self, TensorForm},
};
use serde_json::{Value, json};

use crate::support::{Grpc, Server, ServerBuilder, get, infer, infer_binary, models, pictures, post};

const DIGIT: [&str; 4] = ["N", "28", "28", "1"];

/// A model `seen` that answers with what it sees of digits.
fn seen() -> ServerBuilder {
    let model = models::identity_of(Datatype::Fp32, &DIGIT, &DIGIT);
    ServerBuilder::new().model("seen", "1", &model).file("seen/config.toml", pictures::MNIST)
}

fn digits() -> Server {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let server = ServerBuilder::new().args(["--model-repository", models.to_str().unwrap()]).spawn();
    server.wait_until_ready();
    server
}

fn floats(shape: &[usize], data: &[u8]) -> Tensor {
    Tensor::new(Datatype::Fp32, Shape::from(shape), data.to_vec().into()).unwrap()
}

fn request(tensor: Tensor) -> InferRequest {
    let input = InputTensor { name: "x".into(), parameters: Parameters::default(), tensor };
    InferRequest { inputs: vec![input], ..InferRequest::default() }
}

fn over_grpc(grpc: &Grpc, request: &InferRequest, form: TensorForm) -> InferResponse {
    let message = grpc::encode_request(request, "seen", "", form);
    let answer = grpc.wait(async { grpc.client.clone().model_infer(message).await }).unwrap();
    grpc::decode_response(answer.into_inner()).unwrap()
}

#[test]
fn a_picture_is_answered_like_its_numbers_over_every_wire() {
    let server = seen().start();
    let url = format!("{}/v2/models/seen/infer", server.url());
    let png = pictures::seven(ImageFormat::Png);
    let expected = floats(&[1, 28, 28, 1], &pictures::seen(&png));
    let same = |response: &InferResponse, wire: &str| {
        assert_eq!(response.outputs, [("y".into(), expected.clone())], "{wire}");
    };
    same(&infer_binary(&server.url(), "seen", &[("x", expected.clone())]).response(), "numbers");

    for kind in ["image/png", "IMAGE/PNG", "image/x-any; charset=binary", "image/*"] {
        same(&post(&url, &[("content-type", kind)], &png).response(), kind);
    }
    let mut packed = Vec::new();
    GzEncoder::new(&png[..], Compression::fast()).read_to_end(&mut packed).unwrap();
    let headers =
        [("content-type", "image/png"), ("content-encoding", "gzip"), ("accept-encoding", "identity")];
    same(&post(&url, &headers, &packed).response(), "gzip");
    same(
        &post(&format!("{}/v2/models/seen/versions/1/infer", server.url()), &headers[..1], &png).response(),
        "version",
    );

    let base64 = BASE64_STANDARD.encode(&png);
    let url_of_data = format!("data:image/png;base64,{base64}");
    for element in
        [json!(base64), json!(url_of_data), json!({ "b64": base64 }), json!({ "b64": url_of_data })]
    {
        // The bytes of an object's base64 may themselves be text: a data URL is one.
        let element = match element.get("b64") {
            Some(Value::String(text)) if text.starts_with("data:") => {
                json!({ "b64": BASE64_STANDARD.encode(text) })
            }
            _ => element,
        };
        for shape in [json!([1]), json!([1, 1])] {
            let input = json!({ "data": [element], "name": "x", "shape": shape, "datatype": "BYTES" });
            let body = json!({ "inputs": [input] }).to_string();
            same(&post(&url, &[], body.as_bytes()).response(), &body[..100]);
        }
    }
    let mlserver = json!({ "name": "x", "shape": [1], "datatype": "BYTES", "parameters": { "content_type": "base64" },
        "data": [base64] });
    same(&post(&url, &[], json!({ "inputs": [mlserver] }).to_string().as_bytes()).response(), "MLServer");
    same(&infer_binary(&server.url(), "seen", &[("x", pictures::elements(&[&png]))]).response(), "binary");
    let grpc = Grpc::connect(&server.url());
    for form in [TensorForm::Raw, TensorForm::Typed] {
        same(&over_grpc(&grpc, &request(pictures::elements(&[&png])), form), "gRPC");
        same(
            &over_grpc(&grpc, &request(pictures::elements(&[url_of_data.as_bytes()])), form),
            "gRPC of text",
        );
    }

    // As few digits as tell an FP32 from others, as the server writes them.
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap()).to_string();
    let numbers: Vec<Value> =
        expected.data.chunks(4).map(|bytes| json!(number(bytes).parse::<f64>().unwrap())).collect();
    let rows: Vec<Value> = numbers.chunks(28).map(|row| row.iter().map(|n| json!([n])).collect()).collect();
    let predict = format!("{}/v1/models/seen:predict", server.url());
    for (body, answer) in [
        (json!({ "instances": [{ "b64": base64 }] }), "predictions"),
        (json!({ "instances": [{ "x": { "b64": base64 } }] }), "predictions"),
        (json!({ "instances": [url_of_data] }), "predictions"),
        (json!({ "instances": [{ "x": base64 }] }), "predictions"),
        (json!({ "instances": [rows] }), "predictions"),
        (json!({ "inputs": [{ "b64": base64 }] }), "outputs"),
        (json!({ "inputs": { "x": [base64] } }), "outputs"),
        (json!({ "inputs": [rows] }), "outputs"),
    ] {
        let answered = post(&predict, &[], body.to_string().as_bytes());
        assert_eq!(answered.status, 200, "{}", String::from_utf8_lossy(&answered.body));
        assert!(answered.json()[answer] == json!([rows]), "{}", &body.to_string()[..60]);
    }
}

#[test]
fn every_format_is_read_and_several_pictures_are_rows() {
    let server = seen().start();
    let formats =
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp];
    let encoded: Vec<Vec<u8>> = formats.into_iter().map(pictures::seven).collect();
    let all: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
    let expected: Vec<u8> = all.iter().flat_map(|picture| pictures::seen(picture)).collect();
    let response = infer_binary(&server.url(), "seen", &[("x", pictures::elements(&all))]).response();
    assert_eq!(response.outputs[0].1, floats(&[5, 28, 28, 1], &expected));
    for (format, picture) in formats.into_iter().zip(&encoded) {
        let url = format!("{}/v2/models/seen/infer", server.url());
        let response = post(&url, &[("content-type", format.to_mime_type())], picture).response();
        assert_eq!(response.outputs[0].1.data, pictures::seen(picture), "{format:?}");
    }
}

#[test]
fn what_the_model_saw_comes_back_and_where_each_digit_lies() {
    let server = seen().start();
    let url = format!("{}/v2/models/seen/infer", server.url());
    let (two, one) = (pictures::one_and_seven(), pictures::seven(ImageFormat::Png));
    let picture = [("content-type", "image/png")];
    let names = |response: &InferResponse| {
        response.outputs.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(" ")
    };
    let response = post(&format!("{url}?return_input=true"), &picture, &one).response();
    assert_eq!(names(&response), "y x");
    assert_eq!(response.outputs[0].1, response.outputs[1].1);
    assert_eq!(names(&post(&format!("{url}?return_input=false&"), &picture, &one).response()), "y");

    let response = post(&format!("{url}?digits=all&return_input=true"), &picture, &two).response();
    assert_eq!(names(&response), "y x boxes");
    assert_eq!(response.outputs[1].1.shape, Shape::from(&[2, 28, 28, 1][..]));
    let boxes = &response.outputs[2].1;
    assert_eq!((boxes.datatype, &boxes.shape), (Datatype::Int32, &Shape::from(&[2, 5][..])));
    let numbers: Vec<i32> = boxes.data.chunks(4).map(|n| i32::from_le_bytes(n.try_into().unwrap())).collect();
    let ([0, left, top, width, height], [0, second, ..]) = (&numbers[..5], &numbers[5..]) else {
        panic!("{numbers:?}")
    };
    assert!((110..170).contains(left) && *second > 280, "from left to right: {numbers:?}");
    assert!((10..40).contains(width) && (170..220).contains(height) && (30..60).contains(top), "{numbers:?}");

    // Parameters over the other wires, and outputs asked for by name, as bytes too.
    let mut request = request(pictures::elements(&[&one, &two]));
    request.parameters.0.push(("digits".into(), Parameter::String("all".into())));
    request.parameters.0.push(("return_input".into(), Parameter::Bool(true)));
    let grpc = Grpc::connect(&server.url());
    for form in [TensorForm::Raw, TensorForm::Typed] {
        let response = over_grpc(&grpc, &request, form);
        assert_eq!(names(&response), "y x boxes");
        assert_eq!(response.outputs[1].1.rows(), Some(3));
    }
    for flag in ["binary_data_output", "none"] {
        let mut request = request.clone();
        request.parameters.0.push((flag.into(), Parameter::Bool(true)));
        let body = oip::encode_request(&request, &[true]).unwrap();
        let length = body.json_length.unwrap().to_string();
        let answer = post(&url, &[(oip::JSON_LENGTH_HEADER, &length)], &body.body());
        assert_eq!(answer.headers.contains_key(oip::JSON_LENGTH_HEADER), flag == "binary_data_output");
        let text = String::from_utf8_lossy(&answer.body);
        let as_bytes = if flag == "none" { 0 } else { 3 };
        assert_eq!(text.matches("binary_data_size").count(), as_bytes, "all or none of the three");
        assert_eq!(names(&answer.response()), "y x boxes");
    }
    let output = |name: &str, binary| RequestedOutput {
        name: name.into(),
        parameters: Parameters(vec![("binary_data".into(), Parameter::Bool(binary))]),
    };
    request.parameters.0.clear();
    request.inputs[0].tensor = pictures::elements(&[&one]);
    request.outputs = vec![output("boxes", true), output("y", false), output("x", true)];
    let body = oip::encode_request(&request, &[]);
    assert!(body.is_err(), "JSON has no room for bytes");
    let body = oip::encode_request(&request, &[true]).unwrap();
    let length = body.json_length.unwrap().to_string();
    let answer = post(&url, &[(oip::JSON_LENGTH_HEADER, &length)], &body.body());
    assert_eq!(names(&answer.response()), "boxes y x");
    assert_eq!(String::from_utf8_lossy(&answer.body).matches("binary_data_size").count(), 2);

    // V1 has a row for each digit.
    let body = json!({ "instances": [{ "b64": BASE64_STANDARD.encode(&two) }] }).to_string();
    let answer = post(&format!("{}/v1/models/seen:predict?digits=all", server.url()), &[], body.as_bytes());
    let predictions = answer.json()["predictions"].clone();
    assert_eq!(predictions.as_array().map(Vec::len), Some(2), "{predictions}");
    assert_eq!(predictions[1]["boxes"][1], *second);
}

#[test]
fn the_shipped_model_reads_a_drawn_digit() {
    let server = digits();
    let url = format!("{}/v2/models/digits", server.url());
    assert_eq!(get(&format!("{url}/config")).json()["parameters"]["image"]["string_value"], "mnist");
    assert_eq!(get(&url).json()["inputs"][0]["datatype"], "FP32", "the metadata stay as they are");
    let png = pictures::seven(ImageFormat::Png);
    let answer = post(&format!("{url}/infer"), &[("content-type", "image/png")], &png).json();
    let best = answer["outputs"][0]["data"][7].as_f64().unwrap();
    assert!(best > 0.5, "{answer}");
    let body = json!({
        "inputs": [{ "name": "image", "shape": [1], "datatype": "BYTES", "data": [BASE64_STANDARD.encode(pictures::one_and_seven())] }],
        "parameters": { "digits": "all" },
        "outputs": [{ "name": "probabilities", "parameters": { "classification": 1 } }],
    });
    let answer = post(&format!("{url}/infer"), &[], body.to_string().as_bytes()).json();
    let classes = answer["outputs"][0]["data"].as_array().unwrap();
    let labels: Vec<&str> =
        classes.iter().map(|class| class.as_str().unwrap().rsplit(':').next().unwrap()).collect();
    assert_eq!(labels, ["1", "7"], "{answer}");
}

#[test]
fn colours_fill_inputs_of_both_layouts() {
    let raw = "[image]\npreprocess = \"rgb\"\nmean = [0, 0, 0]\ndeviation = [1, 1, 1]\n";
    let sized = format!("{raw}size = [32, 48]\n");
    let server = ServerBuilder::new()
        .model("nchw", "1", &pictures::mean_colour(Datatype::Fp32, &["N", "3", "32", "48"], [2, 3]))
        .file("nchw/config.toml", raw)
        .model("nhwc", "1", &pictures::mean_colour(Datatype::Fp32, &["N", "H", "W", "3"], [1, 2]))
        .file("nhwc/config.toml", &sized)
        .model("bytes", "1", &pictures::mean_colour(Datatype::Uint8, &["N", "32", "48", "3"], [1, 2]))
        .file("bytes/config.toml", "[image]\npreprocess = \"rgb\"\n")
        .model("imagenet", "1", &pictures::mean_colour(Datatype::Fp32, &["N", "3", "32", "32"], [2, 3]))
        .file("imagenet/config.toml", "[image]\npreprocess = \"rgb\"\n")
        .start();
    let (width, height, colour) = (300, 200, [200, 100, 50]);
    for (format, tolerance) in [(ImageFormat::Png, 0.001), (ImageFormat::Jpeg, 0.01)] {
        let picture = pictures::plain(width, height, colour, format);
        for (model, expected) in [
            ("nchw", colour.map(|value| f64::from(value) / 255.0)),
            ("nhwc", colour.map(|value| f64::from(value) / 255.0)),
            ("bytes", colour.map(f64::from)),
            (
                "imagenet",
                [(0, 0.485, 0.229), (1, 0.456, 0.224), (2, 0.406, 0.225)]
                    .map(|(at, mean, deviation)| (f64::from(colour[at]) / 255.0 - mean) / deviation),
            ),
        ] {
            let url = format!("{}/v2/models/{model}/infer", server.url());
            let answer = post(&url, &[("content-type", format.to_mime_type())], &picture);
            let data = answer.json()["outputs"][0]["data"].clone();
            for (channel, expected) in expected.into_iter().enumerate() {
                let scale = if model == "bytes" { 255.0 } else { 5.0 };
                let found = data[channel].as_f64().unwrap_or(f64::NAN);
                assert!(
                    (found - expected).abs() < tolerance * scale,
                    "{model} {format:?}: {data} {expected}"
                );
            }
        }
    }
}

#[test]
fn rows_of_pictures_join_rows_of_numbers() {
    let png = pictures::seven(ImageFormat::Png);
    let waiting = "[dynamic_batching]\nmax_queue_delay_microseconds = 2000000\npreferred_batch_size = [3]\n";
    let server = seen()
        .file("seen/config.toml", format!("{}{waiting}", pictures::MNIST))
        .args(["--threads", "1"])
        .start();
    let numbers = floats(&[2, 28, 28, 1], &vec![0; 2 * 784 * 4]);
    thread::scope(|scope| {
        let brought = scope.spawn(|| infer(&server.url(), "seen", &[("x", numbers.clone())]).response());
        let shown = scope
            .spawn(|| infer_binary(&server.url(), "seen", &[("x", pictures::elements(&[&png]))]).response());
        assert_eq!(brought.join().unwrap().outputs[0].1, numbers);
        assert_eq!(shown.join().unwrap().outputs[0].1.data, pictures::seen(&png));
    });
    let statistics = get(&format!("{}/v2/models/seen/stats", server.url())).json();
    let batches = statistics["model_stats"][0]["batch_stats"].clone();
    assert_eq!(batches.as_array().map(Vec::len), Some(1), "{batches}");
    assert_eq!(batches[0]["batch_size"], 3);
}

#[test]
fn others_are_answered_while_large_pictures_are_decoded() {
    const LARGE: usize = 4;
    let server = seen().model("m", "1", &models::identity(Datatype::Fp32)).args(["--threads", "1"]).start();
    let large = pictures::noise(2500);
    let (begun, done, answered) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..LARGE {
            scope.spawn(|| {
                let url = format!("{}/v2/models/seen/infer", server.url());
                begun.store(true, Ordering::Relaxed);
                post(&url, &[("content-type", "image/png")], &large);
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        while !begun.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        while done.load(Ordering::Relaxed) < LARGE {
            infer(&server.url(), "m", &[("x", floats(&[1, 2], &[0; 8]))]).response();
            answered.fetch_add(1, Ordering::Relaxed);
        }
    });
    // Were they decoded on the only thread that serves, there would be an answer before and after each of them at most.
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered > 3 * LARGE, "{answered} answers");
}
