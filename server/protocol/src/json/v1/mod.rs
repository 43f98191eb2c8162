//! The V1 protocol of `KServe` and TensorFlow Serving: values nested as their shape says, without names of
//! datatypes, so that reading a request takes the model's signature.
//!
//! In the row form, `{"instances": […]}`, each instance is one row of the input, or an object with one row of
//! each input by name; the answer is `{"predictions": […]}` with a row for each. In the column form,
//! `{"inputs": …}`, the whole tensor or an object of them comes and goes, as `{"outputs": …}`. Of BYTES, an
//! element is a string or `{"b64": "…"}`; so is a picture for an input that takes pictures.

mod decode;
mod encode;
mod nested;

use crate::{Datatype, InferRequest};

pub use decode::decode_request;
pub use encode::encode_response;

/// An input as the model declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its elements' datatype.
    pub datatype: Datatype,
    /// Its dimensions, the one of the rows included; -1 for one of any size.
    pub dims: Vec<i64>,
    /// Whether encoded pictures are taken beside its own numbers, as elements of BYTES: a tensor of one axis.
    pub pictures: bool,
}

/// In which form a request came, and its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `instances` and `predictions`: so many rows.
    Rows(usize),
    /// `inputs` and `outputs`: whole tensors.
    Columns,
}

/// A request in the one form or the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// In which.
    pub form: Form,
    /// What it asks for; every input of the model, in the model's order, and all outputs.
    pub infer: InferRequest,
}
