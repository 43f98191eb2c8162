//! Operators that compute each element from the elements at the same position of their inputs.

use super::{Entry, entry};
use crate::{
    proto::data_type,
    rows::{
        attribute,
        broadcast::broadcast,
        contents::{indices, position},
        node::{Mixes, Node, Outcome, mixes},
        size::{Op, Size},
        value::{Layout, State, Value},
    },
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "Abs" | "Acos" | "Acosh" | "Asin" | "Asinh" | "Atan" | "Atanh" | "BitwiseNot" | "Ceil" | "Celu"
        | "Cos" | "Cosh" | "Elu" | "Erf" | "Exp" | "Floor" | "Gelu" | "HardSigmoid" | "HardSwish"
        | "LeakyRelu" | "Log" | "Mish" | "Neg" | "Reciprocal" | "Relu" | "Round" | "Selu" | "Shrink"
        | "Sigmoid" | "Sign" | "Sin" | "Sinh" | "Softplus" | "Softsign" | "Sqrt" | "Swish" | "Tan"
        | "Tanh" | "ThresholdedRelu" | "BitCast" | "IsInf" | "IsNaN" | "Not" | "Cast" | "RegexFullMatch"
        | "Affine" | "ParametricSoftplus" | "ScaledTanh" | "Scale" | "ImageScaler" | "And" | "BitShift"
        | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" | "Div" | "Equal" | "Greater" | "GreaterOrEqual"
        | "Less" | "LessOrEqual" | "Max" | "Mean" | "Min" | "Mod" | "Or" | "PRelu" | "Pow"
        | "StringConcat" | "Sub" | "Sum" | "Where" | "Xor" | "Clip" | "SwiGLU" => entry(elementwise),
        "Add" | "Mul" => entry(arithmetic).any_state(),
        "CastLike" => entry(cast_like).any_state(),
        "Dropout" => entry(dropout),
        _ => return None,
    })
}

pub(crate) fn elementwise(node: &mut Node<'_>) -> Outcome {
    if node.proto.op_type == "ImageScaler" && node.layout(0).is_some_and(|rows| rows.axis == 1) {
        return Err(mixes("scales each channel, and the rows are channels"));
    }
    let values: Vec<&Value> = node.inputs.iter().flatten().collect();
    let mut shapes: Vec<Vec<Size>> = Vec::with_capacity(values.len());
    for value in &values {
        let shape = value.shape.as_ref().ok_or_else(|| mixes("has an input of unknown rank"))?;
        shapes.push(shape.to_vec());
    }
    // before opset 7, attribute 'axis' says where the axes of the second input start
    if node.opset < 7
        && let (Some(axis), [first, second]) = (attribute::int(node.proto, "axis"), shapes.as_mut_slice())
    {
        let end = usize::try_from(axis).map_or(0, |axis| axis + second.len());
        second.resize(second.len() + first.len().saturating_sub(end), Size::ONE);
    }
    let operands: Vec<_> =
        values.iter().zip(&shapes).map(|(value, shape)| (shape.as_slice(), value.layout())).collect();
    let (shape, rows) = broadcast(node.sizes, &operands)?;
    let data_type = result_type(node, &values);
    let contents = if rows.is_none() { fold(node, &values, &shape, data_type) } else { None };
    let keeps = node.proto.op_type == "Cast" && holds_numbers(data_type);
    let state = match (rows, values.first().map(|value| value.state)) {
        (Some(rows), _) => State::Rows(rows),
        (None, Some(state)) if keeps => state,
        _ => State::Free,
    };
    let bound = values.first().and_then(|value| value.bound).filter(|_| keeps);
    let value = Value { bound, ..Value::shaped(shape) };
    Ok(node.repeat(&value.with_type(data_type).with_contents(contents).with_state(state)))
}

/// Addition, subtraction and multiplication, which may also compute with row numbers.
fn arithmetic(node: &mut Node<'_>) -> Outcome {
    if let Some(value) = numbered(node)? {
        return Ok(vec![value]);
    }
    node.refuse_counts()?;
    let mut outputs = elementwise(node)?;
    for output in &mut outputs {
        output.state = node.state_of(output.layout());
    }
    Ok(outputs)
}

