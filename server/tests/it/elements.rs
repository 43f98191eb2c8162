//! Elements that JSON has no way to write, over every wire: NaN and infinity, missing values, bytes that are no text.

use oip::{
    Datatype, InferRequest, InputTensor, Parameters, Shape, Tensor, bytes_elements,
    grpc::{self, TensorForm},
    push_bytes_element,
};
use serde_json::{Value, json};

use crate::support::{Grpc, Server, ServerBuilder, infer, infer_binary, models, post};

const FLOATS: [Datatype; 4] = [Datatype::Fp16, Datatype::Bf16, Datatype::Fp32, Datatype::Fp64];

/// `m` and a datatype that refuses `null`, and `missing` and a datatype that reads it as NaN.
fn server(datatypes: &[Datatype]) -> Server {
    let server = datatypes.iter().fold(ServerBuilder::new(), |server, &datatype| {
        let onnx = models::identity_of(datatype, &["N"], &["N"]);
        let (plain, missing) = (format!("m{datatype}"), format!("missing{datatype}"));
        server
            .model(&plain, "1", &onnx)
            .model(&missing, "1", &onnx)
            .file(&format!("{missing}/config.toml"), "nulls = \"nan\"\n")
    });
    server.start()
}

/// The answer to these elements, in the V2 and in the V1 protocol: the values, or the error.
fn ask(
    server: &Server,
    model: &str,
    datatype: Datatype,
    elements: &str,
    count: usize,
) -> [Result<Value, String>; 2] {
    let v2 = format!(
        r#"{{"inputs":[{{"name":"x","datatype":"{datatype}","shape":[{count}],"data":[{elements}]}}]}}"#
    );
    let v1 = format!(r#"{{"instances":[{elements}]}}"#);
    let v2 = post(&format!("{}/v2/models/{model}/infer", server.url()), &[], v2.as_bytes());
    let v1 = post(&format!("{}/v1/models/{model}:predict", server.url()), &[], v1.as_bytes());
    let [v2, v1] = [(v2, "/outputs/0/data"), (v1, "/predictions")].map(|(answer, place)| {
        if answer.status == 200 {
            return Ok(answer.json().pointer(place).unwrap().clone());
        }
        assert_eq!(answer.status, 400, "{answer:?}");
        Err(answer.error())
    });
    [v2, v1]
}

#[test]
fn words_for_what_is_no_number_reach_models_of_floats() {
    let server = server(&[&FLOATS[..], &[Datatype::Int32]].concat());
    for datatype in FLOATS {
        let model = format!("m{datatype}");
        for answer in ask(&server, &model, datatype, "NaN, 1.5, Infinity,-Infinity", 4) {
            assert_eq!(answer, Ok(json!([null, 1.5, null, null])), "{datatype}");
        }
    }
    for answer in ask(&server, "mINT32", Datatype::Int32, "1, NaN", 2) {
        let error = answer.unwrap_err();
        assert!(error.contains("NaN is not an integer, but the datatype is INT32"), "{error}");
    }
    // They are what they say, and not only no numbers.
    let body = r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[3],"data":[NaN,Infinity,-Infinity]}],
        "parameters":{"binary_data_output":true}}"#;
    let response = post(&format!("{}/v2/models/mFP32/infer", server.url()), &[], body.as_bytes()).response();
    let [nan, infinity, negative] = response.outputs[0].1.data.as_chunks::<4>().0 else { panic!("three") };
    assert!(f32::from_le_bytes(*nan).is_nan());
    assert_eq!(f32::from_le_bytes(*infinity).to_bits(), f32::INFINITY.to_bits());
    assert_eq!(f32::from_le_bytes(*negative).to_bits(), f32::NEG_INFINITY.to_bits());
}

#[test]
fn null_is_nan_where_the_model_s_file_says_so() {
    let server = server(&[&FLOATS[..], &[Datatype::Int32]].concat());
    for datatype in FLOATS {
        for answer in ask(&server, &format!("missing{datatype}"), datatype, "null, 2", 2) {
            assert_eq!(answer, Ok(json!([null, 2.0])), "{datatype}");
        }
        for answer in ask(&server, &format!("m{datatype}"), datatype, "1, null", 2) {
            let error = answer.unwrap_err();
            let ways = "null is no number: send NaN, or set nulls = \"nan\" in the model's config.toml";
            assert!(error.contains(ways), "{error}");
        }
    }
    for model in ["mINT32", "missingINT32"] {
        for answer in ask(&server, model, Datatype::Int32, "1, null", 2) {
            let error = answer.unwrap_err();
            assert!(error.contains("null is no element of INT32"), "{error}");
        }
    }
}

