//! The ways in which people write 3 and 4.

use super::path::{Path, Stroke, extent};
use super::way::Way;
use crate::data::dice::Dice;

/// Standard deviation of the random shift of a shape's points, where the shape's box is 1 × 1.
const STRAY: f32 = 0.035;

pub(super) const WAYS: &[Way] = &[
    Way { digit: 3, style: "round", share: 5.0, draw: round_three },
    Way { digit: 3, style: "looped", share: 1.5, draw: looped_three },
    Way { digit: 3, style: "flat-topped", share: 2.5, draw: flat_three },
    Way { digit: 4, style: "open", share: 3.0, draw: open_four },
    Way { digit: 4, style: "closed", share: 2.0, draw: closed_four },
    Way { digit: 4, style: "hooked", share: 2.5, draw: hooked_four },
    Way { digit: 4, style: "open in one stroke", share: 1.5, draw: zigzag_four },
    Way { digit: 4, style: "round in one stroke", share: 1.0, draw: round_four },
];

/// Continues a path with the lower bow of a 3, around to the lower left.
fn three_belly(dice: &mut Dice<'_>, path: Path, waist: f32) -> Stroke {
    let radii = (dice.between(0.26, 0.42), (1.0 - waist) / 2.0);
    let to = dice.between(110.0, 190.0);
    let from = dice.between(-85.0, -60.0);
    path.arc((dice.around(0.42, 0.04), waist + radii.1), radii, from, to - from).lift()
}

fn round_three(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let waist = dice.between(0.38, 0.55);
    let radii = (dice.between(0.2, 0.34), waist / 2.0);
    let from = dice.between(-195.0, -125.0);
    let depth = dice.between(0.0, 0.2);
    let path = Path::default().arc((0.42, radii.1), radii, from, dice.between(55.0, 95.0) - from);
    let path = path.line((0.42 - depth, waist + dice.around(0.0, 0.015)));
    vec![three_belly(dice, path, waist)]
}

fn looped_three(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let waist = dice.between(0.42, 0.52);
    let radii = (dice.between(0.2, 0.32), waist / 2.0);
    let from = dice.between(-195.0, -130.0);
    let size = dice.between(0.05, 0.1);
    let path = Path::default().arc((0.42, radii.1), radii, from, 70.0 - from);
    let path = path.curve(&[
        (0.35 - size, waist + size * 0.6),
        (0.3 - size, waist),
        (0.35 - size, waist - size * 0.6),
        (0.5, waist + 0.02),
    ]);
    vec![three_belly(dice, path, waist)]
}

/// A 3 with a top like that of a 7, then the belly.
fn flat_three(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let waist = dice.between(0.32, 0.5);
    let path = Path::at(dice.near(0.08, 0.03, STRAY)).line(dice.near(0.72, 0.02, STRAY));
    let path = path.line((dice.around(0.36, 0.06), waist));
    vec![three_belly(dice, path, waist)]
}

/// An open 4: down and across in one stroke, then a stem through it.
fn open_four(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let cross = dice.between(0.5, 0.76);
    let lean = dice.between(-0.05, 0.3);
    let corner = dice.near(0.1, cross, STRAY);
    let from = (corner.0 + lean + 0.04, dice.around(0.02, 0.04));
    let right = (dice.around(0.86, 0.07), cross + dice.around(0.0, 0.04));
    let left_side = Path::at(from);
    let left_side = if dice.chance(0.4) {
        // A round corner.
        let side = dice.near(corner.0, cross * 0.75, 0.03);
        left_side.curve(&[side, (corner.0 + 0.08, cross), (f32::midpoint(corner.0, right.0), cross), right])
    } else {
        let bow = dice.around(-0.02, 0.03);
        left_side.curve(&[(f32::midpoint(from.0, corner.0) + bow, cross / 2.0), corner]).line(right)
    };
    let top = (dice.around(0.66, 0.08), dice.between(-0.05, cross - 0.15));
    let foot = (top.0 - dice.between(-0.05, 0.16), 1.0);
    let stem = Path::at(top).curve(&[(f32::midpoint(top.0, foot.0) + dice.around(0.0, 0.02), 0.6), foot]);
    vec![left_side.lift(), stem.lift()]
}

