//! The call `ModelInfer`, served without `tonic`. It decodes the message in the buffer in which it arrived and writes
//! the response once, which saves the copies and allocations of `tonic`.

use std::{
    convert::Infallible,
    mem,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use oip::grpc::{
    decode_message,
    frame::{Encoding, PREFIX_BYTES, Prefix, framed},
};
use tonic::{Status, codegen::StdError};

use super::{Service, call_headers::timeout, status::error_of};
use crate::{
    error::{ErrorCode, ServeError},
    platform::workers,
};

/// The rest of a response's body. It has no `content-length`, which gRPC clients do not use.
#[derive(Debug)]
pub enum Reply {
    /// The message is still to be sent, and after it the status OK.
    Message(Bytes),
    /// The status OK is still to be sent, as a trailer.
    Status,
    /// Nothing is left. This is also the body of an error, whose status is in the headers.
    End,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (frame, rest) = match mem::replace(&mut *self, Self::End) {
            Self::Message(message) => (Frame::data(message), Self::Status),
            Self::Status => {
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
                (Frame::trailers(trailers), Self::End)
            }
            Self::End => return Poll::Ready(None),
        };
        *self = rest;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::End)
    }
}

const ENCODING: &str = "grpc-encoding";
const ACCEPTED: &str = "grpc-accept-encoding";

/// Serves the call `ModelInfer`.
#[derive(Clone, Debug)]
pub struct ModelInfer {
    pub(super) service: Service,
    /// Largest message in bytes, also after decompression.
    pub(super) max_message_bytes: usize,
}

impl ModelInfer {
    /// Serves a call. An error becomes a response with its status.
    pub async fn serve<B>(&self, head: &HeaderMap, body: B) -> Response<Reply>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<StdError>,
    {
        match self.infer(head, body).await {
            Ok(response) => response,
            Err(error) => refusal(error),
        }
    }

    async fn infer<B>(&self, head: &HeaderMap, body: B) -> Result<Response<Reply>, ServeError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<StdError>,
    {
        let encoding = encoding(head)?;
        let message = self.read(body, encoding).await?;
        let message = if workers::is_long_to_decode(0, message.len()) {
            workers::run_blocking(move || decode_message(message)).await
        } else {
            decode_message(message)
        };
        let mut message = message.map_err(|status| error_of(&status))?;
        let answer = self.service.infer(&mut message, timeout(head)).await?;
        // A client that does not compress its request gets no compressed response: most announce that they accept gzip,
        // but few gain from it.
        let encoding = encoding.and_then(|_| accepted(head));
        let too_large = || ServeError::internal("the response is larger than a gRPC message can be");
        Ok(reply(framed(&answer, encoding).ok_or_else(too_large)?, encoding))
    }

    /// Reads the only message of the call. A message that arrived in one chunk is not copied.
    async fn read<B>(&self, body: B, encoding: Option<Encoding>) -> Result<Bytes, ServeError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<StdError>,
    {
        let mut body = pin!(body);
        let (mut whole, mut parts) = (Bytes::new(), BytesMut::new());
        let mut prefix: Option<Prefix> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| error_of(&Status::from_error(error.into())))?;
            let Ok(part) = frame.into_data() else { continue };
            if whole.is_empty() && parts.is_empty() {
                whole = part;
            } else {
                if parts.is_empty() {
                    let expected = prefix.map_or(0, Prefix::frame_bytes);
                    parts.reserve(expected.max(whole.len() + part.len()));
                    parts.extend_from_slice(&mem::take(&mut whole));
                }
                parts.extend_from_slice(&part);
            }
            let received = if parts.is_empty() { &whole[..] } else { &parts[..] };
            if prefix.is_none()
                && let Some(bytes) = received.first_chunk()
            {
                prefix = Some(self.prefix(*bytes)?);
            }
            if prefix.is_some_and(|prefix| received.len() > prefix.frame_bytes()) {
                return Err(ServeError::invalid("there is more than one message"));
            }
        }
        let mut whole = if parts.is_empty() { whole } else { parts.freeze() };
        let Some(prefix) = prefix.filter(|prefix| whole.len() == prefix.frame_bytes()) else {
            return Err(ServeError::invalid("the call ends before its message does"));
        };
        let message = whole.split_off(PREFIX_BYTES);
        if prefix.is_compressed { self.decompress(&message, encoding) } else { Ok(message) }
    }

    fn prefix(&self, bytes: [u8; PREFIX_BYTES]) -> Result<Prefix, ServeError> {
        let unreadable = || ServeError::invalid("the compression flag before the message is neither 0 nor 1");
        let prefix = Prefix::read(bytes).ok_or_else(unreadable)?;
        if prefix.length > self.max_message_bytes {
            return Err(self.too_large(&format!("has {} bytes", prefix.length)));
        }
        Ok(prefix)
    }

    fn decompress(&self, message: &[u8], encoding: Option<Encoding>) -> Result<Bytes, ServeError> {
        let unnamed = || ServeError::invalid("the message is compressed, and grpc-encoding does not say how");
        let encoding = encoding.ok_or_else(unnamed)?;
        let unreadable = |error| {
            ServeError::invalid(format!("the message cannot be read as {}: {error}", encoding.name()))
        };
        let message = encoding.unpack(message, self.max_message_bytes).map_err(unreadable)?;
        message.map(Bytes::from).ok_or_else(|| self.too_large("has more bytes once decompressed"))
    }

    fn too_large(&self, what: &str) -> ServeError {
        let most = self.max_message_bytes;
        let message = format!("the message {what}, and {most} are allowed (--max-body-size)");
        ServeError::new(ErrorCode::PayloadTooLarge, message)
    }
}

