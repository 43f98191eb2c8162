//! What can be wrong with a body, told to the one who sent it.

use std::{borrow::Cow, fmt};

use compact_str::{CompactString, ToCompactString, format_compact};

use crate::{Datatype, Shape, UnknownDatatype};

/// Names and values quoted in a message are cut to this many characters.
const EXCERPT: usize = 64;

/// Why a body was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}{problem}", Prefix(place.as_deref()))]
pub struct DecodeError {
    /// The tensor concerned (`input 'image'`), where there is one.
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

/// Writes `input 'image': ` before the problem.
struct Prefix<'a>(Option<&'a str>);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |place| write!(f, "{place}: "))
    }
}

/// What is wrong with a body. Offsets count bytes from the start of the body.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    /// The JSON breaks the grammar, or has another kind of value than the protocol.
    #[error("at byte {offset}: expected {expected}, found {found}")]
    Unexpected {
        /// Where.
        offset: usize,
        /// What the protocol has there.
        expected: &'static str,
        /// What stands there.
        found: Found,
    },
    /// Arrays and objects within each other beyond [`MAX_DEPTH`](crate::json::MAX_DEPTH).
    #[error("at byte {offset}: JSON nested more than {limit} levels deep")]
    TooDeep {
        /// Where the level too many opens.
        offset: usize,
        /// How many levels there may be.
        limit: usize,
    },
    /// A field of the protocol comes twice in one object.
    #[error("at byte {offset}: '{key}' comes twice")]
    Duplicate {
        /// Where the second one ends.
        offset: usize,
        /// The field.
        key: &'static str,
    },
    /// A field that the protocol requires is not there.
    #[error("'{0}' is missing")]
    Missing(&'static str),
    /// The datatype is none of the protocol's.
    #[error(transparent)]
    Datatype(#[from] UnknownDatatype),
    /// The shape asks for more elements than memory can address.
    #[error("shape {0} has too many elements")]
    TooManyElements(Shape),
    /// The data has more or fewer elements than the shape asks for.
    #[error("shape {shape} asks for {expected} elements, but '{list}' has {got}")]
    ElementCount {
        /// The field that has the data.
        list: &'static str,
        /// The shape given.
        shape: Shape,
        /// Product of its dimensions.
        expected: usize,
        /// Elements there are.
        got: usize,
    },
    /// A number is beyond its datatype.
    #[error("at byte {offset}: {value} is beyond {datatype}")]
    OutOfRange {
        /// Where the number starts.
        offset: usize,
        /// The number as written.
        value: CompactString,
        /// The tensor's datatype.
        datatype: Datatype,
    },
    /// A number has a fraction or exponent, but its datatype is an integer.
    #[error("at byte {offset}: {value} is not an integer, but the datatype is {datatype}")]
    NotInteger {
        /// Where the number starts.
        offset: usize,
        /// The number as written.
        value: CompactString,
        /// The tensor's datatype.
        datatype: Datatype,
    },
    /// `null` in a tensor whose datatype has nothing like it.
    #[error("at byte {offset}: null is no element of {datatype}")]
    Null {
        /// Where it stands.
        offset: usize,
        /// The tensor's datatype.
        datatype: Datatype,
    },
    /// `null` in a floating point tensor, of which nobody has said that it is NaN.
    #[error(
        "at byte {offset}: null is no number: send NaN, or set nulls = \"nan\" in the model's config.toml to have \
         null read as NaN"
    )]
    NullFloat {
        /// Where it stands.
        offset: usize,
    },
    /// A tensor with neither `data` nor `binary_data_size`.
    #[error("has no data: give 'data' or the parameter 'binary_data_size'")]
    NoData,
    /// A tensor with both `data` and `binary_data_size`.
    #[error("has both 'data' and the parameter 'binary_data_size': give one")]
    TwoData,
    /// A tensor in shared memory.
    #[error("shared memory is not supported: send 'data' or binary data")]
    SharedMemory,
    /// A parameter of the protocol with a value of the wrong kind.
    #[error("parameter '{key}' must be {expected}")]
    Parameter {
        /// The parameter.
        key: &'static str,
        /// The kind of value it takes.
        expected: &'static str,
    },
    /// Fewer bytes follow the JSON than the tensor says it has.
    #[error(
        "binary_data_size is {size}, but {left} bytes are left after the JSON (whose length the header \
         Inference-Header-Content-Length gives)"
    )]
    BinaryMissing {
        /// The size that the tensor claims.
        size: usize,
        /// Bytes not yet taken by other tensors.
        left: usize,
    },
    /// The tensor's bytes are more or fewer than its datatype and shape ask for.
    #[error("{datatype} of shape {shape} takes {expected} bytes, not {got}")]
    ByteCount {
        /// The tensor's datatype.
        datatype: Datatype,
        /// The tensor's shape.
        shape: Shape,
        /// Elements times bytes an element.
        expected: usize,
        /// Bytes sent.
        got: usize,
    },
    /// BYTES whose length prefixes do not make up the elements that the shape asks for.
    #[error(
        "BYTES of shape {shape} takes {expected} elements, each a 4-byte little-endian length and its bytes; \
         the {size} bytes hold {got}"
    )]
    Prefixes {
        /// The tensor's shape.
        shape: Shape,
        /// Product of its dimensions.
        expected: usize,
        /// Whole elements found.
        got: usize,
        /// Bytes sent.
        size: usize,
    },
    /// A byte of a BOOL tensor that is neither false nor true.
    #[error("element {index} is {value}, but BOOL has only 0 and 1")]
    NotBool {
        /// Which element, in row-major order.
        index: usize,
        /// Its byte.
        value: u8,
    },
    /// Bytes after the last tensor.
    #[error("{0} bytes are left after the last binary tensor")]
    Leftover(usize),
    /// The JSON is said to be longer than the body.
    #[error("Inference-Header-Content-Length is {json_length}, but the body has {body} bytes")]
    HeaderTooLong {
        /// Length of the JSON according to the header.
        json_length: usize,
        /// Length of the body.
        body: usize,
    },
    /// Neither form of the V1 protocol.
    #[error("'instances' (rows) or 'inputs' (columns) is missing")]
    NoForm,
    /// Both forms of the V1 protocol.
    #[error("both 'instances' (rows) and 'inputs' (columns) are given: give one")]
    TwoForms,
    /// `instances` is an empty array.
    #[error("'instances' is empty: give at least one")]
    NoInstances,
    /// An input without dimensions cannot come in rows.
    #[error("the model takes a single value, not one for each instance: send it as 'inputs'")]
    NoRows,
    /// A name that is no input of the model.
    #[error("unknown: the model has {known}")]
    UnknownInput {
        /// The inputs that it has.
        known: CompactString,
    },
    /// An input that comes twice.
    #[error("given twice")]
    Twice,
    /// An input that does not come.
    #[error("missing")]
    NotGiven,
    /// More or fewer values within each other than the model's shape has, or than the values before.
    #[error("at byte {offset}: {got} values along axis {axis} of the shape, expected {expected}")]
    Ragged {
        /// Where the array starts.
        offset: usize,
        /// Which axis, the one of the rows counted as 0.
        axis: usize,
        /// As many as the model or the values before it have.
        expected: usize,
        /// As many as there are.
        got: usize,
    },
    /// Arrays nested in more or fewer levels than the model's shape.
    #[error("at byte {offset}: nested in {levels} levels than the model's shape {dims:?} has")]
    Depth {
        /// Where.
        offset: usize,
        /// "more" or "fewer".
        levels: &'static str,
        /// The declared dimensions.
        dims: Vec<i64>,
    },
    /// Rows of numbers beside encoded pictures; from this byte on.
    #[error("at byte {0}: numbers and encoded pictures in one request: send them apart")]
    Mixed(usize),
    /// What is not base64.
    #[error("at byte {offset}: '{value}' is not base64 with padding")]
    Base64 {
        /// Where the string starts.
        offset: usize,
        /// The start of it.
        value: CompactString,
    },
    /// An element that is said to be base64 and is not.
    #[error("element {index} is '{value}', which is not base64 with padding (content_type is base64)")]
    Base64Element {
        /// Which element, in row-major order.
        index: usize,
        /// The start of it.
        value: CompactString,
    },
    /// A negative size along an axis.
    #[error("dimension {0} of the shape is negative")]
    NegativeDim(i64),
    /// Raw contents for some of the tensors only.
    #[error(
        "raw contents for {raw} of {inputs} tensors: there must be one entry for each, in their order, or none"
    )]
    RawCount {
        /// Entries of raw contents.
        raw: usize,
        /// Tensors.
        inputs: usize,
    },
    /// Both raw and typed contents.
    #[error("has 'contents' beside raw contents: give one")]
    RawAndContents,
    /// Elements in a list that is another datatype's.
    #[error("datatype {datatype} takes its elements from '{expected}', but they are in '{found}'")]
    WrongContents {
        /// The tensor's datatype.
        datatype: Datatype,
        /// Where its elements belong.
        expected: &'static str,
        /// Where some are.
        found: &'static str,
    },
    /// An element that its datatype cannot hold.
    #[error("element {index} is {value}, which is beyond {datatype}")]
    BeyondDatatype {
        /// Which element, in row-major order.
        index: usize,
        /// Its value.
        value: CompactString,
        /// The tensor's datatype.
        datatype: Datatype,
    },
    /// A raw body for an input whose shape it cannot settle.
    #[error("a body without JSON cannot fill {datatype} {dims:?}: {reason}")]
    Raw {
        /// The input's datatype.
        datatype: Datatype,
        /// The input's declared dimensions.
        dims: Vec<i64>,
        /// Why not.
        reason: &'static str,
    },
}

