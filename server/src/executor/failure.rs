//! Why a run failed: whether the request or the server is at fault, and which text the client receives.

use std::fmt;

use ort::ErrorCode;

/// Longest text, in bytes. A list of shapes in ONNX Runtime's message may be as long as the request makes it.
const MAX_TEXT: usize = 300;

/// Endings of source file names in ONNX Runtime's messages.
const SOURCE_ENDINGS: [&str; 7] = [".cc:", ".h:", ".cpp:", ".hpp:", ".cu:", ".cuh:", ".inc:"];

/// Words of ONNX Runtime's messages for failures that only the machine or ONNX Runtime itself can cause.
const MACHINE_WORDS: [&str; 14] = [
    "allocate",
    "bad_alloc",
    "bad alloc",
    "out of memory",
    "OUT_OF_MEMORY",
    "CUDA",
    "CUBLAS",
    "CUDNN",
    "cudnn",
    "cuDNN",
    "not implemented",
    "NOT_IMPLEMENTED",
    "is not supported",
    "kernel image",
];

/// C++ functions that parse numbers. Their exceptions for a text that is not a number name the function and nothing
/// else.
const NUMBER_PARSERS: [&str; 7] = ["stod", "stof", "stold", "stoi", "stol", "stoll", "stoull"];

/// What made a run fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request: the model cannot compute with its values or sizes.
    Request,
    /// The server, ONNX Runtime or the machine.
    Server,
    /// The server stopped it.
    Stopped,
}

/// Why a run failed, in ONNX Runtime's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExecuteError {
    /// What made it fail.
    pub fault: Fault,
    /// The reason, in one line.
    pub message: String,
}

impl ExecuteError {
    /// Makes an error with [`Fault::Server`].
    pub fn server(message: impl fmt::Display) -> Self {
        Self { fault: Fault::Server, message: message.to_string() }
    }

    /// Converts ONNX Runtime's error about a run.
    pub(super) fn from_run<T>(error: &ort::Error<T>) -> Self {
        Self::from_status(error.code(), error.message())
    }

    fn from_status(code: ErrorCode, text: &str) -> Self {
        let fault = if text.contains("terminate flag") { Fault::Stopped } else { fault(code, text) };
        Self { fault, message: one_line(text) }
    }
}

/// Decides whether the request or the server is at fault. An operator fails on values and sizes that come from the
/// request; most such checks of ONNX Runtime have the code `FAIL`, not `INVALID_ARGUMENT`. Any other exception may
/// have any cause and counts as the server's fault, except where a text is not a number.
fn fault(code: ErrorCode, text: &str) -> Fault {
    let (_, reason) = node_and_reason(text);
    let is_of_request = match code {
        ErrorCode::InvalidArgument => true,
        ErrorCode::GenericFailure => text.contains(NODE_FAILED),
        ErrorCode::RuntimeException => NUMBER_PARSERS.contains(&reason.trim()),
        _ => false,
    };
    let is_of_machine = MACHINE_WORDS.iter().any(|word| reason.contains(word));
    if is_of_request && !is_of_machine { Fault::Request } else { Fault::Server }
}

/// What ONNX Runtime writes before the name of a node that failed.
const NODE_FAILED: &str = "Non-zero status code returned while running ";

/// Splits a message into the operator and the name of the node that failed, and the reason. For nested graphs it
/// returns the innermost node.
fn node_and_reason(text: &str) -> (Option<(&str, &str)>, &str) {
    let Some(start) = text.rfind(NODE_FAILED) else { return (None, text) };
    let text = &text[start + NODE_FAILED.len()..];
    let parts = text.split_once(" node. Name:'").and_then(|(operator, rest)| {
        let (name, reason) = rest.split_once("' Status Message: ")?;
        Some((operator, name, reason))
    });
    match parts {
        Some((operator, name, reason)) => (Some((operator, name)), reason),
        None => (None, text),
    }
}

