//! Errors in request and response bodies. Their texts are sent to the client.

use std::fmt;

use compact_str::{CompactString, format_compact};

use crate::{Datatype, Shape, UnknownDatatype, excerpt::excerpt};

/// Why a body was refused, and in which tensor the fault lies.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}{problem}", Prefix(place.as_deref()))]
pub struct DecodeError {
    /// The tensor with the fault, as in `input 'image'`. `None` if the fault is not in one tensor.
    pub place: Option<CompactString>,
    /// What is wrong.
    pub problem: Problem,
}

impl DecodeError {
    /// An error about the tensor `name`; `kind` is "input" or "output".
    pub(crate) fn named(kind: &str, name: &str, problem: Problem) -> Self {
        Self { place: Some(format_compact!("{kind} '{}'", excerpt(name))), problem }
    }

    /// An error about the tensor at `index` (from 0), whose name is not known.
    pub(crate) fn numbered(kind: &str, index: usize, problem: Problem) -> Self {
        Self { place: Some(format_compact!("{kind} {index}")), problem }
    }
}

impl From<Problem> for DecodeError {
    fn from(problem: Problem) -> Self {
        Self { place: None, problem }
    }
}

/// Writes `input 'image': ` before the problem, or nothing if the error is not about one tensor.
struct Prefix<'a>(Option<&'a str>);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |place| write!(f, "{place}: "))
    }
}

