//! Reads a BYTES element with a picture: the encoded picture itself, or base64 text of it.

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use pictures::decode::Format;

/// Accepts base64 with and without padding, since encoders for URLs leave it out.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const FOR_URLS: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Returns the bytes of the picture. An element that begins like a known format is the picture itself. Since JSON can
/// only carry text, other text is decoded as base64 or as a data URL. This holds for binary requests too, so that all
/// wire formats behave alike.
///
/// # Errors
/// The text is malformed. The error says how.
pub(super) fn picture(element: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    if Format::of(element).is_ok() {
        return Ok(Cow::Borrowed(element));
    }
    let text = match data_url(element) {
        Some(DataUrl::Base64(text)) => text,
        Some(DataUrl::Other) => return Err("the data URL is not one of base64 (data:image/png;base64,…)"),
        None if element.is_empty() || !element.iter().all(|&byte| is_base64(byte)) => {
            return Ok(Cow::Borrowed(element));
        }
        None => element,
    };
    let packed: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let engine = if packed.iter().any(|byte| matches!(byte, b'-' | b'_')) { FOR_URLS } else { PLAIN };
    engine.decode(packed).map(Cow::Owned).map_err(|_| "the text is not base64")
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
        || byte.is_ascii_whitespace()
}

enum DataUrl<'a> {
    Base64(&'a [u8]),
    Other,
}

fn data_url(element: &[u8]) -> Option<DataUrl<'_>> {
    const SCHEME: &[u8] = b"data:";
    const ENCODING: &[u8] = b";base64";
    let (scheme, rest) = element.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let Some(comma) = rest.iter().position(|&byte| byte == b',') else { return Some(DataUrl::Other) };
    let (head, data) = rest.split_at(comma);
    let encoding = &head[head.len().saturating_sub(ENCODING.len())..];
    Some(if encoding.eq_ignore_ascii_case(ENCODING) { DataUrl::Base64(&data[1..]) } else { DataUrl::Other })
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

    proptest! {
        #[test]
        fn bytes_and_every_kind_of_base64_come_to_the_same(rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [PNG, &rest].concat();
            prop_assert_eq!(picture(&bytes).unwrap(), &bytes[..]);
            let standard = BASE64_STANDARD.encode(&bytes);
            let lines: String = standard.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect::<Vec<_>>().join("\r\n");
            for text in [
                standard.clone(),
                lines,
                BASE64_STANDARD_NO_PAD.encode(&bytes),
                BASE64_URL_SAFE_NO_PAD.encode(&bytes),
                format!("data:image/png;base64,{standard}"),
                format!("DATA:image/png;charset=utf-8;BASE64,{standard}"),
            ] {
                prop_assert_eq!(picture(text.as_bytes()).unwrap(), &bytes[..], "{}", text);
            }
        }

        #[test]
        fn no_input_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _any = picture(&bytes);
            let _url = picture(&[b"data:", &bytes[..]].concat());
        }
    }

    #[test]
    fn malformed_texts_are_refused_and_other_bytes_are_left_to_the_decoder() {
        for text in ["data:image/svg+xml,<svg/>", "data:", "AAAAA", "====", "AA=A"] {
            assert!(picture(text.as_bytes()).is_err(), "{text}");
        }
        for bytes in [&b""[..], b"\xff\x00", b"<svg>", b"{}"] {
            assert_eq!(picture(bytes).unwrap(), bytes, "left to the decoder, which says what it is");
        }
    }
}
