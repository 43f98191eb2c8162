//! Which tone is the ground, and how bright it is at each place.

use std::ops::Range;

use ndarray::{Array2, Zip, s};

use super::{Plane, crop, surface};

/// Cells along the longer side of the grid on which the ground is estimated; a strip has more.
const CELLS: usize = 48;

/// The same once it is known which tone the ground is.
const FINE_CELLS: usize = 96;

/// Grey levels between cells no more than two apart of a ground that has an edge there.
const STEP: f32 = 10.0;

/// Share of a step in the cells no more than six apart that lies between two: slopes have less.
const SUDDEN: f32 = 0.55;

/// Half widths of strokes that are tried, as shares of the shorter side. Wider strokes are a thick pen's in a tight
/// crop, which [`crop::cut_close`] knows.
const RADII: [f32; 6] = [0.02, 0.035, 0.055, 0.08, 0.11, 0.15];

/// The radius for strokes that are wider than the lines of their page, by its index.
const WIDE: usize = 3;

/// Grey levels that pixels of a flat ground may be away from the usual one.
const NOISE: usize = 4;

/// The same for averages of cells.
const FLAT: f32 = 2.5;

/// Shares of the pixels, and of those at the edges, that a flat ground has.
const MOST: f32 = 0.6;
const MOST_OF_EDGES: f32 = 0.85;

/// A picture with its ground taken away, by the kind of that ground. `ink` is in grey levels: 0 where there is none, else
/// how much it differs from the ground, be it darker or brighter.
pub(super) enum Ground {
    /// Of one tone.
    Flat { ink: Plane },
    /// Of one tone, cut to pieces by a digit of one tone that fills the picture. Here full ink is 1, and `grey` is the
    /// picture as it was.
    Cropped { ink: Plane, grey: Plane },
    /// Lit unevenly, patterned or noisy.
    Uneven(Bare),
}

/// A picture without its uneven ground.
pub(super) struct Bare {
    pub(super) ink: Plane,
    pub(super) light: Light,
}

/// What is known about an uneven ground.
pub(super) struct Light {
    /// The grey before: shadows may be left of it.
    pub(super) grey: Plane,
    /// Whether ink was taken to be darker than the ground.
    is_dark: bool,
    /// Cells where the ground has a step: ink is lost there.
    steps: Array2<bool>,
    /// Pixels along a side of a cell.
    cell: usize,
}

impl Light {
    /// The picture again, its ground taken away as if ink had the other tone.
    pub(super) fn otherwise(self) -> Bare {
        without_light(self.grey, Some(!self.is_dark), 0)
    }

    /// The picture again, its ground found over wider strokes than were taken for ink.
    pub(super) fn over_wide_strokes(self) -> Bare {
        without_light(self.grey, Some(self.is_dark), WIDE)
    }

    /// Whether ink of these pixels of a row ends at a step.
    pub(super) fn is_at_step(&self, row: usize, columns: Range<usize>) -> bool {
        let near = |from: usize, to: usize, most: usize| {
            (from / self.cell).saturating_sub(1)..(to / self.cell + 2).min(most)
        };
        let (rows, cells) = self.steps.dim();
        let (rows, cells) = (near(row, row, rows), near(columns.start, columns.end, cells));
        self.steps.slice(s![rows, cells]).iter().any(|&is| is)
    }

    /// Pixels across the band in which a step hides ink.
    pub(super) fn band(&self) -> usize {
        BAND * self.cell
    }
}

/// Cells across the band in which ink may be lost at a step.
const BAND: usize = 6;

/// Takes the ground away.
pub(super) fn remove(mut plane: Plane) -> Ground {
    let (grid, _) = surface::coarse(&plane, CELLS);
    if let Some(tone) = flat(&plane, &grid) {
        let mut lean = 0.0;
        for value in surface::beyond(&plane, tone - 2.0 * FLAT, tone + 2.0 * FLAT) {
            lean += value - tone;
        }
        let sign = if lean < 0.0 { -1.0 } else { 1.0 };
        plane.mapv_inplace(|value| sign * (value - tone));
        return Ground::Flat { ink: plane };
    }
    if let Some(tones) = crop::cut_close(&grid).or_else(|| crop::coarse_scan(&plane)) {
        let ink = plane.mapv(|value| (value - tones.ground) / (tones.ink - tones.ground));
        return Ground::Cropped { ink, grey: plane };
    }
    Ground::Uneven(without_light(plane, None, 0))
}

