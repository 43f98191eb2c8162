//! The ways in which people write 8 and 9.

use super::path::{Path, Point, Stroke};
use super::way::Way;
use crate::data::dice::Dice;

/// Standard deviation of the random shift of a shape's points, where the shape's box is 1 × 1.
const STRAY: f32 = 0.035;

pub(super) const WAYS: &[Way] = &[
    Way { digit: 8, style: "from the top", share: 5.0, draw: flowing_eight },
    Way { digit: 8, style: "two rings", share: 1.5, draw: stacked_eight },
    Way { digit: 8, style: "open at the top", share: 2.0, draw: open_eight },
    Way { digit: 8, style: "angular", share: 1.0, draw: angular_eight },
    Way { digit: 9, style: "straight", share: 3.0, draw: |dice| vec![nine(dice, Tail::Straight)] },
    Way { digit: 9, style: "round", share: 2.5, draw: |dice| vec![nine(dice, Tail::Curved)] },
    Way { digit: 9, style: "hooked", share: 3.0, draw: |dice| vec![nine(dice, Tail::Hooked)] },
    Way { digit: 9, style: "like a g", share: 2.0, draw: |dice| vec![nine(dice, Tail::Curled)] },
    Way { digit: 9, style: "stem apart", share: 1.0, draw: nine_with_stem },
];

/// Random sizes of an 8: half the width of its upper ring, half the width of its lower ring, and the height of its
/// waist.
fn eight_sizes(dice: &mut Dice<'_>) -> (f32, f32, f32) {
    (dice.between(0.16, 0.33), dice.between(0.2, 0.38), dice.between(0.38, 0.55))
}

/// An 8 in one stroke: down like an S, then back up across it.
fn flowing_eight(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (upper, lower, waist) = eight_sizes(dice);
    let lean = dice.between(0.0, 0.14);
    let start = dice.between(0.2, 1.0) * upper;
    let rise = dice.between(0.0, 0.12);
    let path = Path::at((0.5 + start, 0.06 + rise)).curve(&[
        (0.5 + lean / 2.0, 0.0),
        (0.5 - upper, waist * 0.45),
        (0.5, waist),
        (0.5 + lower, f32::midpoint(waist, 1.0) + 0.03),
        (0.5, 1.0),
        (0.5 - lower, f32::midpoint(waist, 1.0) + 0.03),
        (0.5, waist + dice.around(0.0, 0.02)),
        (0.5 + upper, waist * 0.5),
        dice.near(0.5 + start * 0.8, 0.05 + rise * 0.5, 0.035),
    ]);
    vec![mirrored(path.lift(), dice.chance(0.25))]
}

/// Swaps left and right if `yes`: some writers start an 8 the other way round.
fn mirrored(stroke: Stroke, yes: bool) -> Stroke {
    if yes { stroke.into_iter().map(|(x, y)| (1.0 - x, y)).collect() } else { stroke }
}

fn stacked_eight(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (upper, lower, waist) = eight_sizes(dice);
    let mut ring = |radius: f32, top: f32, bottom: f32| {
        let centre = (dice.around(0.5, 0.02), f32::midpoint(top, bottom));
        let from = dice.around(-90.0, 40.0);
        let sweep = dice.around(362.0, 14.0);
        Path::default().arc(centre, (radius, (bottom - top) / 2.0), from, -sweep).lift()
    };
    vec![ring(upper, 0.0, waist + 0.01), ring(lower, waist - 0.01, 1.0)]
}

/// An 8 whose two ends do not meet at the top.
fn open_eight(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (upper, lower, waist) = eight_sizes(dice);
    let gap = dice.between(0.02, 0.14);
    let path = Path::at((0.5 + upper * 0.7, dice.between(0.02, 0.1))).curve(&[
        (0.5, 0.0),
        (0.5 - upper, waist * 0.45),
        (0.48, waist),
        (0.5 + lower, f32::midpoint(waist, 1.0)),
        (0.5, 1.0),
        (0.5 - lower, f32::midpoint(waist, 1.0)),
        (0.48, waist + 0.04),
        (0.5 + upper * 0.7, waist * 0.62),
        (0.5 + upper + gap, dice.between(0.0, 0.12)),
    ]);
    vec![mirrored(path.lift(), dice.chance(0.2))]
}

