//! Calibration: whether a network that gives its answers a probability of 0.9 is right in 90 % of them.

use crate::evaluate::Answers;

/// An answer is "not sure" when the probability of its most probable digit is below this value.
pub const NOT_SURE: f32 = 0.7;
/// Number of equally wide ranges of confidence that answers are sorted into.
pub const BINS: usize = 10;

/// The answers whose confidence lies in one range.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// Number of answers.
    pub answers: usize,
    /// How many of them are right.
    pub right: usize,
    /// Sum of their confidences.
    confidence_sum: f64,
}

impl Bin {
    /// Share of the answers that are right, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.answers as f64
    }

    /// Mean confidence of the answers, 0 to 1.
    pub fn confidence(&self) -> f64 {
        self.confidence_sum / self.answers as f64
    }
}

/// How well confidence agrees with accuracy.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The ranges, from the lowest confidence to the highest.
    pub bins: [Bin; BINS],
    /// Expected calibration error, 0 to 1: the mean distance between a bin's confidence and its accuracy, weighted by
    /// its number of answers.
    pub expected_error: f64,
    /// Number of right answers that are not sure.
    pub not_sure_right: usize,
    /// Number of wrong answers that are not sure.
    pub not_sure_wrong: usize,
}

impl Calibration {
    /// Computes the calibration of some answers.
    pub fn of(answers: &Answers) -> Self {
        let mut calibration =
            Self { bins: [Bin::default(); BINS], expected_error: 0.0, not_sure_right: 0, not_sure_wrong: 0 };
        for (&confidence, right) in answers.confidences().iter().zip(answers.right()) {
            let bin = &mut calibration.bins[((confidence * BINS as f32) as usize).min(BINS - 1)];
            bin.answers += 1;
            bin.right += usize::from(right);
            bin.confidence_sum += f64::from(confidence);
            let unsure = usize::from(confidence < NOT_SURE);
            *(if right { &mut calibration.not_sure_right } else { &mut calibration.not_sure_wrong }) +=
                unsure;
        }
        let filled = calibration.bins.iter().filter(|bin| bin.answers > 0);
        let distances = filled.map(|bin| bin.answers as f64 * (bin.accuracy() - bin.confidence()).abs());
        calibration.expected_error = distances.sum::<f64>() / answers.len().max(1) as f64;
        calibration
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;
    use crate::data::CLASSES;

    /// Answers that give label 0 these probabilities and label 1 the rest.
    fn answers(of_zero: &[f32], labels: &[u8]) -> Answers {
        let mut probabilities = Array2::zeros((of_zero.len(), CLASSES));
        for (mut row, probability) in probabilities.rows_mut().into_iter().zip(of_zero) {
            row[0] = *probability;
            row[1] = 1.0 - probability;
        }
        Answers { probabilities, labels: Array1::from(labels.to_vec()) }
    }

    #[test]
    fn confidence_equal_to_accuracy_has_no_error() {
        let calibration = Calibration::of(&answers(&[0.75; 4], &[0, 0, 0, 1]));
        assert!(calibration.expected_error < 1e-6);
        assert_eq!((calibration.bins[7].answers, calibration.bins[7].right), (4, 3));
        assert_eq!((calibration.not_sure_right, calibration.not_sure_wrong), (0, 0));
    }

    #[test]
    fn errors_are_weighted_by_the_answers() {
        // Three answers at 0.95, all right: 0.05 off. One at 0.65, wrong: 0.65 off.
        let calibration = Calibration::of(&answers(&[0.95, 0.95, 0.95, 0.65], &[0, 0, 0, 1]));
        assert!((calibration.expected_error - (3.0 * 0.05 + 0.65) / 4.0).abs() < 1e-6);
        assert_eq!((calibration.not_sure_right, calibration.not_sure_wrong), (0, 1));
        assert_eq!(Calibration::of(&answers(&[1.0], &[0])).bins[BINS - 1].answers, 1);
    }
}
