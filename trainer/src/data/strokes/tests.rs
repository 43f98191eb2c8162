//! The drawn digits have the holes and the proportions of the digit that they are meant to be.

use ndarray::{Array2, s};

use super::path::{Stroke, extent};
use super::way::Way;
use super::*;
use crate::data::SIDE;
use crate::data::dice::Dice;
use crate::random::{Purpose, generator};

/// Rows and columns of the grid on which holes are counted.
const GRID: usize = 96;
/// Radius of the pen in pixels: thick enough to close the small gaps of handwriting.
const PEN: usize = 2;
/// Free pixels on each side of the drawing.
const MARGIN: usize = PEN + 2;

fn drawn(way: &Way, index: u64) -> Vec<Stroke> {
    (way.draw)(&mut Dice::new(&mut generator(5, Purpose::Drawing, 9, index)))
}

/// Finds the holes of a drawing: background regions of more than a few pixels that strokes cut off from the outside.
/// Returns the height of each hole's centre, from 0 at the top to 1.
fn holes(strokes: &[Stroke]) -> Vec<f32> {
    let (left, top, right, bottom) = extent(strokes);
    let scale = (GRID - 2 * MARGIN - 1) as f32 / (right - left).max(bottom - top);
    let mut grid = Array2::from_elem((GRID, GRID), false);
    for line in strokes.iter().flat_map(|stroke| stroke.windows(2)) {
        for step in 0..=40 {
            let share = step as f32 / 40.0;
            let x = (line[0].0 + (line[1].0 - line[0].0) * share - left) * scale + MARGIN as f32;
            let y = (line[0].1 + (line[1].1 - line[0].1) * share - top) * scale + MARGIN as f32;
            let (row, column) = (y as usize - PEN, x as usize - PEN);
            grid.slice_mut(s![row..=row + 2 * PEN, column..=column + 2 * PEN]).fill(true);
        }
    }
    let height = (bottom - top) * scale;
    let mut found = Vec::new();
    for start in 0..GRID * GRID {
        let (mut open, mut pixels, mut rows) = (vec![(start / GRID, start % GRID)], 0, 0);
        while let Some((row, column)) = open.pop() {
            if std::mem::replace(&mut grid[[row, column]], true) {
                continue;
            }
            pixels += 1;
            rows += row;
            let beside = [
                (row.wrapping_sub(1), column),
                (row + 1, column),
                (row, column + 1),
                (row, column.wrapping_sub(1)),
            ];
            open.extend(beside.into_iter().filter(|&(row, column)| row < GRID && column < GRID));
        }
        // The first region is the outside.
        if pixels > 12 {
            found.push((rows as f32 / pixels as f32 - MARGIN as f32) / height);
        }
    }
    found.split_off(1)
}

/// A rule that the holes must meet in most drawings of some of a digit's ways of writing.
struct Rule {
    digit: u8,
    styles: fn(&str) -> bool,
    /// How many of 50 drawings of each way must meet the rule.
    at_least: usize,
    holds: fn(&[f32]) -> bool,
}

fn ways_of(digit: u8) -> impl Iterator<Item = &'static Way> {
    ways().filter(move |way| way.digit == digit)
}

