//! If, Loop and Scan. The walk repeats their graphs until what is known of the carried values no longer changes.

use super::{
    attribute,
    reason::NodeName,
    size::Size,
    value::{Layout, State, Value},
    walk::Walk,
};
use crate::{
    proto::{GraphProto, NodeProto, data_type},
    rows::node,
};

/// Highest number of iterations that the walk repeats. If what is known of the values still changes then, the loop
/// counts as mixing rows.
const MAX_ITERATIONS: usize = 10;
/// A constant trip count from here up means that the loop is not bounded.
const NO_BOUND: i64 = i32::MAX as i64;

pub(crate) fn outputs(walk: &mut Walk<'_>, node: &NodeProto, inputs: &[Option<Value>]) -> Vec<Value> {
    match node.op_type.as_str() {
        "If" => choice(walk, node, inputs),
        "Loop" => repeated(walk, node, inputs),
        _ => scan(walk, node, inputs),
    }
}

fn choice(walk: &mut Walk<'_>, node: &NodeProto, inputs: &[Option<Value>]) -> Vec<Value> {
    let branches = (attribute::graph(node, "then_branch"), attribute::graph(node, "else_branch"));
    let (Some(Some(condition)), (Some(then), Some(other))) = (inputs.first(), branches) else {
        return walk.mixed(node, "lacks a branch", true);
    };
    if let Some(&[known]) = condition.contents.as_deref()
        && let Some(known) = walk.sizes.as_constant(known)
    {
        return walk.graph(if known == 0 { other } else { then }, &[]);
    }
    let (yes, no) = (walk.graph(then, &[]), walk.graph(other, &[]));
    let from_data = condition.from_data || yes.iter().chain(&no).any(|value| value.from_data);
    if yes.len() != node.output.len() || no.len() != node.output.len() {
        return walk.mixed(node, "has branches with other outputs than its own", from_data);
    }
    let mut widened = Vec::new();
    let mut joined: Vec<Value> =
        yes.iter().zip(&no).map(|(yes, no)| join(walk, node, yes, no, &mut widened)).collect();
    for value in &mut joined {
        value.from_data = from_data;
        value.state = match (condition.state, value.state) {
            (State::Mixed(_), _) => condition.state,
            (_, State::Mixed(_)) | (State::Free, _) => value.state,
            (State::Rows(_), _) => walk.blame(node, "chooses for the whole batch by values of the rows"),
            (_, State::Rows(_)) => walk.blame(node, "chooses by the number of rows"),
            _ => State::Count,
        };
        if !condition.is_free() {
            value.contents = None;
        }
    }
    joined
}

/// What is known of a value that is either `a` or `b`. Sizes that differ become unknown ones.
fn join(walk: &mut Walk<'_>, node: &NodeProto, a: &Value, b: &Value, widened: &mut Vec<Size>) -> Value {
    if a == b {
        return a.clone();
    }
    let from_data = a.from_data || b.from_data;
    let data_type = if a.data_type == b.data_type { a.data_type } else { 0 };
    let mut value = Value { data_type, from_data, ..Value::unknown() };
    value.state = match (a.state, b.state) {
        (State::Mixed(_), _) => a.state,
        (_, State::Mixed(_)) => b.state,
        (one, other) if one == other => one,
        (State::Rows(_), _) | (_, State::Rows(_)) => {
            walk.blame(node, "gives rows in some cases and not in others")
        }
        _ => State::Count,
    };
    if let (Some(a), Some(b)) = (&a.elements, &b.elements)
        && a.len() == b.len()
    {
        value.elements = Some(a.iter().zip(b.iter()).map(|(a, b)| join(walk, node, a, b, widened)).collect());
        let mixed =
            value.elements.iter().flat_map(|all| all.iter()).find(|e| matches!(e.state, State::Mixed(_)));
        value.state = mixed.map_or(value.state, |element| element.state);
        return value;
    }
    if a.contents == b.contents {
        value.contents.clone_from(&a.contents);
    }
    if let (Some(one), Some(other)) = (&a.shape, &b.shape)
        && one.len() == other.len()
    {
        let rows = a.layout().map(|rows| rows.axis);
        let dims = one.iter().zip(other.iter()).enumerate().map(|(axis, (&one, &other))| {
            if one == other || rows == Some(axis) || widened.contains(&one) {
                return one;
            }
            let size = walk.sizes.fresh(!walk.sizes.is_free(one) || !walk.sizes.is_free(other));
            widened.push(size);
            size
        });
        value.shape = Some(dims.collect());
    }
    walk.settle(node, &mut value);
    value
}

