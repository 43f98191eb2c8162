//! Winograd's transforms for 3×3 convolutions, F(2×2, 3×3), and their transposes.
//!
//! In one dimension, two neighbouring outputs of a convolution take six multiplications by the definition. Winograd's
//! formula takes four:
//!
//! ```text
//! y = Aᵀ (G g · Bᵀ d)    d: 4 inputs, g: 3 weights, y: 2 outputs, ·: element-wise product
//! ```
//!
//! In two dimensions each matrix is applied to columns and to rows, and 16 multiplications replace 36. A picture is cut
//! into tiles of 2×2 outputs. The inputs of a tile are a window of 4×4 pixels; neighbouring windows overlap. The
//! transform of a window has 16 positions. Each channel is transformed alone, so at each position a matrix product over
//! the channels remains.
//!
//! The transforms are linear, so the backward pass applies the transposed matrices to the gradients.
#![expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]

use std::marker::PhantomData;

use crate::simd::{Lanes, Simd, WithSimd, with_lanes};

/// Number of values in the transform of a window in one dimension.
const LINE: usize = 4;
/// Number of values in the transform of a window in two dimensions.
pub(super) const POSITIONS: usize = LINE * LINE;
/// Rows and columns of the outputs in a tile.
const TILE: usize = 2;

/// One of Winograd's three matrices, of 4 × `W`, for windows of `W` × `W` pixels.
pub(super) trait Role<const W: usize> {
    /// How many pixels before its tile a window begins.
    const BEFORE: usize;

    /// The matrix times a row or a column of the window.
    fn spread<S: Simd>(window: [Lanes<S>; W]) -> [Lanes<S>; LINE];

    /// The transposed matrix times four values.
    fn collect<S: Simd>(numbers: [Lanes<S>; LINE]) -> [Lanes<S>; W];
}

/// The matrix `Bᵀ`, for inputs.
pub(super) struct Input;
/// The matrix `A`, for outputs.
pub(super) struct Output;
/// The matrix `G`, for weights.
pub(super) struct Weights;

impl Role<4> for Input {
    const BEFORE: usize = 1;

    #[inline(always)]
    fn spread<S: Simd>([a, b, c, d]: [Lanes<S>; 4]) -> [Lanes<S>; LINE] {
        [a - c, b + c, c - b, b - d]
    }

    #[inline(always)]
    fn collect<S: Simd>([a, b, c, d]: [Lanes<S>; LINE]) -> [Lanes<S>; 4] {
        [a, b - c + d, b + c - a, -d]
    }
}

impl Role<2> for Output {
    const BEFORE: usize = 0;

    #[inline(always)]
    fn spread<S: Simd>([a, b]: [Lanes<S>; 2]) -> [Lanes<S>; LINE] {
        [a, a + b, a - b, -b]
    }

    #[inline(always)]
    fn collect<S: Simd>([a, b, c, d]: [Lanes<S>; LINE]) -> [Lanes<S>; 2] {
        [a + b + c, b - c - d]
    }
}

impl Role<3> for Weights {
    const BEFORE: usize = 0;

    #[inline(always)]
    fn spread<S: Simd>([a, b, c]: [Lanes<S>; 3]) -> [Lanes<S>; LINE] {
        let (outer, inner) = ((a + c) * 0.5, b * 0.5);
        [a, outer + inner, outer - inner, c]
    }

    #[inline(always)]
    fn collect<S: Simd>([a, b, c, d]: [Lanes<S>; LINE]) -> [Lanes<S>; 3] {
        let outer = (b + c) * 0.5;
        [a + outer, (b - c) * 0.5, outer + d]
    }
}

/// How a picture `[side, side, channels]` is cut into `across` × `across` tiles. With an odd side, the last tiles reach
/// beyond the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub side: usize,
    pub across: usize,
    pub channels: usize,
}

impl Grid {
    /// The grid of tiles that covers a picture.
    pub(super) fn new(side: usize, channels: usize) -> Self {
        Self { side, across: side.div_ceil(TILE), channels }
    }

    /// Number of tiles in a picture.
    pub(super) fn tiles(&self) -> usize {
        self.across * self.across
    }

    /// Transforms the windows of `pictures` into `spectrum`, `[position, tile, channel]`. Pixels outside a picture
    /// count as zero.
    pub(super) fn spread<R: Role<W>, const W: usize>(self, _: R, pictures: &[f32], spectrum: &mut [f32]) {
        with_lanes(self.channels, Spread { grid: self, role: PhantomData::<R>, pictures, spectrum });
    }

