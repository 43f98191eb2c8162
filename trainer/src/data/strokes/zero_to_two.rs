//! The ways in which people write 0, 1 and 2.

use super::path::{Path, Point, Stroke};
use super::way::Way;
use crate::data::dice::Dice;

/// Standard deviation of the random shift of a shape's points, where the shape's box is 1 × 1.
const STRAY: f32 = 0.035;

pub(super) const WAYS: &[Way] = &[
    Way { digit: 0, style: "plain", share: 5.0, draw: |dice| vec![ring(dice)] },
    Way { digit: 0, style: "looped", share: 1.0, draw: looped_zero },
    Way { digit: 0, style: "slashed inside", share: 2.0, draw: |dice| slashed_zero(dice, 0.45, 0.95) },
    Way { digit: 0, style: "slashed long", share: 3.0, draw: |dice| slashed_zero(dice, 0.95, 2.0) },
    Way { digit: 0, style: "slashed in one stroke", share: 1.0, draw: zero_slashed_at_once },
    Way { digit: 1, style: "bar", share: 4.0, draw: |dice| vec![bar(dice)] },
    Way { digit: 1, style: "flagged", share: 3.0, draw: |dice| vec![flagged(dice, 0.12, 0.45).0] },
    Way { digit: 1, style: "long flag", share: 4.0, draw: |dice| vec![flagged(dice, 0.45, 1.0).0] },
    Way { digit: 1, style: "footed", share: 2.0, draw: footed_one },
    Way { digit: 2, style: "plain", share: 4.0, draw: plain_two },
    Way { digit: 2, style: "looped", share: 4.0, draw: looped_two },
    Way { digit: 2, style: "angular", share: 1.0, draw: angular_two },
];

/// A ring that is more or less closed. Also returns the centre and the radii of its ellipse.
fn ring_about(dice: &mut Dice<'_>) -> (Path, Point, Point) {
    let centre = (0.5, 0.5);
    let radii = (dice.between(0.24, 0.48), dice.between(0.42, 0.5));
    let from = dice.around(-80.0, 35.0);
    let sweep = dice.around(358.0, 16.0) * if dice.chance(0.85) { -1.0 } else { 1.0 };
    // The pen drifts, so that the end may miss the start.
    let ring = Path::default().arc(centre, radii, from, sweep).lift();
    let (dx, dy) = dice.near(0.0, 0.0, 0.025);
    let last = ring.len() as f32;
    let drifting = ring.iter().enumerate().map(|(index, (x, y))| {
        let share = index as f32 / last;
        (x + dx * share, y + dy * share)
    });
    let mut path = Path::default();
    for point in drifting {
        path = path.line(point);
    }
    (path, centre, radii)
}

fn ring(dice: &mut Dice<'_>) -> Stroke {
    ring_about(dice).0.lift()
}

/// A ring whose end overlaps its start: inside it, or out to the right.
fn looped_zero(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let radii = (dice.between(0.26, 0.44), dice.between(0.42, 0.5));
    let from = dice.around(-60.0, 20.0);
    let path = Path::default().arc((0.5, 0.5), radii, from, -dice.around(370.0, 12.0));
    let end = path.end();
    let out = dice.between(-0.5, 1.0) * 0.4;
    let tail = [
        dice.near(end.0 - 0.05 + 0.3 * out, end.1 + 0.02, 0.02),
        dice.near(end.0 + out * 0.6, end.1 + 0.08, 0.04),
    ];
    vec![path.curve(&tail).lift()]
}

/// A line through the centre of a ring, `low` to `high` times as long as the ring's diameter in that direction.
fn slash(dice: &mut Dice<'_>, centre: Point, radii: Point, low: f32, high: f32) -> Stroke {
    // The angle from the horizontal, in degrees. Most slashes rise to the right; people draw longer ones steeper.
    let angle = if dice.chance(0.93) { dice.between(32.0, 92.0) } else { dice.between(115.0, 150.0) };
    let (sin, cos) = f32::to_radians(angle).sin_cos();
    // Distance from the centre to the ring in that direction.
    let edge = 1.0 / (cos / radii.0).hypot(sin / radii.1);
    let half = edge * dice.between(low, high);
    let (x, y) = dice.near(centre.0, centre.1, 0.03);
    let bent = dice.around(0.0, 0.04);
    let from = (x + half * cos, y - half * sin);
    let to = (x - half * cos, y + half * sin);
    let path = Path::at(from).curve(&[(x + bent * sin, y + bent * cos), to]).lift();
    if dice.chance(0.5) { path.into_iter().rev().collect() } else { path }
}

fn slashed_zero(dice: &mut Dice<'_>, low: f32, high: f32) -> Vec<Stroke> {
    let (path, centre, radii) = ring_about(dice);
    vec![path.lift(), slash(dice, centre, radii, low, high)]
}

