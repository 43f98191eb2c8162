//! Preprocesses drawn and photographed digits in the way of MNIST.
//!
//! Their digits are "size normalized to fit in a 20x20 pixel box while preserving their aspect ratio", and "centered in
//! a 28x28 image by computing the center of mass of the pixels, and translating the image so as to position this point
//! at the center of the 28x28 field" (Y. `LeCun`, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits,
//! yann.lecun.com/exdb/mnist). A model that was trained on MNIST recognises only such digits. Pictures of all sizes are
//! therefore processed, even those of 28 x 28 pixels.
//!
//! The steps, one module each:
//!
//! 1. `grey` shrinks large pictures, and converts colours and transparency to grey.
//! 2. `edges` cuts off letterbox bars, frames and the black edge lines of scans.
//! 3. `background` finds the tone of the background at each place and removes it, so that ink remains.
//! 4. `ink` derives thresholds from the noise, and marks the pixels that are ink.
//! 5. `components` finds connected components, and drops specks.
//! 6. `split` groups the components into digits, from left to right.
//! 7. `strokes` measures the width of strokes, and widens thin ones.
//! 8. `fit` scales a digit into the box, and centres its mass.

mod background;
mod components;
mod crop;
mod edges;
mod fit;
mod grey;
mod ink;
mod split;
mod strokes;
mod surface;

use background::{Background, UnevenBackground};
use ndarray::{Array2, ArrayView3};
use thiserror::Error;

/// Rows and columns of the model's input.
pub const SIDE: usize = 28;
/// Rows and columns of the box that a digit fills.
pub const BOX: usize = 20;

/// Grey values or ink of a picture, `[row, column]`.
type Plane = Array2<f32>;

/// A rectangle in pixels of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// First column, from 0.
    pub left: usize,
    /// First row, from 0.
    pub top: usize,
    /// Number of columns.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

/// A preprocessed digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digit {
    /// The model's input, `[row, column]`, 28 x 28. The background is 0, and ink is bright.
    pub pixels: Array2<u8>,
    /// Bounding box of the digit's ink in the original picture.
    pub bounds: Bounds,
}

/// Why a picture cannot be preprocessed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MnistError {
    /// The picture has no ink.
    #[error("the picture is empty: no ink found")]
    Blank,
    /// The picture has several digits, but one is required.
    #[error("the picture shows {count} digits side by side, not one")]
    Several {
        /// Number of digits.
        count: usize,
    },
}

/// Preprocesses the only digit of a picture, `[row, column, channel]` with the channels red, green, blue, alpha.
///
/// # Errors
/// When the picture has no ink, or several digits side by side.
#[expect(clippy::needless_pass_by_value, reason = "views are passed by value")]
pub fn digit(picture: ArrayView3<'_, u8>) -> Result<Digit, MnistError> {
    let mut found = digits(picture.view())?;
    match (found.len(), found.pop()) {
        (1, Some(digit)) => Ok(digit),
        (count, _) => Err(MnistError::Several { count }),
    }
}

/// Preprocesses the digits of a picture from left to right. The picture is `[row, column, channel]` with the channels
/// red, green, blue, alpha.
///
/// # Errors
/// When the picture has no ink.
#[expect(clippy::needless_pass_by_value, reason = "views are passed by value")]
pub fn digits(picture: ArrayView3<'_, u8>) -> Result<Vec<Digit>, MnistError> {
    let (rows, columns, channels) = picture.dim();
    if rows == 0 || columns == 0 || channels != 4 {
        return Err(MnistError::Blank);
    }
    let grey::Grey { plane, factor } = grey::grey(&picture);
    let frame = edges::trim(&plane);
    let whole = (frame.height, frame.width) == plane.dim();
    let inner = if whole { plane } else { plane.slice(frame.slice()).to_owned() };
    let found = drawn(inner);
    let outer = |start: usize, length: usize, offset: usize, most: usize| {
        let start = (start + offset) * factor;
        (start, (length * factor).min(most - start))
    };
    let digits = found.into_iter().map(|(drawing, bounds)| {
        let (left, width) = outer(bounds.left, bounds.width, frame.left, columns);
        let (top, height) = outer(bounds.top, bounds.height, frame.top, rows);
        Digit { pixels: fit::fit(&drawing), bounds: Bounds { left, top, width, height } }
    });
    let digits: Vec<Digit> = digits.collect();
    if digits.is_empty() { Err(MnistError::Blank) } else { Ok(digits) }
}

