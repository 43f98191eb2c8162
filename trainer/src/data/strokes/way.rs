//! Ways of writing a digit.

use super::path::Stroke;
use crate::data::dice::Dice;

/// A way in which people write a digit, as a shape with random details.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// The digit.
    pub digit: u8,
    /// What distinguishes it from the other ways of writing the digit.
    pub style: &'static str,
    /// How often it is drawn, relative to the other ways of writing the digit.
    pub share: f32,
    /// Draws its strokes in a box of about 1 × 1.
    pub draw: fn(&mut Dice<'_>) -> Vec<Stroke>,
}
