//! The V1 protocol: values nested as the model's shape are read and written without loss, and every other body gets a
//! precise error.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use bytes::Bytes;
use oip::{
    Datatype, InferResponse, Nulls, Shape, Tensor, push_bytes_element,
    v1::{Form, Input, decode_request, encode_response},
};
use proptest::{collection::vec, prelude::*, sample::select};

/// Any tensor with an axis; floats are finite, as JSON has no others.
fn tensors() -> impl Strategy<Value = Tensor> {
    (select(&Datatype::ALL[..]), vec(1..4_usize, 1..5)).prop_flat_map(|(datatype, dims)| {
        let shape = Shape::from(&dims[..]);
        let count = shape.elements().unwrap();
        vec((any::<u64>(), vec(any::<u8>(), 0..9)), count).prop_map(move |values| {
            let mut data = Vec::new();
            for (bits, blob) in values {
                push_element(datatype, bits, &blob, &mut data);
            }
            Tensor::new(datatype, shape.clone(), data.into()).unwrap()
        })
    })
}

fn push_element(datatype: Datatype, bits: u64, blob: &[u8], data: &mut Vec<u8>) {
    match datatype {
        Datatype::Bytes => push_bytes_element(data, blob),
        Datatype::Bool => data.push(u8::from(bits % 2 == 1)),
        // Without the lowest bit of the exponent no float is NaN or infinite.
        Datatype::Fp16 => data.extend((bits as u16 & !(1 << 10)).to_le_bytes()),
        Datatype::Bf16 => data.extend((bits as u16 & !(1 << 7)).to_le_bytes()),
        Datatype::Fp32 => data.extend((bits as u32 & !(1 << 23)).to_le_bytes()),
        Datatype::Fp64 => data.extend((bits & !(1 << 52)).to_le_bytes()),
        integer => data.extend(&bits.to_le_bytes()[..integer.size().unwrap()]),
    }
}

/// The declaration of an input that takes `tensor`. The sizes of the axes in `open` vary.
fn input<'a>(name: &'a str, tensor: &Tensor, open: u8) -> Input<'a> {
    let dim = |(axis, &size): (usize, &usize)| if open >> axis & 1 == 1 { -1 } else { size as i64 };
    Input {
        name,
        datatype: tensor.datatype,
        dims: tensor.shape.0.iter().enumerate().map(dim).collect(),
        pictures: false,
    }
}

fn response(outputs: Vec<(&str, Tensor)>) -> InferResponse {
    InferResponse {
        model_name: "m".into(),
        model_version: "1".into(),
        id: None,
        outputs: outputs.into_iter().map(|(name, tensor)| (name.into(), tensor)).collect(),
    }
}

/// The response, rewritten as a request with the same values.
fn as_request(answer: &Bytes) -> Vec<u8> {
    let text = str::from_utf8(answer).unwrap();
    serde_json::from_str::<serde_json::Value>(text).unwrap();
    text.replacen("{\"predictions\":", "{\"instances\":", 1)
        .replacen("{\"outputs\":", "{\"inputs\":", 1)
        .into_bytes()
}