/// A slashed 0 in one stroke: from the upper right around, then across.
fn zero_slashed_at_once(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let radii = (dice.between(0.28, 0.46), dice.between(0.42, 0.5));
    let from = dice.around(-50.0, 14.0);
    let path = Path::default().arc((0.5, 0.5), radii, from, -dice.around(365.0, 14.0));
    let reach = dice.between(0.6, 1.5);
    let (sin, cos) = dice.around(58.0, 14.0).to_radians().sin_cos();
    let to = (0.5 - reach * radii.0 * cos, 0.5 + reach * radii.1 * sin);
    let out = dice.between(0.0, 0.4);
    let corner = (path.end().0 + out * radii.0 * cos, path.end().1 - out * radii.1 * sin);
    vec![path.line(corner).line(to).lift()]
}

fn bar(dice: &mut Dice<'_>) -> Stroke {
    let (top, bottom) = (dice.near(0.5, 0.0, 0.02), dice.near(0.5, 1.0, 0.02));
    let bow = dice.around(0.0, 0.025);
    Path::at(top).curve(&[(0.5 + bow, 0.5), bottom]).lift()
}

/// A 1 with a flag `low` to `high` times as long as its stem. Also returns the point where the stem ends.
fn flagged(dice: &mut Dice<'_>, low: f32, high: f32) -> (Stroke, Point) {
    let length = dice.between(low, high);
    // The angle from the stem. A long flag is closer to the stem: otherwise it would look like the bar of a 7.
    let angle = dice.between(22.0, 60.0 - 22.0 * length).to_radians();
    let apex = dice.near(0.5, 0.0, 0.015);
    let from = (apex.0 - length * angle.sin(), apex.1 + length * angle.cos());
    let bow = dice.around(0.0, 0.06) * length;
    let middle = (f32::midpoint(from.0, apex.0) + bow, f32::midpoint(from.1, apex.1) + bow);
    let bottom = (dice.around(0.5, 0.06), 1.0);
    let mut path = Path::at(from).curve(&[middle, apex]);
    if dice.chance(0.15) {
        // A round shoulder instead of a corner.
        path = Path::at(from).curve(&[middle, apex, (apex.0 + 0.03, 0.06), bottom]);
    } else {
        let stem_bow = dice.around(0.0, 0.02);
        path = path.curve(&[(f32::midpoint(apex.0, bottom.0) + stem_bow, 0.5), bottom]);
    }
    (path.lift(), bottom)
}

fn footed_one(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let (stem, bottom) = match dice.below(4) {
        0 => (bar(dice), (0.5, 1.0)),
        1 => flagged(dice, 0.45, 0.9),
        _ => flagged(dice, 0.12, 0.45),
    };
    let foot = dice.between(0.12, 0.42);
    let (dx, dy) = dice.near(0.0, 0.0, 0.03);
    let left = (bottom.0 - foot + dx, bottom.1 + dy / 2.0);
    let right = (bottom.0 + foot + dx, bottom.1 - dy / 2.0);
    vec![stem, Path::at(left).line(right).lift()]
}

/// Begins a 2 with its upper bow: from the left over the top and down to the lower left.
fn two_bow(dice: &mut Dice<'_>) -> Path {
    let radii = (dice.between(0.24, 0.4), dice.between(0.2, 0.3));
    let from = dice.between(-205.0, -130.0);
    Path::default().arc((0.45, radii.1), radii, from, dice.around(20.0, 12.0) - from)
}

fn plain_two(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let path = two_bow(dice);
    let width = dice.between(0.5, 0.95);
    let corner = dice.near(0.1, 0.97, STRAY);
    let path = path.curve(&[dice.near(0.5, 0.65, 0.05), corner]);
    let wave = dice.around(0.0, 0.05);
    let path = path.curve(&[
        (corner.0 + width * 0.35, corner.1 - wave),
        dice.near(corner.0 + width, 1.0 + wave / 2.0, STRAY),
    ]);
    vec![path.lift()]
}

fn looped_two(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let path = two_bow(dice);
    let loop_width = dice.between(0.03, 0.16);
    let height = dice.between(0.04, 0.16);
    let base = dice.around(0.97, 0.03);
    let left = dice.around(0.12, 0.05);
    let end = dice.near(left + 0.72, base + 0.02, 0.05);
    let path = path.curve(&[
        dice.near(0.5, 0.64, 0.05),
        (left + loop_width * 0.6, base),
        (left - loop_width * 0.6, base - height * 0.3),
        (left + loop_width * 0.3, base - height),
        (left + loop_width * 2.0 + 0.1, base - 0.02),
        end,
    ]);
    vec![path.lift()]
}

/// A 2 of straight lines with a bent top. The hook or bow at its top left distinguishes it from a Z.
fn angular_two(dice: &mut Dice<'_>) -> Vec<Stroke> {
    let from = dice.near(0.08, 0.22, STRAY);
    let path = Path::at(from).curve(&[
        dice.near(0.25, 0.05, STRAY),
        dice.near(0.55, 0.02, STRAY),
        dice.near(0.76, 0.16, STRAY),
    ]);
    let path = path.curve(&[dice.near(0.6, 0.45, STRAY), dice.near(0.08, 0.97, STRAY)]);
    vec![path.line(dice.near(0.85, 0.98, STRAY)).lift()]
}
