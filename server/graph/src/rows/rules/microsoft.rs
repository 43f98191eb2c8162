//! Operators of ONNX Runtime's own domain, which its optimizer and quantizer write.

use super::{
    Entry, convolution, elementwise, elementwise::like_first, entry, matmul, normalise, quantised, slice,
};
use crate::rows::{
    node::{Mixes, Node, Outcome, mixes},
    size::Size,
    value::{Layout, Value},
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "BiasGelu" | "FastGelu" | "Gelu" | "QuickGelu" | "BiasAdd" | "BiasDropout" | "BitmaskDropout"
        | "BiasSplitGelu" | "Inverse" | "Trilu" | "ExpandDims" | "GatherND" | "Pad" | "Unique" => {
            return shared(operator);
        }
        "LayerNormalization" | "SimplifiedLayerNormalization" => entry(normalise::layer),
        "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => entry(skip_layer),
        "GroupNorm" | "SkipGroupNorm" => entry(group_norm),
        "FusedMatMul" => entry(fused_matmul),
        "FusedGemm" => entry(matmul::gemm),
        "FusedConv" => entry(fused_conv),
        "NhwcMaxPool" => entry(channels_last),
        "QLinearConv" => entry(quantised_conv),
        "MatMulNBits" | "MatMulBnb4" | "MatMulFpQ4" => entry(packed_weights),
        "MatMulIntegerToFloat" => entry(integer_to_float),
        "MatMulInteger16" => entry(matmul::matmul),
        "QGemm" => entry(quantised_gemm),
        "DynamicQuantizeMatMul" | "DynamicQuantizeLSTM" => entry(|_| Err(mixes(quantised::DYNAMIC))),
        "QLinearAdd" | "QLinearMul" => entry(|node| quantised::binary(node, 0, 3)),
        "QLinearSigmoid" | "QLinearLeakyRelu" => entry(like_quantised),
        "QLinearSoftmax" => entry(quantised_softmax),
        "QLinearAveragePool" => entry(quantised_pool),
        "QLinearGlobalAveragePool" => entry(quantised_global_pool),
        "QLinearConcat" => entry(quantised_concat),
        "Attention" => entry(|node| attention(node, &[1, 2])),
        "QAttention" => entry(|node| attention(node, &[1, 2, 3, 4, 6, 7])),
        "MultiHeadAttention" => entry(|node| attention(node, &[3])),
        "RelativePositionBias" => entry(position_bias).sizes(0b110).grows(0b110),
        "CDist" => entry(distances),
        "RotaryEmbedding" => entry(rotary),
        "EmbedLayerNormalization" => entry(embed),
        "PackedAttention" | "PackedMultiHeadAttention" => {
            entry(|_| Err(mixes("takes the tokens of all rows one after another")))
        }
        "CropAndResize" => entry(|_| Err(mixes("picks images by their numbers in the batch"))),
        "Tokenizer" => entry(super::strings::tokenizer),
        _ => return None,
    })
}

/// Operators that behave like operators of the ONNX standard.
fn shared(operator: &str) -> Option<Entry> {
    Some(match operator {
        "BiasGelu" | "FastGelu" | "Gelu" | "QuickGelu" | "BiasAdd" => entry(elementwise::elementwise),
        "Trilu" | "GatherND" | "Unique" => return super::find("", operator),
        "Inverse" => entry(inverse),
        "Pad" => entry(slice::pad).sizes(0b1010).grows(0b10),
        _ => return None,
    })
}

/// The inverse of each matrix in the last two axes.
fn inverse(node: &mut Node<'_>) -> Outcome {
    let rank = node.shape(0)?.len();
    if node.layout(0).is_some_and(|rows| rows.axis + 2 >= rank) {
        return Err(mixes("treats the rows as a matrix"));
    }
    like_first(node)
}

