//! Fuzz targets of the decoders: any input must give an error or a consistent tensor.
//!
//! `cargo test -p fuzz` runs each target for two seconds. `DECIMA_FUZZ_SECONDS=1800 cargo test --release -p fuzz` runs
//! each for half an hour. A failing input is minimised and printed, and its seed is stored in
//! `decoders.proptest-regressions`. Later runs start with the seeds in that file.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    env,
    time::{Duration, Instant},
};

use bytes::Bytes;
use oip::{
    Datatype, DecodeError, InferRequest, InferResponse, Nulls, Tensor, binary, decode_response,
    encode_request, encode_response,
    grpc::{self, TensorForm, messages::ModelInferRequest},
    json, v1,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{FileFailurePersistence, TestRunner},
};
use prost::Message;

/// Valid documents, which the targets damage.
const SEEDS: [&[u8]; 6] = [
    br#"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[0,1.5],[-2e-3,255]]}]}"#,
    br#"{"id":"7","inputs":[{"data":["a","\u00e9\ud83d\ude00"],"name":"s","datatype":"BYTES","shape":[2]}]}"#,
    br#"{"parameters":{"binary_data_output":true},"inputs":[{"name":"b","shape":[3],"datatype":"BOOL","data":
        [true,0,false]},{"name":"i","shape":[1,2],"datatype":"INT64","data":[-9223372036854775808,12]}]}"#,
    b"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":11}},\
        {\"name\":\"y\",\"shape\":[1],\"datatype\":\"FP16\",\"parameters\":{\"binary_data_size\":2}}],\"outputs\":\
        [{\"name\":\"z\",\"parameters\":{\"binary_data\":true}}]}\x02\0\0\0ab\x01\0\0\0c\0\x3c",
    br#"{"model_name":"m","model_version":"1","id":"7","outputs":[{"name":"y","datatype":"FP64","shape":[2],"data":
        [null,0.30000000000000004]}]}"#,
    b"{\"model_name\":\"m\",\"outputs\":[{\"name\":\"y\",\"datatype\":\"UINT8\",\"shape\":[2,1],\"parameters\":\
        {\"binary_data_size\":2}}]}\xff\0",
];