/// A closed 4: from the top down to the left, across, and from the top down again, in one stroke or two.
fn closed_four(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let cross = dice.between(0.55, 0.76);
    let top = dice.near(0.62, 0.0, 0.03);
    let corner = dice.near(0.05, cross, STRAY);
    let right = (dice.around(0.86, 0.07), cross + dice.around(0.0, 0.04));
    let foot = (dice.around(0.6, 0.06), 1.0);
    if dice.chance(0.5) {
        vec![Path::at(top).line(corner).line(right).lift(), Path::at(top).line(foot).lift()]
    } else {
        // In one stroke: up the stem, down to the left, across.
        vec![Path::at(foot).line(top).line(corner).line(right).lift()]
    }
}

/// A 4 in one stroke, shaped like a lightning bolt: down, across to the right, up a little and down the stem.
fn hooked_four(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let cross = dice.between(0.5, 0.78);
    // The stroke starts left of the stem and above the stem's top. Closer, the two would form the ring of a 9.
    let lean = dice.between(-0.02, 0.36);
    let corner = dice.near(0.05, cross, STRAY);
    let from = (corner.0 + lean + 0.05, dice.around(0.0, 0.02));
    let rise = dice.between(0.03, 0.26);
    let turn = (dice.around(0.62, 0.1), cross - rise);
    let foot = (turn.0 - dice.between(-0.05, 0.3), 1.0);
    let path = Path::at(from);
    let path = if dice.chance(0.5) {
        let side = (f32::midpoint(from.0, corner.0) - dice.between(0.0, 0.08), cross * 0.5);
        path.curve(&[side, corner])
    } else {
        let side = dice.near(corner.0 - 0.02, cross * 0.55, 0.03);
        path.curve(&[side, (corner.0 + 0.06, cross - 0.05), (corner.0 + 0.2, cross + 0.02)])
    };
    let path = if dice.chance(0.6) {
        path.curve(&[(f32::midpoint(corner.0, turn.0) + 0.05, cross + dice.around(0.0, 0.03)), turn])
    } else {
        // Past the stem, and back in a loop.
        let out = dice.between(0.02, 0.12);
        path.curve(&[
            (turn.0 - 0.1, cross + 0.02),
            (turn.0 + out, cross - rise * 0.3),
            (turn.0 + out * 0.5, cross - rise),
            (turn.0 - 0.03, cross - rise * 0.6),
        ])
    };
    vec![path.line(foot).lift()]
}

/// An open 4 in one stroke: down, across, and back up to a stem that starts high.
fn zigzag_four(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let cross = dice.between(0.45, 0.72);
    let from = dice.near(0.2, 0.02, STRAY);
    let corner = dice.near(0.08, cross, STRAY);
    let turn = dice.near(0.7, cross - 0.02, 0.04);
    let top = (turn.0 + dice.around(0.02, 0.05), dice.between(0.0, cross - 0.15));
    let foot = (turn.0 - dice.between(-0.06, 0.2), 1.0);
    let path = Path::at(from).curve(&[dice.near(0.1, cross * 0.6, 0.03), corner]);
    let path = if dice.chance(0.5) {
        path.line(turn).line(top)
    } else {
        path.curve(&[(f32::midpoint(corner.0, turn.0), cross + 0.06), turn, top])
    };
    vec![path.line(foot).lift()]
}

/// A round 4 like a G: a bow that is open to the upper right and ends in the bar, and a stem down from there.
fn round_four(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let radii = (dice.between(0.26, 0.42), dice.between(0.3, 0.4));
    // The opening is at least a quarter of the bow: with less it would be the ring of a 9.
    let from = dice.between(-165.0, -105.0);
    let bow = Path::default().arc((0.42, radii.1), radii, from, -(from + 360.0 - dice.between(25.0, 60.0)));
    let bend = bow.end();
    let turn = (0.42 + radii.0 + dice.between(-0.04, 0.1), bend.1 - dice.between(0.05, 0.22));
    let foot = (turn.0 - dice.between(-0.05, 0.2), 1.0);
    let (_, _, right, _) = extent(&[vec![bend, turn]]);
    vec![bow.curve(&[(right - 0.04, f32::midpoint(bend.1, turn.1)), turn]).line(foot).lift()]
}
