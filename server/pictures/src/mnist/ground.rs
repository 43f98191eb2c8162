//! Which tone is the ground, and how bright it is at each place.

use ndarray::ArrayView2;

use super::{Plane, surface};

/// Cells along the longer side of the grid on which the ground is estimated.
const CELLS: usize = 48;

/// Half widths of strokes that are tried, as shares of the shorter side. The widest: a thick pen in a tight crop.
const RADII: [f32; 7] = [0.02, 0.04, 0.07, 0.1, 0.14, 0.18, 0.23];

/// Grey levels that a flat ground's pixels may differ by.
const FLAT: f32 = 2.5;

/// Share of the pixels, and of those at the edges, that a flat ground has.
const MOST: f32 = 0.6;

/// The picture without its ground: 0, and ink above it, whichever of the two was brighter.
pub(super) fn remove(plane: &ArrayView2<'_, f32>) -> Plane {
    let (grid, cell) = surface::coarse(plane, CELLS);
    if let Some(tone) = flat(plane, &grid) {
        let lean: f32 =
            plane.iter().map(|value| value - tone).filter(|difference| difference.abs() > 2.0 * FLAT).sum();
        let sign = if lean < 0.0 { -1.0 } else { 1.0 };
        return plane.mapv(|value| sign * (value - tone));
    }
    let bowl = surface::bowl(&grid);
    let relief = &grid - &bowl;
    let dark = levels(&relief);
    let light = levels(&-&relief);
    let is_dark = dark.iter().sum::<f32>() <= light.iter().sum::<f32>();
    let (relief, rough) = if is_dark { (relief, dark) } else { (-relief, light) };
    let sign = if is_dark { 1.0 } else { -1.0 };
    // the thinnest that takes nearly all ink away: what is wider than strokes, as shadows are, stays in the ground
    let last = rough[RADII.len()];
    let enough = last + 0.1 * (rough[0] - last);
    let index = rough[1..].iter().position(|&value| value <= enough).unwrap_or(RADII.len() - 1);
    let radius = radius(&relief, RADII[(index + 1).min(RADII.len() - 1)]);
    let ground = bowl * sign + surface::smooth(&surface::close(&relief, radius));
    let ground = surface::enlarge(&ground, cell, plane.dim());
    let mut ink = ground;
    if is_dark {
        // paper in the shade darkens its ink as much as itself
        let brightest = ink.iter().copied().fold(1.0, f32::max);
        ink.zip_mut_with(plane, |ground, &value| {
            *ground = (*ground - value) * brightest / ground.max(brightest / 4.0);
        });
    } else {
        ink.zip_mut_with(plane, |ground, &value| *ground += value);
    }
    ink
}

/// The tone that most of the picture has, and most of its edges.
fn flat(plane: &ArrayView2<'_, f32>, grid: &Plane) -> Option<f32> {
    let mut counts = [0_usize; 256];
    for &value in plane {
        counts[(value.round() as usize).min(255)] += 1;
    }
    let tone = (0..256).max_by_key(|&tone| counts[tone])?;
    let near: usize = counts[tone.saturating_sub(2)..(tone + 3).min(256)].iter().sum();
    let tone = tone as f32;
    let (rows, columns) = grid.dim();
    let edge = grid
        .row(0)
        .into_iter()
        .chain(grid.row(rows - 1))
        .chain(grid.column(0))
        .chain(grid.column(columns - 1));
    let (mut cells, mut same) = (0_usize, 0_usize);
    for value in edge {
        cells += 1;
        same += usize::from((value - tone).abs() <= FLAT);
    }
    (near as f32 >= MOST * plane.len() as f32 && same as f32 >= MOST * cells as f32).then_some(tone)
}

fn radius(relief: &Plane, share: f32) -> usize {
    let shorter = relief.nrows().min(relief.ncols());
    ((shorter as f32 * share).round() as usize).max(1)
}

/// How rough the picture is, and how rough it stays without what is darker than its surroundings and thin, for each
/// of the radii. What is taken for ground by the right choice is the smoother, and the sooner.
fn levels(relief: &Plane) -> [f32; RADII.len() + 1] {
    let mut levels = [surface::roughness(relief); RADII.len() + 1];
    for (level, share) in levels[1..].iter_mut().zip(RADII) {
        *level = surface::roughness(&surface::close(relief, radius(relief, share)));
    }
    levels
}
