//! How pictures are sent over REST: options in the query, base64, and what is said of a picture that came another way.

use base64::{Engine, prelude::BASE64_STANDARD};
use image::ImageFormat;
use oip::Datatype;
use serde_json::{Value, json};

use crate::support::{Answer, Server, ServerBuilder, models, pictures, post};

const DIGIT: [&str; 4] = ["N", "28", "28", "1"];

fn server() -> Server {
    let model = models::identity_of(Datatype::Fp32, &DIGIT, &DIGIT);
    ServerBuilder::new().model("seen", "1", &model).file("seen/config.toml", pictures::MNIST).start()
}

fn v2(server: &Server, query: &str, body: &Value) -> Answer {
    let url = format!("{}/v2/models/seen/infer{query}", server.url());
    post(&url, &[("content-type", "application/json")], body.to_string().as_bytes())
}

fn v1(server: &Server, query: &str, body: &Value) -> Answer {
    let url = format!("{}/v1/models/seen:predict{query}", server.url());
    post(&url, &[("content-type", "application/json")], body.to_string().as_bytes())
}

fn input(element: &Value) -> Value {
    json!({ "inputs": [{ "name": "x", "shape": [1], "datatype": "BYTES", "data": [element] }] })
}

#[test]
fn the_query_has_the_options_of_pictures_in_every_form() {
    let server = server();
    let two = pictures::one_and_seven();
    let base64 = json!(BASE64_STANDARD.encode(&two));
    let (body, row) = (input(&base64), json!({ "instances": [{ "b64": base64 }] }));
    // Each error has advice that can be followed.
    for answer in [
        v2(&server, "", &body),
        v1(&server, "", &row),
        post(&format!("{}/v2/models/seen/infer", server.url()), &[("content-type", "image/png")], &two),
    ] {
        assert_eq!(answer.status, 400);
        let error = answer.error();
        assert!(error.contains("2 digits"), "{error}");
        assert!(error.contains("\"parameters\": {\"digits\": \"all\"} (V2)"), "{error}");
        assert!(error.contains("?digits=all in the URL (V2 and V1)"), "{error}");
    }
    let names = |answer: Answer| -> Vec<String> {
        answer.response().outputs.iter().map(|(name, _)| name.to_string()).collect()
    };
    assert_eq!(names(v2(&server, "?digits=all", &body)), ["y", "boxes"]);
    assert_eq!(names(v2(&server, "?digits=all&return_input=true", &body)), ["y", "x", "boxes"]);
    let mut with_parameter = body.clone();
    with_parameter["parameters"] = json!({ "digits": "all" });
    assert_eq!(names(v2(&server, "?return_input=true", &with_parameter)), ["y", "x", "boxes"]);
    let predictions = v1(&server, "?digits=all", &row).json()["predictions"].clone();
    assert_eq!(predictions.as_array().map(Vec::len), Some(2), "{predictions}");
    // JSON with binary tensors.
    let request = oip::InferRequest {
        inputs: vec![oip::InputTensor {
            name: "x".into(),
            parameters: oip::Parameters::default(),
            tensor: pictures::elements(&[&two]),
        }],
        ..oip::InferRequest::default()
    };
    let encoded = oip::encode_request(&request, &[true]).unwrap();
    let length = encoded.json_length.unwrap().to_string();
    let url = format!("{}/v2/models/seen/infer?digits=all", server.url());
    let answer = post(&url, &[(oip::JSON_LENGTH_HEADER, &length)], &encoded.body());
    assert_eq!(names(answer), ["y", "boxes"]);

    for (query, named) in [
        ("?foo=1", "'foo=1' in the query"),
        ("?digits=two", "'digits=two' in the query"),
        ("?digits=all&digits=all", "'digits' in the query is given twice"),
    ] {
        for answer in [v2(&server, query, &body), v1(&server, query, &row)] {
            assert_eq!(answer.status, 400, "{query}");
            assert!(answer.error().contains(named), "{query}: {}", answer.error());
        }
    }
    let both = v2(&server, "?digits=all", &with_parameter);
    assert!(both.error().contains("'digits' in the query is given twice"), "{}", both.error());
    // The query of a request with numbers says nothing to the server, as before.
    let numbers = json!({ "inputs": [{ "name": "x", "shape": [1, 28, 28, 1], "datatype": "FP32", "data": vec![0; 784] }] });
    assert_eq!(names(v2(&server, "?foo=1", &numbers)), ["y"]);
}

