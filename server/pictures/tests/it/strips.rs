//! Many digits in one row, in a picture that is much wider than high.

use ndarray::{Array2, Array3, Axis, concatenate, s};
use pictures::{
    Rgba,
    mnist::{Digit, MnistError, digits},
};

use crate::drawing::{ALL, BLACK, Pen, Strokes, WHITE, cover, difference, lit, noisy, paint};

/// Distance from one digit to the next, in pixels.
const STEP: usize = 61;
/// Height of the strip, in pixels.
const HEIGHT: usize = 120;

fn drawn(size: f32) -> Vec<(Strokes, Array2<f32>)> {
    let pen = Pen { left: 10.0, top: 30.0, size, width: size / 10.0 };
    ALL.into_iter().map(|strokes| (strokes, cover(HEIGHT, STEP, &[(strokes, pen)]))).collect()
}

/// A strip of `count` digits, which repeat the drawn ones in turn.
fn strip(drawn: &[(Strokes, Array2<f32>)], count: usize) -> Array2<f32> {
    let parts: Vec<_> = drawn.iter().cycle().take(count).map(|(_, cover)| cover.view()).collect();
    concatenate(Axis(1), &parts).unwrap()
}

/// Asserts that the found digits are the drawn ones in turn, each at its place.
fn assert_shows(found: &[Digit], drawn: &[(Strokes, Array2<f32>)], count: usize, tolerance: f32, what: &str) {
    assert_eq!(found.len(), count, "{what}");
    for (at, (digit, (_, cover))) in found.iter().zip(drawn.iter().cycle()).enumerate() {
        let alone = &digits(paint(cover, WHITE, BLACK).view()).unwrap()[0];
        let apart = difference(&alone.pixels, &digit.pixels);
        assert!(apart < tolerance, "{what}, digit {at}: {apart}");
        let left = at * STEP + alone.bounds.left;
        assert!(digit.bounds.left.abs_diff(left) <= 3, "{what}, digit {at}: {:?}", digit.bounds);
    }
}

#[test]
fn many_digits_in_a_row_are_found() {
    let drawn = drawn(60.0);
    for count in [7, 20, 40, 100] {
        let cover = strip(&drawn, count);
        // A long strip is shrunk, so its digits have fewer pixels.
        let tolerance = if count > 50 { 0.3 } else { 0.15 };
        for (ground, ink) in [(WHITE, BLACK), (BLACK, WHITE)] {
            let found = digits(paint(&cover, ground, ink).view()).unwrap();
            assert_shows(&found, &drawn, count, tolerance, &format!("{count} on {ground:?}"));
        }
    }
}

#[test]
fn a_strip_of_paper_is_lit_unevenly() {
    let drawn = drawn(60.0);
    for count in [10, 40] {
        let page = paint(&strip(&drawn, count), [238, 232, 220, 255], [60, 60, 90, 255]);
        let page = noisy(&lit(&page, |x, y| 0.6 + 0.3 * x + 0.1 * y), 3);
        let found = digits(page.view()).unwrap();
        assert_shows(&found, &drawn, count, 0.4, &format!("{count} on paper"));
    }
}

#[test]
fn a_strip_without_ink_is_blank() {
    for (rows, columns) in [(30, 3000), (3000, 30), (120, 2440), (2, 5000)] {
        let paper = paint(&Array2::zeros((rows, columns)), [235, 230, 220, 255], BLACK);
        let pages: [(&str, Rgba); 3] = [
            ("plain", paper.clone()),
            ("noisy", noisy(&paper, 4)),
            ("lit unevenly", noisy(&lit(&paper, |x, y| 0.6 + 0.2 * x + 0.2 * y), 3)),
        ];
        for (what, page) in pages {
            assert_eq!(digits(page.view()), Err(MnistError::Blank), "{rows} x {columns}, {what}");
        }
    }
    // Specks do not count as digits.
    let drawn = drawn(60.0);
    let mut page = paint(&strip(&drawn, 20), WHITE, BLACK);
    for at in 0..20 {
        page.slice_mut(s![4..6, at * STEP..at * STEP + 2, ..3]).fill(0);
    }
    assert_shows(&digits(page.view()).unwrap(), &drawn, 20, 0.15, "specks");
}

#[test]
fn a_strip_costs_no_more_than_a_photograph() {
    let start = std::time::Instant::now();
    for (rows, columns) in [(24, 40_000), (120, 100_000), (1000, 16_000), (16_000, 1000)] {
        let page = Array3::from_shape_fn((rows, columns, 4), |(row, column, channel)| {
            if channel == 3 { 255 } else { (row * 31 + column * 17 + column / 50) as u8 }
        });
        let _ = digits(page.view());
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}