/// What is wrong with a body. Offsets are in bytes, from the start of the body.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    /// The text is not valid JSON, or a value has another type than the protocol requires.
    #[error("at byte {offset}: expected {expected}, found {found}")]
    Unexpected {
        /// Where the unexpected byte is.
        offset: usize,
        /// What the protocol requires there.
        expected: &'static str,
        /// What the body has there.
        found: Found,
    },
    /// Arrays and objects are nested deeper than [`MAX_DEPTH`](crate::json::MAX_DEPTH).
    #[error("at byte {offset}: JSON nested more than {limit} levels deep")]
    TooDeep {
        /// Where the first bracket beyond the limit opens.
        offset: usize,
        /// The highest depth allowed.
        limit: usize,
    },
    /// A field of the protocol appears twice in one object.
    #[error("at byte {offset}: '{key}' comes twice")]
    Duplicate {
        /// Where the second occurrence ends.
        offset: usize,
        /// Name of the field.
        key: &'static str,
    },
    /// A required field is missing.
    #[error("'{0}' is missing")]
    Missing(&'static str),
    /// The protocol does not define this datatype.
    #[error(transparent)]
    Datatype(#[from] UnknownDatatype),
    /// The number of elements that the shape gives does not fit `usize`.
    #[error("shape {0} has too many elements")]
    TooManyElements(Shape),
    /// The number of elements in the data is not the number that the shape gives.
    #[error("shape {shape} asks for {expected} elements, but '{list}' has {got}")]
    ElementCount {
        /// Name of the field with the data.
        list: &'static str,
        /// The tensor's shape.
        shape: Shape,
        /// Number of elements that the shape gives.
        expected: usize,
        /// Number of elements in the data.
        got: usize,
    },
    /// A number is outside the range of its datatype.
    #[error("at byte {offset}: {value} is beyond {datatype}")]
    OutOfRange {
        /// Where the number starts.
        offset: usize,
        /// The number as the client wrote it.
        value: CompactString,
        /// The tensor's datatype.
        datatype: Datatype,
    },
    /// A number has a fraction or an exponent, but its datatype is an integer.
    #[error("at byte {offset}: {value} is not an integer, but the datatype is {datatype}")]
    NotInteger {
        /// Where the number starts.
        offset: usize,
        /// The number as the client wrote it.
        value: CompactString,
        /// The tensor's datatype.
        datatype: Datatype,
    },
    /// The data has `null`, and the tensor's datatype has no value for it.
    #[error("at byte {offset}: null is no element of {datatype}")]
    Null {
        /// Where the `null` is.
        offset: usize,
        /// The tensor's datatype.
        datatype: Datatype,
    },
    /// The data of a floating-point tensor has `null`, and the model's configuration does not say that `null` means
    /// NaN.
    #[error(
        "at byte {offset}: null is no number: send NaN, or set nulls = \"nan\" in the model's config.toml to have \
         null read as NaN"
    )]
    NullFloat {
        /// Where the `null` is.
        offset: usize,
    },
    /// The tensor has neither `data` nor `binary_data_size`.
    #[error("has no data: give 'data' or the parameter 'binary_data_size'")]
    NoData,
    /// The tensor has both `data` and `binary_data_size`.
    #[error("has both 'data' and the parameter 'binary_data_size': give one")]
    TwoData,
    /// The client wants to pass the tensor in shared memory.
    #[error("shared memory is not supported: send 'data' or binary data")]
    SharedMemory,
    /// A parameter of the protocol has a value of the wrong type.
    #[error("parameter '{key}' must be {expected}")]
    Parameter {
        /// Name of the parameter.
        key: &'static str,
        /// The type of value that the parameter takes.
        expected: &'static str,
    },
    /// Fewer bytes follow the JSON than the tensor's `binary_data_size`.
    #[error(
        "binary_data_size is {size}, but {left} bytes are left after the JSON (whose length the header \
         Inference-Header-Content-Length gives)"
    )]
    BinaryMissing {
        /// The tensor's `binary_data_size`.
        size: usize,
        /// Bytes after the JSON that no earlier tensor has used.
        left: usize,
    },
    /// The size of the tensor's data does not match its datatype and shape.
    #[error("{datatype} of shape {shape} takes {expected} bytes, not {got}")]
    ByteCount {
        /// The tensor's datatype.
        datatype: Datatype,
        /// The tensor's shape.
        shape: Shape,
        /// Number of elements times the size of one element.
        expected: usize,
        /// Bytes in the data.
        got: usize,
    },
    /// The length prefixes of a BYTES tensor do not add up to the number of elements that its shape gives.
    #[error(
        "BYTES of shape {shape} takes {expected} elements, each a 4-byte little-endian length and its bytes; \
         the {size} bytes hold {got}"
    )]
    Prefixes {
        /// The tensor's shape.
        shape: Shape,
        /// Number of elements that the shape gives.
        expected: usize,
        /// Number of complete elements in the data.
        got: usize,
        /// Bytes in the data.
        size: usize,
    },
    /// A byte of a BOOL tensor is neither 0 nor 1.
    #[error("element {index} is {value}, but BOOL has only 0 and 1")]
    NotBool {
        /// Index of the element, in row-major order.
        index: usize,
        /// Value of the byte.
        value: u8,
    },
    /// Bytes are left after the data of the last tensor.
    #[error("{0} bytes are left after the last binary tensor")]
    Leftover(usize),
    /// The header gives a length of the JSON beyond the end of the body.
    #[error("Inference-Header-Content-Length is {json_length}, but the body has {body} bytes")]
    HeaderTooLong {
        /// Length of the JSON according to the header, in bytes.
        json_length: usize,
        /// Length of the body, in bytes.
        body: usize,
    },
    /// A V1 request has neither `instances` nor `inputs`.
    #[error("'instances' (rows) or 'inputs' (columns) is missing")]
    NoForm,
    /// A V1 request has both `instances` and `inputs`.
    #[error("both 'instances' (rows) and 'inputs' (columns) are given: give one")]
    TwoForms,
    /// `instances` is an empty array.
    #[error("'instances' is empty: give at least one")]
    NoInstances,
    /// The input is a scalar, so it has no axis for the rows of `instances`.
    #[error("the model takes a single value, not one for each instance: send it as 'inputs'")]
    NoRows,
    /// The model has no input of this name.
    #[error("unknown: the model has {known}")]
    UnknownInput {
        /// The names of the model's inputs.
        known: CompactString,
    },
    /// An input is given twice.
    #[error("given twice")]
    Twice,
    /// An input is not given.
    #[error("missing")]
    NotGiven,
    /// An array has another length than the model's shape or the arrays before it require.
    #[error("at byte {offset}: {got} values along axis {axis} of the shape, expected {expected}")]
    Ragged {
        /// Where the array starts.
        offset: usize,
        /// The axis, counted from 0; the axis of the rows is 0.
        axis: usize,
        /// Number of values required.
        expected: usize,
        /// Number of values in the array.
        got: usize,
    },
    /// The arrays are nested deeper or less deep than the model's shape.
    #[error("at byte {offset}: nested in {levels} levels than the model's shape {dims:?} has")]
    Depth {
        /// Where the depth is wrong.
        offset: usize,
        /// "more" or "fewer", for the message.
        levels: &'static str,
        /// The input's declared dimensions.
        dims: Vec<i64>,
    },
    /// Some rows are numbers and others are encoded pictures. The offset is where the type changes.
    #[error("at byte {0}: numbers and encoded pictures in one request: send them apart")]
    Mixed(usize),
    /// A string is not base64.
    #[error("at byte {offset}: '{value}' is not base64")]
    Base64 {
        /// Where the string starts.
        offset: usize,
        /// The start of the string.
        value: CompactString,
    },
    /// An element of BYTES is an object that has another key than `b64`.
    #[error("at byte {offset}: '{key}' beside \"b64\": an element of BYTES has no other key")]
    OtherKey {
        /// Where the key's value starts.
        offset: usize,
        /// The start of the key.
        key: CompactString,
    },
    /// The tensor's `content_type` is `base64`, but an element is not base64.
    #[error("element {index} is '{value}', which is not base64 (content_type is base64)")]
    Base64Element {
        /// Index of the element, in row-major order.
        index: usize,
        /// The start of the element.
        value: CompactString,
    },
    /// A dimension of the shape is negative.
    #[error("dimension {0} of the shape is negative")]
    NegativeDim(i64),
    /// `raw_input_contents` (or `raw_output_contents`) must have one entry per tensor, or none.
    #[error(
        "raw contents for {raw} of {inputs} tensors: there must be one entry for each, in their order, or none"
    )]
    RawCount {
        /// Number of raw entries.
        raw: usize,
        /// Number of tensors.
        inputs: usize,
    },
    /// The tensor has typed contents although the message has raw contents.
    #[error("has 'contents' beside raw contents: give one")]
    RawAndContents,
    /// The elements are in the list of another datatype.
    #[error("datatype {datatype} takes its elements from '{expected}', but they are in '{found}'")]
    WrongContents {
        /// The tensor's datatype.
        datatype: Datatype,
        /// Name of the list for this datatype.
        expected: &'static str,
        /// Name of the list that has elements.
        found: &'static str,
    },
    /// The tensor's datatype cannot represent an element.
    #[error("element {index} is {value}, which is beyond {datatype}")]
    BeyondDatatype {
        /// Index of the element, in row-major order.
        index: usize,
        /// Value of the element.
        value: CompactString,
        /// The tensor's datatype.
        datatype: Datatype,
    },
    /// A body without JSON cannot give the input a definite shape.
    #[error("a body without JSON cannot fill {datatype} {dims:?}: {reason}")]
    Raw {
        /// The input's datatype.
        datatype: Datatype,
        /// The input's declared dimensions.
        dims: Vec<i64>,
        /// Why the shape is not definite.
        reason: &'static str,
    },
}

