//! The reader accepts exactly the documents that `serde_json` accepts.
//!
//! It is stricter in two documented points: nesting beyond `MAX_DEPTH`, and protocol fields that appear twice. Numbers
//! too large for FP64 are checked with the tensor, not with the grammar.

use bytes::Bytes;
use oip::{InferRequest, Nulls, json};
use proptest::{collection::vec, prelude::*, sample::select};
use serde::{Deserialize, de::IgnoredAny};

/// A request in which the document is the value of an unknown field, which the reader skips.
fn around(document: &[u8]) -> Vec<u8> {
    [br#"{"inputs":[],"unknown":"#, document, b"}"].concat()
}

/// Whether `serde_json` accepts a document, its text included. `None` if it stops at a number that is too large for it.
fn oracle(document: &[u8]) -> Option<bool> {
    // One call checks the form of numbers but not the text, the other one the reverse.
    let form = serde_json::from_slice::<IgnoredAny>(document).is_ok();
    match serde_json::from_slice::<serde_json::Value>(document) {
        Err(error) if form && error.to_string().contains("number out of range") => None,
        text => Some(form && text.is_ok()),
    }
}

/// Fails if the reader and `serde_json` disagree about a document, or if the reader reads the request around it
/// wrongly.
fn compare(document: &[u8]) {
    let body = around(document);
    if let Some(expected) = oracle(&body) {
        assert_eq!(decode(body).is_some(), expected, "{}", String::from_utf8_lossy(document));
    }
}

/// Fragments of valid and invalid documents.
const PIECES: [&str; 46] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\"a\"",
    "\"\":",
    "\"k\":",
    "0",
    "-",
    "1",
    "23",
    ".",
    "5",
    "e",
    "E+",
    "true",
    "false",
    "null",
    "nul",
    "tru",
    "NaN",
    " ",
    "\n",
    "\t",
    "\r",
    "\u{b}",
    "\u{e9}",
    "\\u",
    "\\u00e9",
    "d83d",
    "\\ud83d\\ude00",
    "\\n",
    "\\x",
    "/",
    "'",
    "-0",
    "01",
    "1.5e-7",
    "1e5",
    "[]",
    "{}",
    "\u{1}",
];

/// Valid documents.
fn documents() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let object = vec((any::<String>(), inner.clone()), 0..6)
            .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect()));
        prop_oneof![vec(inner, 0..6).prop_map(Into::into), object]
    })
}

/// A request with every field, as a client may write it.
const REQUEST: &str = r#"{"id":"a\u00e9","parameters":{"p":1,"q":"x","r":true,"s":1.5},"x":[{}],"inputs":[{"name":"x",
    "shape":[2,2],"datatype":"FP32","parameters":{"t":0},"data":[[0,1.5],[-2e-3, 40]]},{"data":["\n"],"name":"s",
    "datatype":"BYTES","shape":[1]}],"outputs":[{"name":"y","parameters":{"binary_data":false}}]}"#;

/// Moves, changes, removes or doubles bytes of a document.
fn mutate(document: &[u8], changes: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for (index, kind, byte) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = index.index(bytes.len());
        match kind % 4 {
            0 => bytes[at] = *byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, bytes[at]),
            _ => bytes.insert(at, PIECES[usize::from(*byte) % PIECES.len()].as_bytes()[0]),
        }
    }
    bytes
}

/// The fields of the protocol, for `serde_json`.
#[derive(Deserialize)]
struct Form {
    #[expect(dead_code, reason = "read only to see that it is there")]
    inputs: Vec<IgnoredAny>,
}

fn decode(body: Vec<u8>) -> Option<InferRequest> {
    json::decode_request(&Bytes::from(body), Nulls::Refuse).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn valid_documents(document in documents(), pretty: bool) {
        let text = if pretty { serde_json::to_vec_pretty(&document) } else { serde_json::to_vec(&document) };
        let body = around(&text.expect("a value is always JSON"));
        prop_assert!(decode(body).is_some(), "{document}");
    }

    #[test]
    fn heaps_of_pieces(pieces in vec(select(&PIECES[..]), 0..12)) {
        compare(pieces.concat().as_bytes());
    }

    #[test]
    fn damaged_documents(document in documents(), changes: [(prop::sample::Index, u8, u8); 2]) {
        compare(&mutate(document.to_string().as_bytes(), &changes));
    }

    #[test]
    fn damaged_requests(changes in vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 0..3)) {
        let text = mutate(REQUEST.as_bytes(), &changes);
        if decode(text.clone()).is_some() {
            prop_assert!(oracle(&text) != Some(false) && serde_json::from_slice::<Form>(&text).is_ok());
        }
        // Encoding the request and decoding it again gives the same request.
        if let Some(request) = decode(text) {
            let encoded = oip::encode_request(&request, &[]).expect("its tensors came as JSON");
            prop_assert_eq!(decode(encoded.body().to_vec()), Some(request));
        }
    }

    #[test]
    fn any_bytes(document: Vec<u8>) {
        compare(&document);
    }
}

#[test]
fn every_pair_and_triple_of_pieces() {
    for first in PIECES {
        for second in PIECES {
            for third in PIECES {
                compare([first, second, third].concat().as_bytes());
                compare(["[", first, second, third, "]"].concat().as_bytes());
            }
        }
    }
}

#[test]
fn every_byte_everywhere_in_a_string() {
    for byte in 0..=255 {
        for at in 0..20 {
            let mut document = *b"\"aaaaaaaaaaaaaaaaaaaa\"";
            document[1 + at] = byte;
            compare(&document);
        }
    }
}

/// The number of numbers in nested arrays. `None` if they have anything else. Strings stand for bare words.
fn count(value: &serde_json::Value) -> Option<usize> {
    match value {
        serde_json::Value::Number(_) | serde_json::Value::String(_) => Some(1),
        serde_json::Value::Array(elements) => elements.iter().map(count).sum(),
        _ => None,
    }
}

#[test]
fn every_short_heap_of_numbers_and_brackets() {
    const PIECES: [&str; 10] = ["[", "]", ",", "1", "0,", "2.0,", " ", "1.5", "null", "NaN"];
    let mut documents = vec![String::new()];
    for _ in 0..5 {
        let longer = |document: &String| PIECES.map(|piece| format!("{document}{piece}"));
        documents = documents.iter().flat_map(longer).collect();
        for document in &documents {
            let data = format!("[{document}]");
            let expected =
                serde_json::from_str(&data.replace("NaN", "\"NaN\"")).ok().as_ref().and_then(count);
            for elements in 0..6 {
                let body = format!(
                    r#"{{"inputs":[{{"name":"x","shape":[{elements}],"datatype":"FP32","data":{data}}}]}}"#
                );
                assert_eq!(decode(body.into()).is_some(), expected == Some(elements), "{data} [{elements}]");
            }
        }
    }
}