#[test]
fn base64_means_the_same_wherever_it_stands() {
    let server = server();
    let seven = pictures::seven(ImageFormat::Png);
    let expected = pictures::seen(&seven);
    let standard = BASE64_STANDARD.encode(&seven);
    let lines: Vec<&str> = standard.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
    for text in [
        standard.clone(),
        standard.trim_end_matches('=').to_owned(),
        standard.replace('+', "-").replace('/', "_"),
        lines.join("\n"),
        format!("DATA:image/png;base64,{standard}"),
    ] {
        let shown = &text[..40];
        let mut declared = input(&json!(text));
        declared["inputs"][0]["parameters"] = json!({ "content_type": "base64" });
        for body in [input(&json!(text)), input(&json!({ "b64": text })), declared] {
            assert_eq!(v2(&server, "", &body).response().outputs[0].1.data, expected, "{shown}");
        }
        for element in [json!(text), json!({ "b64": text })] {
            let answer = v1(&server, "", &json!({ "instances": [element] }));
            assert_eq!(answer.status, 200, "{shown}");
        }
    }
}

#[test]
fn a_picture_that_came_another_way_is_told_the_right_one() {
    let server = server();
    let png = pictures::seven(ImageFormat::Png);
    let (infer, predict) = ("v2/models/seen/infer", "v1/models/seen:predict");
    let mut form = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"seven.png\"\r\n\
        Content-Type: image/png\r\n\r\n"
        .to_vec();
    form.extend(&png);
    form.extend(b"\r\n--x--\r\n");
    let image = ("content-type", "image/png");
    let multipart = ("content-type", "multipart/form-data; boundary=x");
    for (path, headers, body, words) in [
        (
            infer,
            &[image, (oip::JSON_LENGTH_HEADER, "0")][..],
            &png,
            &["PNG", "Content-Type: image/png and without Inference-Header-Content-Length"][..],
        ),
        (
            infer,
            &[image, (oip::JSON_LENGTH_HEADER, "20")],
            &png,
            &["without Inference-Header-Content-Length"],
        ),
        (infer, &[], &png, &["PNG", "send it with Content-Type: image/png, so"]),
        (infer, &[multipart], &form, &["multipart/form-data", "--data-binary", "image/png"]),
        (predict, &[multipart], &form, &["multipart/form-data", "--data-binary"]),
        (predict, &[image], &png, &["PNG", "{\"instances\": [{\"b64\": \"…\"}]}", "/v2/models/…/infer"]),
    ] {
        let answer = post(&format!("{}/{path}", server.url()), headers, body);
        let error = answer.error();
        assert_eq!(answer.status, 400, "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{path} {headers:?}: {error}");
    }
    let base64 = BASE64_STANDARD.encode(&png);
    for (answer, named) in [
        (v1(&server, "", &json!({ "inputs": { "b64": base64 } })), "a list of {\"b64\": …}"),
        (v1(&server, "", &json!({ "inputs": { "x": { "b64": base64 } } })), "a list of {\"b64\": …}"),
        (v1(&server, "", &json!({ "instances": [{ "b64": base64, "x": 1 }] })), "'x' beside \"b64\""),
        (v2(&server, "", &input(&json!({ "b64": base64, "x": 1 }))), "'x' beside \"b64\""),
        (v2(&server, "", &input(&json!("http://x/y.png"))), "an address is not fetched"),
        (v1(&server, "", &json!({ "instances": ["https://x/y.png"] })), "an address is not fetched"),
        (v2(&server, "", &input(&json!("data:image/svg+xml,<svg/>"))), "the data URL is not one of base64"),
    ] {
        assert_eq!(answer.status, 400, "{named}");
        assert!(answer.error().contains(named), "{named}: {}", answer.error());
    }
}

#[test]
fn the_shipped_picture_is_read() {
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let server = ServerBuilder::new().args(["--model-repository", models.to_str().unwrap()]).spawn();
    server.wait_until_ready();
    let picture = std::fs::read(models.join("digits/seven.png")).unwrap();
    let url = format!("{}/v2/models/digits/infer", server.url());
    for query in ["", "?digits=all"] {
        let answer = post(&format!("{url}{query}"), &[("content-type", "image/png")], &picture).json();
        let data = answer["outputs"][0]["data"].as_array().unwrap().clone();
        assert_eq!(data.len(), 10, "{answer}");
        assert!(data[7].as_f64().unwrap() > 0.9, "{answer}");
    }
}
