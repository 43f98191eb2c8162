//! Text.

use super::{Entry, elementwise::like_first, entry};
use crate::rows::{
    attribute,
    node::{Node, Outcome, mixes},
    value::Value,
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "StringNormalizer" => entry(normalizer),
        "StringSplit" => entry(|_| Err(mixes("pads to the longest text of the batch"))),
        "TfIdfVectorizer" => entry(tf_idf),
        _ => return None,
    })
}

/// Other letters for each text; but with stop words it drops elements.
fn normalizer(node: &mut Node<'_>) -> Outcome {
    let stops = attribute::find(node.proto, "stopwords").is_some_and(|words| !words.strings.is_empty());
    if stops && node.has_rows() {
        return Err(mixes("drops elements that are stop words"));
    }
    like_first(node)
}

/// Counts the words of each row; a tensor with a single axis is one text.
fn tf_idf(node: &mut Node<'_>) -> Outcome {
    let shape = node.shape(0)?;
    let rows = node.layout(0);
    if rows.is_some_and(|rows| rows.axis != 0 || shape.len() != 2) {
        return Err(mixes("takes the rows for words of one text"));
    }
    let count = attribute::ints(node.proto, "ngram_indexes").and_then(|all| all.iter().max()).copied();
    let width = node.sizes.constant(count.unwrap_or(0).saturating_add(1));
    Ok(vec![match rows {
        Some(rows) => Value::rows([shape[0], width], rows),
        None => Value::unknown(),
    }])
}