/// Takes an uneven ground away; `is_dark` says whether ink is darker than it, where that is known, and `least` which of the
/// radii is the smallest.
pub(super) fn without_light(plane: Plane, is_dark: Option<bool>, least: usize) -> Bare {
    let (grid, cell) = surface::coarse(&plane, CELLS);
    let bowl = surface::Bowl::through(&grid);
    let shape = bowl.over(grid.dim());
    let dark = levels(&grid, &shape);
    let light = levels(&-&grid, &-&shape);
    // A tone that leaves with thin strokes is ink. One that leaves with wide patches may be shadow, and counts less.
    let left =
        |levels: &[f32]| levels[1..].iter().zip(RADII).map(|(level, share)| level / share).sum::<f32>();
    let is_dark = is_dark.unwrap_or_else(|| left(&dark) <= left(&light));
    let (sign, rough) = if is_dark { (1.0, dark) } else { (-1.0, light) };
    // Choose the smallest radius that removes most of the ink, so that shadows, which are wider, stay in the ground.
    let last = rough[RADII.len()];
    let enough = last + 0.3 * (rough[0] - last);
    let index = rough[1..].iter().position(|&value| value <= enough).unwrap_or(RADII.len() - 1);
    let sufficient = (2 * radius(&grid, RADII[index]) + 1) * cell; // pixels across the window
    let share = RADII[(index + 1).max(least).min(RADII.len() - 1)];
    let (grid, cell) = surface::coarse(&plane, FINE_CELLS);
    // A radius is rounded to cells, and these are smaller: the window may not be narrower than the one that sufficed.
    let radius = radius(&grid, share).max(sufficient.div_ceil(cell) / 2);
    let shape = bowl.over(grid.dim());
    let ground = envelope(&(&grid * sign), &(shape * sign), radius);
    let (ground, steps) = lower_at_steps(&ground);
    let mut ink = surface::enlarge(&ground, cell, plane.dim());
    if is_dark {
        // Shade darkens paper and ink by the same factor.
        let brightest = ink.iter().copied().fold(1.0, f32::max);
        ink.zip_mut_with(&plane, |ground, &value| {
            *ground = (*ground - value) * brightest / ground.max(brightest / 4.0);
        });
    } else {
        ink.zip_mut_with(&plane, |ground, &value| *ground += value);
    }
    Bare { ink, light: Light { grey: plane, is_dark, steps, cell } }
}

/// The tone that most of the picture has, and most of its edges.
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

/// The ground below the ink: the grid, with every dark gap filled that is narrower than `2 * radius + 1` cells.
///
/// Gaps are filled twice, and the lower of both results counts. In the grid itself, the corners of a bowl are filled too,
/// as if they were ink; in what is left of it above a bowl, the sides of a step are.
fn envelope(grid: &Plane, bowl: &Plane, radius: usize) -> Plane {
    let mut ground = surface::close(grid, radius);
    let above = surface::close(&(grid - bowl), radius);
    Zip::from(&mut ground)
        .and(&above)
        .and(bowl)
        .for_each(|ground, above, bowl| *ground = ground.min(above + bowl));
    ground
}

/// Lowers the ground to the darker side wherever it has a step, such as the edge of a shadow. The cells on a step hold
/// some of both tones and would otherwise show as a line of ink. Returns where that is, too.
fn lower_at_steps(ground: &Plane) -> (Plane, Array2<bool>) {
    let range = |radius: usize| {
        let mut range = surface::extreme(ground, radius, f32::max);
        range -= &surface::extreme(ground, radius, f32::min);
        range
    };
    let mut steps = range(1);
    // A step has most of its change within one cell. A slope goes on beside it, and is no step.
    Zip::from(&mut steps).and(&range(3)).for_each(|step, &wide| {
        if *step < SUDDEN * wide {
            *step = 0.0;
        }
    });
    let steps = surface::extreme(&steps, 1, f32::max);
    let low = surface::extreme(ground, 2, f32::min);
    let mut out = ground.clone();
    Zip::from(&mut out).and(&low).and(&steps).for_each(|value, &low, &step| {
        if step > STEP {
            *value = low;
        }
    });
    (out, steps.mapv(|step| step > STEP))
}

/// The roughness of the picture, and of the ground that each of the radii leaves of it. For the right tone of ink the
/// ground gets smooth at a smaller radius.
fn levels(grid: &Plane, bowl: &Plane) -> [f32; RADII.len() + 1] {
    let mut levels = [surface::roughness(grid); RADII.len() + 1];
    for (level, share) in levels[1..].iter_mut().zip(RADII) {
        *level = surface::roughness(&envelope(grid, bowl, radius(grid, share)));
    }
    levels
}
