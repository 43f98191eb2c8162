//! Validates decoded requests. Whatever passes may join a batch; later steps check nothing.

use std::num::NonZeroUsize;

use oip::{Datatype, InferRequest, InputTensor, RequestedOutput, Tensor};
use smallvec::SmallVec;

use crate::{
    error::ServeError,
    model::{Batching, SharedSize, Signature, TensorSpec},
    request::{classify::classes_asked, schedule::Schedule},
};

/// The sizes that requests must have in common to be joined: all dimensions of the inputs except the rows, in order.
pub type Group = SmallVec<[usize; 2]>;

/// The input tensors of a request: the required ones in the model's order, and then the optional ones. One tensor is
/// stored inline, since most models have one input, and the value is moved with every request.
pub type Inputs = SmallVec<[Tensor; 1]>;

/// Indices among a model's inputs.
pub type Optional = SmallVec<[usize; 2]>;

/// A request that was checked against its model.
#[derive(Debug)]
pub struct ValidRequest {
    /// Its input tensors.
    pub inputs: Inputs,
    /// Indices, among the model's inputs, of the optional inputs that the request has. Their tensors are the last of
    /// `inputs`.
    pub optional: Optional,
    /// Number of rows: the size of the axis that counts them; 1 for a model without such an axis.
    pub rows: usize,
    /// Sizes that other requests must share to be joined with this one; `None` if it must run alone.
    pub group: Option<Group>,
    /// Its priority and timeout.
    pub schedule: Schedule,
}

/// The rules for requests to one model.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The model's inputs and outputs.
    pub signature: Signature,
    /// Whether requests are joined, and along which axes.
    pub batching: Batching,
    /// Most rows of one request, if the model's configuration sets a limit.
    pub max_rows: Option<usize>,
    /// Whether the names in the ONNX file tell that the first axis of every input and output counts rows.
    names_rows: bool,
    /// Pairs of axes that must have the same size.
    shared_sizes: Vec<SharedSize>,
    /// Whether inputs may differ in dimensions other than the rows, so that some requests cannot be joined with others.
    has_other_sizes: bool,
}

impl Rules {
    /// Makes the rules for a model.
    pub fn new(signature: Signature, batching: Batching, max_rows: Option<usize>) -> Self {
        let shared_sizes = signature.shared_sizes();
        let names_rows = signature.names_rows();
        let mut rules =
            Self { signature, batching, max_rows, names_rows, shared_sizes, has_other_sizes: false };
        rules.has_other_sizes = !rules.rows_are_alike();
        rules
    }

    /// Makes the same rules without batching.
    #[must_use]
    pub fn without_batching(self, reason: String) -> Self {
        Self::new(self.signature, Batching::Off(reason), self.max_rows)
    }

    /// Returns the axis of an output that counts the request's rows, if it is known.
    pub fn output_rows(&self, output: usize) -> Option<usize> {
        match self.batching.axes() {
            Some(axes) => axes.outputs.get(output).copied(),
            None => self.names_rows.then_some(0),
        }
    }

    /// Returns the axis of an input that counts rows, if it is known.
    pub fn input_rows(&self, input: usize) -> Option<usize> {
        match self.batching.axes() {
            Some(axes) => axes.inputs.get(input).copied(),
            None => self.names_rows.then_some(0),
        }
    }

    /// Returns the sizes that other requests must share to be joined with one that has these inputs.
    fn group_of(&self, inputs: &[Tensor]) -> Group {
        let Some(axes) = self.batching.axes().filter(|_| self.has_other_sizes) else { return Group::new() };
        let sizes = |(tensor, &rows): (&'_ Tensor, &usize)| {
            let others = move |(axis, &size): (usize, &usize)| (axis != rows).then_some(size);
            tensor.shape.0.iter().enumerate().filter_map(others).collect::<Group>()
        };
        inputs.iter().zip(&axes.inputs).flat_map(sizes).collect()
    }

    /// Returns whether requests are joined and all rows have the same size.
    pub fn rows_are_alike(&self) -> bool {
        let Some(axes) = self.batching.axes() else { return false };
        self.signature.required().iter().zip(&axes.inputs).all(|(spec, &rows)| {
            let count = spec.dims.as_ref().map_or(0, Vec::len);
            (0..count).all(|axis| axis == rows || spec.dynamic(axis).is_none())
        })
    }
}

