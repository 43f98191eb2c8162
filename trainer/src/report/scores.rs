//! Precision and recall of each digit, computed from the confusion matrix.

use ndarray::{Array2, Axis};

/// The counts of one digit in the confusion matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// Number of pictures with this label.
    pub pictures: u32,
    /// Number of these pictures that were answered with this digit.
    pub right: u32,
    /// Number of pictures that were answered with this digit, right or wrong.
    pub answered: u32,
}

impl Score {
    /// Share of the answers of this digit that are right.
    pub(super) fn precision(self) -> f64 {
        f64::from(self.right) / f64::from(self.answered)
    }

    /// Share of the pictures with this label that are answered right.
    pub(super) fn recall(self) -> f64 {
        f64::from(self.right) / f64::from(self.pictures)
    }

    /// Harmonic mean of precision and recall.
    pub(super) fn f1(self) -> f64 {
        2.0 * f64::from(self.right) / f64::from(self.pictures + self.answered)
    }
}

/// The scores of each digit, from a confusion matrix `[label, digit answered]`.
pub(super) fn by_digit(confusion: &Array2<u32>) -> Vec<Score> {
    let (pictures, answered) = (confusion.sum_axis(Axis(1)), confusion.sum_axis(Axis(0)));
    let parts = pictures.iter().zip(&answered).zip(confusion.diag());
    parts.map(|((&pictures, &answered), &right)| Score { pictures, right, answered }).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;

    #[test]
    fn precision_is_of_the_answers_and_recall_of_the_pictures() {
        let scores = by_digit(&arr2(&[[8, 2], [1, 9]]));
        assert_eq!(scores[0], Score { pictures: 10, right: 8, answered: 9 });
        assert!((scores[0].precision() - 8.0 / 9.0).abs() < 1e-12);
        assert!((scores[0].recall() - 0.8).abs() < 1e-12);
        assert!((scores[0].f1() - 16.0 / 19.0).abs() < 1e-12);
        assert!(by_digit(&arr2(&[[0, 0], [0, 3]]))[0].precision().is_nan());
    }
}
