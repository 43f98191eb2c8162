//! Draws a data set of digits, for tests and for machines without internet access.
//!
//! The digits follow fixed rules and do not replace handwriting: a network that is trained on them alone recognises
//! little else.

use rayon::prelude::*;

use super::dice::Dice;
use super::{CLASSES, Dataset, PIXELS, Pictures, strokes};
use crate::random::{Purpose, generator};

/// How often to draw a digit anew when the preprocessing finds none or several in the picture.
const ATTEMPTS: u64 = 32;

/// Draws a training set and a test set, every digit equally often.
pub fn draw(train: usize, test: usize, seed: u64) -> Dataset {
    Dataset { train: part(train, seed, 0), test: part(test, seed, 1) }
}

fn part(count: usize, seed: u64, which: u64) -> Pictures {
    let labels: Vec<u8> = (0..count).map(|index| (index % CLASSES) as u8).collect();
    let mut pixels = vec![0; count * PIXELS];
    pixels.par_chunks_exact_mut(PIXELS).zip(&labels).enumerate().for_each(|(index, (picture, &label))| {
        let mut generator = generator(seed, Purpose::Drawing, which, index as u64);
        let mut dice = Dice::new(&mut generator);
        if let Some(drawn) = (0..ATTEMPTS).find_map(|_| strokes::digit(label, &mut dice)) {
            picture.copy_from_slice(&drawn);
        }
    });
    Pictures::from_rows(pixels, labels)
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, s};

    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_digits_and_another_draws_others() {
        let drawn = draw(40, 20, 3);
        assert_eq!(drawn, draw(40, 20, 3));
        assert_ne!(drawn, draw(40, 20, 4));
        assert_ne!(drawn.train.picture(0), drawn.test.picture(0));
        assert_eq!(drawn.test.labels.slice(s![..12]), arr1(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]));
    }

    #[test]
    fn every_picture_has_as_much_ink_as_handwriting() {
        let drawn = draw(200, 1, 1).train;
        for index in 0..drawn.len() {
            let ink: f32 = drawn.picture(index).iter().map(|&pixel| f32::from(pixel) / 255.0).sum();
            assert!((15.0..260.0).contains(&ink), "picture {index} has {ink} pixels of ink");
        }
    }
}
