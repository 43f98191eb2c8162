//! Guards operators that can crash the process for some values or sizes in a request. Each is replaced by an operator
//! that returns an error instead, or gets a node before it that checks its input.

use std::collections::{HashMap, HashSet};

use super::{
    CHECKED_DOMAIN,
    edit::{Changes, graphs_of},
    scope::{Known, Scope},
};
use crate::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, attribute_type, data_type,
    domain,
};

/// Deepest nesting of function calls that is checked. Deeper calls are left to ONNX Runtime.
const MAX_CALL_DEPTH: usize = 32;

/// From this opset version on, `Reshape` takes the shape as an input.
const OPSET_OF_RESHAPE: i64 = 5;

/// Element types of the outputs of a node or graph. `None` where a type is not known.
type Types = Vec<Option<i32>>;

/// Walks the graphs of a model and records the changes to make.
pub(super) struct Guard<'a, 'c> {
    functions: HashMap<(&'a str, &'a str), &'a FunctionProto>,
    has_defaults: bool,
    /// Names of the inputs that a request may give.
    given: HashSet<&'a str>,
    opset: i64,
    changes: &'c mut Changes,
    /// Output types of function calls, by function and input types. Each combination is walked only once.
    called: HashMap<(usize, Types), Types>,
    depth: usize,
    /// Operators and names of the guarded nodes, for the log.
    pub(super) guarded: Vec<String>,
}

impl<'a, 'c> Guard<'a, 'c> {
    pub(super) fn new(model: &'a ModelProto, changes: &'c mut Changes) -> Self {
        let functions = model.functions.iter();
        let by_name = |function: &'a FunctionProto| ((&*function.domain, &*function.name), function);
        Self {
            functions: functions.map(by_name).collect(),
            given: model.graph.iter().flat_map(|graph| &graph.input).map(|input| &*input.name).collect(),
            has_defaults: model.ir_version >= crate::interface::IR_VERSION_OF_DEFAULTS,
            opset: opset(model),
            changes,
            called: HashMap::new(),
            depth: 0,
            guarded: Vec::new(),
        }
    }

    /// Records the changes for one graph. Returns the types of its outputs.
    pub(super) fn graph(&mut self, graph: &'a GraphProto, around: Option<&Scope<'a, '_>>) -> Types {
        let mut scope = Scope::of_graph(graph, around, self.has_defaults && around.is_none());
        self.nodes(&graph.node, &mut scope);
        graph.output.iter().map(|output| scope.of(&output.name).element).collect()
    }

    fn nodes(&mut self, nodes: &'a [NodeProto], scope: &mut Scope<'a, '_>) {
        for node in nodes {
            self.guard(node, scope);
            scope.run(node);
            let given = match self.functions.get(&(&*node.domain, &*node.op_type)).copied() {
                Some(function) => self.call(function, node, scope),
                None => self.graphs(node, scope),
            };
            for (name, element) in node.output.iter().zip(given).filter(|(_, element)| element.is_some()) {
                scope.learn(name, Known::of_type(element));
            }
        }
    }

    /// Walks the subgraphs of a node. Returns the types of the outputs that they determine.
    fn graphs(&mut self, node: &'a NodeProto, scope: &Scope<'a, '_>) -> Types {
        let given: Vec<_> = graphs_of(node).map(|graph| self.graph(graph, Some(scope))).collect();
        let first = given.into_iter().next().unwrap_or_default();
        // The first output of a loop's body is the condition to continue, and not an output of the loop.
        if node.op_type == "Loop" { first.into_iter().skip(1).collect() } else { first }
    }

    fn call(&mut self, function: &'a FunctionProto, node: &NodeProto, scope: &Scope<'a, '_>) -> Types {
        let types: Types = (0..function.input.len()).map(|at| scope.input(node, at).element).collect();
        let key = (std::ptr::from_ref(function).addr(), types);
        if let Some(given) = self.called.get(&key) {
            return given.clone();
        }
        if self.depth == MAX_CALL_DEPTH {
            return Vec::new();
        }
        let mut inside = Scope::default();
        for (name, element) in function.input.iter().zip(&key.1) {
            inside.learn(name, Known::of_type(*element));
        }
        self.depth += 1;
        self.nodes(&function.node, &mut inside);
        self.depth -= 1;
        let given: Types = function.output.iter().map(|name| inside.of(name).element).collect();
        self.called.insert(key, given.clone());
        given
    }

