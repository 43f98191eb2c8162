//! Draws digits on the spot, for tests and for machines without a network.
//!
//! They are easier than handwriting and no replacement for it: a network trained on them reads what they look
//! like, and little else.

use ndarray::Array3;
use rand::RngExt;
use rayon::prelude::*;

use super::glyphs::{Point, strokes};
use super::{CLASSES, Dataset, PIXELS, Pictures, SIDE};
use crate::random::{Generator, Purpose, generator};

/// Rows and columns that a digit fills, as MNIST's do.
const EXTENT: f32 = 19.0;

/// Draws a training set and a test set, every digit equally often.
pub fn draw(train: usize, test: usize, seed: u64) -> Dataset {
    Dataset { train: part(train, seed, 0), test: part(test, seed, 1) }
}

fn part(count: usize, seed: u64, which: u64) -> Pictures {
    let labels: Vec<u8> = (0..count).map(|index| (index % CLASSES) as u8).collect();
    let mut pixels = vec![0; count * PIXELS];
    pixels.par_chunks_exact_mut(PIXELS).zip(&labels).enumerate().for_each(|(index, (picture, &label))| {
        draw_digit(label, &mut generator(seed, Purpose::Drawing, which, index as u64), picture);
    });
    let pixels = Array3::from_shape_vec((count, SIDE, SIDE), pixels).expect("as many pixels as were drawn");
    Pictures::new(pixels, labels.into())
}

/// Draws one digit, `[row, column]`, bright on dark.
fn draw_digit(digit: u8, generator: &mut Generator, picture: &mut [u8]) {
    let strokes = strokes(digit, generator.random_range(0..2));
    let (sin, cos) = generator.random_range(-0.22_f32..0.22).sin_cos();
    let slant = generator.random_range(-0.1_f32..0.35);
    let (width, height) = (generator.random_range(0.7..1.05), generator.random_range(0.85..1.05));
    let (right, down) = (generator.random_range(-1.5..1.5), generator.random_range(-1.5..1.5));
    let radius = generator.random_range(0.8..1.9);
    let middle = (SIDE - 1) as f32 / 2.0;
    let mut place = |(x, y): Point| {
        let (x, y) = ((x - 0.5 - (y - 0.5) * slant) * width, (y - 0.5) * height);
        let tremble = generator.random_range(-0.3..0.3);
        let turned = (x * cos - y * sin, x * sin + y * cos);
        (middle + right + tremble + EXTENT * turned.0, middle + down + EXTENT * turned.1)
    };
    let strokes: Vec<Vec<Point>> =
        strokes.into_iter().map(|stroke| stroke.into_iter().map(&mut place).collect()).collect();
    for (index, pixel) in picture.iter_mut().enumerate() {
        let here = ((index % SIDE) as f32, (index / SIDE) as f32);
        let lines = strokes.iter().flat_map(|stroke| stroke.windows(2));
        let nearest = lines.map(|line| distance(here, line[0], line[1])).fold(f32::INFINITY, f32::min);
        // The edge of the pen fades out over one pixel.
        *pixel = (255.0 * (radius + 0.5 - nearest).clamp(0.0, 1.0)) as u8;
    }
}

/// Distance of a point from a straight line between two others.
fn distance(point: Point, from: Point, to: Point) -> f32 {
    let (along, across) = (to.0 - from.0, to.1 - from.1);
    let length = (along * along + across * across).max(f32::EPSILON);
    let share = ((point.0 - from.0) * along + (point.1 - from.1) * across) / length;
    let share = share.clamp(0.0, 1.0);
    (point.0 - from.0 - share * along).hypot(point.1 - from.1 - share * across)
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