proptest! {
    #[test]
    fn a_tensor_survives_both_forms(tensor in tensors(), open: u8) {
        let inputs = [input("x", &tensor, open)];
        let rows = tensor.rows().unwrap();
        for form in [Form::Rows(rows), Form::Columns] {
            let answer = encode_response(&response(vec![("x", tensor.clone())]), form).unwrap();
            let request = decode_request(&as_request(&answer), &inputs, Nulls::Refuse).unwrap();
            prop_assert_eq!(request.form, form);
            prop_assert_eq!(&request.infer.inputs[0].tensor, &tensor);
        }
    }

    #[test]
    fn several_tensors_survive_both_forms(first in tensors(), second in tensors(), open: u8) {
        let rows = first.rows().unwrap().min(second.rows().unwrap());
        let tensors = [first.slice_rows(0, rows).unwrap(), second.slice_rows(0, rows).unwrap()];
        let inputs = [input("a", &tensors[0], open), input("b\"", &tensors[1], open)];
        for form in [Form::Rows(rows), Form::Columns] {
            let outputs = vec![("b\"", tensors[1].clone()), ("a", tensors[0].clone())];
            let answer = encode_response(&response(outputs), form).unwrap();
            let request = decode_request(&as_request(&answer), &inputs, Nulls::Refuse).unwrap();
            prop_assert_eq!(request.form, form);
            let read: Vec<_> = request.infer.inputs.into_iter().map(|input| input.tensor).collect();
            prop_assert_eq!(&read, &tensors, "in the model's order");
        }
    }

    #[test]
    fn no_document_brings_the_reader_down(text in "[\\[\\]{}\",:0-9a-z .-]{0,60}") {
        let float = Input { name: "x", datatype: Datatype::Fp32, dims: vec![-1, 2], pictures: false };
        for document in [text.clone(), format!("{{\"instances\":{text}}}"), format!("{{\"inputs\":{text}}}")] {
            if decode_request(document.as_bytes(), std::slice::from_ref(&float), Nulls::Refuse).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok());
            }
        }
    }
}

fn floats(values: &[f32], dims: &[usize]) -> Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor::new(Datatype::Fp32, dims.into(), data.into()).unwrap()
}

