//! Winograd's transforms for 3×3 convolutions, F(2×2, 3×3), and their transposes.
//!
//! Two neighbouring outputs of a convolution in one dimension take six multiplications, or four:
//!
//! ```text
//! y = Aᵀ (G g · Bᵀ d)    d: 4 inputs, g: 3 weights, y: 2 outputs, ·: number by number
//! ```
//!
//! In two dimensions each matrix is applied to columns and rows, and 16 multiplications do for 36. Pictures are
//! cut into tiles of 2×2 outputs, whose inputs are overlapping windows of 4×4 pixels. All channels are
//! transformed alike, so that at each of the 16 positions what is left is a matrix product over the channels.
//!
//! All steps but the products are linear: on the way back, gradients take the same matrices transposed.
#![expect(clippy::inline_always, reason = "must be compiled for its caller's vectors")]

use std::marker::PhantomData;

use crate::simd::{Lanes, Simd, WithSimd, with_lanes};

/// Numbers that stand for a window in one dimension.
const LINE: usize = 4;
/// Numbers that stand for a window.
pub(super) const POSITIONS: usize = LINE * LINE;
/// Rows and columns of the outputs in a tile.
const TILE: usize = 2;

/// What is transformed, in windows of `W` × `W` pixels: one matrix of 4 × `W` and its transpose.
pub(super) trait Role<const W: usize> {
    /// Pixels by which a window begins before its tile.
    const BEFORE: usize;

    /// The matrix times a row or column of the window.
    fn spread<S: Simd>(window: [Lanes<S>; W]) -> [Lanes<S>; LINE];

    /// The transposed matrix times four numbers.
    fn collect<S: Simd>(numbers: [Lanes<S>; LINE]) -> [Lanes<S>; W];
}

/// What comes in, and the matrix `Bᵀ`.
pub(super) struct Input;
/// What comes out, and the matrix `A`.
pub(super) struct Output;
/// The weights, and the matrix `G`.
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

/// Pictures `[side, side, channels]` cut into `across` × `across` tiles, of which the last may reach beyond them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub side: usize,
    pub across: usize,
    pub channels: usize,
}

impl Grid {
    /// Tiles that cover pictures.
    pub(super) fn new(side: usize, channels: usize) -> Self {
        Self { side, across: side.div_ceil(TILE), channels }
    }

    /// Tiles in a picture.
    pub(super) fn tiles(&self) -> usize {
        self.across * self.across
    }

    /// Writes what stands for the windows of `pictures`, `[position, tile, channel]`; outside a picture is zero.
    pub(super) fn spread<R: Role<W>, const W: usize>(self, _: R, pictures: &[f32], spectrum: &mut [f32]) {
        with_lanes(self.channels, Spread { grid: self, role: PhantomData::<R>, pictures, spectrum });
    }

    /// Adds to `pictures` what the transposed transform makes of `spectrum`: the way back of [`Grid::spread`].
    pub(super) fn collect<R: Role<W>, const W: usize>(self, _: R, spectrum: &[f32], pictures: &mut [f32]) {
        with_lanes(self.channels, Collect { grid: self, role: PhantomData::<R>, spectrum, pictures });
    }

    fn picture_len(&self) -> usize {
        self.side * self.side * self.channels
    }

    /// Where the pixels of a tile's window lie in their picture; those outside are nowhere.
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

/// Applies `line` to every column, and exchanges columns and rows: twice makes both dimensions.
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
