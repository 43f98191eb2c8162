//! Options of a request with pictures: outputs in addition to the model's, and one row or several per picture.

use compact_str::CompactString;
use oip::{InferRequest, Parameter, RequestedOutput, Tensor};

use super::AddedOutputs;
use crate::{
    error::ServeError,
    model::{BOXES, ImageInput, Steps},
};

/// The parameter that requests all digits of a picture.
pub const DIGITS: &str = "digits";

/// The only value of [`DIGITS`].
pub const ALL: &str = "all";

/// The parameter that requests the model's input tensor as an output.
pub const RETURN_INPUT: &str = "return_input";

/// Where an added output goes in the response: its index in the request's list of outputs, or [`usize::MAX`] for the
/// end, if the request does not list it.
type Position = usize;

/// Options of a request with pictures: outputs in addition to the model's, and one row or several per picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PictureOptions {
    /// Whether each digit of a picture becomes a row. Otherwise a picture must show one digit.
    pub all_digits: bool,
    input: Option<Position>,
    boxes: Option<Position>,
    /// Whether the request names only added outputs, and none of the model's.
    only_added: bool,
}

impl PictureOptions {
    /// Most outputs that a response has in addition to the model's.
    pub const MOST_ADDED: usize = 2;

    /// Reads the options, and removes the added outputs from the request's list of outputs.
    pub(super) fn take(request: &mut InferRequest, input: &ImageInput) -> Result<Self, ServeError> {
        let mut options = Self { all_digits: all_digits(request, input)?, ..Self::default() };
        let returns_input = match request.parameters.get(RETURN_INPUT) {
            None => false,
            Some(Parameter::Bool(value)) => *value,
            Some(_) => return Err(ServeError::invalid("parameter 'return_input' must be true or false")),
        };
        let has_boxes = input.steps == Steps::Mnist;
        for (position, output) in request.outputs.iter().enumerate() {
            let requested = match output.name.as_str() {
                name if name == input.name => &mut options.input,
                BOXES if has_boxes => &mut options.boxes,
                _ => continue,
            };
            check(output, requested.replace(position).is_some())?;
        }
        let is_added =
            |output: &RequestedOutput| output.name == input.name || has_boxes && output.name == BOXES;
        let is_selective = !request.outputs.is_empty();
        request.outputs.retain(|output| !is_added(output));
        options.only_added = is_selective && request.outputs.is_empty();
        if returns_input {
            options.input.get_or_insert(Position::MAX);
        }
        if options.all_digits {
            options.boxes.get_or_insert(Position::MAX);
        }
        Ok(options)
    }

    /// Returns whether the response has the model's input tensor.
    pub fn returns_input(&self) -> bool {
        self.input.is_some()
    }

    /// Returns whether the response has the boxes of the digits.
    pub fn has_boxes(&self) -> bool {
        self.boxes.is_some()
    }

    /// Inserts the added outputs among the model's, in the requested order.
    pub fn add(&self, outputs: &mut Vec<(CompactString, Tensor)>, added: AddedOutputs, input: &ImageInput) {
        if self.only_added {
            outputs.clear();
        }
        let mut all = [(self.input, input.name.as_str(), added.input), (self.boxes, BOXES, added.boxes)];
        all.sort_by_key(|(position, ..)| *position);
        for (position, name, tensor) in all {
            if let (Some(position), Some(tensor)) = (position, tensor) {
                outputs.insert(position.min(outputs.len()), (name.into(), tensor));
            }
        }
    }
}

fn all_digits(request: &InferRequest, input: &ImageInput) -> Result<bool, ServeError> {
    match request.parameters.get(DIGITS) {
        None => Ok(false),
        Some(Parameter::String(value)) if value == ALL && input.steps == Steps::Mnist => Ok(true),
        Some(Parameter::String(value)) if value == ALL => Err(ServeError::invalid(format!(
            "parameter 'digits' is for models with preprocess = \"mnist\"; this one has \"{}\"",
            input.preprocess().name()
        ))),
        Some(_) => Err(ServeError::invalid("parameter 'digits' must be \"all\", or left out")),
    }
}

fn check(output: &RequestedOutput, is_second: bool) -> Result<(), ServeError> {
    let name = &output.name;
    if is_second {
        return Err(ServeError::invalid(format!("output '{name}' is requested twice")));
    }
    if output.parameters.get("classification").is_some() {
        return Err(ServeError::invalid(format!("output '{name}' has no classes")));
    }
    Ok(())
}
