//! Pictures that training adds to MNIST: digits as people draw them on a page, MNIST's digits scanned again, and
//! drawings that are not digits.

use rand::RngExt;
use rayon::prelude::*;

use super::dice::Dice;
use super::{CLASSES, NO_DIGIT, Pictures, scans, strokes};
use crate::random::{Generator, Purpose, generator};

/// How often to draw a picture anew when the preprocessing does not find exactly one object in it.
const ATTEMPTS: usize = 8;

/// What the added pictures are used for. The two sets have no drawing in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Training.
    Learning,
    /// Choosing the best epoch, together with the held-out pictures.
    Choosing,
}

/// Draws digits with a pen, each digit equally often.
pub fn drawings(count: usize, seed: u64, part: Part) -> Pictures {
    make(count, seed, part, 0, |index, generator| {
        let digit = (index % CLASSES) as u8;
        Some((digit, strokes::digit(digit, &mut Dice::new(generator))?))
    })
}

/// Scans `count` pictures of MNIST again, chosen from those with the given indices.
pub fn rescans(count: usize, mnist: &Pictures, indices: &[u32], seed: u64, part: Part) -> Pictures {
    if indices.is_empty() {
        return Pictures::from_rows(Vec::new(), Vec::new());
    }
    make(count, seed, part, 1, |_, generator| {
        let index = indices[generator.random_range(0..indices.len())] as usize;
        Some((mnist.labels[index], scans::again(mnist.row_major(index), &mut Dice::new(generator))?))
    })
}

/// Makes drawings that are not digits, labelled [`NO_DIGIT`].
pub fn others(count: usize, seed: u64, part: Part) -> Pictures {
    make(count, seed, part, 2, |_, generator| Some((NO_DIGIT, strokes::no_digit(&mut Dice::new(generator))?)))
}

/// Makes `count` pictures, or fewer if some fail at every attempt.
fn make(
    count: usize,
    seed: u64,
    part: Part,
    kind: u64,
    one: impl Fn(usize, &mut Generator) -> Option<(u8, Vec<u8>)> + Sync,
) -> Pictures {
    let made: Vec<Option<(u8, Vec<u8>)>> = (0..count)
        .into_par_iter()
        .map(|index| {
            let use_of = 2 * kind + part as u64;
            let mut generator = generator(seed, Purpose::Addition, use_of, index as u64);
            (0..ATTEMPTS).find_map(|_| one(index, &mut generator))
        })
        .collect();
    let (labels, pixels): (Vec<u8>, Vec<Vec<u8>>) = made.into_iter().flatten().unzip();
    Pictures::from_rows(pixels.concat(), labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_pictures_and_the_parts_differ() {
        let drawn = drawings(40, 3, Part::Learning);
        assert_eq!(drawn, drawings(40, 3, Part::Learning));
        assert_ne!(drawn, drawings(40, 4, Part::Learning));
        assert_ne!(drawn, drawings(40, 3, Part::Choosing));
        assert_eq!(drawn.labels.to_vec()[..11], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
        let unsure = others(20, 3, Part::Learning);
        assert_eq!(unsure, others(20, 3, Part::Learning));
        assert!(unsure.len() > 15 && unsure.labels.iter().all(|&label| label == NO_DIGIT));
    }

    #[test]
    fn scanning_again_keeps_the_label_and_most_of_the_shape() {
        let mnist = drawings(30, 5, Part::Learning);
        let again = rescans(30, &mnist, &[3, 4], 1, Part::Learning);
        assert!(again.len() > 20, "only {} of 30 could be used", again.len());
        let known = [mnist.labels[3], mnist.labels[4]];
        assert!(again.labels.iter().all(|label| known.contains(label)));
        for index in 0..again.len() {
            let source = if again.labels[index] == known[0] { 3 } else { 4 };
            let pairs = again.row_major(index).iter().zip(mnist.row_major(source));
            let (mut both, mut ours, mut theirs) = (0.0, 0.0, 0.0);
            for (&a, &b) in pairs {
                let (a, b) = (f32::from(a), f32::from(b));
                both += a * b;
                ours += a * a;
                theirs += b * b;
            }
            let likeness = both / (ours * theirs).sqrt();
            assert!(likeness > 0.3, "the correlation of picture {index} with its source is {likeness}");
        }
    }
}