/// The sum of the input and a skip connection, normalised over the last axis.
fn skip_layer(node: &mut Node<'_>) -> Outcome {
    let (value, shape) = (node.value(0)?, node.shape(0)?);
    let rows = value.layout();
    if rows.is_some_and(|rows| rows.axis + 1 == shape.len()) {
        return Err(mixes("normalises over the rows"));
    }
    let skip = node.value(1)?;
    let shared =
        skip.is_free() && node.shape(1)?.len() == 3 && node.shape(1)?[0] == Size::ONE && shape.len() == 3;
    let shared = shared || (skip.is_free() && node.shape(1)?.len() == 2 && shape.len() == 3);
    if node.has_rows() && !(skip.layout() == rows || (shared && rows.is_some_and(|rows| rows.axis == 0))) {
        return Err(mixes("adds the rows of one input to other rows of the other"));
    }
    (2..5).try_for_each(|input| node.free(input))?;
    let mut outputs = like_first(node)?;
    let mut means = shape.to_vec();
    if let Some(last) = means.last_mut() {
        *last = Size::ONE;
    }
    let means = matmul::result(means, rows);
    outputs.extend([means.clone(), means, outputs[0].clone()]);
    Ok(outputs)
}

/// Images with the batch axis first. The skip input and the sum have the same shape as the input.
fn group_norm(node: &mut Node<'_>) -> Outcome {
    let rows = convolution::batch(node, 0)?;
    let skips = node.proto.op_type == "SkipGroupNorm";
    node.others_free(if skips { &[0, 3] } else { &[0] })?;
    if skips && node.layout(3) != rows {
        return Err(mixes("adds the rows of one input to other rows of the other"));
    }
    let output = like_first(node)?.swap_remove(0);
    Ok(node.repeat(&output))
}

fn fused_matmul(node: &mut Node<'_>) -> Outcome {
    if node.int("transBatchA", 0) != 0 || node.int("transBatchB", 0) != 0 {
        return Err(mixes("transposes batches"));
    }
    let turned = |node: &Node<'_>, input: usize, name: &str| -> Result<(Vec<Size>, Option<Layout>), Mixes> {
        let mut shape = node.shape(input)?.to_vec();
        let (rank, mut rows) = (shape.len(), node.layout(input));
        if rank >= 2 && node.int(name, 0) != 0 {
            shape.swap(rank - 2, rank - 1);
            rows =
                rows.map(|rows| if rows.axis + 2 >= rank { rows.on(2 * rank - 3 - rows.axis) } else { rows });
        }
        Ok((shape, rows))
    };
    let (a, b) = (turned(node, 0, "transA")?, turned(node, 1, "transB")?);
    let (shape, rows) = matmul::product_of(node, (&a.0, a.1), (&b.0, b.1))?;
    Ok(vec![matmul::result(shape, rows)])
}

/// A convolution plus, optionally, a tensor of the output's shape.
fn fused_conv(node: &mut Node<'_>) -> Outcome {
    let rows = convolution::batch(node, 0)?;
    if node.optional(3).is_some() && node.layout(3) != rows {
        return Err(mixes("adds the rows of one input to other rows of the other"));
    }
    node.others_free(&[0, 3])?;
    let inputs: Vec<Option<Value>> = node.inputs.iter().take(3).cloned().collect();
    let mut plain = Node {
        proto: node.proto,
        inputs: &inputs,
        sizes: &mut *node.sizes,
        opset: node.opset,
        suspicion: None,
    };
    convolution::conv(&mut plain, 0, 1)
}

/// An output of images with the batch axis first, and unknown sizes of spatial axes and channels.
fn channels_last(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    let rows = convolution::batch(node, 0)?;
    let mut shape = node.shape(0)?.to_vec();
    for dim in shape.iter_mut().skip(1) {
        *dim = node.fresh();
    }
    Ok(vec![matmul::result(shape, rows)])
}

fn quantised_conv(node: &mut Node<'_>) -> Outcome {
    if node.int("channels_last", 0) != 0 { channels_last(node) } else { convolution::conv(node, 0, 3) }
}

