//! Draws digits for the tests.

use ndarray::{Array2, Array3};
use pictures::Rgba;

/// The strokes of a digit, in a box whose longer side is 1; y grows downwards.
pub(crate) type Strokes = &'static [&'static [(f32, f32)]];

pub(crate) const SEVEN: Strokes = &[&[(0.0, 0.05), (0.6, 0.0), (0.3, 0.5), (0.2, 1.0)]];
pub(crate) const TWO: Strokes =
    &[&[(0.05, 0.2), (0.2, 0.02), (0.5, 0.05), (0.6, 0.25), (0.4, 0.6), (0.0, 0.97), (0.65, 1.0)]];
pub(crate) const ONE: Strokes = &[&[(0.0, 0.25), (0.25, 0.0), (0.25, 1.0)]];
/// A five of two strokes that do not touch.
pub(crate) const FIVE: Strokes = &[
    &[(0.1, 0.1), (0.05, 0.45), (0.35, 0.4), (0.6, 0.65), (0.4, 0.97), (0.0, 0.9)],
    &[(0.25, 0.06), (0.65, 0.0)],
];
pub(crate) const FOUR: Strokes = &[&[(0.3, 0.0), (0.0, 0.55), (0.65, 0.5)], &[(0.45, 0.3), (0.4, 1.0)]];
pub(crate) const EIGHT: Strokes = &[&[
    (0.3, 0.47),
    (0.05, 0.25),
    (0.28, 0.0),
    (0.52, 0.2),
    (0.3, 0.47),
    (0.0, 0.75),
    (0.28, 1.0),
    (0.58, 0.75),
    (0.3, 0.47),
]];

pub(crate) const ALL: [Strokes; 6] = [SEVEN, TWO, ONE, FIVE, FOUR, EIGHT];

/// The position, size and width of strokes, in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pen {
    pub(crate) left: f32,
    pub(crate) top: f32,
    pub(crate) size: f32,
    pub(crate) width: f32,
}

/// Draws strokes. Returns the share of each pixel that the pen covers, 0 to 1.
pub(crate) fn cover(rows: usize, columns: usize, drawn: &[(Strokes, Pen)]) -> Array2<f32> {
    let mut cover = Array2::zeros((rows, columns));
    for &(strokes, Pen { left, top, size, width }) in drawn {
        for ends in strokes.iter().flat_map(|stroke| stroke.windows(2)) {
            let place = |(x, y): (f32, f32)| (left + x * size, top + y * size);
            let (a, b) = (place(ends[0]), place(ends[1]));
            let (dx, dy) = (b.0 - a.0, b.1 - a.1);
            for ((row, column), value) in cover.indexed_iter_mut() {
                let (x, y) = (column as f32 + 0.5 - a.0, row as f32 + 0.5 - a.1);
                let along = ((x * dx + y * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
                let away = (x - along * dx).hypot(y - along * dy);
                *value = f32::max(*value, (width / 2.0 + 0.5 - away).clamp(0.0, 1.0));
            }
        }
    }
    cover
}

/// Draws one digit on a square canvas.
pub(crate) fn canvas(side: usize, strokes: Strokes, width: f32) -> Array2<f32> {
    let size = side as f32 * 0.6;
    cover(side, side, &[(strokes, Pen { left: side as f32 * 0.3, top: side as f32 * 0.2, size, width })])
}

/// Paints ink of one colour on a background of another.
pub(crate) fn paint(cover: &Array2<f32>, ground: [u8; 4], ink: [u8; 4]) -> Rgba {
    let (rows, columns) = cover.dim();
    Array3::from_shape_fn((rows, columns, 4), |(row, column, channel)| {
        let part = cover[[row, column]];
        (f32::from(ground[channel]) * (1.0 - part) + f32::from(ink[channel]) * part).round() as u8
    })
}

pub(crate) const WHITE: [u8; 4] = [255; 4];
pub(crate) const BLACK: [u8; 4] = [0, 0, 0, 255];

/// Multiplies the colours at each place by the light that falls on it.
pub(crate) fn lit(picture: &Rgba, light: impl Fn(f32, f32) -> f32) -> Rgba {
    let (rows, columns, _) = picture.dim();
    Array3::from_shape_fn(picture.dim(), |(row, column, channel)| {
        let value = picture[[row, column, channel]];
        if channel == 3 {
            return value;
        }
        (f32::from(value) * light(column as f32 / columns as f32, row as f32 / rows as f32)).round() as u8
    })
}

/// Adds noise of at most `most` grey levels either way. It is the same in every run.
pub(crate) fn noisy(picture: &Rgba, most: u64) -> Rgba {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut out = picture.clone();
    for mut pixel in out.rows_mut() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let shift = ((state >> 33) % (2 * most + 1)) as i16 - most as i16;
        for channel in 0..3 {
            pixel[channel] = (i16::from(pixel[channel]) + shift).clamp(0, 255) as u8;
        }
    }
    out
}

/// The difference of two results: 0 if they are equal, 2 if they have no ink in common.
pub(crate) fn difference(a: &Array2<u8>, b: &Array2<u8>) -> f32 {
    let apart: f32 = a.iter().zip(b).map(|(&a, &b)| f32::from(a.abs_diff(b))).sum();
    let ink: f32 = a.iter().chain(b).map(|&value| f32::from(value)).sum();
    2.0 * apart / ink.max(1.0)
}
