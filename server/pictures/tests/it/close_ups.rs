//! A digit cut out of a photograph, with more or less of the paper around it.

use ndarray::s;
use pictures::{Rgba, mnist::digit};

use crate::drawing::{ONE, Pen, SEVEN, Strokes, cover, difference, lit, noisy, paint};

const ZERO: Strokes = &[&[
    (0.28, 0.0),
    (0.43, 0.07),
    (0.53, 0.25),
    (0.56, 0.5),
    (0.53, 0.75),
    (0.43, 0.93),
    (0.28, 1.0),
    (0.13, 0.93),
    (0.03, 0.75),
    (0.0, 0.5),
    (0.03, 0.25),
    (0.13, 0.07),
    (0.28, 0.0),
]];

/// Margin around the digit on the sheet, in pixels.
const MARGIN: usize = 100;
/// Margins that a cut may leave around the digit, in pixels.
const KEPT: std::ops::Range<usize> = 20..90;

/// Cuts the sheet at each side, by pseudo-random numbers that are the same in every run.
fn cuts(sheet: &Rgba) -> impl Iterator<Item = ([usize; 4], Rgba)> + '_ {
    let (rows, columns, _) = sheet.dim();
    let mut state = 1_u64;
    let mut away = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        MARGIN - KEPT.start - (state >> 33) as usize % KEPT.len()
    };
    (0..60).map(move |_| {
        let [left, top, right, bottom] = [away(), away(), away(), away()];
        let cut = sheet.slice(s![top..rows - bottom, left..columns - right, ..]).to_owned();
        ([left, top, right, bottom], cut)
    })
}

#[test]
fn a_digit_is_read_however_its_photograph_is_cut() {
    let (paper, board) = ([230, 228, 220, 255], [38, 42, 40, 255]);
    let (ink, chalk) = ([70, 70, 80, 255], [220, 222, 218, 255]);
    let size = 250.0;
    for (strokes, width) in [(ONE, 0.25), (SEVEN, 0.6), (ZERO, 0.56)] {
        let columns = (width * size) as usize + 2 * MARGIN;
        let pen = Pen { left: MARGIN as f32, top: MARGIN as f32, size, width: 18.0 };
        let drawn = cover(size as usize + 2 * MARGIN, columns, &[(strokes, pen)]);
        let plain = digit(paint(&drawn, paper, ink).view()).unwrap().pixels;
        for (ground, ink) in [(paper, ink), (board, chalk)] {
            let sheet = lit(&paint(&drawn, ground, ink), |x, y| 0.62 + 0.18 * x + 0.15 * y);
            let sheet = noisy(&sheet, 6);
            for (sides, cut) in cuts(&sheet) {
                let found = digit(cut.view()).unwrap_or_else(|why| panic!("{ground:?} {sides:?}: {why}"));
                let apart = difference(&plain, &found.pixels);
                assert!(apart < 0.3, "{ground:?} {sides:?}: {apart}");
            }
        }
    }
}