/// Product with weights of a few bits. It sums over the last axis; an attribute gives the new size of that axis.
fn packed_weights(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    let mut shape = node.shape(0)?.to_vec();
    let rows = node.layout(0);
    let Some(last) = shape.len().checked_sub(1) else { return Err(mixes("multiplies a scalar")) };
    if rows.is_some_and(|rows| rows.axis == last) {
        return Err(mixes("sums over the rows"));
    }
    shape[last] = node.sizes.constant(node.int("N", 0));
    Ok(vec![matmul::result(shape, rows)])
}

fn integer_to_float(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0, 1])?;
    for (number, matrix) in [(2, 0), (4, 0), (3, 1), (5, 1), (6, 1)] {
        quantised::single(node, number, matrix)?;
    }
    matmul::matmul(node)
}

/// Inputs: A, its scale and zero point; B, its scale and zero point; C; scale and zero point of the output.
fn quantised_gemm(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    for number in [1, 2, 7, 8] {
        quantised::single(node, number, 0)?;
    }
    let rows = node.layout(0);
    let &[first, second] = &node.shape(0)?[..] else { return Err(mixes("has an input that is no matrix")) };
    let transposed = node.int("transA", 0) != 0;
    if rows.is_some_and(|rows| rows.axis != usize::from(transposed)) {
        return Err(mixes("sums over the rows"));
    }
    if rows.is_some()
        && node.optional(6).is_some()
        && let shape = node.shape(6)?
        && shape.len() == 2
        && shape[0] != Size::ONE
    {
        return Err(mixes("lines up the rows with an axis of fixed size"));
    }
    let columns = node.fresh();
    let shape = vec![if transposed { second } else { first }, columns];
    Ok(vec![matmul::result(shape, rows.map(|rows| rows.on(0)))])
}

fn like_quantised(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    like_first(node)
}

fn quantised_softmax(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    // in older versions, all axes from this one on are normalised together
    normalise::from_axis(node, -1, "normalises over the rows")?;
    like_first(node)
}

fn quantised_pool(node: &mut Node<'_>) -> Outcome {
    if node.int("channels_last", 0) != 0 { channels_last(node) } else { convolution::pool(node) }
}

fn quantised_global_pool(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0])?;
    let rows = convolution::batch(node, 0)?;
    let shape = node.shape(0)?;
    let last = shape.len() - 1;
    let channels = if node.int("channels_last", 0) != 0 { last } else { 1 };
    let target: Vec<Size> = shape
        .iter()
        .enumerate()
        .map(|(axis, &dim)| if axis == 0 || axis == channels { dim } else { Size::ONE })
        .collect();
    Ok(vec![matmul::result(target, rows)])
}

/// Inputs: scale and zero point of the output; then tensors, each with its scale and zero point.
fn quantised_concat(node: &mut Node<'_>) -> Outcome {
    let tensors: Vec<usize> = (2..node.inputs.len()).step_by(3).collect();
    node.others_free(&tensors)?;
    let values: Vec<Option<Value>> = tensors.iter().map(|&input| node.optional(input).cloned()).collect();
    slice::concat(node, &values)
}

/// Attention. All inputs except the `weights` have the batch axis first.
fn attention(node: &mut Node<'_>, weights: &[usize]) -> Outcome {
    let query = node.shape(0)?;
    if !node.has_rows() {
        return Ok(node.repeat(&Value::unknown()));
    }
    let rows = node.layout(0).filter(|rows| rows.axis == 0);
    let rows = rows.ok_or_else(|| mixes("treats the rows as a sequence"))?;
    if query.len() != 3 {
        return Err(mixes("has a query of other rank than 3"));
    }
    for (input, value) in node.inputs.iter().enumerate() {
        let Some(value) = value else { continue };
        let shape = node.shape(input)?;
        // a bias of the scores may be the same for all rows
        let shared = weights.contains(&input) || (shape.len() == 4 && shape[0] == Size::ONE);
        if value.layout() != Some(rows) && !(value.is_free() && shared) {
            return Err(mixes("lets the rows of one input attend to other rows of the other"));
        }
    }
    let mut target = query.to_vec();
    target[2] = node.fresh();
    let mut outputs = vec![Value::rows(target, rows)];
    // caches of keys and values have the batch as second axis, or are not contiguous
    outputs.extend((1..node.proto.output.len()).map(|_| Value::unknown()));
    Ok(outputs)
}