#[test]
fn instances_are_rows_and_inputs_are_tensors() {
    let x = [Input { name: "x", datatype: Datatype::Fp32, dims: vec![-1, 2], pictures: false }];
    for body in [
        r#"{"instances": [[1, 2.5], [0, -3e0]]}"#,
        r#"{"signature_name": "serving_default", "instances": [{"x": [1, 2.5]}, {"x": [0.0, -3]}]}"#,
        r#"{"inputs": [[1,2.5],[0,-3]]}"#,
        r#"{"inputs": {"x": [[1,2.5],[0,-3]]}, "other": {"deep": [[{}]]}}"#,
    ] {
        let request = decode_request(body.as_bytes(), &x, Nulls::Refuse).unwrap();
        assert_eq!(request.infer.inputs[0].tensor, floats(&[1.0, 2.5, 0.0, -3.0], &[2, 2]), "{body}");
    }
    let scalars = [Input { name: "x", datatype: Datatype::Int64, dims: vec![-1], pictures: false }];
    let request = decode_request(br#"{"instances":[1,2,3]}"#, &scalars, Nulls::Refuse).unwrap();
    assert_eq!((request.form, request.infer.inputs[0].tensor.rows()), (Form::Rows(3), Some(3)));
}

#[test]
fn bytes_are_strings_or_base64() {
    let x = [Input { name: "x", datatype: Datatype::Bytes, dims: vec![-1], pictures: false }];
    let mut data = Vec::new();
    push_bytes_element(&mut data, "größe".as_bytes());
    push_bytes_element(&mut data, b"\xff\x00");
    let tensor = Tensor::new(Datatype::Bytes, Shape::from(&[2][..]), data.into()).unwrap();
    for body in [
        r#"{"instances":["größe",{"b64":"/wA="}]}"#,
        r#"{"instances":[{"x":"gr\u00f6\u00dfe"},{"x":{"b64":"/wA="}}]}"#,
        r#"{"inputs":["größe", { "b64" : "/wA=" }]}"#,
        r#"{"inputs":{"x":["größe",{"b64":"/wA="}]}}"#,
    ] {
        assert_eq!(
            decode_request(body.as_bytes(), &x, Nulls::Refuse).unwrap().infer.inputs[0].tensor,
            tensor,
            "{body}"
        );
    }
    let answer = encode_response(&response(vec![("y", tensor)]), Form::Columns).unwrap();
    assert_eq!(str::from_utf8(&answer).unwrap(), r#"{"outputs":["größe",{"b64":"/wA="}]}"#);
}

#[test]
fn several_outputs_are_objects_and_what_has_no_number_is_null() {
    let outputs = vec![("a", floats(&[1.0, f32::NAN], &[2])), ("b", floats(&[0.5, 2.0, 3.0, 4.0], &[2, 2]))];
    let text = |form| {
        let answer = encode_response(&response(outputs.clone()), form).unwrap();
        String::from_utf8(answer.to_vec()).unwrap()
    };
    let rows = r#"{"predictions":[{"a":1.0,"b":[0.5,2.0]},{"a":null,"b":[3.0,4.0]}]}"#;
    assert_eq!(text(Form::Rows(2)), rows);
    assert_eq!(text(Form::Columns), r#"{"outputs":{"a":[1.0,null],"b":[[0.5,2.0],[3.0,4.0]]}}"#);
    let error = encode_response(&response(outputs), Form::Rows(3)).unwrap_err().to_string();
    assert!(error.contains("'a'") && error.contains("3 instances"), "{error}");
}

/// A body for an input `x`, FP32 `[-1,2]`, and words that its error must contain.
const REFUSED: [(&str, &[&str]); 24] = [
    ("", &["JSON object"]),
    ("[]", &["JSON object"]),
    ("{}", &["instances", "inputs", "missing"]),
    (r#"{"instances":[[1,2]],"inputs":[[1,2]]}"#, &["both"]),
    (r#"{"instances":[[1,2]],"instances":[[1,2]]}"#, &["twice"]),
    (r#"{"instances":[]}"#, &["empty"]),
    (r#"{"instances":[1,2]}"#, &["instance 0", "'x'", "fewer", "[-1, 2]"]),
    (r#"{"instances":[[1,2],[[3],4]]}"#, &["instance 1", "'x'", "more"]),
    (r#"{"instances":[[1,2],[3]]}"#, &["instance 1", "'x'", "1 values along axis 1", "expected 2"]),
    (r#"{"instances":[[1,2,3]]}"#, &["instance 0", "'x'", "3 values"]),
    (r#"{"instances":[[1,null]]}"#, &["instance 0", "'x'", "NaN", "config.toml"]),
    (r#"{"instances":[[1,nan]]}"#, &["instance 0", "number", "'n'"]),
    (r#"{"instances":[[1,1e39]]}"#, &["1e39", "FP32"]),
    (r#"{"instances":[[1,"2"]]}"#, &["instance 0", "number"]),
    (r#"{"instances":[[1,true]]}"#, &["instance 0", "number"]),
    (r#"{"instances":[[1,]]}"#, &["instance 0"]),
    (r#"{"instances":[[1,2]]} x"#, &["end"]),
    (r#"{"instances":{"x":[[1,2]]}}"#, &["array of instances"]),
    (r#"{"instances":[{"z":[1,2]}]}"#, &["instance 0", "'z'", "the model has x"]),
    (r#"{"instances":[{"x":[1,2],"x":[1,2]}]}"#, &["instance 0", "'x'", "twice"]),
    (r#"{"instances":[{"x":[1,2]},{}]}"#, &["instance 1", "'x'", "missing"]),
    (r#"{"instances":[{"b64":"AA=="}]}"#, &["instance 0", "'b64'"]),
    (r#"{"inputs":7}"#, &["'x'", "fewer"]),
    (r#"{"inputs":[[1,2],[3]]}"#, &["'x'", "axis 1"]),
];

#[test]
fn an_input_that_takes_pictures_takes_its_numbers_too() {
    let x = [Input { name: "x", datatype: Datatype::Uint8, dims: vec![-1, 2], pictures: true }];
    let mut data = Vec::new();
    push_bytes_element(&mut data, b"picture");
    push_bytes_element(&mut data, b"\xff\x00");
    let shown = Tensor::new(Datatype::Bytes, Shape::from(&[2][..]), data.into()).unwrap();
    let numbers = Tensor::new(Datatype::Uint8, Shape::from(&[2, 2][..]), vec![1, 2, 3, 4].into()).unwrap();
    for (body, expected) in [
        (r#"{"instances":["picture",{"b64":"/wA="}]}"#, &shown),
        (r#"{"instances":[{"x":"picture"},{"x":{"b64":"/wA="}}]}"#, &shown),
        (r#"{"inputs":["picture", { "b64" : "/wA=" }]}"#, &shown),
        (r#"{"inputs":{"x": [ "picture",{"b64":"/wA="}]}}"#, &shown),
        (r#"{"instances":[[1,2],[3,4]]}"#, &numbers),
        (r#"{"instances":[{"x":[1,2]},{"x":[3,4]}]}"#, &numbers),
        (r#"{"inputs":{"x":[[1,2],[3,4]]}}"#, &numbers),
    ] {
        let request = decode_request(body.as_bytes(), &x, Nulls::Refuse).unwrap();
        assert_eq!(&request.infer.inputs[0].tensor, expected, "{body}");
    }
    for (body, words) in [
        (r#"{"instances":["picture",[3,4]]}"#, "instance 1, input 'x': at byte 24: numbers and encoded"),
        (r#"{"instances":[[3,4],{"b64":"/wA="}]}"#, "numbers and encoded"),
        (r#"{"instances":[{"x":[3,4]},{"x":{"b64":"/wA="}}]}"#, "numbers and encoded"),
        (r#"{"instances":[["picture"]]}"#, "number"),
        (r#"{"inputs":"picture"}"#, "fewer"),
        (r#"{"inputs":{"b64":"/wA="}}"#, "expected a list of {\"b64\": …}, found '{'"),
        (r#"{"inputs":{"x": {"b64":"/wA="}}}"#, "expected a list of {\"b64\": …}, found '{'"),
        (r#"{"instances":[{"y":"picture"}]}"#, "unknown"),
    ] {
        let error = decode_request(body.as_bytes(), &x, Nulls::Refuse).unwrap_err().to_string();
        assert!(error.contains(words), "{body}: {error}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let x = [Input { name: "x", datatype: Datatype::Fp32, dims: vec![-1, 2], pictures: false }];
    for (body, words) in REFUSED {
        let error = decode_request(body.as_bytes(), &x, Nulls::Refuse).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{body}: {error}");
    }
    let small = [Input { name: "x", datatype: Datatype::Uint8, dims: vec![-1], pictures: false }];
    for (number, word) in [("256", "UINT8"), ("-1", "UINT8"), ("1.0", "not an integer")] {
        let error =
            decode_request(format!(r#"{{"instances":[{number}]}}"#).as_bytes(), &small, Nulls::Refuse)
                .unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    let blobs = [Input { name: "x", datatype: Datatype::Bytes, dims: vec![-1], pictures: false }];
    for (blob, word) in [
        (r#"{"b64":"?"}"#, "base64"),
        (r#"{"b64":1}"#, "base64"),
        (r#"{"b64":"","k":1}"#, "'k' beside \"b64\""),
    ] {
        let error = decode_request(format!(r#"{{"instances":[{blob}]}}"#).as_bytes(), &blobs, Nulls::Refuse)
            .unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    let scalar = [Input { name: "x", datatype: Datatype::Fp32, dims: vec![], pictures: false }];
    assert!(
        decode_request(br#"{"instances":[1]}"#, &scalar, Nulls::Refuse)
            .unwrap_err()
            .to_string()
            .contains("'inputs'")
    );
    assert!(decode_request(br#"{"inputs":1}"#, &scalar, Nulls::Refuse).is_ok());
}

#[test]
fn nesting_without_end_is_refused() {
    let x = [Input { name: "x", datatype: Datatype::Fp32, dims: vec![-1, 2], pictures: false }];
    for (start, bracket) in
        [("{\"instances\":", "["), ("{\"inputs\":", "["), ("{\"k\":", "["), ("", "{\"x\":")]
    {
        let body = format!("{start}{}", bracket.repeat(100_000));
        assert!(decode_request(body.as_bytes(), &x, Nulls::Refuse).is_err());
    }
    let many = [Input { name: "x", datatype: Datatype::Fp32, dims: vec![-1; 200], pictures: false }];
    let body = format!("{{\"inputs\":{}", "[".repeat(100_000));
    assert!(
        decode_request(body.as_bytes(), &many, Nulls::Refuse)
            .unwrap_err()
            .to_string()
            .contains("levels deep")
    );
}
