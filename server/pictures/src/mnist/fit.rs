//! Scales a digit into MNIST's box, and moves its centre of mass to the centre of the result.

use ndarray::{Array2, Axis};

use super::{BOX, Plane, SIDE, strokes};

/// Least width of strokes in the result, in pixels. MNIST's strokes are seldom thinner.
const THINNEST: f32 = 1.6;

/// Factor by which the resolution is higher than that of the result while thin strokes are widened.
const FINE: f32 = 4.0;

/// Row and column of the centre of mass in the result. In MNIST it lies in the middle of the pixel with index 14.
const MIDDLE: f32 = 14.5;

/// Scales and centres a drawing, with ink from 0 to 1 and a margin of one pixel, to the model's input.
pub(super) fn fit(drawing: &Plane) -> Array2<u8> {
    let longest = drawing.nrows().max(drawing.ncols()) - 2;
    let scale = BOX as f32 / longest.max(1) as f32;
    let width = strokes::width(drawing);
    if width * scale >= THINNEST {
        return place(drawing, 1.0, scale);
    }
    // Widening makes the drawing larger, so it is scaled to a smaller box first.
    let stroke = (width * scale * FINE).max(1.0);
    let radius = ((THINNEST * FINE - stroke) / 2.0).clamp(0.0, THINNEST * FINE / 2.0);
    let inner = BOX as f32 * FINE - 2.0 * radius;
    let finer = inner / longest.max(1) as f32;
    let size = |length: usize| (((length as f32) * finer).ceil() as usize).max(1) + 1;
    let fine = resample(drawing, (size(drawing.nrows()), size(drawing.ncols())), finer, (0.0, 0.0));
    // A line thinner than a pixel covers only a part of it, and half of that part if it lies between two pixels.
    let usual = (0.5 * width * finer).min(1.0);
    let fine = fine.mapv(|value| (value / usual).min(1.0));
    let wide = strokes::thicken(&fine, radius);
    place(&wide, finer + radius.ceil() - radius, 1.0 / FINE)
}

/// Scales and centres a drawing. `rim` is the width of the margin around the ink in pixels.
fn place(drawing: &Plane, rim: f32, scale: f32) -> Array2<u8> {
    let (rows, columns) = drawing.dim();
    let mass: f32 = drawing.sum();
    let centre = |axis: usize| {
        let sums = drawing.sum_axis(Axis(1 - axis));
        sums.iter().enumerate().map(|(at, value)| (at as f32 + 0.5) * value).sum::<f32>() / mass.max(1e-6)
    };
    let whole = (scale - 1.0).abs() < 1e-3;
    let offset = |axis: usize, length: usize| {
        let mut offset = MIDDLE - centre(axis) * scale;
        if whole {
            offset = offset.round();
        }
        // Keep all ink inside the picture.
        let (first, last) = (rim * scale, (length as f32 - rim) * scale);
        offset.clamp((-first).min(SIDE as f32 - last), (-first).max(SIDE as f32 - last))
    };
    let offsets = (offset(0, rows), offset(1, columns));
    let small = resample(drawing, (SIDE, SIDE), scale, offsets);
    let most = small.iter().copied().fold(1e-6, f32::max);
    small.mapv(|value| (value / most * 255.0).round() as u8)
}

/// Scales `plane` with an area filter. The point `x` moves to `x * scale + offset`. Each output pixel is the sum of the
/// input that falls into it; elsewhere it is 0.
fn resample(plane: &Plane, (rows, columns): (usize, usize), scale: f32, offset: (f32, f32)) -> Plane {
    let mut down = Array2::zeros((rows, plane.ncols()));
    for_each_overlap(plane.nrows(), rows, scale, offset.0, |from, to, part| {
        down.row_mut(to).scaled_add(part, &plane.row(from));
    });
    let mut out = Array2::zeros((rows, columns));
    for (line, mut out) in down.outer_iter().zip(out.outer_iter_mut()) {
        for_each_overlap(line.len(), columns, scale, offset.1, |from, to, part| out[to] += part * line[from]);
    }
    out
}

/// Calls `add` for each input pixel and each output pixel that it overlaps, with the share of the output pixel that it
/// covers.
fn for_each_overlap(from: usize, to: usize, scale: f32, offset: f32, mut add: impl FnMut(usize, usize, f32)) {
    for at in 0..from {
        let start = at as f32 * scale + offset;
        let end = start + scale;
        let first = start.max(0.0) as usize;
        let last = (end.max(0.0).ceil() as usize).min(to);
        for cell in first..last {
            let part = end.min((cell + 1) as f32) - start.max(cell as f32);
            if part > 0.0 {
                add(at, cell, part);
            }
        }
    }
}
