//! From a decoded request to one that may join a batch: everything is checked here, nothing later.

use std::num::NonZeroUsize;

use oip::{Datatype, InferRequest, InputTensor, RequestedOutput, Tensor};
use smallvec::SmallVec;

use crate::{
    classify::classes_asked,
    error::ServeError,
    model::{Signature, TensorSpec},
    schedule::Schedule,
};

/// The sizes that requests must share to be joined: every input's dimensions but the rows, in order.
pub type Group = SmallVec<[usize; 2]>;

/// A tensor for each input of a model, in the model's order. Most models have one; room for more would be moved about
/// with every request.
pub type Inputs = SmallVec<[Tensor; 1]>;

/// A request that fits its model in every respect.
#[derive(Debug)]
pub struct ValidRequest {
    /// What the model is to compute with.
    pub inputs: Inputs,
    /// Rows: the size of the batch axis; 1 for a model without one.
    pub rows: usize,
    /// What other requests must share to be joined with this one.
    pub group: Group,
    /// How urgent it is, and how long it may take.
    pub schedule: Schedule,
}

/// How requests to one model are checked.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The model's inputs and outputs.
    pub signature: Signature,
    /// Whether the first axis counts rows.
    pub batch_axis: bool,
    /// Most rows of one request, where the model's `config.toml` says so.
    pub max_rows: Option<usize>,
}

/// Checks `request` against the model and brings its inputs into the model's order.
///
/// # Errors
/// [`InvalidArgument`](crate::error::ErrorCode::InvalidArgument): an input missing, extra, twice or of
/// another datatype or shape; inputs that disagree in rows; more rows than the model takes; text that is
/// not UTF-8; a priority or timeout that is no integer from 0 up.
pub fn validate(request: InferRequest, rules: &Rules) -> Result<ValidRequest, ServeError> {
    let signature = &rules.signature;
    let schedule = Schedule::of(&request.parameters)?;
    // The common case, one input under its right name, needs no search.
    let mut slots: SmallVec<[Option<Tensor>; 1]> = signature.inputs.iter().map(|_| None).collect();
    let mut rows = None;
    for input in request.inputs {
        let Some(index) = signature.inputs.iter().position(|spec| spec.name == input.name) else {
            return Err(unknown("input", &input.name, &signature.inputs));
        };
        let spec = &signature.inputs[index];
        check_tensor(&input, spec)?;
        if rules.batch_axis {
            check_rows(&input, &mut rows)?;
        }
        if slots[index].replace(input.tensor).is_some() {
            return Err(ServeError::invalid(format!("input '{}' is given twice", spec.name)));
        }
    }
    let mut inputs = SmallVec::new();
    for (slot, spec) in slots.into_iter().zip(&signature.inputs) {
        let missing =
            || ServeError::invalid(format!("input '{}' {} {spec} is missing", spec.name, spec.datatype));
        inputs.push(slot.ok_or_else(missing)?);
    }
    let rows = rows.unwrap_or(1);
    if let Some(max_rows) = rules.max_rows.filter(|&max_rows| rows > max_rows) {
        return Err(ServeError::invalid(format!(
            "{rows} rows in one request: at most {max_rows} are accepted (max_batch_size of the model's config.toml)"
        )));
    }
    let group =
        if rules.batch_axis && signature.has_dynamic_rows() { group_of(&inputs) } else { Group::new() };
    Ok(ValidRequest { inputs, rows, group, schedule })
}

/// An output that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selected {
    /// Its position among the model's outputs.
    pub index: usize,
    /// How many of its best classes to answer with; `None` for its values.
    pub classes: Option<NonZeroUsize>,
}

