//! One way of writing a digit.

use super::path::Stroke;
use crate::data::dice::Dice;

/// A way in which people write a digit, as a shape with room for chance.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// The digit.
    pub digit: u8,
    /// What tells it from the digit's other ways.
    pub style: &'static str,
    /// How often it is drawn, beside the digit's other ways.
    pub share: f32,
    /// Draws its strokes about a box of 1 × 1.
    pub draw: fn(&mut Dice<'_>) -> Vec<Stroke>,
}
