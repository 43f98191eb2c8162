//! Temperature scaling: a number, fitted to held-out pictures, that divides the logits and so calibrates the
//! probabilities.
//!
//! A network that is trained with smoothed labels is underconfident about digits, and overconfident about drawings that
//! are not digits. The fitted temperature minimises the cross-entropy on the held-out pictures. The target of a drawing
//! that is not a digit is the uniform distribution.

use crate::data::CLASSES;
use crate::evaluate::Answers;
use crate::nn::folded::Folded;
use crate::nn::loss;

/// Lowest and highest temperature of the search.
const RANGE: (f64, f64) = (0.2, 5.0);
/// Number of steps of the search. Each narrows the range to 0.618 of its width.
const STEPS: usize = 30;
/// Lower limit of a probability, so that its logarithm is finite.
const SMALLEST_PROBABILITY: f32 = 1e-30;

/// The temperature at which `answers` have the smallest mean cross-entropy, or 1 if there are no answers.
pub fn fit(answers: &[&Answers]) -> f32 {
    if answers.iter().all(|answers| answers.is_empty()) {
        return 1.0;
    }
    // Golden-section search over the logarithm of the temperature. It needs a loss with a single minimum.
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (RANGE.0.ln(), RANGE.1.ln());
    for _ in 0..STEPS {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if mean_loss(answers, left.exp()) < mean_loss(answers, right.exp()) {
            high = right;
        } else {
            low = left;
        }
    }
    f64::midpoint(low, high).exp() as f32
}

/// Divides the network's logits by `temperature`.
pub fn apply(folded: &mut Folded, temperature: f32) {
    let head = folded.architecture.head_weights.start..folded.architecture.head_bias.end;
    for parameter in &mut folded.parameters[head] {
        *parameter /= temperature;
    }
}

fn mean_loss(answers: &[&Answers], temperature: f64) -> f64 {
    let cost = |p: f32| f64::from(-p.max(SMALLEST_PROBABILITY).ln());
    let (mut sum, mut count) = (0.0, 0);
    for set in answers {
        for (probabilities, &label) in set.probabilities.rows().into_iter().zip(&set.labels) {
            let mut row: Vec<f32> =
                probabilities.iter().map(|p| p.max(SMALLEST_PROBABILITY).ln() / temperature as f32).collect();
            loss::softmax(&mut row);
            sum += match row.get(usize::from(label)) {
                Some(&p) => cost(p),
                None => row.iter().map(|&p| cost(p)).sum::<f64>() / CLASSES as f64,
            };
        }
        count += set.len();
    }
    sum / count as f64
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;
    use crate::data::NO_DIGIT;

    /// Answers that give one digit the probability `sure`, and spread the rest evenly over the others.
    fn answers(sure: f32, right: usize, wrong: usize, label: u8) -> Answers {
        let mut probabilities = Array2::from_elem((right + wrong, CLASSES), (1.0 - sure) / 9.0);
        for (index, mut row) in probabilities.rows_mut().into_iter().enumerate() {
            row[(usize::from(label) + usize::from(index >= right)) % CLASSES] = sure;
        }
        Answers { probabilities, labels: Array1::from_elem(right + wrong, label) }
    }

    #[test]
    fn the_fitted_temperature_makes_confidence_equal_accuracy() {
        for (sure, right) in [(0.99, 80), (0.6, 95)] {
            let answers = answers(sure, right, 100 - right, 3);
            let temperature = fit(&[&answers]);
            let mut row: Vec<f32> =
                answers.probabilities.row(0).iter().map(|p| p.ln() / temperature).collect();
            loss::softmax(&mut row);
            assert!((row[3] - right as f32 / 100.0).abs() < 0.01, "{sure} became {}", row[3]);
        }
    }

    #[test]
    fn pictures_of_no_digit_make_it_less_sure() {
        let digits = answers(0.95, 95, 5, 3);
        let alone = fit(&[&digits]);
        assert!(fit(&[&digits, &answers(0.95, 20, 0, NO_DIGIT)]) > alone * 1.1);
        assert!((fit(&[]) - 1.0).abs() < 1e-6);
    }
}
