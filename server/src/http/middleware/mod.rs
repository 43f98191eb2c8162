//! What every request passes through: its id and span, the shape of errors, content coding, other origins.

mod call_span;
pub(super) mod content_coding;
pub(super) mod cors;
pub(super) mod error_shape;
pub(super) mod trace;
