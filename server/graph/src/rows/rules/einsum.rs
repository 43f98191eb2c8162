//! Einsum. The letter of the row axis must be in the output, and must label the row axis of every input that has it.

use crate::rows::{
    node::{Node, Outcome, mixes},
    size::Size,
    value::Layout,
};

/// The letters of a term. The axes of an ellipsis become digits, counted from the right.
fn letters(term: &str, rank: usize) -> Option<Vec<char>> {
    let Some((before, after)) = term.split_once("...") else { return Some(term.chars().collect()) };
    let hidden = rank.checked_sub(before.chars().count() + after.chars().count())?;
    let ellipsis = (0..hidden).rev().map(|i| char::from_u32(0xE000 + u32::try_from(i).unwrap_or(0)));
    before.chars().map(Some).chain(ellipsis).chain(after.chars().map(Some)).collect()
}

pub(crate) fn einsum(node: &mut Node<'_>) -> Outcome {
    let malformed = || mixes("has an equation that is not understood");
    let equation: String = node.text("equation").split_whitespace().collect();
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs.to_owned(), Some(output.to_owned())),
        None => (equation.clone(), None),
    };
    let terms: Vec<&str> = inputs.split(',').collect();
    if terms.len() != node.inputs.len() {
        return Err(malformed());
    }
    let mut sizes: Vec<(char, Size)> = Vec::new();
    let mut rows: Option<(char, Layout)> = None;
    let mut free_letters = Vec::new();
    let mut counts: Vec<(char, usize)> = Vec::new();
    for (input, term) in terms.iter().enumerate() {
        let shape = node.shape(input)?.clone();
        let letters = letters(term, shape.len()).filter(|l| l.len() == shape.len()).ok_or_else(malformed)?;
        let layout = node.layout(input);
        for (axis, (&letter, &dim)) in letters.iter().zip(shape.iter()).enumerate() {
            match counts.iter_mut().find(|(known, _)| *known == letter) {
                Some((_, count)) => *count += 1,
                None => counts.push((letter, 1)),
            }
            if layout.is_some_and(|layout| layout.axis == axis) {
                let found = (letter, layout.unwrap_or(Layout::plain(axis)).on(0));
                if rows.is_some_and(|other| other != found)
                    || letters.iter().filter(|&&other| other == letter).count() > 1
                {
                    return Err(mixes("multiplies the rows of one input by those of the other"));
                }
                rows = Some(found);
            } else if dim != Size::ONE {
                free_letters.push(letter);
            }
            match sizes.iter_mut().find(|(known, _)| *known == letter) {
                Some((_, size)) => *size = node.sizes.broadcast(*size, dim),
                None => sizes.push((letter, dim)),
            }
        }
    }
    let ellipses = |letter: char| letter >= '\u{E000}';
    let output: Vec<char> = if let Some(output) = output {
        let hidden = sizes.iter().filter(|(letter, _)| ellipses(*letter)).count();
        let named = output.replace("...", "").chars().count();
        letters(&output, hidden + named).ok_or_else(malformed)?
    } else {
        let mut once: Vec<char> = counts
            .iter()
            .filter(|(letter, count)| *count == 1 && !ellipses(*letter))
            .map(|(l, _)| *l)
            .collect();
        once.sort_unstable();
        let mut all: Vec<char> = sizes.iter().map(|(l, _)| *l).filter(|l| ellipses(*l)).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        [all, once].concat()
    };
    let shape: Vec<Size> = output
        .iter()
        .map(|letter| sizes.iter().find(|(known, _)| known == letter).map(|(_, size)| *size))
        .collect::<Option<_>>()
        .ok_or_else(malformed)?;
    let Some((letter, layout)) = rows else { return Ok(vec![super::matmul::result(shape, None)]) };
    if free_letters.contains(&letter) {
        return Err(mixes("lines up the rows with an axis of fixed size"));
    }
    let axis = output.iter().position(|&other| other == letter).ok_or_else(|| mixes("sums over the rows"))?;
    Ok(vec![super::matmul::result(shape, Some(layout.on(axis)))])
}