/// What stands where something else was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The body ends there.
    End,
    /// The byte that stands there.
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

/// Why a message could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// BYTES that JSON cannot carry.
    #[error(
        "tensor '{name}': element {index} is not UTF-8, which JSON cannot carry: ask for it as binary data"
    )]
    NotUtf8 {
        /// The tensor.
        name: CompactString,
        /// The first such element, in row-major order.
        index: usize,
    },
    /// An output that has not one row for each instance of a V1 request.
    #[error(
        "output '{name}' has shape {shape}, not a row for each of {rows} instances: send 'inputs' instead of \
         'instances'"
    )]
    NoRows {
        /// The output.
        name: CompactString,
        /// Its shape.
        shape: Shape,
        /// How many instances came.
        rows: usize,
    },
    /// A tensor whose bytes are not what its datatype and shape ask for.
    #[error("tensor '{name}': its bytes do not match its datatype and shape")]
    Inconsistent {
        /// The tensor.
        name: CompactString,
    },
}

/// The start of `text`, for a message.
pub(crate) fn excerpt(text: &str) -> CompactString {
    match text.char_indices().nth(EXCERPT) {
        None => on_one_line(text).to_compact_string(),
        Some((end, _)) => format_compact!("{}…", on_one_line(&text[..end])),
    }
}

/// Writes a client's text for a message: with escapes where it would end the line, or steer a terminal that shows it.
pub fn on_one_line(text: &str) -> Cow<'_, str> {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if !text.contains(breaks) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if breaks(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    Cow::Owned(line)
}
