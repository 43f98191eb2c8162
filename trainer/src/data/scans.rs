//! MNIST's digits, enlarged, scanned or photographed again, and preprocessed by the server's code.

use ndarray::Array2;

use super::SIDE;
use super::dice::Dice;
use super::paper::{self, Taken};
use super::strokes::preprocess;

/// Share of pictures with few pixels, like those of old data sets, 0 to 1.
const COARSE: f32 = 0.3;

/// Scans a picture of MNIST, `[row, column]`, again. Returns `None` if the preprocessing finds no digit or several.
pub fn again(digit: &[u8], dice: &mut Dice<'_>) -> Option<Vec<u8>> {
    let ink = enlarged(digit, dice);
    let taken = if dice.chance(0.5) { Taken::Camera } else { Taken::Canvas };
    preprocess(&paper::picture(&ink, taken, dice))
}

/// Enlarges a digit onto a canvas: stretched, with a thinner or thicker pen, with softer or harder edges.
fn enlarged(digit: &[u8], dice: &mut Dice<'_>) -> Array2<f32> {
    let side = if dice.chance(COARSE) { dice.between(14.0, 40.0) } else { dice.between(48.0, 240.0) };
    let (rows, columns) = (side as usize, side as usize);
    // The share of the canvas that MNIST's 28 x 28 pixels cover. The digit itself covers 20 x 20 of them.
    let height = dice.between(0.6, 1.3);
    let width = height * dice.around(0.0, 0.16).exp();
    let slant = dice.around(0.0, 0.1);
    // The grey value at which a stroke's edge lies, and how sharp the edge is.
    let edge = dice.between(0.15, 0.55);
    let soft = dice.between(0.05, 0.9);
    let (down, right) = (dice.between(-0.1, 0.1), dice.between(-0.1, 0.1));
    let middle = SIDE as f32 / 2.0;
    Array2::from_shape_fn((rows, columns), |(row, column)| {
        let y = ((row as f32 + 0.5) / side - 0.5 - down) / height;
        let x = ((column as f32 + 0.5) / side - 0.5 - right) / width + slant * y;
        let ink = between(digit, y * SIDE as f32 + middle - 0.5, x * SIDE as f32 + middle - 0.5);
        ((ink - edge) / soft + 0.5 * ink.min(1.0)).clamp(0.0, 1.0)
    })
}

/// The grey value at a point between pixels, 0 to 1, smoothly interpolated. Outside the picture it is 0.
fn between(digit: &[u8], y: f32, x: f32) -> f32 {
    let at = |row: f32, column: f32| {
        let inside = (0.0..SIDE as f32).contains(&row) && (0.0..SIDE as f32).contains(&column);
        if inside { f32::from(digit[row as usize * SIDE + column as usize]) / 255.0 } else { 0.0 }
    };
    let (top, left) = (y.floor(), x.floor());
    // Smoothstep weights: with linear ones, MNIST's pixels would be visible as ridges.
    let smooth = |share: f32| share * share * (3.0 - 2.0 * share);
    let (down, right) = (smooth(y - top), smooth(x - left));
    let row = |row: f32| at(row, left) * (1.0 - right) + at(row, left + 1.0) * right;
    row(top) * (1.0 - down) + row(top + 1.0) * down
}