/// Returns how the call's message is compressed; `None` if it is not.
fn encoding(head: &HeaderMap) -> Result<Option<Encoding>, ServeError> {
    let Some(name) = head.get(ENCODING).filter(|name| *name != "identity") else { return Ok(None) };
    let known = name.to_str().ok().and_then(Encoding::named);
    known.map(Some).ok_or_else(|| {
        let name: String = String::from_utf8_lossy(name.as_bytes()).chars().take(64).collect();
        let message = format!("messages are not read as '{name}', but as gzip and deflate");
        ServeError::new(ErrorCode::UnsupportedEncoding, message)
    })
}

/// Makes the response of a call that failed: no message, and the status in the headers.
fn refusal(error: ServeError) -> Response<Reply> {
    let is_encoding = error.code == ErrorCode::UnsupportedEncoding;
    let mut response = Status::from(error).into_http::<()>().map(|()| Reply::End);
    if is_encoding {
        response.headers_mut().insert(ACCEPTED, HeaderValue::from_static("identity,gzip,deflate"));
    }
    response
}

/// Returns the first encoding that the client accepts and this server writes.
fn accepted(head: &HeaderMap) -> Option<Encoding> {
    let names = head.get(ACCEPTED)?.to_str().ok()?;
    names.split(',').find_map(|name| Encoding::named(name.trim()))
}

fn reply(message: Bytes, encoding: Option<Encoding>) -> Response<Reply> {
    let mut response = Response::new(Reply::Message(message));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Some(encoding) = encoding {
        headers.insert(ENCODING, HeaderValue::from_static(encoding.name()));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use futures_util::stream;
    use http_body_util::StreamBody;
    use oip::grpc::messages::ModelInferRequest;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::{inference::DataPlane, repository::Registry, telemetry::Metrics};

    const MOST: usize = 100;

    /// Reads a body that arrives in chunks of `piece` bytes.
    fn read(body: &[u8], piece: usize, encoding: Option<Encoding>) -> Result<Bytes, ServeError> {
        let (registry, second) = (Arc::new(Registry::default()), Duration::from_secs(1));
        let data_plane = Arc::new(DataPlane::new(registry, Metrics::new().unwrap(), second));
        let call = ModelInfer { service: Service { data_plane }, max_message_bytes: MOST };
        let frame = |piece: &[u8]| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece)));
        let body = StreamBody::new(stream::iter(body.chunks(piece).map(frame)));
        futures_util::FutureExt::now_or_never(call.read(body, encoding)).unwrap()
    }

    fn request(id: &str) -> ModelInferRequest {
        ModelInferRequest { id: id.into(), ..ModelInferRequest::default() }
    }

    proptest! {
        #[test]
        fn a_message_is_read_in_chunks_of_any_size(id in "[a-z]{0,98}", piece in 1..120_usize, encoding in 0..3_usize) {
            let encoding = Encoding::ALL.get(encoding).copied();
            let body = framed(&request(&id), encoding).unwrap();
            prop_assert_eq!(read(&body, piece, encoding).unwrap(), request(&id).encode_to_vec());
            let (incomplete, doubled) = (&body[..body.len() - 1], [&body[..], &body[..]].concat());
            for wrong in [incomplete, &doubled] {
                prop_assert_eq!(read(wrong, piece, encoding).unwrap_err().code, ErrorCode::InvalidArgument);
            }
        }
    }

    #[test]
    fn errors_say_what_is_wrong_with_a_message() {
        let long = request(&"a".repeat(MOST));
        let (gzip, deflate) = (Some(Encoding::Gzip), Some(Encoding::Deflate));
        let framed = |encoding| framed(&long, encoding).unwrap();
        for (body, encoding, code, text) in [
            (Bytes::new(), None, ErrorCode::InvalidArgument, "ends before its message"),
            (Bytes::from_static(&[0, 0, 0]), None, ErrorCode::InvalidArgument, "ends before its message"),
            (Bytes::from_static(&[7, 0, 0, 0, 0]), None, ErrorCode::InvalidArgument, "neither 0 nor 1"),
            (
                Bytes::from_static(&[0, 255, 0, 0, 0]),
                None,
                ErrorCode::PayloadTooLarge,
                "4278190080 bytes, and 100 are",
            ),
            (framed(None), None, ErrorCode::PayloadTooLarge, "has 102 bytes"),
            (framed(gzip), gzip, ErrorCode::PayloadTooLarge, "more bytes once decompressed"),
            (framed(deflate), gzip, ErrorCode::InvalidArgument, "cannot be read as gzip"),
            (framed(gzip), None, ErrorCode::InvalidArgument, "does not say how"),
        ] {
            let error = read(&body, 16, encoding).unwrap_err();
            assert!(error.code == code && error.message.contains(text), "{error:?}");
        }
    }

    #[test]
    fn responses_use_an_encoding_that_both_sides_know() {
        let head = |name, value| HeaderMap::from_iter([(http::HeaderName::from_static(name), value)]);
        let of = |name| encoding(&head(ENCODING, HeaderValue::from_static(name)));
        assert_eq!(of("deflate").unwrap(), Some(Encoding::Deflate));
        assert_eq!(of("identity").unwrap(), None);
        let response = refusal(of("snappy").unwrap_err());
        assert_eq!(response.headers()[Status::GRPC_STATUS], "12"); // UNIMPLEMENTED
        assert_eq!(response.headers()[ACCEPTED], "identity,gzip,deflate");
        let first = |names| accepted(&head(ACCEPTED, HeaderValue::from_static(names)));
        assert_eq!(first("identity, deflate,gzip"), Some(Encoding::Deflate));
        assert_eq!(first("identity"), None);
    }
}
