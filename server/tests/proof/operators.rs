//! The operators of random graphs, each with attributes and operands that may or may not fit.

use fastrand::Rng;

use crate::builder::{Builder, Known, int, ints};

const UNARY: [&str; 10] =
    ["Relu", "Tanh", "Sigmoid", "Neg", "Abs", "Exp", "Identity", "Floor", "Softplus", "Erf"];
const BINARY: [&str; 6] = ["Add", "Sub", "Mul", "Max", "Min", "PRelu"];
const OVER_AN_AXIS: [&str; 4] = ["Softmax", "LogSoftmax", "Hardmax", "LpNormalization"];
const REDUCTIONS: [&str; 5] = ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceProd"];

fn pick<'a>(graph: &'a Builder, rng: &mut Rng) -> &'a Known {
    // Mostly one of the latest, so that graphs are deep.
    let count = graph.known.len();
    let index = if rng.bool() { count - 1 } else { rng.usize(..count) };
    &graph.known[index]
}

fn pick_float(graph: &Builder, rng: &mut Rng) -> Option<Known> {
    (0..8).map(|_| pick(graph, rng)).find(|known| known.is_float()).cloned()
}

fn axis(of: &Known, rng: &mut Rng) -> Option<i64> {
    let rank = of.rank() as i64;
    (rank > 0).then(|| if rng.bool() { rng.i64(0..rank) } else { rng.i64(-rank..0) })
}

/// A shape for a constant that may be broadcast against `of`.
fn broadcast_shape(of: &Known, rng: &mut Rng) -> Vec<usize> {
    let from = rng.usize(0..=of.rank());
    of.array.shape[from..].iter().map(|&size| if rng.u8(..3) == 0 { 1 } else { size }).collect()
}

/// Adds an operator, perhaps with others before it, and gives its output; `None` where nothing fits.
pub(crate) fn add(graph: &mut Builder, rng: &mut Rng) -> Option<String> {
    let x = pick_float(graph, rng)?;
    match rng.u8(..28) {
        0..=9 => compute(graph, &x, rng),
        10..=21 => rearrange(graph, &x, rng),
        _ => look_along(graph, &x, rng),
    }
}

/// Computes with elements, each by itself or as a matrix.
fn compute(graph: &mut Builder, x: &Known, rng: &mut Rng) -> Option<String> {
    let name = x.name.as_str();
    Some(match rng.u8(..9) {
        0..=2 => {
            let operator = UNARY[rng.usize(..UNARY.len())];
            graph.node(operator, &[name], vec![])
        }
        3..=4 => {
            let operator = BINARY[rng.usize(..BINARY.len())];
            let other = pick_float(graph, rng)?.name;
            graph.node(operator, &[name, &other], vec![])
        }
        5..=6 => {
            let operator = BINARY[rng.usize(..BINARY.len())];
            let shape = broadcast_shape(x, rng);
            let constant = graph.floats(&shape, rng);
            graph.node(operator, &[name, &constant], vec![])
        }
        7 => {
            let inner = *x.array.shape.last()?;
            let weights = graph.floats(&[inner, rng.usize(1..5)], rng);
            graph.node("MatMul", &[name, &weights], vec![])
        }
        _ => {
            let other = pick_float(graph, rng)?.name;
            graph.node("MatMul", &[name, &other], vec![])
        }
    })
}

/// Moves elements, or changes the shape.
fn rearrange(graph: &mut Builder, x: &Known, rng: &mut Rng) -> Option<String> {
    let name = x.name.as_str();
    Some(match rng.u8(..14) {
        0..=1 => {
            let mut permutation: Vec<i64> = (0..x.rank() as i64).collect();
            rng.shuffle(&mut permutation);
            graph.node("Transpose", &[name], vec![ints("perm", &permutation)])
        }
        2..=4 => reshape(graph, x, rng),
        5 => {
            let other = pick_float(graph, rng)?.name;
            graph.node("Concat", &[name, &other], vec![int("axis", axis(x, rng)?)])
        }
        6 => {
            let along = axis(x, rng)?;
            let (start, end) = (rng.i64(-2..2), rng.i64(1..5));
            let bounds = [start, end, along, if rng.u8(..4) == 0 { 2 } else { 1 }];
            let bounds = bounds.map(|bound| graph.integers(&[bound]));
            graph.node("Slice", &[name, &bounds[0], &bounds[1], &bounds[2], &bounds[3]], vec![])
        }
        7 => {
            let indices: Vec<i64> = (0..rng.usize(1..4)).map(|_| rng.i64(0..2)).collect();
            let indices = graph.integers(&indices);
            graph.node("Gather", &[name, &indices], vec![int("axis", axis(x, rng)?)])
        }
        8 => {
            let axes = graph.integers(&[axis(x, rng)?]);
            let operator = if rng.bool() { "Unsqueeze" } else { "Squeeze" };
            graph.node(operator, &[name, &axes], vec![])
        }
        9 => graph.node("Flatten", &[name], vec![int("axis", rng.i64(0..=x.rank() as i64))]),
        10 => {
            let mut pads: Vec<i64> = vec![0; 2 * x.rank()];
            if !pads.is_empty() {
                let at = rng.usize(..pads.len());
                pads[at] = rng.i64(1..3);
            }
            let pads = graph.integers(&pads);
            graph.node("Pad", &[name, &pads], vec![])
        }
        11 => {
            let mut repeats: Vec<i64> = vec![1; x.rank()];
            if !repeats.is_empty() {
                let at = rng.usize(..repeats.len());
                repeats[at] = 2;
            }
            let repeats = graph.integers(&repeats);
            graph.node("Tile", &[name, &repeats], vec![])
        }
        12 => {
            let other = pick_float(graph, rng)?.name;
            let third = pick_float(graph, rng)?.name;
            let condition = match graph.known.iter().find(|known| known.is_bool()) {
                Some(known) => known.name.clone(),
                None => graph.node("Less", &[name, &other], vec![]),
            };
            graph.node("Where", &[&condition, name, &third], vec![])
        }
        _ => by_shape(graph, x, rng),
    })
}

