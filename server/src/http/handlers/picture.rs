//! A body that is one encoded picture: what its query asks for, and what is said of one that comes as something else.

use http::{HeaderMap, header};
use oip::{InferRequest, Parameter};
use pictures::decode::Format;

use crate::{
    error::ServeError,
    loading::ServedModel,
    request::preprocess::{ALL, DIGITS, Pictures, RETURN_INPUT},
};

/// Whether the head says that the body is a picture, of whatever format.
pub(in crate::http) fn is_announced(headers: &HeaderMap) -> bool {
    const KIND: &[u8] = b"image/";
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.as_bytes().get(..KIND.len()));
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(KIND))
}

/// How the model takes pictures.
///
/// # Errors
/// It takes none: says what to write into its configuration.
pub(in crate::http) fn taken_by(model: &ServedModel) -> Result<&Pictures, ServeError> {
    model.pictures.as_ref().ok_or_else(|| {
        ServeError::invalid(format!(
            "model '{}' takes no pictures: its config.toml needs a section [image], such as [image] preprocess = \
             \"rgb\" (or \"mnist\" for digits)",
            model.name
        ))
    })
}

/// Gives a request with pictures the parameters that its query has.
///
/// # Errors
/// The query has what no picture takes.
pub(in crate::http) fn heed(query: Option<&str>, request: &mut InferRequest) -> Result<(), ServeError> {
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = match (key, value) {
            (DIGITS, ALL) => (DIGITS, Parameter::String(ALL.into())),
            (RETURN_INPUT, "true") => (RETURN_INPUT, Parameter::Bool(true)),
            (RETURN_INPUT, "false") => (RETURN_INPUT, Parameter::Bool(false)),
            _ => {
                let shown: String = pair.chars().take(64).collect();
                return Err(ServeError::invalid(format!(
                    "'{shown}' in the query: a picture takes digits=all and return_input=true"
                )));
            }
        };
        if request.parameters.get(key).is_some() {
            return Err(ServeError::invalid(format!("'{key}' is twice in the query")));
        }
        request.parameters.0.push((key.into(), value));
    }
    Ok(())
}

/// The error about a body that could not be read, or what to do where it is a picture that was not announced.
#[cold]
pub(in crate::http) fn or_unannounced(error: ServeError, body: &[u8]) -> ServeError {
    let Ok(format) = Format::of(body) else { return error };
    let kind = match format {
        Format::Png => "png",
        Format::Jpeg => "jpeg",
        Format::WebP => "webp",
        Format::Gif => "gif",
        Format::Bmp => "bmp",
    };
    ServeError::invalid(format!(
        "the body looks like a picture ({format}): send it with Content-Type: image/{kind}, so that it is read as one"
    ))
}
