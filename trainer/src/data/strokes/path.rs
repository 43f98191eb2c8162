//! Strokes of a pen: points, and the curves between them.

/// A point `(x, y)`; y grows downwards. Shapes fill a box of about 1 × 1.
pub type Point = (f32, f32);

/// The points that a pen passes, from where it is put down to where it is lifted.
pub type Stroke = Vec<Point>;

/// Number of straight segments in an arc of 360 degrees.
const PIECES_PER_TURN: f32 = 40.0;
/// Number of straight segments between two points of a curve.
const PIECES_PER_SPAN: usize = 8;

/// A stroke under construction: each part begins where the one before it ended.
#[derive(Debug, Clone, Default)]
pub struct Path(Stroke);

impl Path {
    /// Puts the pen down at a point.
    pub fn at(point: Point) -> Self {
        Self(vec![point])
    }

    /// Draws a straight line.
    #[must_use]
    pub fn line(mut self, to: Point) -> Self {
        self.0.push(to);
        self
    }

    /// Draws a smooth curve through some points.
    #[must_use]
    pub fn curve(mut self, through: &[Point]) -> Self {
        let from = self.0.last().copied();
        let points: Vec<Point> = from.into_iter().chain(through.iter().copied()).collect();
        let point = |index: usize| points[index.min(points.len() - 1)];
        for span in 0..points.len().saturating_sub(1) {
            let around = [point(span.saturating_sub(1)), point(span), point(span + 1), point(span + 2)];
            self.0.extend((1..=PIECES_PER_SPAN).map(|piece| {
                let share = piece as f32 / PIECES_PER_SPAN as f32;
                (
                    catmull_rom(around.map(|point| point.0), share),
                    catmull_rom(around.map(|point| point.1), share),
                )
            }));
        }
        self
    }

    /// Draws an arc of an ellipse, after a straight line to its start. Angles are in degrees, clockwise from the right.
    #[must_use]
    pub fn arc(mut self, centre: Point, radii: Point, from: f32, sweep: f32) -> Self {
        let pieces = (sweep.abs() / 360.0 * PIECES_PER_TURN).ceil().max(2.0) as usize;
        self.0.extend((0..=pieces).map(|piece| {
            let angle = (from + sweep * piece as f32 / pieces as f32).to_radians();
            (centre.0 + radii.0 * angle.cos(), centre.1 + radii.1 * angle.sin())
        }));
        self
    }

    /// The current position of the pen.
    pub fn end(&self) -> Point {
        self.0.last().copied().unwrap_or_default()
    }

    /// Lifts the pen and returns the stroke.
    pub fn lift(self) -> Stroke {
        self.0
    }
}

/// A Catmull-Rom spline: interpolates between `b` and `c`, with slopes that follow from the values beside them. `share`
/// is the position between the two, 0 to 1.
fn catmull_rom([a, b, c, d]: [f32; 4], share: f32) -> f32 {
    let (square, cube) = (share * share, share * share * share);
    0.5 * (2.0 * b
        + (c - a) * share
        + (2.0 * a - 5.0 * b + 4.0 * c - d) * square
        + (3.0 * b - a - 3.0 * c + d) * cube)
}

/// Bounding box of some strokes: left, top, right, bottom.
pub fn extent(strokes: &[Stroke]) -> (f32, f32, f32, f32) {
    let far = f32::INFINITY;
    strokes.iter().flatten().fold((far, far, -far, -far), |(left, top, right, bottom), &(x, y)| {
        (left.min(x), top.min(y), right.max(x), bottom.max(y))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_through_its_points_and_a_straight_one_stays_straight() {
        let through = [(0.5, 0.2), (1.0, 0.8), (0.3, 1.0)];
        let curve = Path::at((0.0, 0.0)).curve(&through).lift();
        for point in through {
            let nearest = curve.iter().map(|p| (p.0 - point.0).hypot(p.1 - point.1)).fold(1.0, f32::min);
            assert!(nearest < 1e-6, "{point:?} is missed by {nearest}");
        }
        let straight = Path::at((0.0, 0.0)).curve(&[(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]).lift();
        assert!(straight.iter().all(|(x, y)| (x - y).abs() < 1e-6));
    }

    #[test]
    fn a_whole_arc_closes_and_keeps_to_its_ellipse() {
        let ring = Path::default().arc((0.5, 0.5), (0.3, 0.4), -90.0, -360.0).lift();
        let (first, last) = (ring[0], ring[ring.len() - 1]);
        assert!((first.0 - last.0).abs() < 1e-5 && (first.1 - last.1).abs() < 1e-5);
        for (x, y) in ring {
            let on = ((x - 0.5) / 0.3).powi(2) + ((y - 0.5) / 0.4).powi(2);
            assert!((on - 1.0).abs() < 1e-4);
        }
    }
}
