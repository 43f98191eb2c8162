//! Walks the nodes of a graph in order, and records what is known of each value.

use std::collections::HashMap;

use super::{
    contents::literal,
    control_flow,
    function::Functions,
    node::{Mixes, Node, Outcome, mixes},
    reason::{NodeName, NotProven},
    rules::{self, Entry},
    size::{Size, Sizes},
    value::{Cause, Layout, State, Value},
};
use crate::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, domain};

/// Deepest nesting of subgraphs and of function calls that is followed.
const MAX_NESTING: usize = 24;
/// Highest number of node visits in one analysis. A node counts each time a loop or a function repeats it.
const MAX_VISITS: usize = 200_000;

/// Highest number of sizes in one analysis, to bound its memory.
const MAX_SIZES: usize = 400_000;
/// Highest rank of a tensor that is followed. No operator of ONNX Runtime needs more.
pub(crate) const MAX_AXES: usize = 64;

pub(crate) struct Walk<'m> {
    pub(crate) sizes: Sizes,
    causes: Vec<NotProven>,
    pub(crate) functions: Functions<'m>,
    opsets: HashMap<String, i64>,
    scopes: Vec<HashMap<String, Value>>,
    depth: usize,
    /// Nesting depth of the graph being walked. Nodes below the main graph may never run.
    graphs: usize,
    visits: usize,
    /// The most likely cause, which is reported first if rows are not proven independent.
    pub(crate) suspicion: Option<NotProven>,
    /// The first node whose running time depends on values of the inputs.
    pub(crate) value_dependent: Option<NodeName>,
}

pub(crate) fn opsets(imports: &[OperatorSetIdProto]) -> HashMap<String, i64> {
    imports.iter().map(|import| (domain(&import.domain).to_owned(), import.version)).collect()
}

impl<'m> Walk<'m> {
    pub(crate) fn new(model: &'m ModelProto) -> Self {
        Self {
            sizes: Sizes::new(),
            causes: Vec::new(),
            functions: Functions::of(model),
            opsets: opsets(&model.opset_import),
            scopes: Vec::new(),
            depth: 0,
            graphs: 0,
            visits: 0,
            suspicion: None,
            value_dependent: None,
        }
    }

    pub(crate) fn cause(&self, cause: Cause) -> NotProven {
        let found = self.causes.get(cause.0 as usize).cloned();
        found.unwrap_or_else(|| NotProven::whole("the graph is not understood"))
    }

    pub(crate) fn add_cause(&mut self, cause: NotProven) -> State {
        let number = u32::try_from(self.causes.len()).unwrap_or(u32::MAX);
        self.causes.push(cause);
        State::Mixed(Cause(number))
    }

    pub(crate) fn blame(&mut self, node: &NodeProto, reason: impl Into<String>) -> State {
        self.add_cause(NotProven { node: Some(NodeName::of(node)), reason: reason.into() })
    }

    /// Outputs for a node that mixes rows, with the reason.
    pub(crate) fn mixed(
        &mut self,
        node: &NodeProto,
        reason: impl Into<String>,
        from_data: bool,
    ) -> Vec<Value> {
        let state = self.blame(node, reason);
        let value = Value { from_data, ..Value::unknown().with_state(state) };
        vec![value; node.output.len()]
    }

    /// The opset version of a domain.
    pub(crate) fn opset(&self, domain: &str) -> i64 {
        self.opsets.get(domain).copied().unwrap_or(1)
    }

