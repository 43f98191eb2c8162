//! The steps that every request passes through: request id and span, form of errors, CORS.

mod call_span;
pub(super) mod cors;
pub(super) mod error_shape;
pub(super) mod trace;
