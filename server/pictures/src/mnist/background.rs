//! Finds the tone of the background, constant or uneven, and removes it, so that ink remains.

use std::ops::Range;

use ndarray::{Array2, Zip, s};

use super::{Plane, crop, surface};

/// Number of cells along the longer side of the grid on which the background is first estimated. A strip has more.
const CELLS: usize = 48;

/// The same number for the final estimate, once the tone of the ink is known.
const FINE_CELLS: usize = 96;

/// Least difference that counts as a step of the background, in grey levels between cells at most two apart.
const STEP: f32 = 10.0;

/// Least share of the difference over six cells that lies within two cells, at a step. On a slope, the share is
/// smaller.
const SUDDEN: f32 = 0.55;

/// The stroke radii (half widths) that are tried, as shares of the picture's shorter side. Wider strokes occur only
/// with a thick pen in a tight crop, which [`crop::cut_close`] recognises.
const RADII: [f32; 6] = [0.02, 0.035, 0.055, 0.08, 0.11, 0.15];

/// Index of the smallest radius for strokes that are wider than the lines of ruled paper.
const WIDE: usize = 3;

/// Largest difference of a pixel from the tone of a flat background, in grey levels.
const NOISE: usize = 4;

/// Largest difference of a cell's average from the tone of a flat background, in grey levels.
const FLAT: f32 = 2.5;

/// Least share of the pixels that have the tone of a flat background.
const MOST: f32 = 0.6;
/// Least share of the cells at the picture's edges that have the tone of a flat background.
const MOST_OF_EDGES: f32 = 0.85;

/// A picture without its background, by the kind of background. `ink` is the difference from the background in grey
/// levels, positive for ink, whether that is darker or brighter.
pub(super) enum Background {
    /// A background of one tone.
    Flat { ink: Plane },
    /// A background of one tone, cut to pieces by a digit of one tone that fills the picture. Here, `ink` is 1 for full
    /// ink, and `grey` is the picture itself.
    Cropped { ink: Plane, grey: Plane },
    /// A background that is unevenly lit, patterned or noisy.
    Uneven(WithoutUneven),
}

/// A picture without its uneven background.
pub(super) struct WithoutUneven {
    pub(super) ink: Plane,
    pub(super) background: UnevenBackground,
}

/// An uneven background, as estimated.
pub(super) struct UnevenBackground {
    /// The picture itself, with its background.
    pub(super) grey: Plane,
    /// Whether ink was assumed to be darker than the background.
    is_dark: bool,
    /// The cells where the background has a step, such as the edge of a shadow. Ink is lost there.
    steps: Array2<bool>,
    /// Side of a cell in pixels.
    cell: usize,
}

impl UnevenBackground {
    /// Removes the background anew, assuming that ink has the other tone.
    pub(super) fn with_other_ink_tone(self) -> WithoutUneven {
        remove_uneven(self.grey, Some(!self.is_dark), 0)
    }

    /// Removes the background anew, assuming that strokes are wider.
    pub(super) fn with_wide_strokes(self) -> WithoutUneven {
        remove_uneven(self.grey, Some(self.is_dark), WIDE)
    }

    /// Whether these pixels of a row lie at a step.
    pub(super) fn is_at_step(&self, row: usize, columns: Range<usize>) -> bool {
        let near = |from: usize, to: usize, most: usize| {
            (from / self.cell).saturating_sub(1)..(to / self.cell + 2).min(most)
        };
        let (rows, cells) = self.steps.dim();
        let (rows, cells) = (near(row, row, rows), near(columns.start, columns.end, cells));
        self.steps.slice(s![rows, cells]).iter().any(|&is| is)
    }

    /// Width of the band in which a step hides ink, in pixels.
    pub(super) fn band(&self) -> usize {
        BAND * self.cell
    }
}

/// Width of the band in which ink may be lost at a step, in cells.
const BAND: usize = 6;

/// Finds the kind of background, and removes it.
pub(super) fn remove(mut plane: Plane) -> Background {
    let (grid, _) = surface::coarse(&plane, CELLS);
    if let Some(tone) = flat(&plane, &grid) {
        let mut lean = 0.0;
        for value in surface::beyond(&plane, tone - 2.0 * FLAT, tone + 2.0 * FLAT) {
            lean += value - tone;
        }
        let sign = if lean < 0.0 { -1.0 } else { 1.0 };
        plane.mapv_inplace(|value| sign * (value - tone));
        return Background::Flat { ink: plane };
    }
    if let Some(tones) = crop::cut_close(&grid).or_else(|| crop::coarse_scan(&plane)) {
        let ink = plane.mapv(|value| (value - tones.background) / (tones.ink - tones.background));
        return Background::Cropped { ink, grey: plane };
    }
    Background::Uneven(remove_uneven(plane, None, 0))
}

