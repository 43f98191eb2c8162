//! Drawings that are not digits. The network learns from them when it should not be sure.

use std::f32::consts::TAU;

use super::letters::{LETTERS, Part};
use super::path::{Path, Point, Stroke, extent};
use crate::data::dice::Dice;

/// Largest standard deviation of the random shift of a letter's points, where the letter's box is 1 × 1.
const STRAY: f32 = 0.04;

/// A function that draws one kind of drawing.
type Draw = fn(&mut Dice<'_>) -> Vec<Stroke>;

/// The kinds of drawings, each with its relative frequency.
const KINDS: &[(f32, Draw)] = &[
    (9.0, letter),
    (3.0, scribble),
    (2.0, hatching),
    (1.0, spiral),
    (1.0, blob),
    (1.0, lying_line),
    (1.5, tangle),
    (2.0, digits_in_one),
];

/// Draws something that is not a digit.
pub(super) fn draw(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let kind = dice.weighted(KINDS.iter().map(|(share, _)| *share));
    KINDS[kind].1(dice)
}

fn letter(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (_, parts) = LETTERS[dice.below(LETTERS.len())];
    // The strokes of a letter stay connected: the handwriting stretches and bends the letter as a whole.
    let stray = dice.between(0.3, 1.0) * STRAY;
    parts
        .iter()
        .map(|part| match part {
            Part::Straight(points) => points.iter().map(|&(x, y)| dice.near(x, y, stray)).collect(),
            Part::Round(points) => {
                let points: Vec<Point> = points.iter().map(|&(x, y)| dice.near(x, y, stray)).collect();
                Path::at(points[0]).curve(&points[1..]).lift()
            }
        })
        .collect()
}

/// A scribble: a pen that wanders about at random.
fn scribble(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let count = 7 + dice.below(25);
    let points: Vec<Point> = (0..count).map(|_| (dice.between(0.0, 1.0), dice.between(0.0, 1.0))).collect();
    vec![Path::at(points[0]).curve(&points[1..]).lift()]
}

/// Lines to and fro, as when somebody fills an area.
fn hatching(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let lines = 4 + dice.below(12);
    let (sin, cos) = dice.between(0.0, TAU).sin_cos();
    let mut points = Vec::new();
    for line in 0..lines {
        let across = line as f32 / lines as f32 - 0.5;
        let length = dice.between(0.3, 0.55) * if line % 2 == 0 { 1.0 } else { -1.0 };
        let across = dice.around(across, 0.02);
        points.push((0.5 + length * cos - across * sin, 0.5 + length * sin + across * cos));
    }
    let path = Path::at(points[0]);
    if dice.chance(0.5) {
        return vec![path.curve(&points[1..]).lift()];
    }
    vec![points]
}

fn spiral(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let turns = dice.between(1.8, 5.0);
    let start = dice.between(0.0, TAU);
    let way = if dice.chance(0.5) { 1.0 } else { -1.0 };
    let pieces = (turns * 30.0) as usize;
    let point = |piece: usize| {
        let share = piece as f32 / pieces as f32;
        let (sin, cos) = (start + way * turns * TAU * share).sin_cos();
        (0.5 + 0.5 * share * cos, 0.5 + 0.5 * share * sin)
    };
    vec![(0..=pieces).map(point).collect()]
}

/// An area filled with ink.
fn blob(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (width, height) = (dice.between(0.3, 1.0), dice.between(0.3, 1.0));
    let edge: Vec<f32> = (0..8).map(|_| dice.between(0.7, 1.0)).collect();
    let lines = 60;
    let reach = |angle: f32| {
        let place = angle.rem_euclid(TAU) / TAU * 8.0;
        let (before, share) = (place as usize % 8, place.fract());
        edge[before] * (1.0 - share) + edge[(before + 1) % 8] * share
    };
    // Rays from the centre, close enough that even the thinnest pen leaves no gap.
    let rays = (0..lines * 4).map(|ray| {
        let angle = ray as f32 * TAU / (lines * 4) as f32;
        let (sin, cos) = angle.sin_cos();
        let far = reach(angle) * 0.5;
        vec![(0.5, 0.5), (0.5 + far * width * cos, 0.5 + far * height * sin)]
    });
    rays.collect()
}

/// A nearly horizontal line. No 1 is slanted as much.
fn lying_line(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let angle = dice.between(-22.0, 22.0).to_radians();
    let (sin, cos) = angle.sin_cos();
    let bow = dice.around(0.0, 0.06);
    vec![Path::at((0.0, 0.0)).curve(&[(0.5 * cos - bow * sin, 0.5 * sin + bow * cos), (cos, sin)]).lift()]
}

/// Several straight strokes between random points.
fn tangle(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let count = 3 + dice.below(5);
    let mut from = (dice.between(0.2, 0.8), dice.between(0.2, 0.8));
    let mut strokes = Vec::with_capacity(count);
    for _ in 0..count {
        let to = (dice.between(0.0, 1.0), dice.between(0.0, 1.0));
        let by = (dice.between(0.0, 1.0), dice.between(0.0, 1.0));
        strokes.push(Path::at(from).curve(&[by, to]).lift());
        // The next stroke starts on this one, so that all are connected.
        from = by;
    }
    strokes
}

/// Two or three digits that touch.
fn digits_in_one(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let count = 2 + usize::from(dice.chance(0.3));
    let mut all: Vec<Stroke> = Vec::new();
    for _ in 0..count {
        let digit = dice.below(10) as u8;
        let (_, strokes) = super::shape(digit, dice);
        let (left, _, right, _) = extent(&strokes);
        let (_, _, end, _) = extent(&all);
        let overlap = dice.between(0.02, 0.12) * (right - left).max(0.2);
        let by = if all.is_empty() { 0.0 } else { end - overlap - left };
        let down = dice.around(0.0, 0.04);
        all.extend(
            strokes.into_iter().map(|stroke| stroke.into_iter().map(|(x, y)| (x + by, y + down)).collect()),
        );
    }
    all
}