/// Looks along an axis.
fn look_along(graph: &mut Builder, x: &Known, rng: &mut Rng) -> Option<String> {
    let name = x.name.as_str();
    Some(match rng.u8(..5) {
        0 => {
            let operator = OVER_AN_AXIS[rng.usize(..OVER_AN_AXIS.len())];
            graph.node(operator, &[name], vec![int("axis", axis(x, rng)?)])
        }
        1 => {
            let operator = REDUCTIONS[rng.usize(..REDUCTIONS.len())];
            let axes = vec![ints("axes", &[axis(x, rng)?]), int("keepdims", rng.i64(0..2))];
            graph.node(operator, &[name], axes)
        }
        2 => {
            let along = graph.integers(&[axis(x, rng)?]);
            graph.node("CumSum", &[name, &along], vec![int("reverse", rng.i64(0..2))])
        }
        3 => {
            let count = graph.integers(&[rng.i64(1..3)]);
            // Its values: which of equal ones ONNX Runtime picks depends on how many it looks at.
            graph.node("TopK", &[name, &count], vec![int("axis", axis(x, rng)?)])
        }
        _ => {
            let operator = if rng.bool() { "ArgMax" } else { "ArgMin" };
            let index = graph.node(
                operator,
                &[name],
                vec![int("axis", axis(x, rng)?), int("keepdims", rng.i64(0..2))],
            );
            graph.node("Cast", &[&index], vec![int("to", 1)])
        }
    })
}

/// A reshape into sizes that are written in it or taken from the value's own shape.
fn reshape(graph: &mut Builder, x: &Known, rng: &mut Rng) -> String {
    let count: usize = x.array.shape.iter().product();
    let mut sizes: Vec<i64> = Vec::new();
    let mut left = count;
    for _ in 0..rng.usize(1..4) {
        let divisors: Vec<usize> = (1..=left.max(1)).filter(|size| left.is_multiple_of(*size)).collect();
        let size = divisors[rng.usize(..divisors.len())];
        left /= size;
        sizes.push(size as i64);
    }
    let at = rng.usize(..sizes.len());
    match rng.u8(..3) {
        0 => sizes[at] *= left as i64,
        1 => sizes[at] = -1,
        // Keeps the first size, and leaves the rest open.
        _ => {
            sizes[0] = 0;
            let last = sizes.len() - 1;
            if last > 0 {
                sizes[last] = -1;
            }
        }
    }
    let sizes = graph.integers(&sizes);
    graph.node("Reshape", &[&x.name, &sizes], vec![])
}

/// What exporters write for `x.view(x.size(0), -1)`, `x.expand`, and what depends on the number of rows.
fn by_shape(graph: &mut Builder, x: &Known, rng: &mut Rng) -> String {
    let shape = graph.node("Shape", &[&x.name], vec![]);
    let first = graph.integers(&[0]);
    let rows = graph.node("Gather", &[&shape, &first], vec![int("axis", 0)]);
    match rng.u8(..4) {
        0 => {
            let rest = graph.integers(&[-1]);
            let sizes = graph.node("Concat", &[&rows, &rest], vec![int("axis", 0)]);
            graph.node("Reshape", &[&x.name, &sizes], vec![])
        }
        1 => {
            let count = graph.node("Cast", &[&rows], vec![int("to", 1)]);
            graph.node("Div", &[&x.name, &count], vec![])
        }
        2 => {
            let one = graph.integers(&[1]);
            let rest =
                graph.integers(&x.array.shape.iter().skip(1).map(|&size| size as i64).collect::<Vec<_>>());
            let sizes = graph.node("Concat", &[&rows, &rest], vec![int("axis", 0)]);
            let value = graph.floats(&x.array.shape[1.min(x.rank())..], rng);
            let expanded = graph.node("Expand", &[&value, if rng.bool() { &sizes } else { &one }], vec![]);
            graph.node("Add", &[&x.name, &expanded], vec![])
        }
        _ => {
            let flat = graph.node("Squeeze", &[&rows], vec![]);
            let (zero, one) = (graph.integers(&[0]), graph.integers(&[1]));
            let (zero, one) =
                (graph.node("Squeeze", &[&zero], vec![]), graph.node("Squeeze", &[&one], vec![]));
            let numbers = graph.node("Range", &[&zero, &flat, &one], vec![]);
            let numbers = graph.node("Cast", &[&numbers], vec![int("to", 1)]);
            graph.node("Mul", &[&x.name, &numbers], vec![])
        }
    }
}