    fn guard(&mut self, node: &NodeProto, scope: &Scope<'a, '_>) {
        if self.changes.replaced(node).is_some() {
            return;
        }
        let by = match (domain(&node.domain), node.op_type.as_str()) {
            ("", "Div" | "Mod") if may_trap(node, scope) => vec![divided(node)],
            // Axes are steps, sequences, features. Of the recurrent operators, only GRU crashes when there are no
            // steps.
            ("", "LSTM") | ("com.microsoft", "DynamicQuantizeLSTM") => {
                self.with_elements(node, &[0], Some(1), scope)
            }
            ("com.microsoft", "QAttention") => self.with_elements(node, &[0], Some(0), scope),
            ("", "GRU" | "InstanceNormalization") | ("com.microsoft", "GroupQueryAttention" | "Inverse") => {
                self.with_elements(node, &[0], None, scope)
            }
            ("", "Unique") if has_attribute(node, "axis") => self.with_elements(node, &[0], None, scope),
            ("", "Conv") => self.given_with_elements(node, &[1], scope),
            ("", "QLinearConv") => self.given_with_elements(node, &[3], scope),
            ("com.microsoft", "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization") => {
                self.given_with_elements(node, &[1], scope)
            }
            ("com.microsoft", "MultiHeadAttention" | "DecoderMaskedMultiHeadAttention") => {
                self.given_with_elements(node, &[0, 1, 2], scope)
            }
            ("", "STFT") => {
                let mut nodes = self.with_elements(node, &[2], None, scope);
                let stft = nodes.pop().unwrap_or_else(|| node.clone());
                nodes.extend(positive(&stft, 3, scope));
                nodes
            }
            _ => return,
        };
        if by.len() > 1 || by.first().is_some_and(|by| by != node) {
            self.guarded.push(format!("{} '{}'", node.op_type, node.name));
            self.changes.replace(node, by);
        }
    }

    /// Adds checks before the node that these inputs are not empty, but only for inputs that come from the request.
    /// Sizes of computed tensors follow from the weights, and a check there would keep ONNX Runtime from fusing the
    /// node with the one before it.
    fn given_with_elements(
        &self,
        node: &NodeProto,
        positions: &[usize],
        scope: &Scope<'_, '_>,
    ) -> Vec<NodeProto> {
        let is_given =
            |position: &usize| node.input.get(*position).is_some_and(|name| self.given.contains(&**name));
        let positions: Vec<_> = positions.iter().copied().filter(is_given).collect();
        self.with_elements(node, &positions, None, scope)
    }

    /// Adds checks before the node that each of these inputs is not empty. With `axis`, only that axis must not be 0.
    fn with_elements(
        &self,
        node: &NodeProto,
        positions: &[usize],
        axis: Option<i64>,
        scope: &Scope<'_, '_>,
    ) -> Vec<NodeProto> {
        let mut nodes = vec![node.clone()];
        if self.opset >= OPSET_OF_RESHAPE {
            for &position in positions {
                let guarded = nodes.pop().unwrap_or_else(|| node.clone());
                nodes.extend(with_elements(&guarded, position, axis, scope));
            }
        }
        nodes
    }
}

fn has_attribute(node: &NodeProto, name: &str) -> bool {
    node.attribute.iter().any(|attribute| attribute.name == name)
}

fn opset(model: &ModelProto) -> i64 {
    let imports = model.opset_import.iter();
    imports.filter(|import| domain(&import.domain).is_empty()).map(|import| import.version).max().unwrap_or(1)
}

/// Whether an integer division may crash: if the divisor may be zero, or may be -1 so that the quotient overflows.
/// Unknown types count as integers.
fn may_trap(node: &NodeProto, scope: &Scope<'_, '_>) -> bool {
    use data_type::{BFLOAT16, DOUBLE, FLOAT, FLOAT16};
    let (dividend, divisor) = (scope.input(node, 0), scope.input(node, 1));
    let element = dividend.element.or(divisor.element);
    let is_float = element.is_some_and(|element| [FLOAT, DOUBLE, FLOAT16, BFLOAT16].contains(&element));
    !is_float && !divisor.constant.is_some_and(is_safe_divisor)
}

/// Whether every integer can be divided by each of these elements, also after a cast to another integer type of at
/// least 32 bits.
fn is_safe_divisor(tensor: &TensorProto) -> bool {
    let is_safe = |value: i64| value != 0 && value != -1 && i32::try_from(value).is_ok();
    integers(tensor).is_some_and(|values| values.into_iter().all(is_safe))
}

