//! Processing of a single inference request outside the batcher: validation, scheduling parameters, pictures, classes.

pub mod classify;
pub mod preprocess;
pub mod schedule;
pub mod validate;
