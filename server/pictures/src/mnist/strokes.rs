//! How wide the pen was, and wider strokes from thin ones.

use ndarray::{ArrayView2, s};

use super::{Bounds, Plane};

/// Strokes are narrower than this share of the longer side of what they form: the rest are blots and shadows.
const NARROW: f32 = 0.36;

/// The mean width of strokes in pixels: twice their area by the length of their edge.
pub(super) fn width(ink: &Plane) -> f32 {
    // the noise of ink and of ground would count as edges
    let clean = ink.mapv(|value| ((value - 0.25) * 2.0).clamp(0.0, 1.0));
    let (area, edge) = measure(&clean.view());
    if edge > 0.0 { 2.0 * area / edge } else { 0.0 }
}

/// Whether a drawing with a rim of one pixel, which lies at `bounds` of a picture, is made of strokes.
///
/// Where it reaches the picture's edges, nobody knows what lies beyond: that is no edge of a stroke.
pub(super) fn are_strokes(drawing: &Plane, bounds: Bounds, (rows, columns): (usize, usize)) -> bool {
    let (height, width) = drawing.dim();
    let top = usize::from(bounds.top == 0);
    let left = usize::from(bounds.left == 0);
    let bottom = height - usize::from(bounds.bottom() == rows);
    let right = width - usize::from(bounds.right() == columns);
    are_narrow(&drawing.slice(s![top..bottom, left..right]))
}

/// Whether the drawing is narrow. Sides on which it reaches the picture's edge do not count.
pub(super) fn are_narrow(ink: &ArrayView2<'_, f32>) -> bool {
    let (area, edge) = measure(ink);
    2.0 * area <= NARROW * edge * ink.nrows().max(ink.ncols()) as f32
}

/// Area, and length of the edge: the sum of the gradient's lengths, which counts a slanted edge right and a soft one too.
fn measure(ink: &ArrayView2<'_, f32>) -> (f32, f32) {
    let (mut area, mut edge) = (0.0, 0.0);
    for (here, below) in ink.outer_iter().zip(ink.outer_iter().skip(1)) {
        let (Some(here), Some(below)) = (here.as_slice(), below.as_slice()) else { continue };
        area += here.iter().sum::<f32>();
        let gradients = here.iter().zip(&here[1..]).zip(below).map(|((value, right), below)| {
            let (x, y) = (right - value, below - value);
            (x * x + y * y).sqrt()
        });
        edge += gradients.sum::<f32>();
    }
    (area, edge)
}

/// Each pixel becomes the darkest of those within `radius` of it; what lies up to a pixel beyond counts in part. The
/// result has `radius`, rounded up, more pixels at each side.
pub(super) fn thicken(ink: &Plane, radius: f32) -> Plane {
    let reach = radius.max(0.0).ceil() as usize;
    let (rows, columns) = ink.dim();
    let mut out = Plane::zeros((rows + 2 * reach, columns + 2 * reach));
    for down in 0..=2 * reach {
        for right in 0..=2 * reach {
            let away = (down.abs_diff(reach) as f32).hypot(right.abs_diff(reach) as f32);
            let part = (radius + 1.0 - away).min(1.0);
            if part > 0.0 {
                let mut under = out.slice_mut(s![down..down + rows, right..right + columns]);
                under.zip_mut_with(ink, |a, &b| *a = a.max(b * part));
            }
        }
    }
    out
}
