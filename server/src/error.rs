//! Errors as clients see them. One code and one text serve HTTP and gRPC alike.

use std::{borrow::Cow, fmt, time::Duration};

use pictures::DecodeError;

/// The kind of an error. It maps to an HTTP status and a gRPC status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is malformed or does not fit the model.
    InvalidArgument,
    /// The request has no token, or a wrong one.
    Unauthenticated,
    /// Who sends the request may not do this.
    PermissionDenied,
    /// There is no such model, version or path.
    NotFound,
    /// The path exists, but does not take the request's method.
    MethodNotAllowed,
    /// The client took too long to send its request.
    RequestTimeout,
    /// The body, or a picture in it, is larger than the limit.
    PayloadTooLarge,
    /// The server cannot read the body's encoding or content type.
    UnsupportedEncoding,
    /// The queue is full.
    Overloaded,
    /// The model is loading or unloaded, or the server is draining. The client may try again later, or on another
    /// replica.
    Unavailable,
    /// The request's timeout passed.
    DeadlineExceeded,
    /// A fault of the server or of ONNX Runtime.
    Internal,
    /// The server does not implement this part of the protocol.
    Unimplemented,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::InvalidArgument,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::PayloadTooLarge,
        Self::UnsupportedEncoding,
        Self::Overloaded,
        Self::Unavailable,
        Self::DeadlineExceeded,
        Self::Internal,
        Self::Unimplemented,
    ];

    /// The HTTP status.
    pub const fn http(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedEncoding => 415,
            Self::Overloaded => 429,
            Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    /// The gRPC status code, as the gRPC specification numbers them.
    pub const fn grpc(self) -> i32 {
        match self {
            Self::InvalidArgument => 3,
            Self::RequestTimeout | Self::DeadlineExceeded => 4,
            Self::NotFound => 5,
            Self::PermissionDenied => 7,
            Self::PayloadTooLarge | Self::Overloaded => 8,
            Self::MethodNotAllowed | Self::UnsupportedEncoding | Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::Unauthenticated => 16,
        }
    }

    /// The name of the gRPC status code.
    pub const fn grpc_name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::RequestTimeout | Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::PayloadTooLarge | Self::Overloaded => "RESOURCE_EXHAUSTED",
            Self::MethodNotAllowed | Self::UnsupportedEncoding | Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// Returns the code for a gRPC status code. Several codes may share one status; then it is the last of
    /// [`Self::ALL`] with it, which is the most general. A status that this server never sends becomes
    /// [`Internal`](Self::Internal).
    pub fn of_grpc(status: i32) -> Self {
        let code = Self::ALL.into_iter().rev().find(|code| code.grpc() == status);
        code.unwrap_or(Self::Internal)
    }

    /// The code as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Internal => "internal",
            Self::Unimplemented => "unimplemented",
        }
    }

    /// How long a client should wait before it tries again (the `Retry-After` header); `None` where another try would
    /// fail too.
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Overloaded | Self::Unavailable => Some(Duration::from_secs(1)),
            Self::InvalidArgument
            | Self::Unauthenticated
            | Self::PermissionDenied
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::RequestTimeout
            | Self::PayloadTooLarge
            | Self::UnsupportedEncoding
            | Self::DeadlineExceeded
            | Self::Internal
            | Self::Unimplemented => None,
        }
    }
}

/// Longest message in bytes. What a message quotes, such as a shape, may be as long as a request makes it.
const MAX_MESSAGE: usize = 4 << 10;

/// An error that is sent to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeError {
    /// Its kind.
    pub code: ErrorCode,
    /// What went wrong: what the client sent and what was expected. It never has secrets or paths of the server's file
    /// system.
    pub message: Cow<'static, str>,
}

impl From<DecodeError> for ServeError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooLarge { .. } => {
                Self::new(ErrorCode::PayloadTooLarge, format!("{error} (--max-picture-pixels)"))
            }
            _ => Self::invalid(error.to_string()),
        }
    }
}

impl ServeError {
    /// Makes an error of this kind with this text. Line breaks and control characters are escaped and long texts are cut,
    /// since the text may quote what the client sent.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE {
            message = format!("{} ...", &message[..message.floor_char_boundary(MAX_MESSAGE)]).into();
        }
        let line = match oip::on_one_line(&message) {
            Cow::Borrowed(_) => None,
            Cow::Owned(line) => Some(Cow::Owned(line)),
        };
        Self { code, message: line.unwrap_or(message) }
    }

    /// [`ErrorCode::InvalidArgument`] with this text.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// [`ErrorCode::Internal`] with this text.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ServeError {}

impl From<oip::DecodeError> for ServeError {
    fn from(error: oip::DecodeError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<oip::EncodeError> for ServeError {
    fn from(error: oip::EncodeError) -> Self {
        let code = match error {
            // The client can avoid these by asking for another form of the output.
            oip::EncodeError::NotUtf8 { .. } | oip::EncodeError::NoRows { .. } => ErrorCode::InvalidArgument,
            oip::EncodeError::Inconsistent { .. } => ErrorCode::Internal,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use oip::{Datatype, EncodeError, InferResponse, Shape, Tensor, v1::Form};

    use super::*;

    fn code(error: EncodeError) -> ErrorCode {
        ServeError::from(error).code
    }

    #[test]
    fn an_inconsistent_response_is_a_fault_of_the_server() {
        let response = |tensor| InferResponse {
            model_name: "m".into(),
            model_version: "1".into(),
            id: None,
            outputs: vec![("y".into(), tensor)],
        };
        let shape = Shape::from(&[2][..]);
        let short = Tensor { datatype: Datatype::Fp32, shape: shape.clone(), data: vec![0; 7].into() };
        let short = response(short);
        for binary in [true, false] {
            assert_eq!(code(oip::encode_response(&short, &[binary]).unwrap_err()), ErrorCode::Internal);
        }
        for form in [Form::Columns, Form::Rows(2)] {
            assert_eq!(code(oip::v1::encode_response(&short, form).unwrap_err()), ErrorCode::Internal);
        }
        let mut data = Vec::new();
        oip::push_bytes_element(&mut data, b"text");
        oip::push_bytes_element(&mut data, b"\xff");
        let blobs = response(Tensor { datatype: Datatype::Bytes, shape, data: data.into() });
        assert_eq!(code(oip::encode_response(&blobs, &[]).unwrap_err()), ErrorCode::InvalidArgument);
        let other_rows = oip::v1::encode_response(&blobs, Form::Rows(3)).unwrap_err();
        assert_eq!(code(other_rows), ErrorCode::InvalidArgument);
    }

    #[test]
    fn a_message_is_one_line() {
        let error = ServeError::invalid("unknown input 'a\r\nb\u{1b}[2J\u{2028}\u{e9}'".to_owned());
        assert_eq!(
            error.message,
            r"unknown input 'a\r\nb\u{1b}[2J\u{2028}\u{e9}'".replace(r"\u{e9}", "\u{e9}")
        );
    }

    #[test]
    fn the_documentation_lists_every_code() {
        let page = include_str!("../../docs/PROTOCOL.md");
        for code in ErrorCode::ALL {
            let row = format!("| {} | {} | {} |", code.label(), code.http(), code.grpc());
            assert!(page.contains(&row), "docs/PROTOCOL.md has no row '{row}'");
        }
    }
}