/// Reduces a message to one line without places in ONNX Runtime's code, as in `Add node 'plus': 2 by 3`.
fn one_line(text: &str) -> String {
    let (node, reason) = node_and_reason(text);
    let reason = reason.split("Stacktrace:").next().unwrap_or(reason);
    let mut reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some((start, end)) = code_location(&reason) {
        reason.replace_range(start..end, "");
    }
    while let Some((start, end)) = status_code(&reason) {
        reason.replace_range(start..end, "");
    }
    // A failed check names its condition in C++ before its meaning. Only the meaning helps a client.
    if let Some((_, meaning)) = reason.split_once(" was false. ") {
        reason = meaning.to_owned();
    }
    if reason.contains("hostname=") || reason.contains("file=") {
        let is_public =
            |part: &&str| !["hostname=", "file=", "line="].iter().any(|key| part.starts_with(key));
        reason = reason.split(" ; ").filter(is_public).collect::<Vec<_>>().join("; ");
    }
    let reason = match reason.trim() {
        "" => "failed without a reason",
        reason if NUMBER_PARSERS.contains(&reason) => "a text is not a number",
        reason => reason,
    };
    let mut line = match node {
        Some((operator, "")) => format!("{operator} node: {reason}"),
        Some((operator, name)) => format!("{operator} node '{name}': {reason}"),
        None => reason.to_owned(),
    };
    if line.len() > MAX_TEXT {
        line.truncate(line.floor_char_boundary(MAX_TEXT));
        line.push('…');
    }
    line
}

/// Finds a place in ONNX Runtime's code, with the function after it, and returns its start and end.
fn code_location(text: &str) -> Option<(usize, usize)> {
    let of = |ending: &str| {
        text.match_indices(ending).find_map(|(at, _)| {
            let digits = at + ending.len();
            let length = text[digits..].bytes().take_while(u8::is_ascii_digit).count();
            let end = digits + length;
            let is_place = length > 0 && matches!(text.as_bytes().get(end), None | Some(b' '));
            let start = text[..at].rfind(' ').map_or(0, |space| space + 1);
            is_place.then_some((start, end))
        })
    };
    let (start, end) = SOURCE_ENDINGS.iter().filter_map(|ending| of(ending)).min()?;
    let after = text[end..].strip_prefix(' ').map_or(end, |_| end + 1);
    let function = function_length(&text[after..], text[start..end].contains('/'));
    Some((start, after + function))
}

/// Returns the length of a function's name and the space after it. With `is_whole`, as after a path, the function's
/// whole signature counts.
fn function_length(text: &str, is_whole: bool) -> usize {
    let mut depth = 0_usize;
    let mut has_parameters = false;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '<' => depth += 1,
            ')' | ']' | '>' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => {
                let goes_on =
                    ["const ", "noexcept ", "[with "].iter().any(|next| text[at + 1..].starts_with(next));
                if !is_whole || (has_parameters && !goes_on) {
                    return at + 1;
                }
            }
            _ => {}
        }
        has_parameters |= c == '(';
    }
    // No end was found, so this is the message itself.
    0
}