    fn find(&self, name: &str) -> Option<&Value> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name))
    }

    fn bind(&mut self, name: &str, value: Value) {
        if let (Some(scope), false) = (self.scopes.last_mut(), name.is_empty()) {
            scope.insert(name.to_owned(), value);
        }
    }

    /// Walks a graph with these inputs, and returns its outputs. The graph sees the names of the graphs around it.
    pub(crate) fn graph(&mut self, graph: &GraphProto, inputs: &[(&str, Value)]) -> Vec<Value> {
        self.visits += graph.initializer.len() / 8;
        let mut scope = HashMap::with_capacity(graph.node.len() + graph.initializer.len() + inputs.len());
        for tensor in &graph.initializer {
            scope.insert(tensor.name.clone(), literal(tensor, &mut self.sizes));
        }
        for sparse in &graph.sparse_initializer {
            let name = sparse.values.as_ref().map(|values| values.name.clone()).unwrap_or_default();
            let shape: Vec<Size> = sparse.dims.iter().map(|&dim| self.sizes.constant(dim)).collect();
            scope.insert(name, Value::shaped(shape));
        }
        for (name, value) in inputs {
            scope.insert((*name).to_owned(), value.clone());
        }
        self.scopes.push(scope);
        self.depth += 1;
        self.graphs += 1;
        self.nodes(&graph.node);
        let outputs = graph.output.iter().map(|output| self.named_value(&output.name)).collect();
        self.graphs -= 1;
        self.depth -= 1;
        self.scopes.pop();
        outputs
    }

    fn named_value(&mut self, name: &str) -> Value {
        if let Some(value) = self.find(name) {
            return value.clone();
        }
        let cause = NotProven::whole(format!("no node gives '{name}'"));
        Value::unknown().with_state(self.add_cause(cause))
    }

    fn nodes(&mut self, nodes: &[NodeProto]) {
        for node in nodes {
            let outputs = self.node(node);
            for (name, value) in node.output.iter().zip(outputs) {
                self.bind(name, value);
            }
        }
    }

    /// Walks the body of a function, which sees only its own inputs.
    pub(crate) fn body(
        &mut self,
        nodes: &[NodeProto],
        inputs: HashMap<String, Value>,
        outputs: &[String],
        imports: &[OperatorSetIdProto],
    ) -> Vec<Value> {
        let scopes = std::mem::replace(&mut self.scopes, vec![inputs]);
        let own = std::mem::replace(&mut self.opsets, opsets(imports));
        self.depth += 1;
        self.nodes(nodes);
        let values = outputs.iter().map(|name| self.named_value(name)).collect();
        self.depth -= 1;
        self.opsets = own;
        self.scopes = scopes;
        values
    }

    fn node(&mut self, node: &NodeProto) -> Vec<Value> {
        self.visits += 1;
        if self.visits > MAX_VISITS || self.sizes.count() > MAX_SIZES || self.depth > MAX_NESTING {
            return self.mixed(node, "is in a graph that is too large or too deeply nested to analyse", true);
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(match (name.is_empty(), self.find(name)) {
                (true, _) => None,
                (false, Some(value)) => Some(value.clone()),
                (false, None) => {
                    let state = self.blame(node, format!("reads '{name}', which no node before it gives"));
                    Some(Value { from_data: true, ..Value::unknown().with_state(state) })
                }
            });
        }
        let (domain, operator) = (domain(&node.domain), node.op_type.as_str());
        if domain.is_empty() && matches!(operator, "If" | "Loop" | "Scan") {
            return control_flow::outputs(self, node, &inputs);
        }
        let rule = rules::find(domain, operator);
        match (rule, self.functions.find(node)) {
            (Some(_), Some(_)) => self.mixed(node, "is both an operator and a function of the file", true),
            (None, Some(function)) => function.outputs(self, node, inputs),
            (rule, None) => self.operator(node, rule, &inputs),
        }
    }

    fn operator(&mut self, node: &NodeProto, rule: Option<Entry>, inputs: &[Option<Value>]) -> Vec<Value> {
        let from_data = inputs.iter().flatten().any(|value| value.from_data);
        if let Some(rule) = rule {
            let sets_length = |(input, value): (usize, &Option<Value>)| {
                value.as_ref().is_some_and(|v| v.from_data) && has_bit(rule.grows, input)
            };
            if self.value_dependent.is_none() && inputs.iter().enumerate().any(sets_length) {
                self.value_dependent = Some(NodeName::of(node));
            }
        }
        let mixed = inputs.iter().flatten().find(|value| matches!(value.state, State::Mixed(_)));
        if let Some(value) = mixed {
            let from_data = from_data && !rule.is_some_and(|rule| rule.shape_only);
            return vec![Value { from_data, ..Value::unknown().with_state(value.state) }; node.output.len()];
        }
        let has_rows = inputs.iter().flatten().any(|value| value.layout().is_some());
        let all_free = inputs.iter().flatten().all(Value::is_free);
        let outcome = match rule {
            Some(rule) => self.apply(node, rule, inputs, has_rows),
            None => Err(Mixes { reason: "is an operator that is not known".into(), always: true }),
        };
        let mut outputs = match outcome {
            Ok(outputs) => outputs,
            Err(Mixes { reason, always }) if always || has_rows => {
                return self.mixed(node, reason, from_data);
            }
            Err(_) => Vec::new(),
        };
        outputs.resize(node.output.len(), Value::unknown());
        let shape_only = rule.is_some_and(|rule| rule.shape_only);
        let any_state = rule.is_some_and(|rule| rule.any_state);
        for output in &mut outputs {
            output.from_data = from_data && !shape_only;
            let state = match output.state {
                State::Rows(_) | State::Numbers(_) | State::RowIndices { .. } => output.state,
                State::Mixed(_) => continue,
                State::Padded => State::Padded,
                State::Free | State::Count if any_state => output.state,
                State::Free | State::Count if has_rows && !shape_only => {
                    self.blame(node, "has an output in which the rows are not kept apart")
                }
                State::Free if all_free => State::Free,
                State::Free | State::Count => State::Count,
            };
            output.state = state;
            self.settle(node, output);
        }
        outputs
    }

    fn apply(&mut self, node: &NodeProto, rule: Entry, inputs: &[Option<Value>], has_rows: bool) -> Outcome {
        for (input, value) in inputs.iter().enumerate().filter(|_| has_rows && !rule.any_state) {
            match value.as_ref().map(|value| value.state) {
                Some(State::Rows(_)) if has_bit(rule.sizes, input) => {
                    return Err(mixes("takes a size from values of the rows"));
                }
                Some(State::Numbers(_) | State::RowIndices { .. }) if !has_bit(rule.sizes, input) => {
                    return Err(mixes("computes with the row numbers"));
                }
                Some(State::Padded) => return Err(mixes(rules::PADS)),
                Some(State::Count) if !has_bit(rule.sizes, input) => {
                    return Err(mixes("computes with the number of rows"));
                }
                _ => {}
            }
        }
        let opset = self.opset(domain(&node.domain));
        let mut view = Node { proto: node, inputs, sizes: &mut self.sizes, opset, suspicion: None };
        let outcome = (rule.rule)(&mut view);
        if let (Some(reason), None) = (view.suspicion, &self.suspicion) {
            self.suspicion = Some(NotProven { node: Some(NodeName::of(node)), reason: reason.to_owned() });
        }
        outcome
    }

    /// Checks that the shape is consistent with the state. A value that depends on no rows is marked free.
    pub(crate) fn settle(&mut self, node: &NodeProto, value: &mut Value) {
        if value.elements.is_some() {
            return;
        }
        if value.rank().is_some_and(|rank| rank > MAX_AXES) {
            value.shape = None;
            value.contents = None;
        }
        if self.graphs == 1 {
            for &dim in value.shape.as_deref().unwrap_or_default() {
                self.sizes.mark_dimension(dim);
            }
        }
        let free = |sizes: &Sizes, dims: &[Size]| dims.iter().all(|&dim| sizes.is_free(dim));
        match value.state {
            State::Rows(layout) => {
                value.contents = None;
                if !self.fits(value, layout) {
                    value.shape = None;
                    value.state =
                        self.blame(node, "has an output whose other axes depend on the number of rows");
                }
            }
            State::Numbers(_) | State::RowIndices { .. } => {
                value.contents = None;
                let (axis, free) = match value.state {
                    State::Numbers(numbers) => {
                        (numbers.axis, self.sizes.is_free(numbers.step) && self.sizes.is_free(numbers.bound))
                    }
                    State::RowIndices { axis } => (axis, true),
                    _ => return,
                };
                if !(free && self.fits(value, Layout::plain(axis))) {
                    value.state = State::Count;
                }
            }
            State::Count | State::Free => {
                let shape_is_free = value.shape.as_deref().is_some_and(|shape| free(&self.sizes, shape));
                let known = value.contents.as_deref().map(|contents| free(&self.sizes, contents));
                if shape_is_free && known == Some(true) {
                    value.state = State::Free;
                } else if known == Some(false) || (value.shape.is_some() && !shape_is_free) {
                    value.state = State::Count;
                }
            }
            State::Padded | State::Mixed(_) => {}
        }
    }

    fn fits(&mut self, value: &Value, layout: Layout) -> bool {
        let Some(shape) = value.shape.clone() else { return false };
        let size = layout.size(&mut self.sizes);
        let is_free = |size: Size| self.sizes.is_free(size);
        is_free(layout.outer)
            && is_free(layout.inner)
            && shape.get(layout.axis) == Some(&size)
            && shape.iter().enumerate().all(|(axis, &dim)| axis == layout.axis || is_free(dim))
    }
}

fn has_bit(bits: u32, input: usize) -> bool {
    u32::try_from(input).is_ok_and(|input| input < 32 && bits >> input & 1 == 1)
}