    /// Adds the transposed transform of `spectrum` to `pictures`: the transpose of [`Grid::spread`].
    pub(super) fn collect<R: Role<W>, const W: usize>(self, _: R, spectrum: &[f32], pictures: &mut [f32]) {
        with_lanes(self.channels, Collect { grid: self, role: PhantomData::<R>, spectrum, pictures });
    }

    fn picture_len(&self) -> usize {
        self.side * self.side * self.channels
    }

    /// The index of each pixel of a tile's window in the picture, or `None` for pixels outside the picture.
    #[inline(always)]
    fn window<R: Role<W>, const W: usize>(&self, tile: usize) -> [[Option<usize>; W]; W] {
        let (top, left) = (tile / self.across * TILE, tile % self.across * TILE);
        let mut places = [[None; W]; W];
        for (row, places) in (top..).zip(&mut places) {
            for (column, place) in (left..).zip(places) {
                let (row, column) = (row.wrapping_sub(R::BEFORE), column.wrapping_sub(R::BEFORE));
                if row < self.side && column < self.side {
                    *place = Some((row * self.side + column) * self.channels);
                }
            }
        }
        places
    }
}

struct Spread<'a, R, const W: usize> {
    grid: Grid,
    role: PhantomData<R>,
    pictures: &'a [f32],
    spectrum: &'a mut [f32],
}

impl<R: Role<W>, const W: usize> WithSimd for Spread<'_, R, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { grid, pictures, spectrum, .. } = self;
        let position_len = spectrum.len() / POSITIONS;
        let mut first = 0;
        for picture in pictures.chunks_exact(grid.picture_len()) {
            for tile in 0..grid.tiles() {
                let places = grid.window::<R, W>(tile);
                for channel in (0..grid.channels).step_by(Lanes::<S>::COUNT) {
                    let mut window = [[Lanes::splat(simd, 0.0); W]; W];
                    for (pixels, places) in window.iter_mut().zip(&places) {
                        for (pixel, place) in pixels.iter_mut().zip(places) {
                            if let Some(place) = place {
                                *pixel = Lanes::load(simd, picture, place + channel);
                            }
                        }
                    }
                    let numbers = on_columns(on_columns(window, R::spread), R::spread);
                    for (row, numbers) in numbers.iter().enumerate() {
                        for (column, number) in numbers.iter().enumerate() {
                            let position = row * LINE + column;
                            number.store(spectrum, position * position_len + first + channel);
                        }
                    }
                }
                first += grid.channels;
            }
        }
    }
}

struct Collect<'a, R, const W: usize> {
    grid: Grid,
    role: PhantomData<R>,
    spectrum: &'a [f32],
    pictures: &'a mut [f32],
}

impl<R: Role<W>, const W: usize> WithSimd for Collect<'_, R, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { grid, spectrum, pictures, .. } = self;
        let position_len = spectrum.len() / POSITIONS;
        let mut first = 0;
        for picture in pictures.chunks_exact_mut(grid.picture_len()) {
            for tile in 0..grid.tiles() {
                let places = grid.window::<R, W>(tile);
                for channel in (0..grid.channels).step_by(Lanes::<S>::COUNT) {
                    let mut numbers = [[Lanes::splat(simd, 0.0); LINE]; LINE];
                    for (row, numbers) in numbers.iter_mut().enumerate() {
                        for (column, number) in numbers.iter_mut().enumerate() {
                            let position = row * LINE + column;
                            *number = Lanes::load(simd, spectrum, position * position_len + first + channel);
                        }
                    }
                    let window = on_columns(on_columns(numbers, R::collect), R::collect);
                    for (pixels, places) in window.iter().zip(&places) {
                        for (&pixel, place) in pixels.iter().zip(places) {
                            if let Some(place) = place {
                                let sum = Lanes::load(simd, picture, place + channel) + pixel;
                                sum.store(picture, place + channel);
                            }
                        }
                    }
                }
                first += grid.channels;
            }
        }
    }
}

/// Applies `line` to every column, and exchanges columns and rows. Called twice, it transforms both dimensions.
#[inline(always)]
fn on_columns<S: Simd, const FROM: usize, const TO: usize, const COLUMNS: usize>(
    from: [[Lanes<S>; COLUMNS]; FROM],
    line: impl Fn([Lanes<S>; FROM]) -> [Lanes<S>; TO],
) -> [[Lanes<S>; TO]; COLUMNS] {
    let mut to = [[from[0][0]; TO]; COLUMNS];
    for (index, to) in to.iter_mut().enumerate() {
        let mut column = [from[0][0]; FROM];
        for (value, row) in column.iter_mut().zip(from) {
            *value = row[index];
        }
        *to = line(column);
    }
    to
}
