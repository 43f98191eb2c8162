//! What a request with pictures wants beside the model's outputs.

use compact_str::CompactString;
use oip::{InferRequest, Parameter, RequestedOutput, Tensor};

use super::Added;
use crate::{
    error::ServeError,
    model::{BOXES, ImageInput, Steps},
};

/// The parameter that asks for all digits of a picture.
pub const DIGITS: &str = "digits";

/// The one value that it has.
pub const ALL: &str = "all";

/// The parameter that asks for what the model was shown.
pub const RETURN_INPUT: &str = "return_input";

/// Where an output stands among those asked for; the last where it is not named.
type Position = usize;

/// What a request with pictures wants beside the model's outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Every digit of a picture, and not the only one.
    pub all_digits: bool,
    input: Option<Position>,
    boxes: Option<Position>,
    /// Whether outputs are asked for, and none of them is the model's.
    only_added: bool,
}

impl Wishes {
    /// Outputs that an answer may have beside the model's.
    pub const MOST_ADDED: usize = 2;

    /// Reads them, and takes what is none of the model's out of the outputs that the request asks for.
    pub(super) fn take(request: &mut InferRequest, input: &ImageInput) -> Result<Self, ServeError> {
        let mut wishes = Self { all_digits: all_digits(request, input)?, ..Self::default() };
        let returns_input = match request.parameters.get(RETURN_INPUT) {
            None => false,
            Some(Parameter::Bool(value)) => *value,
            Some(_) => return Err(ServeError::invalid("parameter 'return_input' must be true or false")),
        };
        let has_boxes = input.steps == Steps::Mnist;
        for (position, output) in request.outputs.iter().enumerate() {
            let wish = match output.name.as_str() {
                name if name == input.name => &mut wishes.input,
                BOXES if has_boxes => &mut wishes.boxes,
                _ => continue,
            };
            check(output, wish.replace(position).is_some())?;
        }
        let is_added =
            |output: &RequestedOutput| output.name == input.name || has_boxes && output.name == BOXES;
        let is_selective = !request.outputs.is_empty();
        request.outputs.retain(|output| !is_added(output));
        wishes.only_added = is_selective && request.outputs.is_empty();
        if returns_input {
            wishes.input.get_or_insert(Position::MAX);
        }
        if wishes.all_digits {
            wishes.boxes.get_or_insert(Position::MAX);
        }
        Ok(wishes)
    }

    /// Whether the answer has what the model was shown.
    pub fn returns_input(&self) -> bool {
        self.input.is_some()
    }

    /// Whether the answer has where each digit lies.
    pub fn has_boxes(&self) -> bool {
        self.boxes.is_some()
    }

    /// Puts what was added among the model's outputs, in the order asked for.
    pub fn add(&self, outputs: &mut Vec<(CompactString, Tensor)>, added: Added, input: &ImageInput) {
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
