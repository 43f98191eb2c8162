//! Any tensor of any datatype survives each wire format, floats bit by bit.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use bytes::Bytes;
use compact_str::CompactString;
use oip::{
    Datatype, InferRequest, InferResponse, InputTensor, Nulls, Parameter, Parameters, RequestedOutput, Shape,
    Tensor, binary, decode_response, encode_request, encode_response,
    grpc::{
        self, TensorForm,
        messages::{ModelInferRequest, ModelInferResponse},
    },
    push_bytes_element,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use prost::Message;

/// Any tensor; floats are finite, as JSON has no others, and BYTES is text.
fn tensors() -> impl Strategy<Value = Tensor> {
    (select(&Datatype::ALL[..]), vec(0..4_usize, 0..4)).prop_flat_map(|(datatype, dims)| {
        let shape = Shape::from(&dims[..]);
        let count = shape.elements().unwrap();
        vec((any::<u64>(), any::<String>()), count).prop_map(move |values| {
            let mut data = Vec::new();
            for (bits, text) in values {
                push_element(datatype, bits, &text, &mut data);
            }
            Tensor::new(datatype, shape.clone(), data.into()).unwrap()
        })
    })
}

fn push_element(datatype: Datatype, bits: u64, text: &str, data: &mut Vec<u8>) {
    let bytes = bits.to_le_bytes();
    match datatype {
        Datatype::Bytes => push_bytes_element(data, text.as_bytes()),
        Datatype::Bool => data.push(u8::from(bits % 2 == 1)),
        // Without the lowest bit of the exponent no float is NaN or infinite.
        Datatype::Fp16 => data.extend((bits as u16 & !(1 << 10)).to_le_bytes()),
        Datatype::Bf16 => data.extend((bits as u16 & !(1 << 7)).to_le_bytes()),
        Datatype::Fp32 => data.extend((bits as u32 & !(1 << 23)).to_le_bytes()),
        Datatype::Fp64 => data.extend((bits & !(1 << 52)).to_le_bytes()),
        integer => data.extend(&bytes[..integer.size().unwrap()]),
    }
}

fn parameters() -> impl Strategy<Value = Parameters> {
    let value = prop_oneof![
        any::<bool>().prop_map(Parameter::Bool),
        any::<i64>().prop_map(Parameter::Int64),
        (i64::MAX.cast_unsigned() + 1..).prop_map(Parameter::Uint64),
        any::<f64>().prop_filter("JSON has no others", |value| value.is_finite()).prop_map(Parameter::Double),
        any::<String>().prop_map(|text| Parameter::String(text.into())),
    ];
    vec(("[a-z\"\\\\\u{e9}\n]{1,30}".prop_map(Into::into), value), 0..3).prop_map(Parameters)
}

fn requests() -> impl Strategy<Value = InferRequest> {
    let input = (any::<String>(), parameters(), tensors())
        .prop_map(|(name, parameters, tensor)| InputTensor { name: name.into(), parameters, tensor });
    let output = (any::<String>(), parameters())
        .prop_map(|(name, parameters)| RequestedOutput { name: name.into(), parameters });
    (option::of(any::<String>()), parameters(), vec(input, 0..4), vec(output, 0..3)).prop_map(
        |(id, parameters, inputs, outputs)| InferRequest {
            id: id.map(Into::into),
            parameters,
            inputs,
            outputs,
        },
    )
}

fn responses() -> impl Strategy<Value = InferResponse> {
    let output = (any::<String>().prop_map(Into::into), tensors());
    (any::<String>(), any::<String>(), option::of(any::<String>()), vec(output, 0..4)).prop_map(
        |(model_name, model_version, id, outputs)| InferResponse {
            model_name: model_name.into(),
            model_version: model_version.into(),
            id: id.map(Into::into),
            outputs,
        },
    )
}

proptest! {
    #[test]
    fn requests_survive(request in requests(), flags: [bool; 4]) {
        let encoded = encode_request(&request, &flags).unwrap();
        let json_length = encoded.json_length.unwrap_or(encoded.body().len());
        let json: serde_json::Value = serde_json::from_slice(&encoded.body()[..json_length]).unwrap();
        prop_assert!(json.is_object());
        prop_assert_eq!(binary::decode_request(&encoded.body(), json_length, Nulls::Refuse).unwrap(), request);
    }

    #[test]
    fn responses_survive(response in responses(), flags: [bool; 4]) {
        let encoded = encode_response(&response, &flags).unwrap();
        let appended: usize =
            response.outputs.iter().zip(flags).map(|((_, tensor), flag)| if flag { tensor.data.len() } else { 0 }).sum();
        prop_assert_eq!(encoded.json_length.is_some(), appended > 0);
        prop_assert_eq!(decode_response(&encoded.body(), encoded.json_length).unwrap(), response);
    }

    #[test]
    fn large_tensors_go_out_as_they_are(sizes in vec((select(&[0, 1, 7, 65_535, 65_536, 100_000][..]), any::<bool>()), 0..5)) {
        let tensor = |size: usize| {
            let data: Vec<u8> = (0..size).map(|index| index as u8).collect();
            Tensor::new(Datatype::Uint8, Shape::from(&[size][..]), data.into()).unwrap()
        };
        let response = InferResponse {
            outputs: sizes.iter().map(|&(size, _)| ("y".into(), tensor(size))).collect(),
            ..response_of(tensor(0))
        };
        let binary: Vec<bool> = sizes.iter().map(|&(_, binary)| binary).collect();
        let encoded = encode_response(&response, &binary).unwrap();
        prop_assert_eq!(&decode_response(&encoded.body(), encoded.json_length).unwrap(), &response);
        let large: Vec<_> = response.outputs.iter().zip(&binary)
            .filter(|((_, tensor), binary)| **binary && tensor.data.len() >= 65_536)
            .map(|((_, tensor), _)| tensor.data.as_ptr())
            .collect();
        let kept = encoded.pieces.iter().map(|piece| piece.as_ptr()).filter(|piece| large.contains(piece)).count();
        prop_assert_eq!(kept, large.len());
        prop_assert!(encoded.pieces.iter().all(|piece| !piece.is_empty()) && encoded.pieces.len() <= 2 * large.len() + 1);
    }

    #[test]
    fn requests_survive_grpc(request in requests(), typed: bool) {
        let form = if typed { TensorForm::Typed } else { TensorForm::Raw };
        let wire = grpc::encode_request(&request, "m", "1", form).encode_to_vec();
        let message = ModelInferRequest::decode(Bytes::from(wire)).unwrap();
        prop_assert_eq!((&message.model_name[..], &message.model_version[..]), ("m", "1"));
        let (decoded, _) = grpc::decode_request(message).unwrap();
        prop_assert_eq!(without_order(decoded), without_order(request));
    }

    #[test]
    fn responses_survive_grpc(mut response in responses(), typed: bool) {
        let form = if typed { TensorForm::Typed } else { TensorForm::Raw };
        let wire = grpc::encode_response(response.clone(), form).encode_to_vec();
        let message = ModelInferResponse::decode(Bytes::from(wire)).unwrap();
        prop_assert!(message.raw_output_contents.is_empty() || message.raw_output_contents.len() == response.outputs.len());
        response.id = response.id.filter(|id| !id.is_empty());
        prop_assert_eq!(grpc::decode_response(message).unwrap(), response);
    }

    #[test]
    fn bits_survive_binary(bits in vec(any::<u32>(), 1..20)) {
        let data: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let tensor = Tensor::new(Datatype::Fp32, Shape::from(&[bits.len()][..]), data.into()).unwrap();
        let response = response_of(tensor);
        let encoded = encode_response(&response, &[true]).unwrap();
        let decoded = decode_response(&encoded.body(), encoded.json_length).unwrap();
        prop_assert_eq!(&decoded.outputs[0].1.data, &response.outputs[0].1.data);
        for form in [TensorForm::Raw, TensorForm::Typed] {
            let decoded = grpc::decode_response(grpc::encode_response(response.clone(), form)).unwrap();
            prop_assert_eq!(&decoded.outputs[0].1.data, &response.outputs[0].1.data);
        }
    }

    #[test]
    fn rows_are_what_was_joined(tensor in tensors(), cut in 0..4_usize) {
        let Some(rows) = tensor.rows() else {
            prop_assert_eq!(tensor.slice_rows(0, 1), None);
            return Ok(());
        };
        let cut = cut.min(rows);
        let (first, second) = (tensor.slice_rows(0, cut).unwrap(), tensor.slice_rows(cut, rows - cut).unwrap());
        prop_assert!(first.check().is_ok() && second.check().is_ok());
        prop_assert_eq!(tensor.data.to_vec(), [first.data, second.data].concat());
        prop_assert_eq!(tensor.slice_rows(cut, rows - cut + 1), None);
    }
}

/// The request as a gRPC message returns it: parameters in a map, without their order, and no empty id.
fn without_order(mut request: InferRequest) -> InferRequest {
    let sort = |parameters: &mut Parameters| {
        let mut unique: Vec<_> = parameters.0.iter().map(|(name, _)| name.clone()).collect();
        unique.sort();
        unique.dedup();
        let last = |name| (CompactString::clone(&name), parameters.get(&name).unwrap().clone());
        *parameters = Parameters(unique.into_iter().map(last).collect());
    };
    sort(&mut request.parameters);
    request.inputs.iter_mut().for_each(|input| sort(&mut input.parameters));
    request.outputs.iter_mut().for_each(|output| sort(&mut output.parameters));
    request.id = request.id.filter(|id| !id.is_empty());
    request
}

fn response_of(tensor: Tensor) -> InferResponse {
    InferResponse {
        model_name: "m".into(),
        model_version: "1".into(),
        id: None,
        outputs: vec![("y".into(), tensor)],
    }
}

#[test]
fn what_json_has_no_number_for_is_null() {
    let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 6.8];
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let response = response_of(Tensor::new(Datatype::Fp32, Shape::from(&[5][..]), data.into()).unwrap());
    let encoded = encode_response(&response, &[]).unwrap();
    assert_eq!(
        str::from_utf8(&encoded.body()).unwrap(),
        r#"{"model_name":"m","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[5],"data":[null,null,null,-0.0,6.8]}]}"#
    );
    let decoded = decode_response(&encoded.body(), None).unwrap();
    assert!(f32::from_le_bytes(decoded.outputs[0].1.data[..4].try_into().unwrap()).is_nan());
}

#[test]
fn binary_tensors_share_the_body() {
    let body = Bytes::from_static(
        br#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]}abcd"#,
    );
    let request = binary::decode_request(&body, body.len() - 4, Nulls::Refuse).unwrap();
    assert_eq!(request.inputs[0].tensor.data.as_ptr(), body[body.len() - 4..].as_ptr());
}

#[test]
fn bytes_that_are_not_text_need_binary() {
    let mut data = Vec::new();
    push_bytes_element(&mut data, b"text");
    push_bytes_element(&mut data, b"\xff\xfe");
    let response = response_of(Tensor::new(Datatype::Bytes, Shape::from(&[2][..]), data.into()).unwrap());
    assert_eq!(
        encode_response(&response, &[false]).unwrap_err().to_string(),
        "tensor 'y': element 1 is not UTF-8, which JSON cannot carry: ask for it as binary data"
    );
    let encoded = encode_response(&response, &[true]).unwrap();
    assert_eq!(decode_response(&encoded.body(), encoded.json_length).unwrap(), response);
}