/// The elements of an integer tensor, if they are in the model's file.
fn integers(tensor: &TensorProto) -> Option<Vec<i64>> {
    if tensor.data_location != 0 || !tensor.external_data.is_empty() {
        return None;
    }
    let raw = &tensor.raw_data;
    let values: Vec<i64> = match tensor.data_type {
        data_type::INT64 if raw.is_empty() => tensor.int64_data.clone(),
        data_type::INT32 if raw.is_empty() => tensor.int32_data.iter().copied().map(i64::from).collect(),
        data_type::INT64 => raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
        data_type::INT32 => raw.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes).into()).collect(),
        _ => return None,
    };
    let count = tensor.dims.iter().try_fold(1_i64, |count, size| count.checked_mul(*size))?;
    (usize::try_from(count) == Ok(values.len())).then_some(values)
}

/// Replaces a division by the server's own checked operator.
fn divided(node: &NodeProto) -> NodeProto {
    let is_fmod = node.attribute.iter().any(|attribute| attribute.name == "fmod" && attribute.i != 0);
    let op_type = if is_fmod { "Fmod" } else { node.op_type.as_str() };
    NodeProto {
        op_type: op_type.into(),
        domain: CHECKED_DOMAIN.into(),
        attribute: Vec::new(),
        ..node.clone()
    }
}

/// Adds a check before the node that this input is not empty. With `axis`, only that axis must not be 0. The check
/// reads the shape only, so it works for any type and on any device.
fn with_elements(
    node: &NodeProto,
    position: usize,
    axis: Option<i64>,
    scope: &Scope<'_, '_>,
) -> Vec<NodeProto> {
    let Some(input) = node.input.get(position).filter(|name| !name.is_empty()) else {
        return vec![node.clone()];
    };
    let has_elements = |tensor: &TensorProto| tensor.dims.iter().all(|size| *size > 0);
    if scope.of(input).constant.is_some_and(has_elements) {
        return vec![node.clone()];
    }
    let [shape, checked, given] =
        ["shape", "checked_shape", "checked"].map(|what| own_name(node, position, what));
    let one = |op_type: &str, domain: &str, input: &[&String], output: &String| NodeProto {
        input: input.iter().map(|name| (*name).clone()).collect(),
        output: vec![output.clone()],
        name: check_name(node, position, op_type),
        op_type: op_type.into(),
        attribute: Vec::new(),
        domain: domain.into(),
    };
    let reshape = one("Reshape", "", &[input, &checked], &given);
    let mut guarded = node.clone();
    guarded.input[position].clone_from(&given);
    let mut check = one("NotEmpty", CHECKED_DOMAIN, &[&shape], &checked);
    check.attribute.extend(axis.map(|axis| AttributeProto {
        name: "axis".into(),
        i: axis,
        r#type: attribute_type::INT,
        ..AttributeProto::default()
    }));
    vec![one("Shape", "", &[input], &shape), check, reshape, guarded]
}

/// Adds a check before the node that this integer input is greater than zero.
fn positive(node: &NodeProto, position: usize, scope: &Scope<'_, '_>) -> Vec<NodeProto> {
    let Some(input) = node.input.get(position).filter(|name| !name.is_empty()) else {
        return vec![node.clone()];
    };
    let is_positive = |tensor| integers(tensor).is_some_and(|values| values.iter().all(|value| *value > 0));
    if scope.of(input).constant.is_some_and(is_positive) {
        return vec![node.clone()];
    }
    let given = own_name(node, position, "checked");
    let check = NodeProto {
        input: vec![input.clone()],
        output: vec![given.clone()],
        name: check_name(node, position, "Positive"),
        op_type: "Positive".into(),
        attribute: Vec::new(),
        domain: CHECKED_DOMAIN.into(),
    };
    let mut guarded = node.clone();
    guarded.input[position] = given;
    vec![check, guarded]
}

/// A name for a check node. Node names must be unique, except for empty ones.
fn check_name(node: &NodeProto, position: usize, op_type: &str) -> String {
    if node.name.is_empty() { String::new() } else { format!("{}/decima/{position}/{op_type}", node.name) }
}

/// A name for a new tensor. It starts with the name of the node's output, which is unique.
fn own_name(node: &NodeProto, position: usize, what: &str) -> String {
    let output = node.output.iter().find(|name| !name.is_empty()).map_or(node.name.as_str(), String::as_str);
    format!("{output}/decima/{position}/{what}")
}
