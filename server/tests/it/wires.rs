//! One table of requests over every wire: equal tensors, and the same faults.

use oip::{
    Datatype, InferRequest, InferResponse, InputTensor, Parameter, Parameters, RequestedOutput, Shape,
    Tensor,
    grpc::{self, TensorForm},
};
use tonic::Code;

use crate::support::{Answer, Grpc, ServerBuilder, models, post};

/// What a request comes to.
#[derive(Clone, Debug)]
enum Expected {
    /// These outputs.
    Outputs(Vec<(&'static str, Tensor)>),
    /// This fault.
    Fault(u16, Code, &'static str),
}

/// A wire, and how to send a request over it.
#[derive(Clone, Copy, Debug)]
enum Wire {
    Json,
    Binary,
    Grpc(TensorForm),
}

const WIRES: [Wire; 4] =
    [Wire::Json, Wire::Binary, Wire::Grpc(TensorForm::Raw), Wire::Grpc(TensorForm::Typed)];

fn floats(shape: &[usize], values: &[f32]) -> Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor::new(Datatype::Fp32, Shape::from(shape), data.into()).unwrap()
}

fn request(inputs: &[(&str, Tensor)]) -> InferRequest {
    let input = |(name, tensor): &(&str, Tensor)| InputTensor {
        name: (*name).into(),
        parameters: Parameters::default(),
        tensor: tensor.clone(),
    };
    InferRequest { inputs: inputs.iter().map(input).collect(), ..InferRequest::default() }
}

fn asking(mut request: InferRequest, outputs: &[&str]) -> InferRequest {
    let output = |name: &&str| RequestedOutput { name: (*name).into(), parameters: Parameters::default() };
    request.outputs = outputs.iter().map(output).collect();
    request
}

fn cases() -> Vec<(&'static str, InferRequest, Expected)> {
    let ones = || floats(&[1, 2], &[1.0, -2.5]);
    let pair = || request(&[("left", floats(&[2], &[1.0, 2.0])), ("right", floats(&[2], &[0.5, 3.0]))]);
    let wide = || floats(&[3, 60_000], &(0..180_000).map(|index| index as f32 / 8.0).collect::<Vec<_>>());
    let invalid = |text| Expected::Fault(400, Code::InvalidArgument, text);
    vec![
        ("m", request(&[("x", ones())]), Expected::Outputs(vec![("y", ones())])),
        (
            "m",
            request(&[("x", floats(&[3, 2], &[0.1; 6]))]),
            Expected::Outputs(vec![("y", floats(&[3, 2], &[0.1; 6]))]),
        ),
        ("wide", request(&[("x", wide())]), Expected::Outputs(vec![("y", wide())])),
        (
            "pair",
            pair(),
            Expected::Outputs(vec![
                ("sum", floats(&[2], &[1.5, 5.0])),
                ("difference", floats(&[2], &[0.5, -1.0])),
            ]),
        ),
        (
            "pair",
            asking(pair(), &["difference"]),
            Expected::Outputs(vec![("difference", floats(&[2], &[0.5, -1.0]))]),
        ),
        (
            "sum",
            request(&[("x", floats(&[2, 2], &[1.0, 2.0, 3.0, 4.0]))]),
            Expected::Outputs(vec![("total", floats(&[2], &[4.0, 6.0]))]),
        ),
        ("none", request(&[("x", ones())]), Expected::Fault(404, Code::NotFound, "unknown model 'none'")),
        ("m", request(&[]), invalid("input 'x'")),
        ("m", request(&[("z", ones())]), invalid("unknown input 'z'")),
        ("m", request(&[("x", ones()), ("x", ones())]), invalid("'x' is given twice")),
        ("m", request(&[("x", floats(&[1, 3], &[0.0; 3]))]), invalid("shape [1,3]")),
        ("m", request(&[("x", floats(&[2], &[0.0; 2]))]), invalid("batch dimension")),
        ("m", request(&[("x", floats(&[0, 2], &[]))]), invalid("no rows")),
        (
            "m",
            request(&[(
                "x",
                Tensor::new(Datatype::Int32, Shape::from(&[1, 2][..]), vec![0; 8].into()).unwrap(),
            )]),
            invalid("datatype INT32"),
        ),
        ("m", asking(request(&[("x", ones())]), &["q"]), invalid("unknown output 'q'")),
        ("m", asking(request(&[("x", ones())]), &["y", "y"]), invalid("requested twice")),
        ("pair", request(&[("left", floats(&[1], &[1.0]))]), invalid("'right'")),
        (
            "pair",
            request(&[("left", floats(&[1], &[1.0])), ("right", floats(&[2], &[1.0, 2.0]))]),
            invalid("'right' has 2 for 'N'"),
        ),
        (
            "table",
            request(&[(
                "index",
                Tensor::new(Datatype::Int64, Shape::from(&[1][..]), vec![9, 0, 0, 0, 0, 0, 0, 0].into())
                    .unwrap(),
            )]),
            Expected::Fault(400, Code::InvalidArgument, "the model cannot compute this request: Gather node"),
        ),
    ]
}

/// Sends a request over HTTP.
fn send(url: &str, model: &str, request: &InferRequest, binary: bool) -> Answer {
    let mut request = request.clone();
    if binary {
        let binary = |name: &'static str| (name.into(), Parameter::Bool(true));
        request.parameters.0.push(binary("binary_data_output"));
        request.outputs.iter_mut().for_each(|output| output.parameters.0.push(binary("binary_data")));
    }
    let encoded = oip::encode_request(&request, &vec![binary; request.inputs.len()]).unwrap();
    let length = encoded.json_length.map(|length| length.to_string());
    let header = length.iter().map(|length| ("inference-header-content-length", length.as_str()));
    post(&format!("{url}/v2/models/{model}/infer"), &header.collect::<Vec<_>>(), &encoded.body())
}

#[test]
fn a_request_comes_to_the_same_over_every_wire() {
    let server = ServerBuilder::new()
        .model("m", "1", &models::identity(Datatype::Fp32))
        .model("wide", "1", &models::identity_of(Datatype::Fp32, &["N", "60000"], &["N", "60000"]))
        .model("pair", "1", &models::two_inputs())
        .model("sum", "1", &models::sum_of_rows())
        .model("table", "1", &models::table())
        .start();
    let grpc = Grpc::connect(&server.url());
    for (model, request, expected) in cases() {
        for wire in WIRES {
            let outcome: Result<InferResponse, (u16, Code, String)> = match wire {
                Wire::Json | Wire::Binary => {
                    let answer = send(&server.url(), model, &request, matches!(wire, Wire::Binary));
                    if answer.status == 200 {
                        Ok(answer.response())
                    } else {
                        Err((answer.status, Code::Ok, answer.error()))
                    }
                }
                Wire::Grpc(form) => {
                    let message = grpc::encode_request(&request, model, "", form);
                    let answer = grpc.wait(async { grpc.client.clone().model_infer(message).await });
                    answer
                        .map(|answer| grpc::decode_response(answer.into_inner()).unwrap())
                        .map_err(|status| (0, status.code(), status.message().to_owned()))
                }
            };
            match (&expected, outcome) {
                (Expected::Outputs(outputs), Ok(response)) => {
                    let expected: Vec<_> =
                        outputs.iter().map(|(name, tensor)| ((*name).into(), tensor.clone())).collect();
                    assert_eq!(response.outputs, expected, "{model} over {wire:?}");
                }
                (Expected::Fault(status, code, text), Err((found_status, found_code, found))) => {
                    assert!(
                        found_status == *status || found_code == *code,
                        "{wire:?}: {found_status} {found_code}: {found}"
                    );
                    assert!(found.contains(text), "{model} over {wire:?}: {found}");
                }
                (expected, outcome) => panic!("{model} over {wire:?}: {outcome:?} instead of {expected:?}"),
            }
        }
    }
}