/// A V1 document, with the datatype and the dimensions of the inputs that it is for.
type V1Seed = (&'static [u8], Datatype, &'static [&'static [i64]]);

/// Valid V1 documents, which the targets damage.
const V1_SEEDS: [V1Seed; 6] = [
    (br#"{"instances":[[1,0],[1,1]]}"#, Datatype::Int8, &[&[-1, 2]]),
    (
        br#"{"signature_name":"serving_default","instances":[{"x":[0,1.5],"y":1},{"y":0,"x":[-2e-3,255]}]}"#,
        Datatype::Fp64,
        &[&[-1, -1], &[-1]],
    ),
    (
        br#"{"instances":["a",{"b64":"/wA="},"\u00e9\ud83d\ude00"],"other":{"deep":[[{}],null]}}"#,
        Datatype::Bytes,
        &[&[-1]],
    ),
    (br#"{"inputs":{"x":[[true,false]],"y":[true,false]}}"#, Datatype::Bool, &[&[1, 2], &[-1]]),
    (br#"{"inputs":[[[1],[0]],[[0.5],[1e1]]]}"#, Datatype::Bf16, &[&[-1, 2, -1]]),
    (br#"{"instances":[{"x":{"b64":"YQ=="},"y":[]},{"x":"","y":[]}]}"#, Datatype::Bytes, &[&[-1], &[-1, 0]]),
];

/// Words that have a meaning for a decoder.
const WORDS: [&str; 38] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\u",
    "-",
    ".",
    "e9",
    "0",
    "1",
    "null",
    "NaN",
    "-Infinity",
    "true",
    "1e400",
    "\"data\":",
    "\"shape\":",
    "\"datatype\":",
    "\"name\":",
    "\"inputs\":",
    "\"instances\":",
    "{\"b64\":\"/wA=\"}",
    "\"outputs\":",
    "\"parameters\":",
    "\"FP16\"",
    "\"BF16\"",
    "\"UINT64\"",
    "\"BYTES\"",
    "18446744073709551615",
    "4294967296",
    "0.1",
    "\"binary_data_size\":",
    "\"content_type\":\"base64\"",
    "\"/wA=\"",
    "[[[[[[[[",
];

/// A change to a document. Positions are taken modulo its length.
#[derive(Clone, Debug)]
enum Edit {
    Set { at: u16, byte: u8 },
    Delete { at: u16, length: u8 },
    Word { at: u16, word: u8 },
    Repeat { at: u16, length: u8, times: u8 },
}

/// A body to decode, and the position at which its JSON ends according to the header.
#[derive(Clone, Debug)]
struct Case {
    seed: usize,
    edits: Vec<Edit>,
    header_off_by: isize,
}

fn edits() -> impl Strategy<Value = Edit> {
    prop_oneof![
        any::<(u16, u8)>().prop_map(|(at, byte)| Edit::Set { at, byte }),
        any::<(u16, u8)>().prop_map(|(at, length)| Edit::Delete { at, length }),
        any::<(u16, u8)>().prop_map(|(at, word)| Edit::Word { at, word }),
        any::<(u16, u8, u8)>().prop_map(|(at, length, times)| Edit::Repeat { at, length, times }),
    ]
}

fn cases() -> impl Strategy<Value = Case> {
    let header_off_by = prop_oneof![4 => Just(0), 1 => -100..100_isize];
    (0..SEEDS.len(), vec(edits(), 0..6), header_off_by).prop_map(|(seed, edits, header_off_by)| Case {
        seed,
        edits,
        header_off_by,
    })
}

/// Checks random values until the time is over.
fn fuzz<S: Strategy>(values: S, check: impl Fn(S::Value)) {
    const BATCH: u32 = 2000;
    let seconds = env::var("DECIMA_FUZZ_SECONDS").map_or(2, |seconds| seconds.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let persistence = FileFailurePersistence::WithSource("proptest-regressions");
    let mut config = ProptestConfig {
        failure_persistence: Some(Box::new(persistence)),
        ..ProptestConfig::with_cases(BATCH)
    };
    config.source_file = Some(file!());
    let mut runner = TestRunner::new(config);
    while Instant::now() < end {
        let outcome = runner.run(&values, |value| {
            check(value);
            Ok(())
        });
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

fn apply(edits: &[Edit], body: &mut Vec<u8>) {
    for edit in edits {
        let place = |at: &u16| usize::from(*at) % (body.len() + 1);
        match edit {
            Edit::Set { at, byte } => {
                let at = place(at);
                body.splice(at..(at + 1).min(body.len()), [*byte]);
            }
            Edit::Delete { at, length } => {
                let at = place(at);
                body.drain(at..(at + usize::from(*length % 16)).min(body.len()));
            }
            Edit::Word { at, word } => {
                let at = place(at);
                body.splice(at..at, WORDS[usize::from(*word) % WORDS.len()].bytes());
            }
            Edit::Repeat { at, length, times } => {
                let at = place(at);
                let piece = body[at..(at + usize::from(*length % 16)).min(body.len())].to_vec();
                body.splice(at..at, piece.repeat(usize::from(*times)));
            }
        }
    }
}

impl Case {
    fn body(&self) -> Vec<u8> {
        let mut body = SEEDS[self.seed].to_vec();
        apply(&self.edits, &mut body);
        body
    }

    /// A length close to that of the JSON, so that the body is still plausible.
    fn json_length(&self, body: &[u8]) -> usize {
        let end = body.windows(2).rposition(|pair| pair == b"]}").map_or(body.len(), |at| at + 2);
        end.saturating_add_signed(self.header_off_by)
    }
}

/// Checks the tensors decoded from a body of `length` bytes.
fn check_tensors<'a>(tensors: impl Iterator<Item = &'a Tensor>, length: usize) {
    let mut size = 0;
    for tensor in tensors {
        tensor.check().expect("a decoded tensor holds together");
        size += tensor.data.len();
    }
    // The largest expansion: "0," is two bytes, and an FP64 is eight.
    assert!(size <= 4 * length, "{size} bytes of tensors from a body of {length}");
}

/// Whether a document is JSON, with the protocol's additions: words for NaN and infinity.
fn is_json(document: &[u8]) -> bool {
    let text = String::from_utf8_lossy(document).replace("NaN", "1e0").replace("Infinity", "1e000000");
    let too_large = |error: serde_json::Error| error.to_string().contains("number out of range");
    serde_json::from_str::<serde_json::Value>(&text).map_or_else(too_large, |_| true)
}

fn check_request(request: Result<InferRequest, DecodeError>, length: usize) {
    match request {
        Ok(request) => {
            check_tensors(request.inputs.iter().map(|input| &input.tensor), length);
            let flags = vec![true; request.inputs.len()];
            let encoded = encode_request(&request, &flags).expect("binary data carries any tensor");
            let json_length = encoded.json_length.unwrap_or(encoded.body().len());
            assert_eq!(binary::decode_request(&encoded.body(), json_length, Nulls::Refuse), Ok(request));
        }
        Err(error) => assert!(error.to_string().len() < 1000, "{error}"),
    }
}

#[test]
fn json_request() {
    fuzz(cases(), |case| {
        let body = Bytes::from(case.body());
        for nulls in [Nulls::Refuse, Nulls::Nan] {
            let request = json::decode_request(&body, nulls);
            assert!(request.is_err() || is_json(&body));
            check_request(request, body.len());
        }
    });
}

#[test]
fn binary_request() {
    fuzz(cases(), |case| {
        let body = Bytes::from(case.body());
        check_request(binary::decode_request(&body, case.json_length(&body), Nulls::Nan), body.len());
    });
}

#[test]
fn any_bytes() {
    fuzz(any::<(Vec<u8>, u16)>(), |(body, json_length)| {
        let body = Bytes::from(body);
        check_request(json::decode_request(&body, Nulls::Refuse), body.len());
        check_request(binary::decode_request(&body, usize::from(json_length), Nulls::Refuse), body.len());
    });
}

/// A damaged gRPC message. Its tensors must be consistent, and encoding and decoding must return the same request.
#[test]
fn grpc_request() {
    let damaged = (cases(), any::<bool>(), vec(edits(), 0..4));
    fuzz(damaged, |(case, typed, edits)| {
        let body = Bytes::from(case.body());
        let request = binary::decode_request(&body, case.json_length(&body), Nulls::Nan).unwrap_or_default();
        let form = if typed { TensorForm::Typed } else { TensorForm::Raw };
        let mut wire = grpc::encode_request(&request, "m", "1", form).encode_to_vec();
        apply(&edits, &mut wire);
        let length = wire.len();
        let Ok(message) = ModelInferRequest::decode(Bytes::from(wire)) else { return };
        match grpc::decode_request(message) {
            Ok((request, _)) => {
                check_tensors(request.inputs.iter().map(|input| &input.tensor), length);
                let again = grpc::encode_request(&request, "m", "1", TensorForm::Raw);
                let (again, _) = grpc::decode_request(again).expect("what was decoded can be sent");
                assert_eq!(again.inputs.len(), request.inputs.len());
                assert!(again.inputs.iter().zip(&request.inputs).all(|(a, b)| a.tensor == b.tensor));
            }
            Err(error) => assert!(error.to_string().len() < 1000, "{error}"),
        }
    });
}

/// Random bytes, which are rarely a message.
#[test]
fn grpc_any_bytes() {
    fuzz(any::<Vec<u8>>(), |bytes| {
        let Ok(message) = ModelInferRequest::decode(Bytes::from(bytes)) else { return };
        let _decoded = grpc::decode_request(message);
    });
}

/// A damaged V1 document. Its tensors must match the model's declaration. A response with the same tensors, read as a
/// request, must give the same tensors.
#[test]
fn v1_request() {
    let axis = select(vec![-1_i64, -1, 0, 1, 2]);
    let other = (select(&Datatype::ALL[..]), vec(vec(axis, 0..4), 1..3));
    let damaged = (0..V1_SEEDS.len(), vec(edits(), 0..4), proptest::option::weighted(0.3, other));
    fuzz(damaged, |(seed, edits, other)| {
        let (document, datatype, dims) = V1_SEEDS[seed];
        let mut body = document.to_vec();
        apply(&edits, &mut body);
        let as_told = || (datatype, dims.iter().map(|dims| dims.to_vec()).collect());
        let (datatype, dims) = other.unwrap_or_else(as_told);
        let named = ["x", "y"].into_iter().zip(dims);
        let inputs: Vec<_> =
            named.map(|(name, dims)| v1::Input { name, datatype, dims, pictures: false }).collect();
        let shown =
            inputs.iter().map(|input| v1::Input { pictures: true, ..input.clone() }).collect::<Vec<_>>();
        if let Ok(request) = v1::decode_request(&body, &shown, Nulls::Nan) {
            assert!(is_json(&body));
            check_tensors(request.infer.inputs.iter().map(|input| &input.tensor), body.len());
        }
        match v1::decode_request(&body, &inputs, Nulls::Nan) {
            Ok(request) => {
                assert!(is_json(&body));
                check_tensors(request.infer.inputs.iter().map(|input| &input.tensor), body.len());
                check_v1(&request, &inputs);
            }
            Err(error) => assert!(error.to_string().len() < 1000, "{error}"),
        }
    });
}

fn check_v1(request: &v1::Request, inputs: &[v1::Input<'_>]) {
    assert_eq!(request.infer.inputs.len(), inputs.len());
    for (got, declared) in request.infer.inputs.iter().zip(inputs) {
        assert_eq!((&*got.name, got.tensor.datatype), (declared.name, declared.datatype));
        let sizes = got.tensor.shape.0.iter().zip(&declared.dims).skip(1); // the first dimension counts the rows
        assert_eq!(got.tensor.shape.0.len(), declared.dims.len());
        assert!(sizes.into_iter().all(|(&size, &dim)| dim == -1 || size as i64 == dim), "{got:?}");
    }
    let outputs = request.infer.inputs.iter().map(|input| (input.name.clone(), input.tensor.clone()));
    let answer = InferResponse {
        model_name: "m".into(),
        model_version: "1".into(),
        id: None,
        outputs: outputs.collect(),
    };
    let answer = v1::encode_response(&answer, request.form).expect("as many rows as there are instances");
    let again = [(&b"{\"predictions\":"[..], &b"{\"instances\":"[..]), (b"{\"outputs\":", b"{\"inputs\":")]
        .into_iter()
        .find_map(|(key, asked)| Some([asked, answer.strip_prefix(key)?].concat()))
        .expect("one of two keys");
    assert_eq!(v1::decode_request(&again, inputs, Nulls::Nan).as_ref(), Ok(request));
}

#[test]
fn response() {
    fuzz(cases(), |case| {
        let body = Bytes::from(case.body());
        let json_length = case.json_length(&body);
        let Ok(response) = decode_response(&body, Some(json_length)) else { return };
        check_tensors(response.outputs.iter().map(|(_, tensor)| tensor), body.len());
        let flags = vec![true; response.outputs.len()];
        let encoded = encode_response(&response, &flags).expect("binary data carries any tensor");
        assert_eq!(decode_response(&encoded.body(), encoded.json_length), Ok(response));
    });
}
