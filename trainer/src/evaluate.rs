//! How well a network does on labelled pictures.

use rayon::prelude::*;

use crate::data::{CLASSES, PIXELS, Pictures};
use crate::nn::folded::Folded;
use crate::nn::loss;

/// One picture's answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Probability of each class.
    pub probabilities: [f32; CLASSES],
    /// The digit it is.
    pub label: u8,
}

impl Answer {
    /// The most probable class.
    pub fn digit(&self) -> u8 {
        loss::largest(&self.probabilities) as u8
    }

    /// Whether the most probable class is the label.
    pub fn is_right(&self) -> bool {
        self.digit() == self.label
    }
}

/// Runs every picture that `indices` names, in that order.
pub fn answers(folded: &Folded, pictures: &Pictures, indices: &[u32]) -> Vec<Answer> {
    let answer = |buffers: &mut _, &index: &u32| {
        let mut picture = [0.0; PIXELS];
        for (to, &from) in picture.iter_mut().zip(pictures.picture(index as usize)) {
            *to = f32::from(from);
        }
        let mut probabilities = [0.0; CLASSES];
        folded.probabilities(&picture, &mut probabilities, buffers);
        Answer { probabilities, label: pictures.labels[index as usize] }
    };
    indices.par_iter().map_init(|| folded.buffers(), answer).collect()
}

/// Share of the answers that are right.
pub fn accuracy(answers: &[Answer]) -> f64 {
    answers.iter().filter(|answer| answer.is_right()).count() as f64 / answers.len() as f64
}

/// Mean cross-entropy of the labels.
pub fn mean_loss(answers: &[Answer]) -> f64 {
    let loss = |answer: &Answer| {
        f64::from(-answer.probabilities[usize::from(answer.label)].max(f32::MIN_POSITIVE).ln())
    };
    answers.iter().map(loss).sum::<f64>() / answers.len() as f64
}

/// `[label][digit answered]`: how often each was answered for each.
pub fn confusion(answers: &[Answer]) -> [[u32; CLASSES]; CLASSES] {
    let mut table = [[0; CLASSES]; CLASSES];
    for answer in answers {
        table[usize::from(answer.label)][usize::from(answer.digit())] += 1;
    }
    table
}
