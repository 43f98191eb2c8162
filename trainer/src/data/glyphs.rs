//! Digits as pen strokes.

/// A point on a square of 1 × 1, `(x, y)` from the upper left.
pub type Point = (f32, f32);

/// The strokes of a digit, each a line through its points. Digits that people write in two ways have two.
pub fn strokes(digit: u8, variant: usize) -> Vec<Vec<Point>> {
    let ways: &[fn() -> Vec<Vec<Point>>] = match digit {
        0 => &[|| vec![arc((0.5, 0.5), (0.3, 0.45), -90.0, 270.0)]],
        1 => {
            &[|| vec![vec![(0.5, 0.05), (0.5, 0.95)]], || vec![vec![(0.3, 0.25), (0.52, 0.05), (0.52, 0.95)]]]
        }
        2 => &[|| {
            vec![joined(&[arc((0.5, 0.3), (0.28, 0.25), -170.0, 40.0), vec![(0.22, 0.93), (0.8, 0.93)]])]
        }],
        3 => &[|| {
            vec![joined(&[
                arc((0.48, 0.28), (0.26, 0.22), -150.0, 80.0),
                arc((0.48, 0.71), (0.3, 0.24), -85.0, 150.0),
            ])]
        }],
        4 => &[
            || vec![vec![(0.25, 0.08), (0.2, 0.55), (0.8, 0.55)], vec![(0.68, 0.1), (0.66, 0.95)]],
            || vec![vec![(0.65, 0.95), (0.65, 0.05), (0.18, 0.65), (0.85, 0.65)]],
        ],
        5 => &[|| {
            vec![joined(&[
                vec![(0.75, 0.07), (0.33, 0.07), (0.28, 0.45)],
                arc((0.46, 0.67), (0.29, 0.26), -110.0, 150.0),
            ])]
        }],
        6 => &[|| {
            vec![joined(&[vec![(0.66, 0.05), (0.38, 0.35)], arc((0.5, 0.69), (0.26, 0.25), 195.0, 560.0)])]
        }],
        7 => &[
            || vec![vec![(0.2, 0.1), (0.8, 0.1), (0.4, 0.95)]],
            || vec![vec![(0.2, 0.1), (0.8, 0.1), (0.4, 0.95)], vec![(0.35, 0.52), (0.75, 0.5)]],
        ],
        8 => &[|| {
            vec![joined(&[
                arc((0.5, 0.27), (0.23, 0.21), 90.0, 450.0),
                arc((0.5, 0.72), (0.28, 0.24), -90.0, 270.0),
            ])]
        }],
        _ => &[|| {
            vec![joined(&[arc((0.48, 0.3), (0.25, 0.24), 0.0, 360.0), vec![(0.72, 0.35), (0.66, 0.95)]])]
        }],
    };
    ways[variant % ways.len()]()
}

fn joined(parts: &[Vec<Point>]) -> Vec<Point> {
    parts.concat()
}

/// Points on an ellipse from one angle to another, in degrees, clockwise from the right.
fn arc(centre: Point, radii: Point, from: f32, to: f32) -> Vec<Point> {
    /// Straight pieces of every arc: enough to look round at 28 pixels.
    const PIECES: usize = 20;
    let point = |piece: usize| {
        let angle = (from + (to - from) * piece as f32 / PIECES as f32).to_radians();
        (centre.0 + radii.0 * angle.cos(), centre.1 + radii.1 * angle.sin())
    };
    (0..=PIECES).map(point).collect()
}
