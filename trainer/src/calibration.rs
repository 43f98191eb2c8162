//! Whether a network's certainty means what it says.

use crate::evaluate::Answers;

/// Below this probability of its most probable digit, an answer is called "not sure".
pub const NOT_SURE: f32 = 0.7;
/// Ranges of certainty that answers are sorted into, equally wide.
pub const BINS: usize = 10;

/// The answers whose certainty lies in one range.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// Number of answers.
    pub answers: usize,
    /// How many of them are right.
    pub right: usize,
    /// Sum of their certainties.
    certainty: f64,
}

impl Bin {
    /// Share of the answers that are right, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.answers as f64
    }

    /// Their mean certainty, 0 to 1.
    pub fn certainty(&self) -> f64 {
        self.certainty / self.answers as f64
    }
}

/// Certainty against truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// From the least to the most certain answers.
    pub bins: [Bin; BINS],
    /// Mean distance between certainty and share right over the bins, weighted by their answers: 0 to 1.
    pub expected_error: f64,
    /// Right answers that are not sure.
    pub not_sure_right: usize,
    /// Wrong answers that are not sure.
    pub not_sure_wrong: usize,
}

impl Calibration {
    /// Sorts answers by their certainty.
    pub fn of(answers: &Answers) -> Self {
        let mut calibration =
            Self { bins: [Bin::default(); BINS], expected_error: 0.0, not_sure_right: 0, not_sure_wrong: 0 };
        for (&certainty, right) in answers.certainties().iter().zip(answers.right()) {
            let bin = &mut calibration.bins[((certainty * BINS as f32) as usize).min(BINS - 1)];
            bin.answers += 1;
            bin.right += usize::from(right);
            bin.certainty += f64::from(certainty);
            let unsure = usize::from(certainty < NOT_SURE);
            *(if right { &mut calibration.not_sure_right } else { &mut calibration.not_sure_wrong }) +=
                unsure;
        }
        let filled = calibration.bins.iter().filter(|bin| bin.answers > 0);
        let distances = filled.map(|bin| bin.answers as f64 * (bin.accuracy() - bin.certainty()).abs());
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
    fn certainty_that_holds_has_no_error() {
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