struct Body<'a> {
    graph: &'a GraphProto,
    /// Inputs of the graph before the carried values.
    first: Vec<Value>,
    /// Inputs of the graph after the carried values.
    last: Vec<Value>,
}

impl Body<'_> {
    fn outputs(&self, walk: &mut Walk<'_>, carried: &[Value]) -> Option<Vec<Value>> {
        let values = self.first.iter().chain(carried).chain(&self.last);
        let names = self.graph.input.iter().map(|input| input.name.as_str());
        let inputs: Vec<(&str, Value)> = names.zip(values.cloned()).collect();
        let complete = inputs.len() == self.graph.input.len()
            && inputs.len() == self.first.len() + carried.len() + self.last.len();
        complete.then(|| walk.graph(self.graph, &inputs))
    }

    /// The carried values after any number of iterations, and the outputs of one iteration. The first `skip` outputs of
    /// the graph are not carried values.
    fn settled(
        &self,
        walk: &mut Walk<'_>,
        node: &NodeProto,
        mut carried: Vec<Value>,
        skip: usize,
    ) -> Option<(Vec<Value>, Vec<Value>)> {
        let mut widened = Vec::new();
        for _ in 0..MAX_ITERATIONS {
            let outputs = self.outputs(walk, &carried)?;
            let after = outputs.get(skip..skip + carried.len())?;
            let next: Vec<Value> = carried
                .iter()
                .zip(after)
                .map(|(before, after)| join(walk, node, before, after, &mut widened))
                .collect();
            if next == carried {
                return Some((carried, outputs));
            }
            carried = next;
        }
        None
    }
}

const CHANGING_VALUES: &str = "carries values whose shapes or rows change from one iteration to the next";

fn repeated(walk: &mut Walk<'_>, node: &NodeProto, inputs: &[Option<Value>]) -> Vec<Value> {
    let Some(graph) = attribute::graph(node, "body") else {
        return walk.mixed(node, "lacks a body", true);
    };
    let carried: Option<Vec<Value>> = inputs.get(2..).unwrap_or_default().iter().cloned().collect();
    let turn = walk.sizes.fresh(false);
    let number = Value::shaped([]).with_type(data_type::INT64).with_contents(Some(vec![turn]));
    let goes_on = Value::shaped([]).with_type(data_type::BOOL);
    let body = Body { graph, first: vec![number, goes_on], last: Vec::new() };
    let settled = carried.and_then(|carried| body.settled(walk, node, carried, 1));
    let (trips, start) = (inputs.first().and_then(Option::as_ref), inputs.get(1).and_then(Option::as_ref));
    let bounded = trips.is_some_and(|trips| {
        let count = trips.contents.as_deref().and_then(|all| walk.sizes.as_constant(*all.first()?));
        !trips.from_data && count.is_none_or(|count| count < NO_BOUND)
    });
    let Some((carried, outputs)) = settled else {
        note_length(walk, node, !bounded);
        return walk.mixed(node, CHANGING_VALUES, true);
    };
    let condition = outputs[0].clone();
    note_length(walk, node, !bounded && (trips.is_some_and(|trips| trips.from_data) || condition.from_data));
    let from_data = condition.from_data || trips.is_some_and(|trips| trips.from_data);
    for value in [trips, start, Some(&condition)].into_iter().flatten() {
        match value.state {
            State::Free => {}
            State::Mixed(_) => return vec![Value { from_data: true, ..value.clone() }; node.output.len()],
            State::Rows(_) => {
                return walk.mixed(
                    node,
                    "decides for the whole batch, by values of the rows, whether to go on",
                    true,
                );
            }
            _ => return walk.mixed(node, "decides by the number of rows whether to go on", from_data),
        }
    }
    let scanned = outputs.get(1 + carried.len()..).unwrap_or_default().to_vec();
    let length = walk.sizes.fresh(false);
    let stacked: Vec<Value> = scanned.iter().map(|value| stack(walk, node, value, 0, length)).collect();
    finish(walk, node, carried.into_iter().chain(stacked).collect())
}