/// `row * step + offset`: the node multiplies row numbers by a step, or adds an offset that depends on the same row.
fn numbered(node: &mut Node<'_>) -> Result<Option<Value>, Mixes> {
    let (Some(first), Some(second)) = (node.optional(0), node.optional(1)) else { return Ok(None) };
    let (value, mut numbers, other) = match (first.state, second.state) {
        (State::Numbers(numbers), State::Free | State::Rows(_)) => (first, numbers, second),
        (State::Free | State::Rows(_), State::Numbers(numbers)) => (second, numbers, first),
        _ => return Ok(None),
    };
    if node.opset < 7 {
        return Ok(None);
    }
    let (Some(shape), Some(other_shape)) = (value.shape.as_deref(), other.shape.as_deref()) else {
        return Ok(None);
    };
    if node.proto.op_type == "Mul" {
        let Some(&[step]) = other.contents.as_deref() else { return Ok(None) };
        if numbers.bound != Size::ONE || !node.sizes.is_never_negative(step) {
            return Ok(None);
        }
        numbers.step = node.sizes.mul(numbers.step, step);
    } else {
        let Some(bound) = other.bound else { return Ok(None) };
        let most = node.sizes.add(numbers.bound, bound);
        numbers.bound = node.sizes.sub(most, Size::ONE);
    }
    let own = Some(Layout::plain(numbers.axis));
    let (shape, rows) = broadcast(node.sizes, &[(shape, own), (other_shape, other.layout())])?;
    let Some(rows) = rows else { return Ok(None) };
    let state = State::Numbers(numbers.on(rows.axis));
    Ok(Some(Value::shaped(shape).with_type(value.data_type).with_state(state)))
}

fn result_type(node: &Node<'_>, values: &[&Value]) -> i32 {
    let of = |index: usize| values.get(index).map_or(0, |value| value.data_type);
    match node.proto.op_type.as_str() {
        "Cast" => i32::try_from(node.int("to", 0)).unwrap_or(0),
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "IsInf" | "IsNaN" | "Not"
        | "And" | "Or" | "Xor" | "RegexFullMatch" => data_type::BOOL,
        "Where" => of(1),
        _ => of(0),
    }
}

/// The elements of the result, if those of the inputs are known.
fn fold(node: &mut Node<'_>, values: &[&Value], shape: &[Size], data_type: i32) -> Option<Vec<Size>> {
    let out = node.small(shape)?;
    if !is_followed(data_type) {
        return None;
    }
    let mut operands = Vec::with_capacity(values.len());
    for value in values {
        operands.push((value.contents.as_deref()?, node.small(value.shape.as_deref()?)?));
    }
    let from = values.first()?.data_type;
    let mut result = Vec::with_capacity(out.iter().product());
    for index in indices(&out) {
        let elements: Vec<Size> = operands
            .iter()
            .map(|(contents, dims)| contents.get(position(dims, &index)).copied())
            .collect::<Option<_>>()?;
        result.push(compute(node, &elements, from, data_type)?);
    }
    Some(result)
}

/// Whether the type holds row numbers exactly. Smaller types may round them or wrap around.
fn holds_numbers(kind: i32) -> bool {
    matches!(kind, data_type::INT64 | data_type::INT32)
}

fn is_followed(kind: i32) -> bool {
    matches!(kind, data_type::INT64 | data_type::INT32 | data_type::BOOL | data_type::FLOAT)
}

