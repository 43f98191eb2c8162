//! Base64 as clients write it: every place where a text may be base64 reads it with [`decode_base64`].

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Accepts base64 with and without padding, since encoders for URLs leave it out.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const FOR_URLS: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Why a text is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBase64 {
    /// It has a character that base64 does not have.
    #[error("the text is not base64")]
    Characters,
    /// Its characters are those of base64, but its length or its padding is wrong, or it mixes two alphabets.
    #[error("the text is not base64: it is cut short, or its padding is wrong")]
    Malformed,
    /// It is a data URL in another encoding.
    #[error("the data URL is not one of base64 (data:image/png;base64,…)")]
    DataUrl,
    /// It is the address of something else.
    #[error("an address is not fetched: send the bytes that are there, in base64")]
    Address,
}

/// Decodes base64, plain or in a data URL. Padding is optional, white space is skipped, and the alphabet may be the one
/// for URLs.
///
/// # Errors
/// [`NotBase64`] says why the text is not base64.
pub fn decode_base64(text: &[u8]) -> Result<Vec<u8>, NotBase64> {
    // Nearly all texts are in this form, which needs no copy.
    PLAIN.decode(text).or_else(|_| decode_other(text))
}

#[cold]
fn decode_other(text: &[u8]) -> Result<Vec<u8>, NotBase64> {
    let text = text.trim_ascii();
    if [&b"http://"[..], b"https://"].into_iter().any(|scheme| starts_with(text, scheme)) {
        return Err(NotBase64::Address);
    }
    let is_url = starts_with(text, b"data:");
    let text = if is_url { data(text)? } else { text };
    let packed: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
    if !packed.iter().all(is_base64) {
        return Err(if is_url { NotBase64::DataUrl } else { NotBase64::Characters });
    }
    let engine = if packed.iter().any(|byte| matches!(byte, b'-' | b'_')) { FOR_URLS } else { PLAIN };
    engine.decode(packed).map_err(|_| NotBase64::Malformed)
}

/// Returns what follows the head of a data URL, if the head says that it is base64.
fn data(url: &[u8]) -> Result<&[u8], NotBase64> {
    const ENCODING: &[u8] = b";base64";
    let comma = url.iter().position(|&byte| byte == b',').ok_or(NotBase64::DataUrl)?;
    let (head, data) = url.split_at(comma);
    let encoding = &head[head.len().saturating_sub(ENCODING.len())..];
    if encoding.eq_ignore_ascii_case(ENCODING) { Ok(&data[1..]) } else { Err(NotBase64::DataUrl) }
}

fn starts_with(text: &[u8], scheme: &[u8]) -> bool {
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}
