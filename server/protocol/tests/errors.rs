//! Which bodies are refused, and with which message.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use bytes::Bytes;
use oip::{Datatype, Nulls, Parameter, Shape, binary, decode_response, json};

fn json_error(body: &str) -> String {
    json::decode_request(&Bytes::copy_from_slice(body.as_bytes()), Nulls::Refuse).unwrap_err().to_string()
}

/// The error about an input `x` whose object has `fields` after its name.
fn input_error(fields: &str) -> String {
    json_error(&format!(r#"{{"inputs":[{{"name":"x",{fields}}}]}}"#))
}

#[test]
fn requests_that_break_the_form() {
    let cases = [
        ("", "at byte 0: expected a JSON object, found the end"),
        ("[]", "at byte 0: expected a JSON object, found '['"),
        ("{} {}", "at byte 3: expected the end of the JSON, found '{'"),
        ("{}", "'inputs' is missing"),
        (r#"{"inputs":null}"#, "at byte 10: expected an array of inputs, found 'n'"),
        (r#"{"inputs":{}}"#, "at byte 10: expected an array of inputs, found '{'"),
        (r#"{"inputs":[],}"#, "at byte 13: expected a key in double quotes, found '}'"),
        (r#"{"inputs":[]"#, "at byte 12: expected ',' or '}', found the end"),
        (r#"{"inputs":[],"inputs":[]}"#, "at byte 24: 'inputs' comes twice"),
        (r#"{"id":7,"inputs":[]}"#, "at byte 6: expected a string, found '7'"),
        (r#"{"id":"a","id":"b"}"#, "at byte 18: 'id' comes twice"),
        (
            "{\"id\":\"\u{1}\"}",
            "at byte 7: expected the end of the string (control characters must be escaped), found byte 0x01",
        ),
        (r#"{"id":"\ud800x"}"#, "at byte 9: expected a pair of surrogates, found 'd'"),
        (r#"{"id":"\u12g4"}"#, "at byte 11: expected a hexadecimal digit, found 'g'"),
        (r#"{"id":"\x"}"#, "at byte 8: expected an escape, found 'x'"),
        (r#"{"inputs":[7]}"#, "input 0: at byte 11: expected an object, found '7'"),
        (r#"{"inputs":[{"datatype":"FP32"}]}"#, "input 0: 'name' is missing"),
        (r#"{"outputs":[{"nam":"y"}]}"#, "output 0: 'name' is missing"),
        (
            r#"{"outputs":[{"name":"y","parameters":{"binary_data":1}}]}"#,
            "output 'y': parameter 'binary_data' must be true or false",
        ),
        (
            r#"{"outputs":[{"name":"y","parameters":{"shared_memory_region":"r"}}]}"#,
            "output 'y': shared memory is not supported: send 'data' or binary data",
        ),
        (
            r#"{"parameters":{"binary_data_output":"yes"}}"#,
            "parameter 'binary_data_output' must be true or false",
        ),
        (
            r#"{"parameters":{"p":[]}}"#,
            "at byte 19: expected a parameter: a string, a number, true or false, found '['",
        ),
        (r#"{"parameters":{"p":1e400}}"#, "at byte 19: expected a number that fits FP64, found '1'"),
    ];
    for (body, expected) in cases {
        assert_eq!(json_error(body), expected, "{body}");
    }
}

#[test]
fn inputs_that_do_not_hold_together() {
    let cases = [
        (r#""datatype":"FP32","data":[]"#, "'shape' is missing"),
        (r#""shape":[1],"data":[]"#, "'datatype' is missing"),
        (r#""shape":[1],"datatype":"FP32""#, "has no data: give 'data' or the parameter 'binary_data_size'"),
        (
            r#""shape":[1],"datatype":"FP32","data":[1],"parameters":{"binary_data_size":4}"#,
            "has both 'data' and the parameter 'binary_data_size': give one",
        ),
        (
            r#""shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}"#,
            "binary_data_size is 4, but 0 bytes are left after the JSON (whose length the header \
             Inference-Header-Content-Length gives)",
        ),
        (
            r#""shape":[1],"datatype":"FP32","parameters":{"binary_data_size":-4}"#,
            "parameter 'binary_data_size' must be an integer from 0 up",
        ),
        (
            r#""parameters":{"shared_memory_region":"r"}"#,
            "shared memory is not supported: send 'data' or binary data",
        ),
        (
            r#""shape":[2,2],"datatype":"FP32","data":[1,2,3]"#,
            "shape [2,2] asks for 4 elements, but 'data' has 3",
        ),
        (r#""shape":[],"datatype":"FP32","data":[1,2]"#, "shape [] asks for 1 elements, but 'data' has 2"),
        (r#""shape":[0],"datatype":"FP32","data":[1]"#, "shape [0] asks for 0 elements, but 'data' has 1"),
        (
            r#""shape":[4294967296,4294967296],"datatype":"FP32","data":[]"#,
            "shape [4294967296,4294967296] has too many elements",
        ),
        (
            r#""shape":[9000000000000000000],"datatype":"FP64","data":[1]"#,
            "shape [9000000000000000000] asks for 9000000000000000000 elements, but 'data' has 1",
        ),
        (
            r#""datatype":"FLOAT""#,
            "unknown datatype 'FLOAT': expected one of BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, \
             INT32, INT64, FP16, BF16, FP32, FP64, BYTES",
        ),
        (r#""shape":[1],"shape":[1]"#, "at byte 46: 'shape' comes twice"),
    ];
    for (fields, expected) in cases {
        assert_eq!(input_error(fields), format!("input 'x': {expected}"), "{fields}");
    }
}

#[test]
fn dimensions_are_integers_from_0_up() {
    for dim in ["-1", "1.0", "1e2", "18446744073709551616"] {
        let expected = "input 'x': at byte 32: expected a dimension: an integer from 0 up, found ";
        assert!(input_error(&format!(r#""shape":[{dim}]"#)).starts_with(expected), "{dim}");
    }
}

#[test]
fn elements_of_the_wrong_kind() {
    let cases = [
        (
            "FP32",
            "null",
            "null is no number: send NaN, or set nulls = \"nan\" in the model's config.toml to have null read as NaN",
        ),
        ("FP32", "nan", "expected a number, found 'n'"),
        ("FP32", "Inf", "expected a number, found 'I'"),
        ("FP32", "-Inf", "expected a digit, found 'I'"),
        ("FP64", "+Infinity", "expected a number, found '+'"),
        ("FP64", "-NaN", "expected a digit, found 'N'"),
        ("FP16", "NaN1", "expected ',' or ']', found '1'"),
        ("INT32", "null", "null is no element of INT32"),
        ("INT32", "NaN", "NaN is not an integer, but the datatype is INT32"),
        ("UINT8", "-Infinity", "-Infinity is not an integer, but the datatype is UINT8"),
        ("BOOL", "NaN", "expected true, false, 0 or 1, found 'N'"),
        ("BYTES", "null", "expected a string, found 'n'"),
        ("FP32", "\"1\"", "expected a number, found '\"'"),
        ("FP32", "true", "expected a number, found 't'"),
        ("FP32", "1e400", "1e400 is beyond FP32"),
        ("FP32", "1e39", "1e39 is beyond FP32"),
        ("UINT8", "300", "300 is beyond UINT8"),
        ("UINT8", "-1", "-1 is beyond UINT8"),
        ("INT32", "1.0", "1.0 is not an integer, but the datatype is INT32"),
        ("BOOL", "2", "2 is beyond BOOL"),
        ("BOOL", "\"true\"", "expected true, false, 0 or 1, found '\"'"),
        ("BYTES", "1", "expected a string, found '1'"),
    ];
    for (datatype, element, expected) in cases {
        let error = input_error(&format!(r#""shape":[1],"datatype":"{datatype}","data":[{element}]"#));
        let within = match element {
            "-Inf" | "-NaN" => 1,
            "NaN1" => 3,
            _ => 0,
        };
        let offset = 57 + datatype.len() + within;
        assert_eq!(error, format!("input 'x': at byte {offset}: {expected}"), "{datatype} {element}");
    }
}

#[test]
fn nothing_is_quoted_at_length() {
    let name = "\u{e9}".repeat(1000);
    let error = json_error(&format!(r#"{{"inputs":[{{"name":"{name}"}}]}}"#));
    assert_eq!(error, format!("input '{}…': 'datatype' is missing", "\u{e9}".repeat(64)));
}

#[test]
fn deep_nesting_is_refused_wherever_it_is() {
    for (before, after) in [
        ("", ""),
        (r#"{"x":"#, "}"),
        (r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":"#, "}]}"),
        (r#"{"inputs":[{"name":"x","data":"#, r#","shape":[1],"datatype":"FP32"}]}"#),
        (r#"{"inputs":"#, "}"),
    ] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let body = [before, &open.repeat(100_000), "1", &close.repeat(100_000), after].concat();
            assert!(json::decode_request(&body.into(), Nulls::Refuse).is_err());
        }
    }
    // Levels that were closed do not count.
    let pairs = ["[[1],", &"[[1]],[1],".repeat(500), "[]]"].concat();
    let body = format!(
        r#"{{"x":{pairs},"inputs":[{{"name":"x","shape":[1001],"datatype":"FP32","data":{pairs}}}]}}"#
    );
    assert_eq!(json::decode_request(&body.into(), Nulls::Refuse).err(), None);
    // The array of inputs, the input and the request are three levels.
    let nested = |depth: usize| {
        let data = [&"[".repeat(depth)[..], "1", &"]".repeat(depth)].concat();
        let body = format!(r#"{{"inputs":[{{"name":"x","shape":[1],"datatype":"FP32","data":{data}}}]}}"#);
        json::decode_request(&body.into(), Nulls::Refuse)
    };
    assert!(nested(61).is_ok());
    let error = nested(62).unwrap_err().to_string();
    assert!(error.contains("nested more than 64 levels deep"), "{error}");
}

#[test]
fn binary_data_of_the_wrong_size() {
    let header = |datatype: &str, shape: &str, size: usize| {
        format!(
            r#"{{"inputs":[{{"name":"x","datatype":"{datatype}","shape":{shape},"parameters":{{"binary_data_size":{size}}}}}]}}"#
        )
    };
    let cases: [(&str, &str, usize, &[u8], &str); 9] = [
        ("FP32", "[2]", 8, &[0; 7], "input 'x': binary_data_size is 8, but 7 bytes are left"),
        ("FP32", "[2]", 8, &[0; 9], "1 bytes are left after the last binary tensor"),
        ("FP32", "[2]", 7, &[0; 7], "input 'x': FP32 of shape [2] takes 8 bytes, not 7"),
        (
            "FP64",
            "[2305843009213693952]",
            0,
            &[],
            "input 'x': shape [2305843009213693952] has too many elements",
        ),
        ("BYTES", "[1]", 4, &[1, 0, 0, 0], "input 'x': BYTES of shape [1] takes 1 elements"),
        ("BYTES", "[1]", 4, &[255; 4], "input 'x': BYTES of shape [1] takes 1 elements"),
        ("BYTES", "[1]", 5, &[0; 5], "input 'x': BYTES of shape [1] takes 1 elements"),
        ("BYTES", "[1]", 8, &[0; 8], "input 'x': BYTES of shape [1] takes 1 elements"),
        ("BOOL", "[2]", 2, &[1, 2], "input 'x': element 1 is 2, but BOOL has only 0 and 1"),
    ];
    for (datatype, shape, size, tail, expected) in cases {
        let json = header(datatype, shape, size);
        let body = Bytes::from([json.as_bytes(), tail].concat());
        let error = binary::decode_request(&body, json.len(), Nulls::Refuse).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let body = Bytes::from_static(b"{}");
    let error = binary::decode_request(&body, 3, Nulls::Refuse).unwrap_err().to_string();
    assert_eq!(error, "Inference-Header-Content-Length is 3, but the body has 2 bytes");
}

#[test]
fn responses_that_do_not_hold_together() {
    let cases = [
        ("{}", "'model_name' is missing"),
        (r#"{"model_name":"m"}"#, "'outputs' is missing"),
        (r#"{"model_name":"m","outputs":[]}x"#, "1 bytes are left after the last binary tensor"),
        (r#"{"model_name":"m","outputs":[{"name":"y"}]}"#, "output 'y': 'datatype' is missing"),
    ];
    for (body, expected) in cases {
        let json_length = body.rfind('}').unwrap() + 1;
        let error = decode_response(&body.into(), Some(json_length)).unwrap_err().to_string();
        assert_eq!(error, expected, "{body}");
    }
}

#[test]
fn forms_that_clients_send_are_accepted() {
    let body = r#" {"model_name":"m","id":null,"parameters":null,"outputs":null,"inputs":[
        {"data":[[1],[[2, 0]],[]],"datatype":"fp32","shape":[3,1],"unknown":[{"a":[null,{}]}]},
        {"name":"b","parameters":{"content_type":null,"n":1},"shape":[],"datatype":"BOOL","data":[true]},
        {"name":"c","shape":[0,5],"datatype":"INT8","data":[[]]},
        {"name":"\u0064\ud83d\ude00","shape":[1],"datatype":"BYTES","data":["\"\\\/\b\f\n\r\t\u20ac"]}]} "#;
    let body = body.replacen(r#""unknown""#, r#""name":"a","unknown""#, 1);
    let request = json::decode_request(&body.into(), Nulls::Refuse).unwrap();
    let [a, b, c, d] = &request.inputs[..] else { panic!("four inputs") };
    assert_eq!(a.tensor.data[..], [1_f32, 2.0, 0.0].map(f32::to_le_bytes).concat()[..]);
    assert_eq!((b.tensor.shape.clone(), &b.tensor.data[..]), (Shape::default(), &[1_u8][..]));
    assert_eq!(b.parameters.0, [("n".into(), Parameter::Int64(1))]);
    assert!(c.tensor.data.is_empty());
    assert_eq!(d.name, "d\u{1f600}");
    assert_eq!(&d.tensor.data[4..], "\"\\/\u{8}\u{c}\n\r\t\u{20ac}".as_bytes());
    assert_eq!((request.id, request.outputs.len()), (None, 0));
}

#[test]
fn binary_outputs_are_chosen_as_triton_does() {
    let body = r#"{"parameters":{"binary_data_output":true},"inputs":[],
        "outputs":[{"name":"a"},{"name":"b","parameters":{"binary_data":true}}]}"#;
    let request = json::decode_request(&body.into(), Nulls::Refuse).unwrap();
    assert_eq!(["a", "b", "c"].map(|name| request.wants_binary(name)), [false, true, true]);
}

#[test]
fn a_body_without_json_is_the_only_input() {
    let body = Bytes::from(vec![0; 24]);
    let request = binary::decode_raw(&body, "x", Datatype::Fp32, &[1, -1, 2]).unwrap();
    assert_eq!(request.inputs[0].tensor.shape, Shape::from(&[1, 3, 2][..]));
    assert!(request.wants_binary("y"));
    let request = binary::decode_raw(&body, "x", Datatype::Bytes, &[1, -1]).unwrap();
    assert_eq!(request.inputs[0].tensor.data.len(), 28);
    let error =
        |datatype, dims: &[i64]| binary::decode_raw(&body, "x", datatype, dims).unwrap_err().to_string();
    assert_eq!(error(Datatype::Fp32, &[1, -1, 5]), "input 'x': FP32 of shape [1,1,5] takes 20 bytes, not 24");
    assert_eq!(error(Datatype::Fp64, &[2]), "input 'x': FP64 of shape [2] takes 16 bytes, not 24");
    assert_eq!(
        error(Datatype::Fp32, &[-1, -1]),
        "input 'x': a body without JSON cannot fill FP32 [-1, -1]: more than one dimension varies"
    );
    assert_eq!(
        error(Datatype::Bytes, &[2]),
        "input 'x': a body without JSON cannot fill BYTES [2]: only a single element can come without its length"
    );
}
