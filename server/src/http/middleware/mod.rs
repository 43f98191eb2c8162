//! The steps that every request passes through: request id and span, form of errors, content coding, CORS.

mod call_span;
pub(super) mod content_coding;
pub(super) mod cors;
pub(super) mod error_shape;
pub(super) mod trace;