/// The outputs that a request asks for, in the request's order; all of them where it names none.
///
/// # Errors
/// [`InvalidArgument`](crate::error::ErrorCode::InvalidArgument): an output that the model does not have, or
/// twice the same, or classes of one that has none.
pub fn select_outputs(
    requested: &[RequestedOutput],
    signature: &Signature,
) -> Result<SmallVec<[Selected; 2]>, ServeError> {
    if requested.is_empty() {
        return Ok((0..signature.outputs.len()).map(|index| Selected { index, classes: None }).collect());
    }
    let mut selected = SmallVec::<[Selected; 2]>::new();
    for output in requested {
        let Some(index) = signature.outputs.iter().position(|spec| spec.name == output.name) else {
            return Err(unknown("output", &output.name, &signature.outputs));
        };
        if selected.iter().any(|earlier| earlier.index == index) {
            return Err(ServeError::invalid(format!("output '{}' is requested twice", output.name)));
        }
        let classes = classes_asked(&output.parameters, &signature.outputs[index])?;
        selected.push(Selected { index, classes });
    }
    Ok(selected)
}

fn check_tensor(input: &InputTensor, spec: &TensorSpec) -> Result<(), ServeError> {
    let (name, tensor) = (&spec.name, &input.tensor);
    if tensor.datatype != spec.datatype {
        return Err(ServeError::invalid(format!(
            "input '{name}' has datatype {}, the model expects {}",
            tensor.datatype, spec.datatype
        )));
    }
    if !spec.accepts(&tensor.shape.0) {
        let hint = if tensor.shape.0.len() + 1 == spec.dims.len() {
            "; is the batch dimension missing?"
        } else {
            ""
        };
        return Err(ServeError::invalid(format!(
            "input '{name}' has shape {}, the model expects {spec}{hint}",
            tensor.shape
        )));
    }
    match spec.datatype {
        Datatype::Bytes => check_text(name, tensor),
        Datatype::Bool => check_bool(name, tensor),
        Datatype::Uint8
        | Datatype::Uint16
        | Datatype::Uint32
        | Datatype::Uint64
        | Datatype::Int8
        | Datatype::Int16
        | Datatype::Int32
        | Datatype::Int64
        | Datatype::Fp16
        | Datatype::Bf16
        | Datatype::Fp32
        | Datatype::Fp64 => Ok(()),
    }
}

/// ONNX Runtime takes strings as text that a NUL ends: other bytes would be cut short or refused inside a
/// batch that others share.
fn check_text(name: &str, tensor: &Tensor) -> Result<(), ServeError> {
    for (index, element) in oip::bytes_elements(&tensor.data).enumerate() {
        if std::str::from_utf8(element).is_err() || element.contains(&0) {
            return Err(ServeError::invalid(format!(
                "input '{name}': element {index} must be UTF-8 text without NUL, as the model takes strings"
            )));
        }
    }
    Ok(())
}

fn check_bool(name: &str, tensor: &Tensor) -> Result<(), ServeError> {
    match tensor.data.iter().position(|&byte| byte > 1) {
        Some(index) => {
            Err(ServeError::invalid(format!("input '{name}': element {index} of a BOOL must be 0 or 1")))
        }
        None => Ok(()),
    }
}

fn check_rows(input: &InputTensor, rows: &mut Option<usize>) -> Result<(), ServeError> {
    let own = input.tensor.shape.0[0];
    if own == 0 {
        return Err(ServeError::invalid(format!("input '{}' has no rows", input.name)));
    }
    match rows.replace(own) {
        Some(others) if others != own => Err(ServeError::invalid(format!(
            "input '{}' has {own} rows, the inputs before it have {others}",
            input.name
        ))),
        Some(_) | None => Ok(()),
    }
}

fn group_of(inputs: &[Tensor]) -> Group {
    inputs.iter().flat_map(|tensor| tensor.shape.0.iter().skip(1).copied()).collect()
}

fn unknown(kind: &str, name: &str, specs: &[TensorSpec]) -> ServeError {
    let known: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let shown: String = name.chars().take(64).collect();
    ServeError::invalid(format!("unknown {kind} '{shown}': the model has {}", known.join(", ")))
}
