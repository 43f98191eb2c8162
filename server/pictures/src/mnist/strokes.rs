//! Measures the width of strokes, and widens thin ones.

use ndarray::{ArrayView2, s};

use super::{Bounds, Plane};

/// Largest width of strokes, as a share of the drawing's longer side. Wider shapes are blots and shadows.
const NARROW: f32 = 0.36;

/// Mean width of strokes in pixels: twice their area, divided by the length of their outline.
pub(super) fn width(ink: &Plane) -> f32 {
    // Noise in ink and background would otherwise count as outline.
    let clean = ink.mapv(|value| ((value - 0.25) * 2.0).clamp(0.0, 1.0));
    let (area, edge) = measure(&clean.view());
    if edge > 0.0 { 2.0 * area / edge } else { 0.0 }
}

/// Whether a drawing consists of strokes. It has a margin of one pixel, and lies at `bounds` of a picture.
///
/// Where the drawing reaches an edge of the picture, that edge does not count as outline, because the stroke may
/// continue beyond it.
pub(super) fn are_strokes(drawing: &Plane, bounds: Bounds, (rows, columns): (usize, usize)) -> bool {
    let (height, width) = drawing.dim();
    let top = usize::from(bounds.top == 0);
    let left = usize::from(bounds.left == 0);
    let bottom = height - usize::from(bounds.bottom() == rows);
    let right = width - usize::from(bounds.right() == columns);
    are_narrow(&drawing.slice(s![top..bottom, left..right]))
}

/// Whether the shapes of a drawing are narrow enough to be strokes. The sides of the drawing do not count as outline.
pub(super) fn are_narrow(ink: &ArrayView2<'_, f32>) -> bool {
    let (area, edge) = measure(ink);
    2.0 * area <= NARROW * edge * ink.nrows().max(ink.ncols()) as f32
}

/// Area and length of the outline. The length is the sum of the gradients' lengths, which is right for slanted and for
/// soft outlines too.
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

/// Widens strokes by dilation: each pixel becomes the maximum of the ink within `radius`. Pixels up to one pixel
/// further away count in part. The result is larger by `radius`, rounded up, at each side.
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
