//! Runs a network on labelled pictures and scores its answers.

use ndarray::{Array1, Array2, ArrayView1, Axis};
use rayon::prelude::*;

use crate::data::{CLASSES, PIXELS, Pictures};
use crate::nn::folded::Folded;
use crate::nn::loss;

/// A network's answers to labelled pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// Probability of each digit, `[picture, digit]`.
    pub probabilities: Array2<f32>,
    /// The true digit, `[picture]`.
    pub labels: Array1<u8>,
}

impl Answers {
    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The most probable digit of one picture.
    pub fn digit(&self, picture: usize) -> u8 {
        most_probable(&self.probabilities.index_axis(Axis(0), picture))
    }

    /// The most probable digit of every picture, `[picture]`.
    pub fn digits(&self) -> Array1<u8> {
        self.probabilities.map_axis(Axis(1), |row| most_probable(&row))
    }

    /// Confidence: the probability of the most probable digit, `[picture]`.
    pub fn confidences(&self) -> Array1<f32> {
        self.probabilities.map_axis(Axis(1), |row| row.iter().copied().fold(0.0, f32::max))
    }

    /// Whether the most probable digit is the label, `[picture]`.
    pub fn right(&self) -> Array1<bool> {
        ndarray::Zip::from(&self.digits()).and(&self.labels).map_collect(|digit, label| digit == label)
    }

    /// Number of wrong answers.
    pub fn errors(&self) -> usize {
        self.right().iter().filter(|right| !**right).count()
    }

    /// Share of right answers, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        (self.len() - self.errors()) as f64 / self.len() as f64
    }

    /// Mean cross-entropy of the labels, in nats.
    pub fn mean_loss(&self) -> f64 {
        let rows = self.probabilities.rows().into_iter().zip(&self.labels);
        let losses =
            rows.map(|(row, &label)| f64::from(-row[usize::from(label)].max(f32::MIN_POSITIVE).ln()));
        losses.sum::<f64>() / self.len() as f64
    }

    /// The confusion matrix: the number of pictures for each label and answer, `[label, digit answered]`.
    pub fn confusion(&self) -> Array2<u32> {
        let mut table = Array2::zeros((CLASSES, CLASSES));
        for (&label, digit) in self.labels.iter().zip(self.digits()) {
            table[[usize::from(label), usize::from(digit)]] += 1;
        }
        table
    }
}

fn most_probable(row: &ArrayView1<'_, f32>) -> u8 {
    row.as_slice().map_or_else(|| loss::largest(&row.to_vec()), loss::largest) as u8
}

/// Runs the network on the pictures with these indices. The answers are in the order of the indices.
pub fn answers(folded: &Folded, pictures: &Pictures, indices: &[u32]) -> Answers {
    let mut probabilities = vec![0.0; indices.len() * CLASSES];
    let rows = probabilities.par_chunks_exact_mut(CLASSES).zip(indices);
    rows.for_each_init(
        || folded.buffers(),
        |buffers, (row, &index)| {
            let mut picture = [0.0; PIXELS];
            for (to, &from) in picture.iter_mut().zip(pictures.row_major(index as usize)) {
                *to = f32::from(from);
            }
            folded.probabilities(&picture, row, buffers);
        },
    );
    let shape = (indices.len(), CLASSES);
    Answers {
        probabilities: Array2::from_shape_vec(shape, probabilities).expect("a row for every index"),
        labels: indices.iter().map(|&index| pictures.labels[index as usize]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2};

    use super::*;

    fn four() -> Answers {
        let mut probabilities = Array2::from_elem((4, CLASSES), 0.0);
        for (picture, (digit, confidence)) in [(3, 0.9), (3, 0.8), (7, 0.6), (0, 1.0)].into_iter().enumerate()
        {
            probabilities[[picture, digit]] = confidence;
            probabilities[[picture, 9]] = 1.0 - confidence;
        }
        Answers { probabilities, labels: arr1(&[3, 5, 7, 0]) }
    }

    #[test]
    fn answers_are_counted_by_label_and_digit() {
        let answers = four();
        assert_eq!(answers.digits(), arr1(&[3, 3, 7, 0]));
        assert_eq!(answers.right(), arr1(&[true, false, true, true]));
        assert_eq!(answers.confidences(), arr1(&[0.9, 0.8, 0.6, 1.0]));
        assert_eq!((answers.errors(), answers.accuracy()), (1, 0.75));
        let mut expected = Array2::zeros((CLASSES, CLASSES));
        for place in [[3, 3], [5, 3], [7, 7], [0, 0]] {
            expected[place] = 1;
        }
        assert_eq!(answers.confusion(), expected);
    }

    #[test]
    fn the_loss_is_the_mean_cross_entropy_of_the_labels() {
        let answers = Answers { labels: arr1(&[3, 3, 7, 0]), ..four() };
        let expected = -(0.9_f64.ln() + 0.8_f64.ln() + 0.6_f64.ln()) / 4.0;
        assert!((answers.mean_loss() - expected).abs() < 1e-6);
    }

    #[test]
    fn of_equal_probabilities_the_first_digit_wins() {
        let probabilities = arr2(&[[0.1; CLASSES]]);
        assert_eq!(Answers { probabilities, labels: arr1(&[0]) }.digit(0), 0);
    }
}