/// The sum of word, position and segment embeddings, normalised.
fn embed(node: &mut Node<'_>) -> Outcome {
    let (ids, rows) = (node.shape(0)?, node.layout(0));
    let &[batch, length] = &ids[..] else { return Err(mixes("has words of other rank than 2")) };
    if rows.is_some_and(|rows| rows.axis != 0) {
        return Err(mixes("treats the rows as a sequence"));
    }
    node.others_free(&[0, 1, 7, 8])?;
    for input in [1, 7, 8] {
        let Some(value) = node.optional(input) else { continue };
        let shared = input == 8 && value.is_free() && node.shape(input)?.first() == Some(&Size::ONE);
        if value.layout() != rows && !shared {
            return Err(mixes("has segments for other rows than those of its words"));
        }
    }
    let hidden = match node.shape(2)?[..] {
        [_, hidden] => hidden,
        _ => node.fresh(),
    };
    let sum = matmul::result(vec![batch, length, hidden], rows);
    Ok(vec![sum.clone(), matmul::result(vec![batch], rows), sum])
}

/// The distance of each row of one matrix to each row of the other.
fn distances(node: &mut Node<'_>) -> Outcome {
    let (&[first, _], &[second, _]) = (&node.shape(0)?[..], &node.shape(1)?[..]) else {
        return Err(mixes("has an input that is no matrix"));
    };
    let rows = match (node.layout(0), node.layout(1)) {
        (Some(_), Some(_)) => return Err(mixes("compares the rows of one input with those of the other")),
        (None, None) => None,
        (Some(rows), None) | (None, Some(rows)) if rows.axis != 0 => return Err(mixes("sums over the rows")),
        (Some(rows), None) => Some(rows),
        (None, Some(rows)) => Some(rows.on(1)),
    };
    Ok(vec![matmul::result(vec![first, second], rows)])
}

/// Rotary embedding: rotates pairs of elements by the angle of their position. The tables of angles are indexed by
/// position.
fn rotary(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[0, 1])?;
    let rows = node.layout(0);
    let positions = node.value(1)?;
    let counted = positions.is_free()
        && node.shape(1)?.iter().all(|&dim| dim == Size::ONE)
        && node.shape(1)?.len() == 1;
    if node.has_rows()
        && !(rows.is_some_and(|rows| rows.axis == 0) && (positions.layout() == rows || counted))
    {
        return Err(mixes("has positions for a fixed number of rows"));
    }
    if node.shape(0)?.len() < 3 || node.int("is_packed_batching", 0) != 0 {
        return Err(mixes("takes the tokens of all rows one after another"));
    }
    like_first(node)
}

/// A bias for each head, query and key, the same for all rows.
fn position_bias(node: &mut Node<'_>) -> Outcome {
    node.others_free(&[])?;
    Ok(vec![Value::shaped([Size::ONE, node.fresh(), node.fresh(), node.fresh()])])
}

/// Operators on images whose channels are stored in blocks. The first axis is always the batch.
pub(crate) fn blocked(operator: &str) -> Option<Entry> {
    Some(match operator {
        "Conv" | "MaxPool" | "AveragePool" | "GlobalMaxPool" | "GlobalAveragePool" | "Upsample"
        | "ReorderInput" | "ReorderOutput" => entry(in_blocks),
        _ => return None,
    })
}

fn in_blocks(node: &mut Node<'_>) -> Outcome {
    let rows = convolution::batch(node, 0)?;
    node.others_free(&[0, 3])?;
    // the fourth input is added to the result of the convolution
    if node.optional(3).is_some() && node.layout(3) != rows {
        return Err(mixes("adds the rows of one input to other rows of the other"));
    }
    let mut shape = node.shape(0)?.to_vec();
    for dim in shape.iter_mut().skip(1) {
        *dim = node.fresh();
    }
    Ok(vec![matmul::result(shape, rows)])
}
