//! The V1 protocol of `KServe` and TensorFlow Serving: values are nested as their shape says. Requests do not name
//! datatypes, so the reader needs the model's signature.
//!
//! In the row form, `{"instances": […]}`, each instance is one row of the only input, or an object with one row of each
//! input by name. The response is `{"predictions": […]}`, with one row per instance. In the column form, `{"inputs":
//! …}`, the value is the whole tensor of the only input, or an object of tensors by name. The response is `{"outputs":
//! …}`. An element of BYTES, and a picture for an input that accepts pictures, is a string or `{"b64": "…"}`.

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
    /// Its dimensions, with the axis of the rows; -1 if a size varies.
    pub dims: Vec<i64>,
    /// Whether the input also accepts encoded pictures, as BYTES elements along one axis, in place of its own numbers.
    pub pictures: bool,
}

/// The form of a request, and so of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `instances` and `predictions`, with this number of rows.
    Rows(usize),
    /// `inputs` and `outputs`: whole tensors.
    Columns,
}

/// A request in either form.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The form in which it was sent.
    pub form: Form,
    /// The request for inference. It has every input of the model, in the model's order, and asks for all outputs.
    pub infer: InferRequest,
}
