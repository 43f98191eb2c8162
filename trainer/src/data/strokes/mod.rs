//! Draws digits as people write them with a pen, in many ways, and drawings that are not digits.
//!
//! A way of writing ([`way::Way`]) is a shape with random details. The handwriting slants, stretches and bends it. A
//! pen draws it on a canvas. Last, the server's own preprocessing turns the picture into the model's input. All random
//! numbers come from one generator: the same generator gives the same picture.
//!
//! Floors, lowest first: `path`; `way`; the digits, `letters`, `hand` and `canvas`; `others`.

mod canvas;
mod eight_and_nine;
mod five_to_seven;
mod hand;
mod letters;
mod others;
pub mod path;
#[cfg(test)]
mod tests;
mod three_and_four;
pub mod way;
mod zero_to_two;

use pictures::mnist;

use self::hand::Hand;
use self::path::Stroke;
use self::way::Way;
use super::PIXELS;
use super::paper::{self, Taken};
use crate::data::dice::Dice;

/// Share of drawings that look photographed, 0 to 1. The others look like exports of a drawing canvas.
const PHOTOGRAPHS: f32 = 0.2;

/// All ways of writing, ordered by digit.
pub fn ways() -> impl Iterator<Item = &'static Way> + Clone {
    [zero_to_two::WAYS, three_and_four::WAYS, five_to_seven::WAYS, eight_and_nine::WAYS].into_iter().flatten()
}

/// Draws a digit in one of its ways of writing, as a shape in a box of about 1 × 1.
pub fn shape(digit: u8, dice: &mut Dice<'_>) -> (&'static Way, Vec<Stroke>) {
    let of_digit = || ways().filter(move |way| way.digit == digit);
    let chosen = dice.weighted(of_digit().map(|way| way.share));
    let way = of_digit().nth(chosen).unwrap_or(&zero_to_two::WAYS[0]);
    (way, (way.draw)(dice))
}

/// Draws a digit and preprocesses it as the server does: `[row, column]`, bright ink.
///
/// Returns `None` if the preprocessing finds no digit or several, because the strokes are not connected.
pub fn digit(digit: u8, dice: &mut Dice<'_>) -> Option<Vec<u8>> {
    let (_, strokes) = shape(digit, dice);
    shown(&strokes, dice)
}

/// Draws something that is not a digit, and preprocesses it as the server does.
pub fn no_digit(dice: &mut Dice<'_>) -> Option<Vec<u8>> {
    let strokes = others::draw(dice);
    shown(&strokes, dice)
}

/// The model's input for some strokes, drawn in a random handwriting with a random pen.
pub fn shown(strokes: &[Stroke], dice: &mut Dice<'_>) -> Option<Vec<u8>> {
    let written = Hand::random(dice).write(strokes, dice);
    let ink = canvas::draw(&written, dice);
    let taken = if dice.chance(PHOTOGRAPHS) { Taken::Camera } else { Taken::Canvas };
    preprocess(&paper::picture(&ink, taken, dice))
}

/// Runs the server's preprocessing for a picture of one digit.
pub fn preprocess(picture: &pictures::Rgba) -> Option<Vec<u8>> {
    let shown = mnist::digit(picture.view()).ok()?;
    let pixels: Vec<u8> = shown.pixels.iter().copied().collect();
    (pixels.len() == PIXELS).then_some(pixels)
}
