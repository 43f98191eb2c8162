//! Base64 in every form that clients write it.

use base64::prelude::{
    BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD, Engine,
};
use oip::{NotBase64, decode_base64};
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_form_comes_to_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let standard = BASE64_STANDARD.encode(&bytes);
        let lines = |end: &str| {
            let lines = standard.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap());
            lines.collect::<Vec<_>>().join(end)
        };
        for text in [
            standard.clone(),
            lines("\n"),
            lines("\r\n"),
            format!("  {standard}\n"),
            BASE64_STANDARD_NO_PAD.encode(&bytes),
            BASE64_URL_SAFE.encode(&bytes),
            BASE64_URL_SAFE_NO_PAD.encode(&bytes),
            format!("data:image/png;base64,{standard}"),
            format!("DATA:image/png;charset=utf-8;BASE64,{standard}"),
        ] {
            prop_assert_eq!(decode_base64(text.as_bytes()).unwrap(), &bytes[..], "{}", text);
        }
    }

    #[test]
    fn no_input_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _any = decode_base64(&bytes);
        let _url = decode_base64(&[b"data:", &bytes[..]].concat());
    }
}

#[test]
fn other_texts_are_refused_for_what_they_are() {
    for (text, expected) in [
        ("data:image/svg+xml,<svg/>", NotBase64::DataUrl),
        ("data:", NotBase64::DataUrl),
        ("http://x/y.png", NotBase64::Address),
        ("HTTPS://x/y.png", NotBase64::Address),
        ("AAAAA", NotBase64::Malformed),
        ("====", NotBase64::Malformed),
        ("AA=A", NotBase64::Malformed),
        ("A+_A", NotBase64::Malformed),
        ("?", NotBase64::Characters),
        ("<svg>", NotBase64::Characters),
        ("gr\u{f6}\u{df}e", NotBase64::Characters),
        ("data:image/png;base64,?", NotBase64::DataUrl),
    ] {
        assert_eq!(decode_base64(text.as_bytes()), Err(expected), "{text}");
    }
}
