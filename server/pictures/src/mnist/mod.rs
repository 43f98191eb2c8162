//! Drawn and photographed digits as the makers of MNIST would have shown them to a model.
//!
//! Their digits are "size normalized to fit in a 20x20 pixel box while preserving their aspect ratio", and "centered in
//! a 28x28 image by computing the center of mass of the pixels, and translating the image so as to position this point
//! at the center of the 28x28 field" (Y. `LeCun`, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits,
//! yann.lecun.com/exdb/mnist). A model that learned from them reads nothing else well, whatever the size of a picture:
//! one of 28 x 28 takes the same road.
//!
//! The road, one module a step:
//!
//! 1. `grey`: a large picture is made smaller; transparency and colours become one grey.
//! 2. `edges`: letterbox bars, frames and a scan's black edge lines are cut off.
//! 3. `ground`: which tone is the ground, and how bright it is at each place: what remains is ink on nothing.
//! 4. `ink`: how dark ink must be to be none of the noise; the pixels that are.
//! 5. `components`: pixels that hang together; specks are dropped.
//! 6. `split`: components that make up one digit, from left to right.
//! 7. `strokes`: how wide the pen was; thin strokes are drawn wider.
//! 8. `fit`: into the box, and its centre of mass into the middle.

mod components;
mod crop;
mod edges;
mod fit;
mod grey;
mod ground;
mod ink;
mod split;
mod strokes;
mod surface;

use ground::{Ground, Light};
use ndarray::{Array2, ArrayView3};
use thiserror::Error;

/// Rows and columns of what the model sees.
pub const SIDE: usize = 28;
/// Rows and columns of the box that a digit fills.
pub const BOX: usize = 20;

/// `[row, column]` of grey or ink.
type Plane = Array2<f32>;

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
    let mut found = digits(picture.view())?;
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

/// Drawings and where they are, from left to right.
fn drawn(plane: Plane) -> Vec<(Plane, Bounds)> {
    let size = plane.dim();
    let ground::Bare { ink, light } = match ground::remove(plane) {
        Ground::Flat { ink } => return strokes_of(ink, None).0,
        Ground::Uneven(bare) => bare,
        Ground::Cropped { ink, grey } => {
            // that they are strokes is known: their outline is the picture's edge, which measures nothing
            if let Some(marked) = ink::find_plain(ink) {
                return drawings(&marked, None).collect();
            }
            ground::without_light(grey, None, 0)
        }
    };
    let (found, had_crossing) = strokes_of(ink, Some(&light));
    // What crosses the picture may be its ground: lines of a page that hide wider ink, or light beside a large shadow.
    if !had_crossing && !found.is_empty() {
        return found;
    }
    let mut light = light;
    for again in [Light::over_wide_strokes, Light::otherwise] {
        let bare = again(light);
        let (other, _) = strokes_of(bare.ink, Some(&bare.light));
        // where there is nothing, small pieces of noise are found
        if let [(_, bounds)] = &other[..]
            && !bounds.cross(size)
            && 4 * bounds.width.max(bounds.height) >= size.0.min(size.1)
        {
            return other;
        }
        light = bare.light;
        if !found.iter().all(|(_, bounds)| bounds.cross(size)) {
            break;
        }
    }
    found
}

/// The drawings that are made of strokes; and whether anything crosses the picture.
fn strokes_of(ink: Plane, light: Option<&Light>) -> (Vec<(Plane, Bounds)>, bool) {
    let Some(marked) = ink::find(ink, light) else { return (Vec::new(), false) };
    let size = marked.ink.dim();
    let found =
        drawings(&marked, light).filter(|(drawing, bounds)| strokes::are_strokes(drawing, *bounds, size));
    (found.collect(), marked.components.had_crossing)
}

/// What is drawn, one by one from the left.
fn drawings<'a>(
    marked: &'a ink::Marked,
    light: Option<&Light>,
) -> impl Iterator<Item = (Plane, Bounds)> + 'a {
    split::split(marked, light).into_iter().map(|group| (group.draw(marked), group.bounds))
}

impl Bounds {
    /// Whether it goes from one side of a picture to the opposite one.
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

    /// The smallest rectangle around both.
    fn union(&self, other: &Self) -> Self {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        let (right, bottom) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self { left, top, width: right - left, height: bottom - top }
    }
}
