//! A writer's handwriting: the slant, proportions, bends and tremor that it gives to each shape.

use super::path::{Point, Stroke};
use crate::data::dice::Dice;

/// Number of waves that bend a drawing, along each axis.
const WAVES: usize = 2;

/// A sine wave of long wavelength that shifts points of the drawing.
#[derive(Debug, Clone, Copy)]
struct Wave {
    height: f32,
    along: Point,
    start: f32,
}

impl Wave {
    fn random(dice: &mut Dice<'_>) -> Self {
        let height = dice.around(0.0, 0.022);
        Self {
            height,
            along: (dice.between(-6.0, 6.0), dice.between(-6.0, 6.0)),
            start: dice.between(0.0, std::f32::consts::TAU),
        }
    }

    fn at(&self, (x, y): Point) -> f32 {
        self.height * (self.along.0 * x + self.along.1 * y + self.start).sin()
    }
}

/// Slant, proportions, rotation, bends and tremor of one drawing.
#[derive(Debug, Clone)]
pub(super) struct Hand {
    slant: f32,
    width: f32,
    turn: f32,
    waves: [[Wave; 2]; WAVES],
    tremor: f32,
    /// The page receives only every n-th point of a stroke, as when the pen moves fast.
    point_step: usize,
}

impl Hand {
    /// A random handwriting.
    pub(super) fn random(dice: &mut Dice<'_>) -> Self {
        Self {
            slant: dice.around(0.12, 0.2),
            width: dice.around(-0.1, 0.24).exp(),
            turn: dice.around(0.0, 5.0).to_radians(),
            waves: std::array::from_fn(|_| [Wave::random(dice), Wave::random(dice)]),
            tremor: if dice.chance(0.25) { dice.between(0.002, 0.012) } else { 0.0 },
            point_step: if dice.chance(0.2) { 2 + dice.below(3) } else { 1 },
        }
    }

    /// The strokes of a drawing in this handwriting.
    pub(super) fn write(&self, strokes: &[Stroke], dice: &mut Dice<'_>) -> Vec<Stroke> {
        strokes.iter().map(|stroke| self.stroke(stroke, dice)).collect()
    }

    fn stroke(&self, stroke: &[Point], dice: &mut Dice<'_>) -> Stroke {
        let last = stroke.len() - 1;
        // The page always receives the first and the last point. A stroke of few points keeps them all.
        let step = if stroke.len() > 12 { self.point_step } else { 1 };
        let seen = stroke.iter().enumerate().filter(|(index, _)| index % step == 0 || *index == last);
        seen.map(|(_, &point)| self.point(point, dice)).collect()
    }

    fn point(&self, point: Point, dice: &mut Dice<'_>) -> Point {
        let bend = |axis: usize| self.waves.iter().map(|wave| wave[axis].at(point)).sum::<f32>();
        let (x, y) = (point.0 + bend(0) - 0.5, point.1 + bend(1) - 0.5);
        let (x, y) = ((x - self.slant * y) * self.width, y);
        let (sin, cos) = self.turn.sin_cos();
        let (x, y) = (x * cos - y * sin, x * sin + y * cos);
        if self.tremor > 0.0 {
            return dice.near(x, y, self.tremor);
        }
        (x, y)
    }
}
