//! Bodies that are one encoded picture: how they are recognised, and the parameters of their query.

use http::{HeaderMap, header};
use oip::{InferRequest, Parameter};
use pictures::decode::Format;

use crate::{
    error::ServeError,
    loading::ServedModel,
    request::preprocess::{ALL, DIGITS, Pictures, RETURN_INPUT},
};

/// Returns whether the headers say that the body is a picture.
pub(in crate::http) fn has_content_type(headers: &HeaderMap) -> bool {
    const KIND: &[u8] = b"image/";
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.as_bytes().get(..KIND.len()));
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(KIND))
}

/// Returns how the model takes pictures.
///
/// # Errors
/// The model takes no pictures. The text says how to configure that.
pub(in crate::http) fn pictures_of(model: &ServedModel) -> Result<&Pictures, ServeError> {
    model.pictures.as_ref().ok_or_else(|| {
        ServeError::invalid(format!(
            "model '{}' takes no pictures: its config.toml needs a section [image], such as [image] preprocess = \
             \"rgb\" (or \"mnist\" for digits)",
            model.name
        ))
    })
}

/// Adds the parameters of the query to a request with pictures.
///
/// # Errors
/// The query has an unknown parameter or value, or one twice.
pub(in crate::http) fn apply_query(
    query: Option<&str>,
    request: &mut InferRequest,
) -> Result<(), ServeError> {
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = match (key, value) {
            (DIGITS, ALL) => (DIGITS, Parameter::String(ALL.into())),
            (RETURN_INPUT, "true") => (RETURN_INPUT, Parameter::Bool(true)),
            (RETURN_INPUT, "false") => (RETURN_INPUT, Parameter::Bool(false)),
            _ => {
                let shown: String = pair.chars().take(64).collect();
                return Err(ServeError::invalid(format!(
                    "'{shown}' in the query: with pictures it may have digits=all and return_input=true"
                )));
            }
        };
        if request.parameters.get(key).is_some() {
            let message =
                format!("'{key}' in the query is given twice: give it once, there or as a parameter");
            return Err(ServeError::invalid(message));
        }
        request.parameters.0.push((key.into(), value));
    }
    Ok(())
}

/// How a request can have a picture, for the error about a body that is one unannounced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Announced {
    /// By the Content-Type of the body.
    ByContentType,
    /// By the Content-Type, if the request did not have the header with the length of its JSON.
    WithoutLength,
    /// Never by the body: V1 takes pictures in JSON.
    InJson,
}

/// Improves the error about a body that could not be decoded: if the body is a picture, or a form with one, the text
/// says how to send it.
#[cold]
pub(in crate::http) fn explain(error: ServeError, body: &[u8], announced: Announced) -> ServeError {
    if is_multipart(body) {
        return ServeError::invalid(
            "the body is multipart/form-data, as curl -F sends it, which is not read: send the JSON or the picture \
             alone (curl --data-binary @FILE), a picture with its Content-Type, such as image/png",
        );
    }
    let Ok(format) = Format::of(body) else { return error };
    let kind = match format {
        Format::Png => "png",
        Format::Jpeg => "jpeg",
        Format::WebP => "webp",
        Format::Gif => "gif",
        Format::Bmp => "bmp",
    };
    let how = match announced {
        Announced::ByContentType => {
            format!("send it with Content-Type: image/{kind}, so that it is read as one")
        }
        Announced::WithoutLength => {
            format!("send it with Content-Type: image/{kind} and without Inference-Header-Content-Length")
        }
        Announced::InJson => {
            "V1 takes it as {\"instances\": [{\"b64\": \"…\"}]}, and V2 (/v2/models/…/infer) as it is"
                .to_owned()
        }
    };
    ServeError::invalid(format!("the body looks like a picture ({format}): {how}"))
}

/// Returns whether the body is a form in parts: a line with a boundary, then the head of the first part.
fn is_multipart(body: &[u8]) -> bool {
    const HEAD: &[u8] = b"content-disposition:";
    let start = &body[..body.len().min(512)];
    start.starts_with(b"--") && start.windows(HEAD.len()).any(|window| window.eq_ignore_ascii_case(HEAD))
}
