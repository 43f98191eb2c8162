//! Operators that read shapes, or make tensors of a given shape.

use super::{Entry, elementwise, entry};
use crate::{
    proto::data_type,
    rows::{
        attribute, contents,
        node::{Node, Outcome, mixes},
        size::{Op, Size},
        value::{Layout, Numbers, State, Value},
    },
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "Shape" => entry(shape).shape_only(),
        "Size" => entry(size).shape_only(),
        "Constant" => entry(|node| Ok(vec![constant(node)])),
        "ConstantOfShape" => entry(constant_of_shape).sizes(1).grows(1),
        "Range" => entry(range).sizes(0b111).grows(0b111),
        "Expand" => entry(expand).sizes(0b10).grows(0b10).any_state(),
        "Tile" => entry(tile).sizes(0b10).grows(0b10),
        "EyeLike" => entry(|_| Err(mixes("gives each row a one at another position"))),
        "OneHot" => entry(one_hot).sizes(0b10).grows(0b10),
        "Trilu" => entry(trilu),
        "NonZero" => entry(|_| Err(mixes("gives positions across the whole batch"))),
        "Unique" => entry(|_| Err(mixes("drops duplicates across the whole batch"))),
        "NonMaxSuppression" => entry(|_| Err(mixes("chooses rows across the batch"))),
        _ => return None,
    })
}

fn shape(node: &mut Node<'_>) -> Outcome {
    let dims = node.shape(0)?;
    let rank = i64::try_from(dims.len()).unwrap_or(i64::MAX);
    let place = |value: i64| {
        let from_front = if value < 0 { value.saturating_add(rank) } else { value };
        usize::try_from(from_front.clamp(0, rank)).unwrap_or(0)
    };
    let (start, end) = (place(node.int("start", 0)), place(node.int("end", rank)));
    let part = dims.get(start..end).unwrap_or_default().to_vec();
    let count = node.sizes.constant(i64::try_from(part.len()).unwrap_or(0));
    Ok(vec![Value::shaped([count]).with_type(data_type::INT64).with_contents(Some(part))])
}

fn size(node: &mut Node<'_>) -> Outcome {
    let dims = node.shape(0)?;
    let total = node.sizes.product(dims);
    Ok(vec![Value::shaped([]).with_type(data_type::INT64).with_contents(Some(vec![total]))])
}

fn constant(node: &mut Node<'_>) -> Value {
    let sizes = &mut *node.sizes;
    if let Some(tensor) = attribute::tensor(node.proto, "value") {
        return contents::literal(tensor, sizes);
    }
    let find = |name: &str| attribute::find(node.proto, name);
    let list = |sizes: &mut crate::rows::size::Sizes, length: usize| {
        Value::shaped([sizes.constant(i64::try_from(length).unwrap_or(0))])
    };
    if let Some(given) = find("value_int") {
        let value = sizes.constant(given.i);
        Value::shaped([]).with_type(data_type::INT64).with_contents(Some(vec![value]))
    } else if let Some(given) = find("value_float") {
        let value = sizes.float(given.f);
        Value::shaped([]).with_type(data_type::FLOAT).with_contents(Some(vec![value]))
    } else if let Some(given) = find("value_ints") {
        let values = given.ints.iter().take(65).map(|&value| sizes.constant(value)).collect();
        list(sizes, given.ints.len()).with_type(data_type::INT64).with_contents(Some(values))
    } else if let Some(given) = find("value_floats") {
        let values = given.floats.iter().take(65).map(|&value| sizes.float(value)).collect();
        list(sizes, given.floats.len()).with_type(data_type::FLOAT).with_contents(Some(values))
    } else if let Some(given) = find("value_strings") {
        list(sizes, given.strings.len()).with_type(data_type::STRING)
    } else if find("value_string").is_some() {
        Value::shaped([]).with_type(data_type::STRING)
    } else {
        Value::unknown()
    }
}

/// A tensor with the same value in every element. Each axis whose size is a multiple of the number of rows counts as a
/// row axis.
fn filled(node: &mut Node<'_>, shape: Vec<Size>) -> Value {
    let axes: Vec<usize> = (0..shape.len()).filter(|&axis| !node.sizes.is_free(shape[axis])).collect();
    if let [axis] = axes[..]
        && let Some(inner) = node.sizes.divide(shape[axis], Size::ROWS)
        && node.sizes.is_free(inner)
    {
        return Value::rows(shape, Layout { inner, ..Layout::plain(axis) });
    }
    Value::shaped(shape)
}

fn constant_of_shape(node: &mut Node<'_>) -> Outcome {
    let Some(dims) = node.contents(0) else {
        return Err(mixes("makes a shape that the graph does not determine"));
    };
    let fill = match attribute::tensor(node.proto, "value") {
        Some(tensor) => contents::literal(tensor, node.sizes),
        None => Value::shaped([]).with_type(data_type::FLOAT).with_contents(Some(vec![Size::ZERO])),
    };
    let value = filled(node, dims.to_vec()).with_type(fill.data_type);
    let count = node.small(dims).map(|dims| dims.iter().product());
    let element = fill.contents.as_deref().and_then(|elements| elements.first().copied());
    let elements = element.zip(count).map(|(element, count)| vec![element; count]);
    Ok(vec![value.with_contents(elements)])
}