/// What a body has where something else was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The body ends.
    End,
    /// This byte.
    Byte(u8),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::End => f.write_str("the end"),
            Self::Byte(byte) if byte.is_ascii_graphic() => write!(f, "'{}'", char::from(byte)),
            Self::Byte(byte) => write!(f, "byte 0x{byte:02x}"),
        }
    }
}

/// Why a message could not be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A BYTES element is not UTF-8, so JSON cannot represent it.
    #[error(
        "tensor '{name}': element {index} is not UTF-8, which JSON cannot carry: ask for it as binary data"
    )]
    NotUtf8 {
        /// Name of the tensor.
        name: CompactString,
        /// Index of the first such element, in row-major order.
        index: usize,
    },
    /// An output does not have one row per instance of the V1 request.
    #[error(
        "output '{name}' has shape {shape}, not a row for each of {rows} instances: send 'inputs' instead of \
         'instances'"
    )]
    NoRows {
        /// Name of the output.
        name: CompactString,
        /// Its shape.
        shape: Shape,
        /// Number of instances in the request.
        rows: usize,
    },
    /// The tensor's data does not match its datatype and shape.
    #[error("tensor '{name}': its bytes do not match its datatype and shape")]
    Inconsistent {
        /// Name of the tensor.
        name: CompactString,
    },
}