#[test]
fn digits_have_their_holes() {
    let any: fn(&str) -> bool = |_| true;
    let rule = |digit, at_least, styles, holds| Rule { digit, styles, at_least, holds };
    let rules = [
        rule(0, 30, |style| style == "plain", |holes| holes.len() == 1),
        rule(0, 35, |style| style == "slashed long", |holes| holes.len() >= 2),
        rule(1, 45, any, <[f32]>::is_empty),
        // With a closed ring it would be a 9.
        rule(4, 46, |style| style.contains("in one stroke"), <[f32]>::is_empty),
        rule(5, 40, any, <[f32]>::is_empty),
        rule(7, 48, |style| !style.contains("crossed"), <[f32]>::is_empty),
        rule(6, 28, any, |holes| !holes.is_empty() && holes.iter().all(|&y| y > 0.5)),
        rule(8, 35, |style| !style.contains("open"), |holes| holes.len() >= 2),
        rule(9, 30, any, |holes| holes.iter().any(|&y| y < 0.5)),
        rule(9, 48, any, |holes| holes.iter().all(|&y| y < 0.7)),
    ];
    let mut broken = Vec::new();
    for Rule { digit, styles, at_least, holds } in rules {
        let mut found = ways_of(digit).filter(|way| styles(way.style)).peekable();
        assert!(found.peek().is_some(), "no way of {digit} was checked");
        for way in found {
            let right = (0..50).filter(|&index| holds(&holes(&drawn(way, index)))).count();
            if right < at_least {
                broken.push(format!("{digit} {}: {right} of 50, not {at_least}", way.style));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_way_stays_about_its_box_and_every_digit_has_several() {
    for digit in 0..10 {
        assert!(ways_of(digit).count() >= 3, "{digit} has too few ways");
    }
    for way in ways() {
        for index in 0..50 {
            let (left, top, right, bottom) = extent(&drawn(way, index));
            let inside = left > -0.9 && top > -0.7 && right < 1.9 && bottom < 1.7;
            assert!(inside, "{} {}: {left} {top} {right} {bottom}", way.digit, way.style);
            assert!(bottom - top > 0.6, "{} {} is flat: {}", way.digit, way.style, bottom - top);
        }
    }
}

#[test]
fn a_long_slash_is_longer_than_its_ring_and_a_long_flag_nearly_its_stem() {
    let size = |way: &Way, index: u64, stroke: usize| {
        let (left, top, right, bottom) = extent(&drawn(way, index)[stroke..=stroke]);
        (right - left).hypot(bottom - top)
    };
    let long = |digit: u8, style: &str| ways_of(digit).find(|way| way.style == style).unwrap();
    let slashed = long(0, "slashed long");
    let longest = (0..50).map(|index| size(slashed, index, 1)).fold(0.0, f32::max);
    assert!(longest > 1.7, "the longest slash is {longest} of the ring");
    let flagged = long(1, "long flag");
    for index in 0..50 {
        let stroke = &drawn(flagged, index)[0];
        let apex = stroke.iter().copied().fold((0.0, 9.0), |a: (f32, f32), b| if b.1 < a.1 { b } else { a });
        let flag = (stroke[0].0 - apex.0).hypot(stroke[0].1 - apex.1);
        assert!((0.4..1.1).contains(&flag), "a flag of {flag}");
        assert!(stroke[0].0 < apex.0, "the flag is on the right");
        // A flatter flag would be the bar of a 7.
        let from_stem = (apex.0 - stroke[0].0).atan2(stroke[0].1 - apex.1).to_degrees();
        assert!(from_stem < 55.0, "a flag at {from_stem} degrees from the stem");
    }
}

#[test]
fn the_preprocessing_accepts_nearly_all_drawings_and_they_are_like_mnist() {
    let (mut shown, mut wanted) = (0, 0);
    for digit in 0..10 {
        for index in 0..20 {
            wanted += 1;
            let mut generator = generator(2, Purpose::Drawing, 7, 10 * index + u64::from(digit));
            let Some(pixels) = super::digit(digit, &mut Dice::new(&mut generator)) else { continue };
            shown += 1;
            assert_eq!(pixels.len(), SIDE * SIDE);
            let inked: Vec<usize> = (0..SIDE * SIDE).filter(|&at| pixels[at] > 128).collect();
            for axis in [|at: usize| at / SIDE, |at: usize| at % SIDE] {
                let places = || inked.iter().map(|&at| axis(at));
                let extent = places().max().unwrap() - places().min().unwrap() + 1;
                assert!(extent <= 21, "{digit} is {extent} pixels long");
            }
            let ink: f32 = pixels.iter().map(|&grey| f32::from(grey) / 255.0).sum();
            assert!((10.0..300.0).contains(&ink), "{digit} has {ink} pixels of ink");
        }
    }
    assert!(shown * 100 >= wanted * 93, "the preprocessing accepts only {shown} of {wanted} drawings");
}

#[test]
fn the_preprocessing_accepts_drawings_that_are_not_digits() {
    let shown = (0..60)
        .filter(|&index| no_digit(&mut Dice::new(&mut generator(2, Purpose::Drawing, 8, index))).is_some())
        .count();
    assert!(shown >= 45, "the preprocessing accepts only {shown} of 60");
}