/// The digits of a grey picture as drawings with their bounding boxes, from left to right.
fn drawn(plane: Plane) -> Vec<(Plane, Bounds)> {
    let size = plane.dim();
    let background::WithoutUneven { ink, background } = match background::remove(plane) {
        Background::Flat { ink } => return strokes_of(ink, None).0,
        Background::Uneven(uneven) => uneven,
        Background::Cropped { ink, grey } => {
            // `crop` has already checked that these are strokes. The check by their outline would not work here,
            // because the picture's edges cut it off.
            if let Some(marked) = ink::find_plain(ink) {
                return drawings(&marked, None).collect();
            }
            background::remove_uneven(grey, None, 0)
        }
    };
    let (found, had_crossing) = strokes_of(ink, Some(&background));
    // Ink that crosses the whole picture may be background: lines of ruled paper that hide wider strokes, or the lit
    // part beside a large shadow.
    if !had_crossing && !found.is_empty() {
        return found;
    }
    let mut background = background;
    for remove_again in [UnevenBackground::with_wide_strokes, UnevenBackground::with_other_ink_tone] {
        let again = remove_again(background);
        let (other, _) = strokes_of(again.ink, Some(&again.background));
        // Small results do not count: in a blank picture, they are noise.
        if let [(_, bounds)] = &other[..]
            && !bounds.cross(size)
            && 4 * bounds.width.max(bounds.height) >= size.0.min(size.1)
        {
            return other;
        }
        background = again.background;
        if !found.iter().all(|(_, bounds)| bounds.cross(size)) {
            break;
        }
    }
    found
}

/// The drawings that consist of strokes, and whether a component crosses the whole picture.
fn strokes_of(ink: Plane, background: Option<&UnevenBackground>) -> (Vec<(Plane, Bounds)>, bool) {
    let Some(marked) = ink::find(ink, background) else { return (Vec::new(), false) };
    let size = marked.ink.dim();
    let found = drawings(&marked, background)
        .filter(|(drawing, bounds)| strokes::are_strokes(drawing, *bounds, size));
    (found.collect(), marked.components.had_crossing)
}

/// The drawings of all groups of components, from left to right.
fn drawings<'a>(
    marked: &'a ink::Marked,
    background: Option<&UnevenBackground>,
) -> impl Iterator<Item = (Plane, Bounds)> + 'a {
    split::split(marked, background).into_iter().map(|group| (group.draw(marked), group.bounds))
}

impl Bounds {
    /// Whether the rectangle reaches from one side of a picture to the opposite one.
    fn cross(&self, (rows, columns): (usize, usize)) -> bool {
        (self.left == 0 && self.right() == columns) || (self.top == 0 && self.bottom() == rows)
    }

    fn slice(&self) -> ndarray::SliceInfo<[ndarray::SliceInfoElem; 2], ndarray::Ix2, ndarray::Ix2> {
        ndarray::s![self.top..self.top + self.height, self.left..self.left + self.width]
    }

    fn right(&self) -> usize {
        self.left + self.width
    }

    fn bottom(&self) -> usize {
        self.top + self.height
    }

    /// The smallest rectangle that contains both.
    fn union(&self, other: &Self) -> Self {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        let (right, bottom) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self { left, top, width: right - left, height: bottom - top }
    }
}
