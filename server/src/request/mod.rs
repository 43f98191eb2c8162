//! One request for inference, before it meets others: checked, scheduled, its pictures decoded, its classes named.

pub mod classify;
pub mod preprocess;
pub mod schedule;
pub mod validate;