/// Checks `request` against the model, and puts its inputs into the model's order.
///
/// # Errors
/// [`InvalidArgument`](crate::error::ErrorCode::InvalidArgument): an input is missing, unknown, given twice, or has the
/// wrong datatype or shape; two axes of the same name differ in size; there are more rows than the model accepts; a
/// string has a NUL byte; the priority or timeout is not an integer from 0 up.
pub fn validate(request: InferRequest, rules: &Rules) -> Result<ValidRequest, ServeError> {
    let signature = &rules.signature;
    let schedule = Schedule::of(&request.parameters)?;
    // One slot for each input of the model. One is stored inline.
    let mut slots: SmallVec<[Option<Tensor>; 1]> = signature.inputs.iter().map(|_| None).collect();
    for input in request.inputs {
        let Some(index) = signature.inputs.iter().position(|spec| spec.name == input.name) else {
            return Err(unknown("input", &input.name, &signature.inputs));
        };
        let spec = &signature.inputs[index];
        check_tensor(&input, spec)?;
        if slots[index].replace(input.tensor).is_some() {
            return Err(ServeError::invalid(format!("input '{}' is given twice", spec.name)));
        }
    }
    let required = signature.required().len();
    if let Some(index) = slots[..required].iter().position(Option::is_none) {
        let spec = &signature.inputs[index];
        let (name, datatype) = (&spec.name, spec.datatype);
        return Err(ServeError::invalid(format!("input '{name}' {datatype} {spec} is missing")));
    }
    rules.shared_sizes.iter().try_for_each(|shared| check_shared(shared, &slots, signature))?;
    let (rows, is_joinable) = count_rows(&slots[..required], rules)?;
    let mut optional = Optional::new();
    optional.extend((required..slots.len()).filter(|&index| slots[index].is_some()));
    let inputs: Inputs = slots.into_iter().flatten().collect();
    let group = (is_joinable && optional.is_empty()).then(|| rules.group_of(&inputs));
    Ok(ValidRequest { inputs, optional, rows, group, schedule })
}

/// Checks that two axes with the same name in the ONNX file have the same size.
fn check_shared(
    shared: &SharedSize,
    slots: &[Option<Tensor>],
    signature: &Signature,
) -> Result<(), ServeError> {
    let size = |(input, axis): (usize, usize)| Some(*slots[input].as_ref()?.shape.0.get(axis)?);
    let (Some(first), Some(other)) = (size(shared.first), size(shared.other)) else { return Ok(()) };
    if first == other {
        return Ok(());
    }
    let name = |(input, _): (usize, usize)| &signature.inputs[input].name;
    let (symbol, (_, first_axis), (_, other_axis)) = (&shared.symbol, shared.first, shared.other);
    Err(ServeError::invalid(format!(
        "input '{}' has {other} for '{symbol}' (axis {other_axis}), input '{}' has {first} (axis {first_axis}): \
         the model has one size of that name",
        name(shared.other),
        name(shared.first),
    )))
}

/// Counts the rows of a request, and decides whether others may join it. A request whose inputs differ in rows runs
/// alone: the model may still accept it, since ONNX broadcasts a single row.
fn count_rows(inputs: &[Option<Tensor>], rules: &Rules) -> Result<(usize, bool), ServeError> {
    let (mut rows, mut agree) = (None, true);
    for (index, input) in inputs.iter().enumerate() {
        let Some(axis) = rules.input_rows(index) else { continue };
        let Some(count) = input.as_ref().and_then(|tensor| tensor.shape.0.get(axis).copied()) else {
            continue;
        };
        if count == 0 {
            let name = &rules.signature.inputs[index].name;
            return Err(ServeError::invalid(format!("input '{name}' has no rows")));
        }
        agree &= rows.is_none_or(|rows| rows == count);
        rows = rows.max(Some(count));
    }
    let rows = rows.unwrap_or(1);
    if let Some(most) = rules.max_rows.filter(|&most| rows > most) {
        return Err(ServeError::invalid(format!(
            "{rows} rows in one request: at most {most} are accepted (max_batch_size of the model's config.toml)"
        )));
    }
    Ok((rows, agree && rules.batching.axes().is_some()))
}

/// A requested output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selected {
    /// Its index among the model's outputs.
    pub index: usize,
    /// Number of best classes to return instead of values; `None` for values.
    pub classes: Option<NonZeroUsize>,
}

/// Returns the requested outputs, in the request's order. A request that names none gets all outputs.
///
/// # Errors
/// [`InvalidArgument`](crate::error::ErrorCode::InvalidArgument): an output is unknown or requested twice, or classes
/// are requested of an output that has none.
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
        let rank = spec.dims.as_ref().map_or(0, Vec::len);
        let hint = if tensor.shape.0.len() + 1 == rank { "; is the batch dimension missing?" } else { "" };
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

/// Refuses strings with NUL bytes. ONNX Runtime's strings end at a NUL, so that a run with one would fail, and with it
/// the other requests of the batch.
fn check_text(name: &str, tensor: &Tensor) -> Result<(), ServeError> {
    for (index, element) in oip::bytes_elements(&tensor.data).enumerate() {
        if element.contains(&0) {
            return Err(ServeError::invalid(format!(
                "input '{name}': element {index} has a NUL (a zero byte), which ends a string for ONNX Runtime: \
                 send other bytes, or the same in base64 where the model expects that"
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

fn unknown(kind: &str, name: &str, specs: &[TensorSpec]) -> ServeError {
    let known: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let shown: String = name.chars().take(64).collect();
    ServeError::invalid(format!("unknown {kind} '{shown}': the model has {}", known.join(", ")))
}
