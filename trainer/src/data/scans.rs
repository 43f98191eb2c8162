//! MNIST's digits drawn larger, scanned or photographed again, and shown as the server shows pictures.

use ndarray::Array2;

use super::SIDE;
use super::dice::Dice;
use super::paper::{self, Taken};
use super::strokes::preprocess;

/// Share of pictures that have few pixels, as old collections have.
const COARSE: f32 = 0.3;

/// Draws a picture `[row, column]` of MNIST again; `None` where the preprocessing finds none or several digits.
pub fn again(digit: &[u8], dice: &mut Dice<'_>) -> Option<Vec<u8>> {
    let ink = enlarged(digit, dice);
    let taken = if dice.chance(0.5) { Taken::Camera } else { Taken::Canvas };
    preprocess(&paper::picture(&ink, taken, dice))
}

/// The digit on a canvas of its own: stretched, with a thinner or thicker pen, softer or harder.
fn enlarged(digit: &[u8], dice: &mut Dice<'_>) -> Array2<f32> {
    let side = if dice.chance(COARSE) { dice.between(14.0, 40.0) } else { dice.between(48.0, 240.0) };
    let (rows, columns) = (side as usize, side as usize);
    // Parts of the canvas that MNIST's 28 x 28 fill; its digits fill 20 of them.
    let height = dice.between(0.6, 1.3);
    let width = height * dice.around(0.0, 0.16).exp();
    let slant = dice.around(0.0, 0.1);
    // Where on MNIST's slopes the edge of the pen is, and how sharp it is.
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

/// The grey value between pixels, 0 to 1, smooth: 0 outside.
fn between(digit: &[u8], y: f32, x: f32) -> f32 {
    let at = |row: f32, column: f32| {
        let inside = (0.0..SIDE as f32).contains(&row) && (0.0..SIDE as f32).contains(&column);
        if inside { f32::from(digit[row as usize * SIDE + column as usize]) / 255.0 } else { 0.0 }
    };
    let (top, left) = (y.floor(), x.floor());
    // Shares that rise and fall smoothly leave no ridges of MNIST's pixels.
    let smooth = |share: f32| share * share * (3.0 - 2.0 * share);
    let (down, right) = (smooth(y - top), smooth(x - left));
    let row = |row: f32| at(row, left) * (1.0 - right) + at(row, left + 1.0) * right;
    row(top) * (1.0 - down) + row(top + 1.0) * down
}
