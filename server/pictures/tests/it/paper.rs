//! Digits on paper: ruled or squared, in the shadow of a hand, or scanned in few pixels.

use ndarray::{Array2, Array3};
use pictures::{
    Rgba,
    mnist::{MnistError, digit},
};

use crate::drawing::{ALL, BLACK, Strokes, WHITE, canvas, difference, lit, noisy, paint};

const PAPER: [u8; 4] = [238, 232, 220, 255];
const INK: [u8; 4] = [60, 60, 90, 255];
/// A tone that is a little darker than the paper.
const PENCIL: [u8; 4] = [182, 178, 170, 255];

/// The result for the strokes in black on white.
fn plain(strokes: Strokes) -> Array2<u8> {
    digit(paint(&canvas(200, strokes, 12.0), WHITE, BLACK).view()).unwrap().pixels
}

/// Asserts that a picture gives one digit that is similar to these strokes.
fn assert_shows(picture: &Rgba, strokes: Strokes, tolerance: f32, what: &str) {
    let found = digit(picture.view()).unwrap_or_else(|why| panic!("{what}: {why}"));
    let apart = difference(&plain(strokes), &found.pixels);
    assert!(apart < tolerance, "{what}: {apart}");
}

/// Strokes, shrunk by averaging so that their longer side is `side` pixels.
fn coarse(strokes: Strokes, side: usize) -> Array2<f32> {
    let cover = canvas(200, strokes, 18.0);
    let inked = |line: ndarray::ArrayView1<'_, f32>| line.iter().any(|&part| part > 0.5);
    let rows: Vec<usize> = (0..200).filter(|&row| inked(cover.row(row))).collect();
    let columns: Vec<usize> = (0..200).filter(|&column| inked(cover.column(column))).collect();
    let step = rows.len().max(columns.len()) as f32 / side as f32;
    let cells = |length: usize| (length as f32 / step).round() as usize;
    Array2::from_shape_fn((cells(rows.len()), cells(columns.len())), |(row, column)| {
        let part = |first: usize, at: usize| {
            let place = |at: usize| first + (at as f32 * step) as usize;
            place(at)..place(at + 1)
        };
        let cell = cover.slice(ndarray::s![part(rows[0], row), part(columns[0], column)]);
        cell.mean().unwrap_or(0.0)
    })
}

#[test]
fn coarse_scans_with_ink_up_to_their_edges() {
    for side in [16, 18, 21] {
        for strokes in ALL {
            let cover = coarse(strokes, side);
            for (ground, ink) in [(WHITE, BLACK), (BLACK, WHITE), (PAPER, INK)] {
                let picture = noisy(&paint(&cover, ground, ink), 8);
                assert_shows(&picture, strokes, 0.9, &format!("{side} pixels of {ground:?}"));
            }
        }
    }
}

/// Ink on ruled paper: horizontal lines every `pitch` pixels and, if `squared`, vertical lines too.
fn lined(cover: &Array2<f32>, ink: [u8; 4], pitch: usize, squared: bool) -> Rgba {
    let picture = paint(cover, PAPER, ink);
    Array3::from_shape_fn(picture.dim(), |(row, column, channel)| {
        let on_line = row % pitch == 0 || (squared && column % pitch == 0);
        let value = f32::from(picture[[row, column, channel]]);
        if on_line && channel < 3 { (value * 0.78) as u8 } else { value as u8 }
    })
}

#[test]
fn ink_on_ruled_and_squared_paper() {
    for strokes in ALL {
        let cover = canvas(200, strokes, 12.0);
        for (pitch, squared) in [(24, false), (34, false), (20, true), (32, true)] {
            let page = lined(&cover, INK, pitch, squared);
            let page = noisy(&lit(&page, |x, y| 0.9 - 0.15 * x - 0.1 * y), 3);
            assert_shows(&page, strokes, 0.45, &format!("a line each {pitch} pixels, squared: {squared}"));
        }
    }
}

/// The light on paper on which a hand casts a shadow from the right.
fn hand(x: f32, y: f32) -> f32 {
    let away = (x - 1.02).hypot(y - 0.6) + 0.03 * (9.0 * (y - x)).sin();
    if away < 0.3 { 0.45 } else { 1.0 }
}

#[test]
fn a_hand_throws_a_shadow() {
    for strokes in ALL {
        let page = paint(&canvas(200, strokes, 12.0), PAPER, INK);
        assert_shows(&noisy(&lit(&page, hand), 3), strokes, 0.35, "a shadow beside the digit");
    }
}

#[test]
fn a_hard_shadow_across_faint_ink_leaves_one_digit() {
    for strokes in ALL {
        let page = paint(&canvas(200, strokes, 12.0), PAPER, PENCIL);
        for edge in [0.45, 0.5, 0.55] {
            let shadow = |x: f32, y: f32| if x + 0.3 * y > edge + 0.15 { 0.6 } else { 1.0 };
            let found = digit(noisy(&lit(&page, shadow), 1).view());
            found.unwrap_or_else(|why| panic!("an edge at {edge}: {why}"));
        }
    }
}

#[test]
fn paper_in_a_shadow_is_blank() {
    type Shade = fn(f32, f32) -> f32;
    let page = paint(&Array2::zeros((200, 200)), PAPER, INK);
    let shadows: [(&str, Shade); 3] = [
        ("a hand", hand),
        ("a hard edge", |x, y| if x + 0.3 * y > 0.6 { 0.55 } else { 1.0 }),
        ("a soft edge", |x, y| 1.0 - 0.4 / (1.0 + (-15.0 * (0.7 * x + 0.7 * y - 0.7)).exp())),
    ];
    for (what, shadow) in shadows {
        let found = digit(noisy(&lit(&page, shadow), 3).view());
        assert_eq!(found.err(), Some(MnistError::Blank), "{what}");
    }
}