/// Removes an uneven background. `is_dark` says whether ink is darker than the background, if that is known. `least` is
/// the index of the smallest radius that may be chosen.
pub(super) fn remove_uneven(plane: Plane, is_dark: Option<bool>, least: usize) -> WithoutUneven {
    let (grid, cell) = surface::coarse(&plane, CELLS);
    let bowl = surface::QuadraticSurface::fit(&grid);
    let shape = bowl.over(grid.dim());
    let dark = roughness_by_radius(&grid, &shape);
    let light = roughness_by_radius(&-&grid, &-&shape);
    // The tone that vanishes at a small radius is ink: it has thin strokes. A tone that vanishes only at a large radius
    // may be shadow, so large radii weigh less.
    let left =
        |levels: &[f32]| levels[1..].iter().zip(RADII).map(|(level, share)| level / share).sum::<f32>();
    let is_dark = is_dark.unwrap_or_else(|| left(&dark) <= left(&light));
    let (sign, rough) = if is_dark { (1.0, dark) } else { (-1.0, light) };
    // Choose the smallest radius that removes most of the ink: shadows are wider and stay in the background.
    let last = rough[RADII.len()];
    let enough = last + 0.3 * (rough[0] - last);
    let index = rough[1..].iter().position(|&value| value <= enough).unwrap_or(RADII.len() - 1);
    let sufficient = (2 * radius(&grid, RADII[index]) + 1) * cell; // Width of the window in pixels.
    let share = RADII[(index + 1).max(least).min(RADII.len() - 1)];
    let (grid, cell) = surface::coarse(&plane, FINE_CELLS);
    // The finer grid rounds the radius to smaller cells. The window must not get narrower than the one chosen above.
    let radius = radius(&grid, share).max(sufficient.div_ceil(cell) / 2);
    let shape = bowl.over(grid.dim());
    let background = envelope(&(&grid * sign), &(shape * sign), radius);
    let (background, steps) = lower_at_steps(&background);
    let mut ink = surface::enlarge(&background, cell, plane.dim());
    if is_dark {
        // Shadow darkens paper and ink by the same factor, so the difference is scaled up in dark places.
        let brightest = ink.iter().copied().fold(1.0, f32::max);
        ink.zip_mut_with(&plane, |background, &value| {
            *background = (*background - value) * brightest / background.max(brightest / 4.0);
        });
    } else {
        ink.zip_mut_with(&plane, |background, &value| *background += value);
    }
    WithoutUneven { ink, background: UnevenBackground { grey: plane, is_dark, steps, cell } }
}

/// The tone of a flat background: most of the picture and most of its edges have it. `None` if there is no such tone.
fn flat(plane: &Plane, grid: &Plane) -> Option<f32> {
    let mut counts = [0_usize; 256];
    let mut total = 0_usize;
    for &value in surface::sample(plane) {
        counts[((value + 0.5) as usize).min(255)] += 1;
        total += 1;
    }
    let tone = (0..256_usize).max_by_key(|&tone| counts[tone])?;
    let band = tone.saturating_sub(NOISE)..(tone + NOISE + 1).min(256);
    let near: usize = counts[band.clone()].iter().sum();
    let tone = band.map(|value| value * counts[value]).sum::<usize>() as f32 / near.max(1) as f32;
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
    (near as f32 >= MOST * total as f32 && same as f32 >= MOST_OF_EDGES * cells as f32).then_some(tone)
}

fn radius(relief: &Plane, share: f32) -> usize {
    let shorter = relief.nrows().min(relief.ncols());
    ((shorter as f32 * share).round() as usize).max(1)
}

/// Estimates the background: fills each dark gap that is narrower than `2 * radius + 1` cells.
///
/// Gaps are filled in two ways, and the lower result counts, because each way fills too much in one case. Filling the
/// grid itself also fills the corners of a bowl-shaped background. Filling the grid minus the fitted surface `bowl`
/// also fills the sides of a step.
fn envelope(grid: &Plane, bowl: &Plane, radius: usize) -> Plane {
    let mut background = surface::close(grid, radius);
    let above = surface::close(&(grid - bowl), radius);
    Zip::from(&mut background)
        .and(&above)
        .and(bowl)
        .for_each(|background, above, bowl| *background = background.min(above + bowl));
    background
}

/// Lowers the background to its darker side at each step, such as the edge of a shadow. The cells on a step mix both
/// tones, and would otherwise look like a line of ink. Also returns the cells with a step.
fn lower_at_steps(background: &Plane) -> (Plane, Array2<bool>) {
    let range = |radius: usize| {
        let mut range = surface::extreme(background, radius, f32::max);
        range -= &surface::extreme(background, radius, f32::min);
        range
    };
    let mut steps = range(1);
    // A step changes mostly within one cell. A slope continues beside it, and is not a step.
    Zip::from(&mut steps).and(&range(3)).for_each(|step, &wide| {
        if *step < SUDDEN * wide {
            *step = 0.0;
        }
    });
    let steps = surface::extreme(&steps, 1, f32::max);
    let low = surface::extreme(background, 2, f32::min);
    let mut out = background.clone();
    Zip::from(&mut out).and(&low).and(&steps).for_each(|value, &low, &step| {
        if step > STEP {
            *value = low;
        }
    });
    (out, steps.mapv(|step| step > STEP))
}

/// The roughness of the picture, and of the background that each radius leaves. If the tone of the ink is right, the
/// background gets smooth at a smaller radius.
fn roughness_by_radius(grid: &Plane, bowl: &Plane) -> [f32; RADII.len() + 1] {
    let mut levels = [surface::roughness(grid); RADII.len() + 1];
    for (level, share) in levels[1..].iter_mut().zip(RADII) {
        *level = surface::roughness(&envelope(grid, bowl, radius(grid, share)));
    }
    levels
}