fn note_length(walk: &mut Walk<'_>, node: &NodeProto, depends: bool) {
    if depends && walk.value_dependent.is_none() {
        walk.value_dependent = Some(NodeName::of(node));
    }
}

fn finish(walk: &mut Walk<'_>, node: &NodeProto, outputs: Vec<Value>) -> Vec<Value> {
    if outputs.len() == node.output.len() {
        outputs
    } else {
        walk.mixed(node, "has a body with other outputs than its own", true)
    }
}

/// The outputs of all iterations, stacked along a new axis.
fn stack(walk: &mut Walk<'_>, node: &NodeProto, value: &Value, axis: i64, length: Size) -> Value {
    let mut all = Value { contents: None, bound: None, elements: None, ..value.clone() };
    let place = value.shape.as_deref().and_then(|shape| {
        let axis = node::axis(axis, shape.len() + 1).ok()?;
        let mut shape = shape.to_vec();
        shape.insert(axis, length);
        Some((axis, shape))
    });
    all.state = match (value.state, &place) {
        (State::Mixed(_) | State::Free, _) => value.state,
        (State::Rows(rows), Some((axis, _))) => {
            State::Rows(rows.on(rows.axis + usize::from(*axis <= rows.axis)))
        }
        (State::Rows(_), None) => walk.blame(node, "gives rows of unknown rank in each iteration"),
        _ => State::Count,
    };
    all.shape = place.map(|(_, shape)| shape.into());
    walk.settle(node, &mut all);
    all
}

fn scan(walk: &mut Walk<'_>, node: &NodeProto, inputs: &[Option<Value>]) -> Vec<Value> {
    if walk.opset("") < 9 {
        return walk.mixed(node, "has a version that is not analysed", true);
    }
    let count = attribute::int(node, "num_scan_inputs").and_then(|count| usize::try_from(count).ok());
    let values: Option<Vec<Value>> = inputs.iter().cloned().collect();
    let (Some(graph), Some(values), Some(count)) = (attribute::graph(node, "body"), values, count) else {
        return walk.mixed(node, "lacks a body or an input", true);
    };
    let Some(carried) = values.len().checked_sub(count) else {
        return walk.mixed(node, "lacks an input", true);
    };
    let mut steps = Vec::with_capacity(count);
    let mut length = None;
    for (index, value) in values[carried..].iter().enumerate() {
        let axes = attribute::ints(node, "scan_input_axes");
        let axis = axes.and_then(|axes| axes.get(index)).copied().unwrap_or(0);
        if let State::Mixed(_) = value.state {
            steps.push(value.clone());
            continue;
        }
        let Some((axis, mut shape)) = value
            .shape
            .as_deref()
            .and_then(|shape| Some((node::axis(axis, shape.len()).ok()?, shape.to_vec())))
        else {
            return walk.mixed(node, "has an input of unknown rank", true);
        };
        let dim = shape.remove(axis);
        if !walk.sizes.is_free(dim) {
            return walk.mixed(node, "goes through the rows one after another", true);
        }
        length = length.or(Some(dim));
        let state = match value.state {
            State::Rows(rows) => {
                State::Rows(Layout { axis: rows.axis - usize::from(axis < rows.axis), ..rows })
            }
            State::Free => State::Free,
            _ => State::Count,
        };
        let step = Value { shape: Some(shape.into()), contents: None, state, ..value.clone() };
        steps.push(step);
    }
    let body = Body { graph, first: Vec::new(), last: steps };
    let Some((carried, outputs)) = body.settled(walk, node, values[..carried].to_vec(), 0) else {
        return walk.mixed(node, CHANGING_VALUES, true);
    };
    let length = length.unwrap_or_else(|| walk.sizes.fresh(true));
    let axes = attribute::ints(node, "scan_output_axes");
    let scanned = outputs.get(carried.len()..).unwrap_or_default().to_vec();
    let stacked: Vec<Value> = scanned
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let axis = axes.and_then(|axes| axes.get(index)).copied().unwrap_or(0);
            stack(walk, node, value, axis, length)
        })
        .collect();
    finish(walk, node, carried.into_iter().chain(stacked).collect())
}
