//! How wide the pen was, and wider strokes from thin ones.

use ndarray::s;

use super::Plane;

/// The mean width of strokes in pixels: twice their area by the length of their edge.
///
/// The edge's length is the sum of the gradient's lengths, which counts a slanted edge right and a soft one too.
pub(super) fn width(ink: &Plane) -> f32 {
    let (rows, columns) = ink.dim();
    let mut area = 0.0;
    let mut edge = 0.0;
    for row in 0..rows - 1 {
        let (here, below) = (ink.row(row), ink.row(row + 1));
        let mut line = 0.0;
        for column in 0..columns - 1 {
            let value = here[column];
            let (x, y) = (here[column + 1] - value, below[column] - value);
            area += value;
            line += (x * x + y * y).sqrt();
        }
        edge += line;
    }
    if edge > 0.0 { 2.0 * area / edge } else { 0.0 }
}

/// Each pixel becomes the darkest of those within `radius` of it. The result has so many more at each side as `radius`
/// has whole pixels.
pub(super) fn thicken(ink: &Plane, radius: f32) -> Plane {
    let reach = radius.max(0.0) as usize;
    let (rows, columns) = ink.dim();
    let mut out = Plane::zeros((rows + 2 * reach, columns + 2 * reach));
    for down in 0..=2 * reach {
        let y = down.abs_diff(reach) as f32;
        let across = (radius * radius - y * y).max(0.0).sqrt() as usize;
        for right in reach - across..=reach + across {
            let mut under = out.slice_mut(s![down..down + rows, right..right + columns]);
            under.zip_mut_with(ink, |a, &b| *a = a.max(b));
        }
    }
    out
}
