//! Elements that JSON cannot represent itself: NaN, infinity, and bytes that are not text.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use half::{bf16, f16};
use oip::{Datatype, Nulls, Tensor, bytes_elements, json, v1};
use proptest::{collection::vec, prelude::*, sample::select};

/// Reads an element's bytes as FP64.
type AsFp64 = fn(&[u8]) -> f64;

/// The floating point datatypes.
const FLOATS: [(Datatype, AsFp64); 4] = [
    (Datatype::Fp16, |bytes| f16::from_le_bytes(bytes.try_into().unwrap()).into()),
    (Datatype::Bf16, |bytes| bf16::from_le_bytes(bytes.try_into().unwrap()).into()),
    (Datatype::Fp32, |bytes| f32::from_le_bytes(bytes.try_into().unwrap()).into()),
    (Datatype::Fp64, |bytes| f64::from_le_bytes(bytes.try_into().unwrap())),
];

/// Elements as JSON text, and their values.
const ELEMENTS: [(&str, f64); 6] = [
    ("NaN", f64::NAN),
    ("Infinity", f64::INFINITY),
    ("-Infinity", f64::NEG_INFINITY),
    ("0", 0.0),
    ("1.5", 1.5),
    ("-2", -2.0),
];

fn v2(fields: &str, nulls: Nulls) -> Result<Tensor, String> {
    let body = format!(r#"{{"inputs":[{{"name":"x",{fields}}}]}}"#);
    let request = json::decode_request(&body.into(), nulls).map_err(|error| error.to_string())?;
    Ok(request.inputs[0].tensor.clone())
}

fn v1(datatype: Datatype, body: &str, nulls: Nulls) -> Result<Tensor, String> {
    let inputs = [v1::Input { name: "x", datatype, dims: vec![-1], pictures: false }];
    let request = v1::decode_request(body.as_bytes(), &inputs, nulls).map_err(|error| error.to_string())?;
    Ok(request.infer.inputs[0].tensor.clone())
}

/// Decodes the same elements in every form that the protocols allow.
fn decoded(datatype: Datatype, list: &str, count: usize, nulls: Nulls) -> Vec<Result<Tensor, String>> {
    vec![
        v2(&format!(r#""datatype":"{datatype}","shape":[{count}],"data":[{list}]"#), nulls),
        v2(&format!(r#""data":[[{list}]],"datatype":"{datatype}","shape":[{count}]"#), nulls),
        v1(datatype, &format!(r#"{{"instances":[{list}]}}"#), nulls),
        v1(datatype, &format!(r#"{{"inputs":{{"x":[{list}]}}}}"#), nulls),
    ]
}

proptest! {
    #[test]
    fn words_among_numbers_are_what_they_say(
        elements in vec(select(&ELEMENTS[..]), 1..60),
        separator in select(&[",", ", ", " ,\n"][..]),
    ) {
        let list = elements.iter().map(|(text, _)| *text).collect::<Vec<_>>().join(separator);
        for (datatype, value) in FLOATS {
            let size = datatype.size().unwrap();
            for tensor in decoded(datatype, &list, elements.len(), Nulls::Refuse) {
                let data = tensor.unwrap().data;
                prop_assert_eq!(data.len(), elements.len() * size);
                for (bytes, (text, expected)) in data.chunks(size).zip(&elements) {
                    let value = value(bytes);
                    let is_same = if expected.is_nan() { value.is_nan() } else { value.to_bits() == expected.to_bits() };
                    prop_assert!(is_same, "{} {} is {}", datatype, text, value);
                }
            }
        }
    }

    #[test]
    fn base64_is_decoded_wherever_the_parameters_stand(elements in vec(any::<Vec<u8>>(), 0..20)) {
        let texts: Vec<String> = elements.iter().map(|bytes| STANDARD.encode(bytes)).collect();
        let (count, data) = (elements.len(), serde_json::to_string(&texts).unwrap());
        for fields in [
            format!(r#""shape":[{count}],"datatype":"BYTES","parameters":{{"content_type":"base64"}},"data":{data}"#),
            format!(r#""shape":[{count}],"datatype":"BYTES","data":{data},"parameters":{{"content_type":"base64"}}"#),
            format!(r#""data":{data},"parameters":{{"content_type":"base64"}},"datatype":"BYTES","shape":[{count}]"#),
        ] {
            let tensor = v2(&fields, Nulls::Refuse).unwrap();
            prop_assert_eq!(bytes_elements(&tensor.data).collect::<Vec<_>>(), elements.clone(), "{}", fields);
        }
    }
}

#[test]
fn an_element_of_bytes_may_be_an_object_of_base64() {
    let tensor = |data: &str, parameters: &str| {
        let input = format!(r#"{{"name":"x","shape":[2],"datatype":"BYTES","data":{data}{parameters}}}"#);
        let read = json::decode_request(&format!(r#"{{"inputs":[{input}]}}"#).into(), Nulls::Refuse);
        read.map(|request| request.inputs[0].tensor.data.clone()).map_err(|error| error.to_string())
    };
    let expected = &b"\x02\0\0\0\xff\0\x01\0\0\0a"[..];
    for data in [
        r#"[{"b64":"/wA="},"a"]"#,
        r#"[[{ "b64" : "/wA=" }],[{"b64":"YQ=="}]]"#,
        r#"[{"b64":"_wA"},{"b64":"YQ\n"}]"#,
    ] {
        assert_eq!(tensor(data, "").unwrap(), expected, "{data}");
        let late = format!(r#"{{"name":"x","data":{data},"shape":[2],"datatype":"BYTES"}}"#);
        let read = json::decode_request(&format!(r#"{{"inputs":[{late}]}}"#).into(), Nulls::Refuse).unwrap();
        assert_eq!(read.inputs[0].tensor.data, expected);
    }
    for (data, word) in [
        (r#"[{"b64":"?"},"a"]"#, "not base64"),
        (r#"[{"b64":"","k":1},"a"]"#, "'k' beside \"b64\""),
        (r#"[{},"a"]"#, "'b64' is missing"),
        (r#"[{"b64":"","b64":""},"a"]"#, "twice"),
    ] {
        let error = tensor(data, "").unwrap_err();
        assert!(error.contains(word), "{data}: {error}");
    }
}

#[test]
fn null_is_nan_where_that_was_asked_for_and_only_for_floats() {
    for datatype in Datatype::ALL {
        let float = FLOATS.iter().find(|(float, _)| *float == datatype);
        for (refused, read) in decoded(datatype, "null", 1, Nulls::Refuse).into_iter().zip(decoded(
            datatype,
            "null",
            1,
            Nulls::Nan,
        )) {
            let refused = refused.unwrap_err();
            match float {
                Some((_, value)) => {
                    assert!(refused.contains("send NaN, or set nulls = \"nan\""), "{refused}");
                    assert!(value(&read.unwrap().data).is_nan(), "{datatype}");
                }
                None => assert_eq!(read.unwrap_err(), refused, "{datatype}"),
            }
        }
    }
}

#[test]
fn integers_have_no_words() {
    let integers = Datatype::ALL.into_iter().filter(|&datatype| {
        !FLOATS.iter().any(|(float, _)| *float == datatype)
            && ![Datatype::Bool, Datatype::Bytes].contains(&datatype)
    });
    for datatype in integers {
        for word in ["NaN", "Infinity", "-Infinity"] {
            for nulls in [Nulls::Refuse, Nulls::Nan] {
                for refused in decoded(datatype, word, 1, nulls) {
                    let refused = refused.unwrap_err();
                    let expected = format!("{word} is not an integer, but the datatype is {datatype}");
                    assert!(refused.contains(&expected), "{refused}");
                }
            }
        }
    }
}

#[test]
fn words_are_for_elements_alone() {
    for body in [
        r#"{"inputs":[],"unknown":NaN}"#,
        r#"{"inputs":[],"unknown":[Infinity]}"#,
        r#"{"inputs":[],"parameters":{"p":NaN}}"#,
        r#"{"inputs":[{"name":"x","shape":[NaN],"datatype":"FP32","data":[1]}]}"#,
    ] {
        assert!(json::decode_request(&body.into(), Nulls::Nan).is_err(), "{body}");
    }
}

#[test]
fn bad_base64_is_named_and_other_content_types_say_nothing() {
    let fields = |content_type: &str, elements: &str| {
        format!(
            r#""shape":[2],"datatype":"BYTES","data":[{elements}],"parameters":{{"content_type":"{content_type}"}}"#
        )
    };
    for good in ["YQ==", "YQ", "Y Q=", "Y\\nQ==", "data:text/plain;base64,YQ=="] {
        let tensor = v2(&fields("base64", &format!(r#""YQ==","{good}""#)), Nulls::Refuse).unwrap();
        assert_eq!(bytes_elements(&tensor.data).collect::<Vec<_>>(), [b"a", b"a"], "{good}");
    }
    for bad in ["Y", "YQ=a", "YQ=====", "\u{e9}", "Y\\nQ*", "*", "data:,YQ=="] {
        let error = v2(&fields("base64", &format!(r#""YQ==","{bad}""#)), Nulls::Refuse).unwrap_err();
        assert!(error.starts_with("input 'x': element 1 is '") && error.contains("base64"), "{error}");
        assert!(!error.contains('\n'), "{error:?}");
    }
    for other in ["str", "np", "Base64", ""] {
        let tensor = v2(&fields(other, r#""YQ==","?""#), Nulls::Refuse).unwrap();
        assert_eq!(bytes_elements(&tensor.data).collect::<Vec<_>>(), [&b"YQ=="[..], b"?"]);
    }
    let numbers = r#""shape":[1],"datatype":"INT8","data":[7],"parameters":{"content_type":"base64"}"#;
    assert_eq!(v2(numbers, Nulls::Refuse).unwrap().data[..], [7]);
}

/// Decoding removes `content_type`: a decoded element is no longer base64.
#[test]
fn what_was_decoded_can_be_sent_on() {
    let body = r#"{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["YQ=="],
        "parameters":{"content_type":"base64","p":1}}]}"#;
    let request = json::decode_request(&body.into(), Nulls::Refuse).unwrap();
    let again = oip::encode_request(&request, &[]).unwrap().body();
    assert_eq!(json::decode_request(&again, Nulls::Refuse).unwrap(), request);
    assert_eq!(request.inputs[0].parameters.0.len(), 1);
}

#[test]
fn names_are_shown_on_one_line() {
    let name = r"a\nb\r\u0000\u001b[31m\u2028\u0085";
    let body = format!(r#"{{"inputs":[{{"name":"{name}","shape":[1],"datatype":"{name}","data":[1]}}]}}"#);
    let without_type = format!(r#"{{"inputs":[{{"name":"{name}","shape":[1],"data":[1]}}]}}"#);
    for body in [body, without_type] {
        let error = json::decode_request(&body.into(), Nulls::Refuse).unwrap_err().to_string();
        assert!(!error.contains(|c: char| c.is_control() || c == '\u{2028}'), "{error:?}");
        assert!(error.contains(r"a\nb\r\u{0}\u{1b}[31m\u{2028}\u{85}"), "{error}");
    }
}