/// Finds the status code before a message, `[ONNXRuntimeError] : 1 : FAIL : `, and returns its start and end.
fn status_code(text: &str) -> Option<(usize, usize)> {
    const MARK: &str = "[ONNXRuntimeError] : ";
    let start = text.find(MARK)?;
    let end = text[start + MARK.len()..].match_indices(" : ").nth(1).map(|(at, colon)| at + colon.len());
    Some((start, start + MARK.len() + end.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: ErrorCode, text: &str) -> (Fault, String) {
        let ExecuteError { fault, message } = ExecuteError::from_status(code, text);
        (fault, message)
    }

    /// Checks the fault and the text for messages about a node.
    fn check(cases: &[(ErrorCode, &str, Fault, &str)]) {
        for (code, text, fault, line) in cases {
            assert_eq!(of(*code, &format!("{NODE_FAILED}{text}")), (*fault, (*line).to_owned()), "{text}");
        }
    }

    /// Messages of ONNX Runtime 1.32.
    #[test]
    fn faults_of_the_request_are_named_without_locations_in_the_source_code() {
        use ErrorCode::{GenericFailure, InvalidArgument, RuntimeException};
        check(&[
            (
                InvalidArgument,
                "Gather node. Name:'emb' Status Message: indices element out of data bounds, idx=9 must be within the inclusive range [-2,1]",
                Fault::Request,
                "Gather node 'emb': indices element out of data bounds, idx=9 must be within the inclusive range [-2,1]",
            ),
            (
                GenericFailure,
                "Add node. Name:'plus' Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:563 void onnxruntime::BroadcastIterator::Init(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. Attempting to broadcast an axis by a dimension other than 1. 2 by 3\n",
                Fault::Request,
                "Add node 'plus': Attempting to broadcast an axis by a dimension other than 1. 2 by 3",
            ),
            (
                GenericFailure,
                "GatherElements node. Name:'' Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/tensor/gather_elements.cc:150 void onnxruntime::core_impl(const Tensor*, const Tensor*, Tensor*, int64_t, concurrency::ThreadPool*) [with Tin = long int; int64_t = long int] GatherElements op: Out of range value in index tensor\n",
                Fault::Request,
                "GatherElements node: GatherElements op: Out of range value in index tensor",
            ),
            (
                GenericFailure,
                "TreeEnsembleRegressor node. Name:'' Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/ml/tree_ensemble_common.h:649 void onnxruntime::ml::detail::TreeEnsembleCommon<InputType, ThresholdType, OutputType>::ComputeAgg(onnxruntime::concurrency::ThreadPool*, const AGG&) const [with AGG = onnxruntime::ml::detail::TreeAggregatorSum<float, float, float>; InputType = float] One path in the graph requests feature 7 but input tensor has 5 features.\n",
                Fault::Request,
                "TreeEnsembleRegressor node: One path in the graph requests feature 7 but input tensor has 5 features.",
            ),
            (
                GenericFailure,
                "MatMul node. Name:'m' Status Message: matmul_helper.h:59 Compute MatMul dimension mismatch",
                Fault::Request,
                "MatMul node 'm': MatMul dimension mismatch",
            ),
            (
                GenericFailure,
                "Pad node. Name:'' Status Message: /onnxruntime_src/onnxruntime/core/framework/op_kernel.cc:87 virtual OrtValue* onnxruntime::OpKernelContext::OutputMLValue(int, const onnxruntime::TensorShape&) [ONNXRuntimeError] : 1 : FAIL : tensor.cc:57 CalculateTensorStorageSize Tensor shape.Size() must be >= 0\n",
                Fault::Request,
                "Pad node: Tensor shape.Size() must be >= 0",
            ),
            (
                GenericFailure,
                "OneHotEncoder node. Name:'' Status Message: Unknown Category and zeros = 0.",
                Fault::Request,
                "OneHotEncoder node: Unknown Category and zeros = 0.",
            ),
            (
                RuntimeException,
                "Cast node. Name:'' Status Message: stod",
                Fault::Request,
                "Cast node: a text is not a number",
            ),
        ]);
    }

    #[test]
    fn other_faults_are_faults_of_the_server() {
        use ErrorCode::{ExecutionProviderFailure, GenericFailure, NotImplemented, RuntimeException};
        check(&[
            (
                RuntimeException,
                "ArgMax node. Name:'' Status Message: ",
                Fault::Server,
                "ArgMax node: failed without a reason",
            ),
            (
                GenericFailure,
                "Range node. Name:'' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 4000000000000000\n",
                Fault::Server,
                "Range node: Failed to allocate memory for requested buffer of size 4000000000000000",
            ),
            (
                GenericFailure,
                "MatMul node. Name:'' Status Message: CUDA failure 2: out of memory ; GPU=0 ; hostname=gpu-7 ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc ; line=66 ; expr=cudaMalloc(&p, size)",
                Fault::Server,
                "MatMul node: CUDA failure 2: out of memory; GPU=0; expr=cudaMalloc(&p, size)",
            ),
            (
                NotImplemented,
                "Conv node. Name:'' Status Message: 4-D only",
                Fault::Server,
                "Conv node: 4-D only",
            ),
            (
                ExecutionProviderFailure,
                "Conv node. Name:'' Status Message: lost",
                Fault::Server,
                "Conv node: lost",
            ),
            (
                GenericFailure,
                "Loop node. Name:'l' Status Message: Exiting due to terminate flag being set to true.",
                Fault::Stopped,
                "Loop node 'l': Exiting due to terminate flag being set to true.",
            ),
        ]);
    }

    #[test]
    fn the_innermost_node_is_named_and_messages_without_a_node_stay() {
        let inner = format!(
            "{NODE_FAILED}Loop node. Name:'l' Status Message: {NODE_FAILED}Add node. Name:'a' Status Message: no"
        );
        assert_eq!(of(ErrorCode::GenericFailure, &inner), (Fault::Request, "Add node 'a': no".into()));
        let text = "Got invalid dimensions for input: x";
        assert_eq!(of(ErrorCode::InvalidArgument, text), (Fault::Request, text.into()));
        assert_eq!(of(ErrorCode::GenericFailure, text), (Fault::Server, text.into()));
    }

    #[test]
    fn a_text_of_any_length_and_form_becomes_one_short_line() {
        for text in [
            "é".repeat(5000),
            "a\n b\tStacktrace:\nmore".into(),
            "x.cc:1".into(),
            "x.cc:1 f(".into(),
            String::new(),
        ] {
            let (_, line) = of(ErrorCode::GenericFailure, &text);
            assert!(
                !line.is_empty() && line.len() <= MAX_TEXT + '…'.len_utf8() && !line.contains('\n'),
                "{line}"
            );
        }
    }
}
