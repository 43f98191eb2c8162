//! Drawn and photographed digits as the makers of MNIST would have shown them to a model.

use ndarray::{Array2, ArrayView3, s};
use thiserror::Error;

/// Rows and columns of what the model sees.
pub const SIDE: usize = 28;
/// Rows and columns of the box that a digit fills.
pub const BOX: usize = 20;

/// A rectangle in pixels of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// A digit as a model sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digit {
    /// `[row, column]`, 28 x 28: 0 is the ground, ink is bright.
    pub pixels: Array2<u8>,
    /// Where the digit's ink lies in the picture.
    pub bounds: Bounds,
}

/// Why a picture shows no digit to a model.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MnistError {
    /// Nothing is drawn.
    #[error("the picture is empty: no ink found")]
    Blank,
    /// More than one digit where one is wanted.
    #[error("the picture shows {count} digits side by side, not one")]
    Several {
        /// How many.
        count: usize,
    },
}

/// The one digit of a picture `[row, column, channel]` of red, green, blue, alpha.
///
/// # Errors
/// A picture without ink, or with several digits side by side.
#[expect(clippy::needless_pass_by_value, reason = "views are passed by value")]
pub fn digit(picture: ArrayView3<'_, u8>) -> Result<Digit, MnistError> {
    let mut found = digits(picture)?;
    match (found.len(), found.pop()) {
        (1, Some(digit)) => Ok(digit),
        (count, _) => Err(MnistError::Several { count }),
    }
}

/// The digits of a picture `[row, column, channel]` of red, green, blue, alpha, from left to right.
///
/// # Errors
/// A picture without ink.
#[expect(clippy::needless_pass_by_value, reason = "views are passed by value")]
pub fn digits(picture: ArrayView3<'_, u8>) -> Result<Vec<Digit>, MnistError> {
    let (rows, columns, channels) = picture.dim();
    if rows == 0 || columns == 0 || channels != 4 {
        return Err(MnistError::Blank);
    }
    let grey = Array2::from_shape_fn((rows, columns), |(row, column)| {
        let [r, g, b, a] = [0, 1, 2, 3].map(|channel| f32::from(picture[[row, column, channel]]));
        255.0 + a / 255.0 * (0.299 * r + 0.587 * g + 0.114 * b - 255.0)
    });
    let mut counts = [0_usize; 256];
    grey.iter().for_each(|&value| counts[value as usize] += 1);
    let ground = (0..256).max_by_key(|&value| counts[value]).unwrap_or(255) as f32;
    let ink = grey.mapv(|value| (value - ground).abs());
    let most = ink.iter().copied().fold(0.0, f32::max);
    if most < 10.0 {
        return Err(MnistError::Blank);
    }
    let dark = |row: usize, column: usize| ink[[row, column]] > most / 2.0;
    let inked = |column: usize| (0..rows).any(|row| dark(row, column));
    let mut found = Vec::new();
    let mut column = 0;
    while column < columns {
        let Some(left) = (column..columns).find(|&at| inked(at)) else { break };
        let right = (left..columns).find(|&at| !inked(at)).unwrap_or(columns);
        column = right;
        let marked = |row: &usize| (left..right).any(|column| dark(*row, column));
        let top = (0..rows).find(marked).unwrap_or(0);
        let bottom = (0..rows).rev().find(marked).unwrap_or(rows - 1) + 1;
        let bounds = Bounds { left, top, width: right - left, height: bottom - top };
        found.push(Digit { pixels: fit(&ink.slice(s![top..bottom, left..right]).to_owned()), bounds });
    }
    let tallest = found.iter().map(|digit| digit.bounds.height).max().unwrap_or(0);
    found.retain(|digit| digit.bounds.height * 3 > tallest);
    Ok(found)
}

/// Averages areas into the box, and puts the centre of mass in the middle.
fn fit(ink: &Array2<f32>) -> Array2<u8> {
    let (rows, columns) = ink.dim();
    let scale = BOX as f32 / rows.max(columns) as f32;
    let height = ((rows as f32 * scale).round() as usize).clamp(1, BOX);
    let width = ((columns as f32 * scale).round() as usize).clamp(1, BOX);
    let span = |at: usize, steps: usize, length: usize| {
        let start = at * length / steps;
        start..((at + 1) * length).div_ceil(steps).max(start + 1)
    };
    let small = Array2::from_shape_fn((height, width), |(row, column)| {
        ink.slice(s![span(row, height, rows), span(column, width, columns)]).mean().unwrap_or(0.0)
    });
    let most = small.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let mass: f32 = small.sum();
    let centre = |length: f32, weighted: f32| {
        ((SIDE as f32 / 2.0 - weighted / mass).round().max(0.0) as usize).min(SIDE - length as usize)
    };
    let by_row = small.indexed_iter().map(|((row, _), value)| (row as f32 + 0.5) * value).sum();
    let by_column = small.indexed_iter().map(|((_, column), value)| (column as f32 + 0.5) * value).sum();
    let (top, left) = (centre(height as f32, by_row), centre(width as f32, by_column));
    let mut pixels = Array2::zeros((SIDE, SIDE));
    pixels
        .slice_mut(s![top..top + height, left..left + width])
        .assign(&small.mapv(|value| (value / most * 255.0).round() as u8));
    pixels
}
