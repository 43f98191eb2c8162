//! Reads a BYTES element with a picture: the encoded picture itself, or base64 text of it.

use std::borrow::Cow;

use oip::{NotBase64, decode_base64};
use pictures::decode::Format;

/// Returns the bytes of the picture. An element that begins like a known format is the picture itself. Since JSON can
/// only carry text, other text is decoded as base64 or as a data URL. This holds for binary requests too, so that all
/// wire formats behave alike.
///
/// # Errors
/// The text is malformed base64, a data URL of something else, or an address.
pub(super) fn picture(element: &[u8]) -> Result<Cow<'_, [u8]>, NotBase64> {
    if Format::of(element).is_ok() {
        return Ok(Cow::Borrowed(element));
    }
    match decode_base64(element) {
        Ok(bytes) => Ok(Cow::Owned(bytes)),
        // Left to the decoder of pictures, which says what it is.
        Err(NotBase64::Characters) => Ok(Cow::Borrowed(element)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine};
    use proptest::prelude::*;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

    proptest! {
        #[test]
        fn bytes_and_base64_come_to_the_same(rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [PNG, &rest].concat();
            prop_assert_eq!(picture(&bytes).unwrap(), &bytes[..]);
            let text = BASE64_STANDARD.encode(&bytes);
            prop_assert_eq!(picture(text.as_bytes()).unwrap(), &bytes[..]);
            let url = format!("data:image/png;base64,{text}");
            prop_assert_eq!(picture(url.as_bytes()).unwrap(), &bytes[..]);
        }
    }

    #[test]
    fn malformed_texts_are_refused_and_other_bytes_are_left_to_the_decoder() {
        for text in ["data:image/svg+xml,<svg/>", "data:", "AAAAA", "====", "AA=A", "http://x/y.png"] {
            assert!(picture(text.as_bytes()).is_err(), "{text}");
        }
        for bytes in [&b""[..], b"\xff\x00", b"<svg>", b"{}"] {
            assert_eq!(picture(bytes).unwrap(), bytes, "left to the decoder, which says what it is");
        }
    }
}
