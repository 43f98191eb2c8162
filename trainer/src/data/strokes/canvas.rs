//! Draws strokes with a pen onto a canvas of pixels.

use ndarray::Array2;

use super::path::{Point, Stroke, extent};
use crate::data::dice::Dice;

/// Smallest and largest side of a canvas, in pixels. The drawing areas of web pages are of these sizes.
const SIDES: (f32, f32) = (200.0, 560.0);
/// Share of pens that draw lines one pixel wide, like the pencil of a paint program.
const PENCILS: f32 = 0.12;
/// Smallest and largest width of a pen, as a fraction of the drawing's longer side.
const PEN_WIDTHS: (f32, f32) = (0.02, 0.22);
/// Share of pens without anti-aliasing.
const HARD_PENS: f32 = 0.15;

/// The pen that strokes are drawn with.
#[derive(Debug, Clone, Copy)]
enum Pen {
    /// A pen that draws lines one pixel wide.
    Pencil,
    /// A round tip. `radius` is in pixels, `smooth` means anti-aliased, and `pressure` says how much the width varies.
    Round { radius: f32, smooth: bool, pressure: f32 },
}

/// Draws strokes at a random place, on a canvas of a random size, with a random pen: `[row, column]`, ink from 0 to 1.
pub(super) fn draw(strokes: &[Stroke], dice: &mut Dice<'_>) -> Array2<f32> {
    // Small canvases are more frequent: they cost less time, and large ones differ little after preprocessing.
    let bigness = dice.between(0.0, 1.0);
    let side = SIDES.0 + (SIDES.1 - SIDES.0) * bigness * bigness;
    let (rows, columns) = (side as usize, (side * dice.between(0.8, 1.25)) as usize);
    let (left, top, right, bottom) = extent(strokes);
    let (width, height) = (right - left, bottom - top);
    let longer = width.max(height).max(1e-3);
    let room = dice.between(0.3, 0.92) * rows.min(columns) as f32;
    let pen = any_pen(room, dice);
    let margin = if let Pen::Round { radius, .. } = pen { radius + 1.0 } else { 1.0 };
    let scale = (room - 2.0 * margin).max(8.0) / longer;
    let free = |length: usize, extent: f32| (length as f32 - extent * scale - 2.0 * margin).max(0.0);
    let right_by = margin + dice.between(0.0, 1.0) * free(columns, width);
    let down_by = margin + dice.between(0.0, 1.0) * free(rows, height);
    let mut canvas = Array2::zeros((rows, columns));
    let mut phase = dice.between(0.0, 6.0);
    for stroke in strokes {
        let place = |&(x, y): &Point| (right_by + (x - left) * scale, down_by + (y - top) * scale);
        let points: Vec<Point> = stroke.iter().map(place).collect();
        if let [point] = points[..] {
            mark(&mut canvas, pen, point, point, phase);
        }
        for line in points.windows(2) {
            mark(&mut canvas, pen, line[0], line[1], phase);
            phase += 0.2;
        }
    }
    canvas
}

fn any_pen(size: f32, dice: &mut Dice<'_>) -> Pen {
    if dice.chance(PENCILS) {
        return Pen::Pencil;
    }
    let (low, high) = PEN_WIDTHS;
    let width = dice.between(low.ln(), high.ln()).exp() * size;
    let pressure = if dice.chance(0.3) { dice.between(0.1, 0.4) } else { 0.0 };
    Pen::Round { radius: (width / 2.0).max(0.6), smooth: !dice.chance(HARD_PENS), pressure }
}

/// Draws one straight segment.
fn mark(canvas: &mut Array2<f32>, pen: Pen, from: Point, to: Point, phase: f32) {
    match pen {
        Pen::Pencil => {
            let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
            for step in 0..=steps as usize {
                let share = step as f32 / steps;
                let (x, y) = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
                if let Some(pixel) = canvas.get_mut((y.max(0.0) as usize, x.max(0.0) as usize)) {
                    *pixel = 1.0;
                }
            }
        }
        Pen::Round { radius, smooth, pressure } => {
            let radius = radius * (1.0 + pressure * phase.sin());
            let (rows, columns) = canvas.dim();
            let span = |a: f32, b: f32, end: usize| {
                let low = (a.min(b) - radius - 1.0).max(0.0) as usize;
                low..((a.max(b) + radius + 2.0).max(0.0) as usize).min(end)
            };
            for row in span(from.1, to.1, rows) {
                for column in span(from.0, to.0, columns) {
                    let away = distance((column as f32, row as f32), from, to);
                    // A smooth edge fades out over one pixel.
                    let ink = (radius + 0.5 - away).clamp(0.0, 1.0);
                    let ink = if smooth { ink } else { (ink * 2.0).floor().min(1.0) };
                    let pixel = &mut canvas[[row, column]];
                    *pixel = pixel.max(ink);
                }
            }
        }
    }
}

/// Distance of a point from the line segment between two others.
fn distance(point: Point, from: Point, to: Point) -> f32 {
    let (along, across) = (to.0 - from.0, to.1 - from.1);
    let length = (along * along + across * across).max(f32::EPSILON);
    let share = ((point.0 - from.0) * along + (point.1 - from.1) * across) / length;
    let share = share.clamp(0.0, 1.0);
    (point.0 - from.0 - share * along).hypot(point.1 - from.1 - share * across)
}