/// An 8 of two stacked triangles, with nearly straight sides.
fn angular_eight(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (upper, lower, _) = eight_sizes(dice);
    let path = Path::at(dice.near(0.5 + upper, 0.05, STRAY))
        .line(dice.near(0.5 - upper, 0.08, STRAY))
        .curve(&[dice.near(0.5, 0.48, 0.03), dice.near(0.5 + lower, 0.92, STRAY)])
        .line(dice.near(0.5 - lower, 0.95, STRAY))
        .curve(&[dice.near(0.5, 0.5, 0.03), dice.near(0.5 + upper, 0.03, STRAY)]);
    vec![path.lift()]
}

#[derive(Debug, Clone, Copy)]
enum Tail {
    Straight,
    Curved,
    Hooked,
    Curled,
}

/// A 9 in one stroke: a ring from the right over the top, and a tail.
fn nine(dice: &mut Dice<'_>, tail: Tail) -> Stroke {
    let (centre, radii) = nine_ellipse(dice, tail);
    let from = dice.between(-75.0, 15.0);
    let to = dice.around(-375.0, 18.0);
    let ring = Path::default().arc(centre, radii, from, to - from);
    let right = centre.0 + radii.0;
    // The pen returns to the ring's right side, directly or in a small loop, and then goes down.
    let over = dice.between(-0.06, 0.06);
    let shoulder = (right + over.max(0.0), centre.1 - radii.1 * dice.between(-0.3, 0.9));
    let ring = ring.line(shoulder);
    let path = match tail {
        Tail::Straight => {
            let foot = (right - dice.between(-0.06, 0.34), 1.0);
            ring.curve(&[(f32::midpoint(shoulder.0, foot.0) + dice.around(0.01, 0.02), 0.6), foot])
        }
        Tail::Curved => {
            let foot = (right - dice.between(0.15, 0.5), dice.around(0.98, 0.02));
            ring.curve(&[
                (right + dice.around(0.0, 0.03), 0.6),
                (right - dice.between(0.04, 0.14), 0.86),
                foot,
            ])
        }
        Tail::Hooked => {
            let out = dice.between(0.0, 0.26);
            let foot = (right - dice.between(0.45, 1.1), dice.between(0.88, 1.0));
            ring.curve(&[
                (right + out * 0.6, 0.62),
                (right + out * 0.85, 0.84),
                (right - 0.14, dice.around(0.99, 0.01)),
                (f32::midpoint(right - 0.14, foot.0), dice.around(1.0, 0.015)),
                foot,
            ])
        }
        Tail::Curled => {
            let depth = dice.between(0.1, 0.3);
            ring.curve(&[
                (right + dice.around(0.0, 0.03), 0.64),
                (right - 0.06, 0.92),
                (centre.0, 1.0),
                (centre.0 - radii.0 * dice.between(0.6, 1.2), 1.0 - depth),
            ])
        }
    };
    path.lift()
}

fn nine_ellipse(dice: &mut Dice<'_>, tail: Tail) -> (Point, Point) {
    let smallest = if matches!(tail, Tail::Straight) { 0.18 } else { 0.14 };
    let radii = (dice.between(0.18, 0.36), dice.between(smallest, 0.29));
    ((0.45, radii.1), radii)
}

fn nine_with_stem(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (centre, radii) = nine_ellipse(dice, Tail::Straight);
    let from = dice.around(-40.0, 25.0);
    let ring = Path::default().arc(centre, radii, from, -dice.around(360.0, 12.0)).lift();
    let right = centre.0 + radii.0 + dice.around(0.0, 0.015);
    let foot = (right - dice.between(-0.06, 0.2), 1.0);
    vec![ring, Path::at((right, dice.between(-0.02, centre.1))).line(foot).lift()]
}
