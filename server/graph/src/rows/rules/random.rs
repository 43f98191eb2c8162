//! Operators that draw random numbers.

use super::{Entry, entry};
use crate::rows::node::{Mixes, Node, Outcome};

pub(crate) fn find(operator: &str) -> Option<Entry> {
    Some(match operator {
        "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike" | "Bernoulli"
        | "Multinomial" => entry(random),
        _ => return None,
    })
}

/// The operator draws random numbers, so its outputs differ even for constant inputs.
pub(crate) fn draws(reason: &'static str) -> Mixes {
    Mixes { reason: reason.into(), always: true }
}

fn random(_: &mut Node<'_>) -> Outcome {
    Err(draws("draws random numbers"))
}