fn compute(node: &mut Node<'_>, elements: &[Size], from: i32, to: i32) -> Option<Size> {
    let is_float = from == data_type::FLOAT;
    let sizes = &mut *node.sizes;
    let truth =
        |sizes: &mut super::super::size::Sizes, known: Option<bool>, op: Op, a: Size, b: Size| match known {
            Some(known) => sizes.constant(i64::from(known)),
            None => sizes.opaque(op, a, b),
        };
    Some(match (node.proto.op_type.as_str(), elements) {
        ("Cast", &[a]) => match to {
            data_type::FLOAT => a,
            data_type::BOOL => match sizes.equal(a, Size::ZERO) {
                Some(is_zero) => sizes.constant(i64::from(!is_zero)),
                None => return None,
            },
            _ => sizes.towards_zero(a)?,
        },
        ("Add" | "Sum", &[a, b]) => sizes.add(a, b),
        ("Sub", &[a, b]) => sizes.sub(a, b),
        ("Mul" | "And", &[a, b]) => sizes.mul(a, b),
        ("Neg", &[a]) => sizes.negate(a),
        ("Div", &[a, b]) => sizes.quotient(a, b, is_float)?,
        ("Mod", &[a, b]) if !is_float => sizes.remainder(a, b)?,
        ("Floor", &[a]) => sizes.round(a, Op::Floor),
        ("Ceil", &[a]) => sizes.round(a, Op::Ceil),
        ("Round", &[a]) => sizes.round(a, Op::Round),
        ("Sqrt", &[a]) => match sizes.as_float(a) {
            Some(value) => sizes.float(value.sqrt()),
            None => sizes.opaque(Op::Sqrt, a, Size::ZERO),
        },
        ("Pow", &[a, b]) => match sizes.as_constant(b) {
            Some(1) => a,
            Some(2) => sizes.mul(a, a),
            _ => sizes.opaque(Op::Pow, a, b),
        },
        ("Abs", &[a]) if sizes.is_never_negative(a) => a,
        ("Equal", &[a, b]) => {
            let known = sizes.equal(a, b);
            truth(sizes, known, Op::Equal, a.min(b), a.max(b))
        }
        ("Less", &[a, b]) | ("Greater", &[b, a]) => {
            let known = sizes.less(a, b);
            truth(sizes, known, Op::Less, a, b)
        }
        ("GreaterOrEqual", &[a, b]) | ("LessOrEqual", &[b, a]) => {
            let less = sizes.less(a, b);
            let less = truth(sizes, less, Op::Less, a, b);
            sizes.sub(Size::ONE, less)
        }
        ("Not", &[a]) => sizes.sub(Size::ONE, a),
        ("Clip", &[a, low]) if node.inputs.get(1).is_some_and(Option::is_some) => sizes.most(a, low),
        ("Clip", &[a, high]) => sizes.least(a, high),
        ("Clip", &[a, low, high]) => {
            let at_least = sizes.most(a, low);
            sizes.least(at_least, high)
        }
        ("Max" | "Min" | "Clip", &[a]) => a,
        ("Max", &[a, b]) => sizes.most(a, b),
        ("Min", &[a, b]) => sizes.least(a, b),
        ("Where", &[condition, a, b]) => match sizes.as_constant(condition) {
            Some(0) => b,
            Some(_) => a,
            None if a == b => a,
            None => {
                let pair = sizes.opaque(Op::Pair, a, b);
                sizes.opaque(Op::Where, condition, pair)
            }
        },
        _ => return None,
    })
}

fn cast_like(node: &mut Node<'_>) -> Outcome {
    let (value, like) = (node.value(0)?, node.value(1)?);
    let mut result = value.clone().with_type(like.data_type);
    if !is_followed(like.data_type) || like.data_type != value.data_type {
        result.contents = None;
    }
    if !holds_numbers(like.data_type) {
        result.bound = None;
        if matches!(result.state, State::Numbers(_) | State::RowIndices { .. }) {
            result.state = State::Count;
        }
    }
    Ok(vec![result])
}

/// In inference, the input passes through unchanged. In training mode, elements are dropped at random.
fn dropout(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?.clone();
    let trains = match node.opset {
        ..7 => node.int("is_test", 0) == 0,
        7..12 => false,
        _ => match node.optional(2) {
            None => false,
            Some(mode) => {
                mode.contents.as_deref() != Some(&[Size::ZERO]) && node.contents(1) != Some(&[Size::ZERO])
            }
        },
    };
    if trains {
        return Err(super::draws("drops elements at random"));
    }
    let mut mask = value.clone();
    mask.contents = None;
    mask.bound = None;
    Ok(vec![value, mask.with_type(data_type::BOOL)])
}

/// An output with the shape, type and rows of the first input, and other elements.
pub(crate) fn like_first(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    Ok(vec![super::matmul::result(node.shape(0)?.to_vec(), value.layout()).with_type(value.data_type)])
}
