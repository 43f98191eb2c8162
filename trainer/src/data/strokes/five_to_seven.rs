//! The ways in which people write 5, 6 and 7.

use super::path::{Path, Point, Stroke};
use super::way::Way;
use crate::data::dice::Dice;

/// Standard deviation of the random shift of a shape's points, where the shape's box is 1 × 1.
const STRAY: f32 = 0.035;

pub(super) const WAYS: &[Way] = &[
    Way { digit: 5, style: "bar apart", share: 4.0, draw: five_with_bar },
    Way { digit: 5, style: "in one stroke", share: 3.0, draw: |dice| vec![five_at_once(dice)] },
    Way { digit: 5, style: "bent", share: 2.0, draw: bent_five },
    Way { digit: 6, style: "curved", share: 4.0, draw: curved_six },
    Way { digit: 6, style: "straight", share: 2.5, draw: straight_six },
    Way { digit: 6, style: "curled", share: 1.5, draw: curled_six },
    Way { digit: 7, style: "plain", share: 3.0, draw: |dice| vec![seven(dice, Top::Straight).0] },
    Way { digit: 7, style: "wavy", share: 1.5, draw: |dice| vec![seven(dice, Top::Wavy).0] },
    Way { digit: 7, style: "with serif", share: 1.5, draw: |dice| vec![seven(dice, Top::Serif).0] },
    Way { digit: 7, style: "crossed", share: 4.0, draw: crossed_seven },
    Way { digit: 7, style: "crossed in one stroke", share: 1.5, draw: seven_crossed_at_once },
];

/// Continues a path with the belly of a 5.
fn belly(dice: &mut Dice<'_>, path: Path) -> Stroke {
    let (x, y) = path.end();
    let height = 1.0 - y;
    let radii = (dice.between(0.26, 0.42), height * dice.between(0.5, 0.6));
    let from = dice.between(-125.0, -80.0);
    let to = dice.between(105.0, 180.0);
    let centre = (x + dice.between(0.16, 0.3), 1.0 - radii.1);
    path.arc(centre, radii, from, to - from).lift()
}

fn five_with_bar(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let top = dice.near(0.24, 0.03, STRAY);
    let waist = (top.0 - dice.between(-0.04, 0.12), dice.between(0.38, 0.56));
    let body = belly(dice, Path::at(top).line(waist));
    // The bar begins at the stem, left of it, or right of it after a gap.
    let from = (top.0 + dice.around(0.02, 0.05), top.1 + dice.around(0.0, 0.03));
    let to = (from.0 + dice.between(0.3, 0.72), from.1 - dice.between(-0.06, 0.1));
    let bar = Path::at(from)
        .curve(&[(f32::midpoint(from.0, to.0), f32::midpoint(from.1, to.1) + dice.around(0.0, 0.02)), to]);
    vec![body, bar.lift()]
}

fn five_at_once(dice: &mut Dice<'_>) -> Stroke {
    let from = dice.near(0.78, 0.03, 0.05);
    let corner = dice.near(0.22, 0.04, STRAY);
    let waist = (corner.0 - dice.between(-0.05, 0.12), dice.between(0.36, 0.54));
    let path = Path::at(from).line(corner);
    let path = if dice.chance(0.7) { path.line(waist) } else { path.curve(&[(corner.0 - 0.05, 0.2), waist]) };
    belly(dice, path)
}

/// A 5 with rounded corners only. Its flat top distinguishes it from an S.
fn bent_five(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let path = Path::at(dice.near(0.82, 0.03, STRAY)).curve(&[
        dice.near(0.5, 0.03, 0.02),
        dice.near(0.26, 0.06, 0.02),
        dice.near(0.18, 0.26, 0.03),
        dice.near(0.22, 0.42, 0.03),
    ]);
    vec![belly(dice, path)]
}

/// Continues a path with the ring of a 6: from its left side down and around, until it closes or nearly does.
fn six_ring(dice: &mut Dice<'_>, path: Path, centre: Point, radii: Point) -> Stroke {
    let from = dice.between(-195.0, -170.0);
    path.arc(centre, radii, from, -dice.around(345.0, 25.0)).lift()
}

fn six_ellipse(dice: &mut Dice<'_>) -> (Point, Point) {
    let radii = (dice.between(0.2, 0.36), dice.between(0.16, 0.32));
    ((0.5, 1.0 - radii.1), radii)
}

fn curved_six(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (centre, radii) = six_ellipse(dice);
    let from = dice.near(0.68, 0.02, 0.07);
    let left = centre.0 - radii.0;
    let path = Path::at(from).curve(&[
        dice.near(f32::midpoint(from.0, left) - 0.02, 0.16, 0.03),
        dice.near(left + 0.04, centre.1 * 0.62, 0.025),
        (left, centre.1),
    ]);
    vec![six_ring(dice, path, centre, radii)]
}