fn range(node: &mut Node<'_>) -> Outcome {
    let one = |input: usize| node.contents(input).and_then(|elements| elements.first().copied());
    let data_type = node.value(0)?.data_type;
    let (Some(start), Some(limit), Some(delta)) = (one(0), one(1), one(2)) else {
        return Ok(vec![Value::shaped([node.fresh()]).with_type(data_type)]);
    };
    let sizes = &mut *node.sizes;
    if let (Some(first), Some(end), Some(step)) =
        (sizes.as_constant(start), sizes.as_constant(limit), sizes.as_constant(delta))
        && step != 0
    {
        let distance = i128::from(end) - i128::from(first);
        let count = (distance + i128::from(step) - i128::from(step.signum())) / i128::from(step);
        let count = i64::try_from(count.max(0)).unwrap_or(i64::MAX);
        let elements = (count <= 64).then(|| {
            (0..count).map(|i| sizes.constant(first.saturating_add(i.saturating_mul(step)))).collect()
        });
        let shape = [sizes.constant(count)];
        return Ok(vec![Value::shaped(shape).with_type(data_type).with_contents(elements)]);
    }
    if start == Size::ZERO && delta == Size::ONE && sizes.is_never_negative(limit) && sizes.is_whole(limit) {
        let value = Value::shaped([limit]).with_type(data_type);
        let numbers = limit == Size::ROWS;
        return Ok(vec![if numbers { value.with_state(State::Numbers(Numbers::plain(0))) } else { value }]);
    }
    let ends = sizes.opaque(Op::Pair, start, limit);
    let count = sizes.opaque(Op::Range, ends, delta);
    Ok(vec![Value::shaped([count]).with_type(data_type)])
}

fn expand(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    if node.layout(1).is_some() {
        return Err(mixes("takes a shape from values of the rows"));
    }
    let shape = node.shape(0)?;
    let Some(target) = node.contents(1) else {
        return Err(mixes("makes a shape that the graph does not determine"));
    };
    let rank = shape.len().max(target.len());
    let at =
        |dims: &[Size], axis: usize| (axis + dims.len()).checked_sub(rank).map_or(Size::ONE, |i| dims[i]);
    let own = match value.state {
        State::Rows(layout) => Some(layout),
        State::Numbers(Numbers { axis, .. }) | State::RowIndices { axis } => Some(Layout::plain(axis)),
        _ => None,
    };
    let mut rows = own.map(|layout| layout.on(layout.axis + rank - shape.len()));
    let mut result = Vec::with_capacity(rank);
    for axis in 0..rank {
        let (have, want) = (at(shape, axis), at(target, axis));
        if rows.is_some_and(|rows| rows.axis == axis) {
            if want != Size::ONE && want != have {
                return Err(mixes("expands the rows to another number of rows"));
            }
            result.push(have);
        } else {
            let repeats = (have == Size::ONE).then(|| node.sizes.divide(want, Size::ROWS)).flatten();
            if let (None, Some(inner)) = (rows, repeats.filter(|&inner| inner != Size::ZERO))
                && value.is_free()
            {
                rows = Some(Layout { inner, ..Layout::plain(axis) });
            }
            result.push(node.sizes.broadcast(have, want));
        }
    }
    let small = value.contents.as_deref().filter(|elements| elements.len() == 1).zip(node.small(&result));
    let contents = small.map(|(elements, dims)| vec![elements[0]; dims.iter().product()]);
    let state = match (value.state, rows) {
        (State::Numbers(numbers), Some(rows)) => State::Numbers(numbers.on(rows.axis)),
        (State::RowIndices { .. }, Some(rows)) => State::RowIndices { axis: rows.axis },
        (_, Some(rows)) => State::Rows(rows),
        _ => value.state,
    };
    Ok(vec![Value::shaped(result).with_type(value.data_type).with_contents(contents).with_state(state)])
}

fn tile(node: &mut Node<'_>) -> Outcome {
    let value = node.value(0)?;
    let shape = node.shape(0)?;
    let Some(repeats) = node.contents(1) else {
        return Err(mixes("repeats an axis a number of times that the graph does not determine"));
    };
    if repeats.len() != shape.len() {
        return Err(mixes("repeats other axes than its input has"));
    }
    let mut rows = value.layout();
    let mut result = Vec::with_capacity(shape.len());
    for (axis, (&dim, &times)) in shape.iter().zip(repeats).enumerate() {
        match &mut rows {
            Some(rows) if rows.axis == axis => rows.outer = node.sizes.mul(rows.outer, times),
            None if !node.sizes.is_free(times) && value.is_free() => {
                if let Some(outer) = node.sizes.divide(times, Size::ROWS) {
                    let inner = node.sizes.mul(outer, dim);
                    rows = Some(Layout { inner, ..Layout::plain(axis) });
                }
            }
            _ => {}
        }
        result.push(node.sizes.mul(dim, times));
    }
    Ok(vec![super::matmul::result(result, rows).with_type(value.data_type)])
}

fn one_hot(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    let shape = node.shape(0)?;
    let axis = node.axis(-1, shape.len() + 1)?;
    let depth = match node.contents(1) {
        Some(&[depth]) => depth,
        _ => node.fresh(),
    };
    let mut result = shape.to_vec();
    result.insert(axis, depth);
    let rows = node.layout(0).map(|rows| rows.on(rows.axis + usize::from(axis <= rows.axis)));
    Ok(vec![super::matmul::result(result, rows)])
}

fn trilu(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    let shape = node.shape(0)?;
    if node.layout(0).is_some_and(|rows| rows.axis + 2 >= shape.len()) {
        return Err(mixes("keeps a triangle of a matrix, and the rows are one of its axes"));
    }
    elementwise::like_first(node)
}