#[test]
fn base64_as_mlserver_s_clients_send_it_is_decoded() {
    let server = server(&[Datatype::Bytes]);
    let body = |elements: &str, content_type: &str| {
        format!(
            r#"{{"inputs":[{{"name":"x","datatype":"BYTES","shape":[2],"data":[{elements}],"parameters":{{"content_type":"{content_type}"}}}}],"parameters":{{"binary_data_output":true}}}}"#
        )
    };
    let ask = |body: String| post(&format!("{}/v2/models/mBYTES/infer", server.url()), &[], body.as_bytes());
    let elements = |answer: &crate::support::Answer| -> Vec<Vec<u8>> {
        let response = answer.response();
        bytes_elements(&response.outputs[0].1.data).map(<[u8]>::to_vec).collect()
    };
    assert_eq!(elements(&ask(body(r#""YQ==","/9j/""#, "base64"))), [&b"a"[..], b"\xff\xd8\xff"]);
    assert_eq!(elements(&ask(body(r#""YQ==","/9j/""#, "str"))), [&b"YQ=="[..], b"/9j/"]);
    let refused = ask(body(r#""YQ==","/9j=a""#, "base64"));
    assert_eq!(refused.status, 400);
    assert!(refused.error().contains("input 'x': element 1"), "{}", refused.error());
}

fn blobs(elements: &[&[u8]]) -> Tensor {
    let mut data = Vec::new();
    for element in elements {
        push_bytes_element(&mut data, element);
    }
    Tensor::new(Datatype::Bytes, Shape::from(&[elements.len()][..]), data.into()).unwrap()
}

#[test]
fn strings_are_bytes_on_their_way_through_a_model() {
    let server = server(&[Datatype::Bytes]);
    let every_byte: Vec<u8> = (1..=255).collect();
    let tensor = blobs(&[b"\xff\xd8\xff\xe0", b"", b"text", &every_byte, "größer".as_bytes(), b"\xc3"]);
    let binary = infer_binary(&server.url(), "mBYTES", &[("x", tensor.clone())]).response();
    assert_eq!(binary.outputs, [("y".into(), tensor.clone())]);

    let connection = Grpc::connect(&server.url());
    for form in [TensorForm::Raw, TensorForm::Typed] {
        let input =
            InputTensor { name: "x".into(), parameters: Parameters::default(), tensor: tensor.clone() };
        let request = InferRequest { inputs: vec![input], ..InferRequest::default() };
        let message = grpc::encode_request(&request, "mBYTES", "", form);
        let answer = connection.wait(async { connection.client.clone().model_infer(message).await });
        let response = grpc::decode_response(answer.unwrap().into_inner()).unwrap();
        assert_eq!(response.outputs, [("y".into(), tensor.clone())], "{form:?}");
    }

    // JSON cannot carry them; V1 has a way to write them.
    let v1 = r#"{"instances":[{"b64":"/9j/"},"a"]}"#;
    let answer = post(&format!("{}/v1/models/mBYTES:predict", server.url()), &[], v1.as_bytes());
    assert_eq!(answer.json(), json!({ "predictions": [{ "b64": "/9j/" }, "a"] }));
    let body = r#"{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":["/9j/"],
        "parameters":{"content_type":"base64"}}]}"#;
    let answer = post(&format!("{}/v2/models/mBYTES/infer", server.url()), &[], body.as_bytes());
    assert_eq!(answer.status, 400);
    assert!(answer.error().contains("ask for it as binary data"), "{}", answer.error());
}

#[test]
fn a_nul_in_a_string_is_refused_on_every_wire() {
    let server = server(&[Datatype::Bytes]);
    let tensor = blobs(&[b"fine", b"a\0b"]);
    for send in [infer, infer_binary] {
        let answer = send(&server.url(), "mBYTES", &[("x", tensor.clone())]);
        assert_eq!(answer.status, 400);
        let error = answer.error();
        assert!(error.contains("input 'x': element 1 has a NUL"), "{error}");
    }
}

#[test]
fn errors_are_one_line_whatever_names_a_client_sends() {
    let server = server(&[Datatype::Fp32]);
    let breaks = |text: &str| text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
    let name = r"a\r\nb\u0000\u001b[2J\u2028";
    let url = server.url();
    let with = |path: &str, body: String| post(&format!("{url}{path}"), &[], body.as_bytes());
    let fine = r#"{"name":"x","datatype":"FP32","shape":[1],"data":[1]}"#;
    let infer = "/v2/models/mFP32/infer";
    for (answer, status) in [
        (
            with(
                infer,
                format!(r#"{{"inputs":[{{"name":"{name}","datatype":"FP32","shape":[1],"data":[1]}}]}}"#),
            ),
            400,
        ),
        (with(infer, format!(r#"{{"inputs":[{{"name":"{name}","datatype":"{name}"}}]}}"#)), 400),
        (with(infer, format!(r#"{{"inputs":[{fine}],"outputs":[{{"name":"{name}"}}]}}"#)), 400),
        (with(infer, format!(r#"{{"inputs":[{fine}],"parameters":{{"priority":"{name}"}}}}"#)), 400),
        (with("/v2/models/a%0D%0Ab%1B/infer", "{}".into()), 404),
        (with("/v2/models/mFP32/versions/a%0Ab/infer", "{}".into()), 404),
        (with("/v2/repository/models/a%0Ab/load", String::new()), 404),
        (with("/v2/repository/models/mFP32/load", format!(r#"{{"parameters":{{"file:{name}":"x"}}}}"#)), 400),
        (with("/v1/models/mFP32:predict", format!(r#"{{"instances":[{{"{name}":1}}]}}"#)), 400),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(!breaks(&answer.error()), "{:?}", answer.error());
    }
    let connection = Grpc::connect(&url);
    let request = InferRequest::default();
    let message = grpc::encode_request(&request, "a\r\nb", "\n", TensorForm::Raw);
    let answer = connection.wait(async { connection.client.clone().model_infer(message).await });
    let error = answer.unwrap_err();
    assert!(error.message().contains(r"a\r\nb") && !breaks(error.message()), "{error:?}");
}