fn straight_six(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (centre, radii) = six_ellipse(dice);
    let left = centre.0 - radii.0;
    let lean = dice.between(0.0, 0.32);
    let from = dice.near(left + lean, 0.0, 0.02);
    let path = Path::at(from).line((left, centre.1));
    vec![six_ring(dice, path, centre, radii)]
}

/// A 6 whose ring ends inside itself.
fn curled_six(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (centre, radii) = six_ellipse(dice);
    let left = centre.0 - radii.0;
    let from = dice.near(0.6, 0.02, 0.09);
    let path = Path::at(from).curve(&[
        dice.near(left + 0.1, 0.24, 0.03),
        (left, centre.1),
        (centre.0 - radii.0 * 0.6, centre.1 + radii.1 * 0.75),
        (centre.0, centre.1 + radii.1),
        (centre.0 + radii.0 * 0.85, centre.1 + radii.1 * 0.5),
        (centre.0 + radii.0 * 0.8, centre.1 - radii.1 * 0.6),
        dice.near(centre.0, centre.1 - radii.1 * 0.9, 0.02),
        dice.near(centre.0 - radii.0 * 0.75, centre.1 - radii.1 * 0.1, 0.05),
    ]);
    vec![path.lift()]
}

#[derive(Debug, Clone, Copy)]
enum Top {
    Straight,
    Wavy,
    Serif,
}

/// A 7. Also returns the points where its stem bends and where it ends.
fn seven(dice: &mut Dice<'_>, top: Top) -> (Stroke, Point, Point) {
    let left = dice.near(0.08, 0.05, STRAY);
    let right = dice.near(0.78, 0.03, 0.04);
    let middle = (f32::midpoint(left.0, right.0), f32::midpoint(left.1, right.1));
    let path = match top {
        Top::Straight => Path::at(left).curve(&[(middle.0, middle.1 + dice.around(0.0, 0.02)), right]),
        Top::Wavy => {
            let wave = dice.between(0.04, 0.11);
            Path::at((left.0, left.1 + wave)).curve(&[
                (left.0 + 0.18, left.1 - wave * 0.5),
                (middle.0 + 0.1, middle.1 + wave * 0.7),
                right,
            ])
        }
        Top::Serif => {
            let drop = (left.0 + dice.around(0.0, 0.03), left.1 + dice.between(0.08, 0.26));
            Path::at(drop).line(left).line(right)
        }
    };
    let foot = (dice.around(0.32, 0.1), 1.0);
    let bow = dice.around(0.0, 0.06);
    let stem = (f32::midpoint(right.0, foot.0) + bow, dice.around(0.5, 0.04));
    let path = if dice.chance(0.25) {
        // A round shoulder.
        path.curve(&[(right.0 + 0.05, 0.12), stem, foot])
    } else {
        path.curve(&[stem, foot])
    };
    (path.lift(), stem, foot)
}

fn any_seven(dice: &mut Dice<'_>) -> (Stroke, Point, Point) {
    let top = match dice.below(5) {
        0 => Top::Wavy,
        1 => Top::Serif,
        _ => Top::Straight,
    };
    seven(dice, top)
}

fn crossed_seven(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (body, stem, foot) = any_seven(dice);
    let down = dice.between(-0.1, 0.45);
    let at = (stem.0 + (foot.0 - stem.0) * down, stem.1 + (foot.1 - stem.1) * down);
    let (left, right) = (dice.between(0.1, 0.34), dice.between(0.1, 0.34));
    let rise = dice.around(0.02, 0.05);
    let mut cross = Path::at((at.0 - left, at.1 + rise)).line((at.0 + right, at.1 - rise));
    if dice.chance(0.2) {
        // A small hook, as when the pen is already moving when it touches the paper.
        let hook = dice.between(0.03, 0.08);
        cross = Path::at((at.0 - left, at.1 + rise + hook))
            .line((at.0 - left, at.1 + rise))
            .line((at.0 + right, at.1 - rise));
    }
    vec![body, cross.lift()]
}

/// A crossed 7 in one stroke: from the foot of the stem back up to the left, then across the stem.
fn seven_crossed_at_once(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (body, stem, foot) = any_seven(dice);
    // If the crossing stroke were lower, it would look like the base of a 2.
    let up = dice.between(0.0, 0.25);
    let at = (stem.0 + (foot.0 - stem.0) * up, stem.1 + (foot.1 - stem.1) * up);
    let from = (at.0 - dice.between(0.14, 0.34), at.1 + dice.around(0.02, 0.03));
    let to = (at.0 + dice.between(0.1, 0.36), at.1 - dice.around(0.02, 0.04));
    let mut path = Path::default();
    for point in body {
        path = path.line(point);
    }
    let path = if dice.chance(0.5) {
        path.line(from).line(to)
    } else {
        path.curve(&[(f32::midpoint(foot.0, from.0) - 0.06, f32::midpoint(foot.1, from.1)), from, to])
    };
    vec![path.lift()]
}
