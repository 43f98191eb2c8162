//! Operators of `ai.onnx.ml`. The first axis of a matrix is the batch; a tensor with one axis is a single row.

use super::{
    Entry,
    elementwise::{elementwise, like_first},
    entry,
    matmul::result,
};
use crate::{
    proto::data_type,
    rows::{
        attribute,
        node::{Mixes, Node, Outcome, mixes},
        size::Size,
        value::Layout,
    },
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "Binarizer" | "LabelEncoder" | "CategoryMapper" => entry(elementwise),
        "LinearClassifier" | "SVMClassifier" | "TreeEnsembleClassifier" => entry(classifier),
        "LinearRegressor" | "SVMRegressor" | "TreeEnsembleRegressor" | "TreeEnsemble" => entry(regressor),
        "Normalizer" => entry(|node| {
            matrix(node)?;
            like_first(node)
        }),
        "Scaler" => entry(|node| each_column(node, &["offset", "scale"])),
        "Imputer" => entry(|node| each_column(node, &["imputed_value_floats", "imputed_value_int64s"])),
        "OneHotEncoder" => entry(one_hot),
        "ArrayFeatureExtractor" => entry(array_feature),
        "FeatureVectorizer" => entry(vectorizer),
        "ZipMap" => entry(|_| Err(mixes("gives a sequence of maps, which is no tensor with rows"))),
        _ => return None,
    })
}

/// The layout of an input that must be a matrix with the rows along its first axis.
fn matrix(node: &Node<'_>) -> Result<Option<Layout>, Mixes> {
    let rows = node.layout(0);
    if rows.is_some_and(|rows| rows.axis != 0) || (rows.is_some() && node.shape(0)?.len() != 2) {
        return Err(mixes("treats a tensor that does not have two axes as one row"));
    }
    Ok(rows)
}

fn classifier(node: &mut Node<'_>) -> Outcome {
    let rows = matrix(node)?;
    let batch = match node.shape(0)?[..] {
        [batch, _] => batch,
        _ => Size::ONE,
    };
    let labels = ["classlabels_int64s", "classlabels_strings"]
        .iter()
        .filter_map(|name| attribute::find(node.proto, name))
        .map(|labels| labels.ints.len().max(labels.strings.len()))
        .max();
    let classes = match labels {
        Some(count @ 2..) if node.proto.op_type == "TreeEnsembleClassifier" => {
            node.sizes.constant(i64::try_from(count).unwrap_or(0))
        }
        _ => node.fresh(),
    };
    Ok(vec![result(vec![batch], rows), result(vec![batch, classes], rows).with_type(data_type::FLOAT)])
}

fn regressor(node: &mut Node<'_>) -> Outcome {
    let rows = matrix(node)?;
    let batch = match node.shape(0)?[..] {
        [batch, _] => batch,
        _ => Size::ONE,
    };
    let targets = node.int("n_targets", node.int("targets", 1));
    let targets = node.sizes.constant(targets);
    Ok(vec![result(vec![batch, targets], rows).with_type(data_type::FLOAT)])
}

/// An operator with one parameter for each column, or one for all.
fn each_column(node: &mut Node<'_>, names: &[&str]) -> Outcome {
    let single = names
        .iter()
        .filter_map(|name| attribute::find(node.proto, name))
        .all(|numbers| numbers.floats.len().max(numbers.ints.len()) <= 1);
    if !single {
        matrix(node)?;
    }
    like_first(node)
}

fn one_hot(node: &mut Node<'_>) -> Outcome {
    let count = ["cats_int64s", "cats_strings"]
        .iter()
        .filter_map(|name| attribute::find(node.proto, name))
        .map(|categories| categories.ints.len().max(categories.strings.len()))
        .max();
    let mut shape = node.shape(0)?.to_vec();
    shape.push(node.sizes.constant(i64::try_from(count.unwrap_or(0)).unwrap_or(0)));
    Ok(vec![result(shape, node.layout(0))])
}

/// Selects elements along the last axis, with one list of indices for all rows.
fn array_feature(node: &mut Node<'_>) -> Outcome {
    let (shape, places) = (node.shape(0)?, node.shape(1)?);
    let Some((_, lead)) = shape.split_last() else { return Err(mixes("has a scalar as input")) };
    let mut target = if lead.is_empty() { vec![Size::ONE] } else { lead.to_vec() };
    let last = target.len();
    let rows = match (node.layout(0), node.layout(1)) {
        (Some(_), Some(_)) => return Err(mixes("picks elements for each row out of all rows")),
        (Some(rows), None) if rows.axis == lead.len() => return Err(mixes("picks rows out of the batch")),
        (Some(rows), None) => Some(rows),
        (None, None) => None,
        (None, Some(rows)) => {
            let before = node.sizes.product(&places[..rows.axis]);
            let after = node.sizes.product(&places[rows.axis + 1..]);
            let outer = node.sizes.mul(before, rows.outer);
            Some(Layout { axis: last, outer, inner: node.sizes.mul(rows.inner, after) })
        }
    };
    target.push(node.sizes.product(places));
    Ok(vec![result(target, rows).with_type(node.value(0)?.data_type)])
}

/// Concatenates matrices along their columns.
fn vectorizer(node: &mut Node<'_>) -> Outcome {
    let first = node.layout(0);
    for (input, value) in node.inputs.iter().enumerate() {
        let Some(value) = value else { continue };
        if first.is_some() && node.shape(input)?.len() != 2 {
            return Err(mixes("treats a tensor that does not have two axes as one row"));
        }
        if value.layout() != first || first.is_some_and(|rows| rows.axis != 0) {
            return Err(mixes("joins the rows with a tensor that is the same for all rows"));
        }
    }
    let batch = node.shape(0)?.first().copied().unwrap_or(Size::ONE);
    let columns = node.fresh();
    Ok(vec![result(vec![batch, columns], first).with_type(data_type::FLOAT)])
}
