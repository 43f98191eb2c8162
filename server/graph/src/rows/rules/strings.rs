//! Operators on text.

use super::{Entry, elementwise::like_first, entry};
use crate::{
    proto::data_type,
    rows::{
        attribute,
        node::{Node, Outcome, mixes},
        size::Size,
        value::{Layout, State, Value},
    },
};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "StringNormalizer" => entry(normalizer),
        "StringSplit" => entry(|_| Err(mixes(PADS))),
        "TfIdfVectorizer" => entry(tf_idf),
        _ => return None,
    })
}

pub(crate) const PADS: &str = "pads to the longest text of the batch";

/// The words of each text. All rows have the length of the longest text.
pub(crate) fn tokenizer(node: &mut Node<'_>) -> Outcome {
    let pad = attribute::find(node.proto, "pad_value").map(|pad| pad.s.clone());
    if node.layout(0) == Some(Layout::plain(0)) && node.shape(0)?.len() == 1 && node.int("mark", 0) == 0 {
        let words = Value { pad, ..Value::unknown() };
        return Ok(vec![words.with_type(data_type::STRING).with_state(State::Padded)]);
    }
    Err(mixes(PADS))
}

/// Whether the padding word is not among the words that are counted.
fn counts_no_pads(node: &Node<'_>, words: &Value) -> bool {
    let counted = attribute::find(node.proto, "pool_strings");
    let (Some(pad), Some(counted)) = (&words.pad, counted) else { return false };
    words.data_type == data_type::STRING && !counted.strings.is_empty() && !counted.strings.contains(pad)
}

/// Changes the case of each text. With stop words it drops elements, which mixes rows.
fn normalizer(node: &mut Node<'_>) -> Outcome {
    let stops = attribute::find(node.proto, "stopwords").is_some_and(|words| !words.strings.is_empty());
    if stops && node.has_rows() {
        return Err(mixes("drops elements that are stop words"));
    }
    like_first(node)
}

/// Counts the words of each row. A tensor with a single axis is one text.
fn tf_idf(node: &mut Node<'_>) -> Outcome {
    let words = node.value(0)?;
    let count = attribute::ints(node.proto, "ngram_indexes").and_then(|all| all.iter().max()).copied();
    let width = node.sizes.constant(count.unwrap_or(0).saturating_add(1));
    if words.state == State::Padded && counts_no_pads(node, words) {
        return Ok(vec![Value::rows([Size::ROWS, width], Layout::plain(0))]);
    }
    let shape = node.shape(0)?;
    let rows = node.layout(0);
    if rows.is_some_and(|rows| rows.axis != 0 || shape.len() != 2) {
        return Err(mixes("treats the rows as words of one text"));
    }
    Ok(vec![match rows {
        Some(rows) => Value::rows([shape[0], width], rows),
        None => Value::unknown(),
    }])
}
