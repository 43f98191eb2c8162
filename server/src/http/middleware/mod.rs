//! What every request passes through: its id and span, the shape of errors, content coding, other origins.

pub(in crate::http) mod call_span;
pub(in crate::http) mod cors;
pub(in crate::http) mod error_shape;
pub(in crate::http) mod trace;
