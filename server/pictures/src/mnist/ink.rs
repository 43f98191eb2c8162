//! How dark ink must be to be none of the noise, and the pixels that are.

use ndarray::Array2;

use super::{Plane, components, components::Components, ground::Bare, surface};

/// Ink fainter than this many grey levels is none: 2.4 % of the range.
const FAINTEST: f32 = 6.0;

/// Standard deviations of the noise beyond which a pixel is ink.
const SURE: f32 = 5.0;

/// Standard deviations that ink which belongs to sure ink has at least.
const LIKELY: f32 = 3.5;

/// Shares of the usual darkness of strokes: what a component must reach somewhere, and everywhere.
const CORE: f32 = 0.45;
const RIM: f32 = 0.2;

/// Shorter pictures have no pixels to spare for smoothing.
const SMOOTHED_FROM: usize = 96;

/// Ink, and the components that it forms.
pub(super) struct Marked {
    /// 0 to 1.
    pub(super) ink: Plane,
    pub(super) components: Components,
}

/// What is known about noise and ink.
struct Levels {
    middle: f32,
    noise: f32,
    stroke: f32,
}

pub(super) fn find(Bare { ink: mut plane, uneven }: Bare) -> Option<Marked> {
    let longest = plane.nrows().max(plane.ncols());
    let mut found = levels(&plane);
    for _ in 0..3 {
        let faint = found.as_ref().is_none_or(|levels| levels.stroke < 10.0 * levels.noise);
        if !faint || longest < SMOOTHED_FROM {
            break;
        }
        plane = surface::smooth(&plane);
        found = levels(&plane);
    }
    let Levels { middle, noise, stroke } = found?;
    let core = (CORE * stroke).max(SURE * noise).max(FAINTEST);
    let rim = (RIM * stroke).max(LIKELY * noise).min(core);
    plane.mapv_inplace(|value| ((value - middle) / stroke).clamp(0.0, 1.0));
    let components = components::find(&plane, rim / stroke, core / stroke, uneven);
    (!components.is_empty()).then_some(Marked { ink: plane, components })
}

/// The noise between neighbouring pixels, as a standard deviation.
///
/// The mask that no slope and no straight edge passes is that of J. Immerkaer, Fast noise variance estimation, 1996.
/// Three tenths of the pixels count, the calmest, for the rest may hold ink.
fn grain(plane: &Plane) -> f32 {
    const SHARE: f32 = 0.3;
    /// Of a normal distribution, so many deviations from its middle lie the nearest three tenths.
    const WITHIN: f32 = 0.385;
    let (rows, columns) = plane.dim();
    if rows < 3 || columns < 3 {
        return 0.0;
    }
    let mut counts = [0_u32; 1024];
    let mut line = vec![0.0_f32; columns];
    for row in (1..rows - 1).step_by(2) {
        let (above, here, below) = (plane.row(row - 1), plane.row(row), plane.row(row + 1));
        for (value, ((a, b), c)) in line.iter_mut().zip(above.iter().zip(here).zip(below)) {
            *value = a - 2.0 * b + c;
        }
        for three in line.windows(3) {
            let value = (three[0] - 2.0 * three[1] + three[2]).abs() / 6.0;
            counts[((value * 4.0) as usize).min(1023)] += 1;
        }
    }
    let want = counts.iter().sum::<u32>() as f32 * SHARE;
    let mut sum = 0;
    let bin = counts.iter().position(|&count| {
        sum += count;
        sum as f32 >= want
    });
    bin.unwrap_or(0) as f32 / 4.0 / WITHIN
}

/// Quarters of grey levels from -64 to 256.
const BINS: usize = 1280;

fn levels(plane: &Plane) -> Option<Levels> {
    let mut counts = Array2::<u32>::zeros((1, BINS));
    let counts = counts.as_slice_mut()?;
    for &value in plane {
        counts[(((value + 64.0) * 4.0) as usize).min(BINS - 1)] += 1;
    }
    let value = |bin: usize| (bin as f32 + 0.5) / 4.0 - 64.0;
    let bin = |value: f32| (((value + 64.0) * 4.0) as usize).min(BINS - 1);
    let quantile = |from: usize, share: f32| {
        let total: u32 = counts[from..].iter().sum();
        let want = total as f32 * share;
        let mut sum = 0;
        (from..BINS).find(|&bin| {
            sum += counts[bin];
            sum as f32 >= want && sum > 0
        })
    };
    // ink lies above the ground: where its lowest tenth and its lowest three tenths lie, a normal distribution has its
    // middle 0.524 deviations above the second, and the two are 0.757 apart
    let (low, high) = (quantile(0, 0.1).map_or(0.0, value), quantile(0, 0.3).map_or(0.0, value));
    let spread = (high - low) / 0.757;
    let middle = if high.abs() < 0.5 { 0.0 } else { high + 0.524 * spread };
    let noise = spread.max(grain(plane)).max(0.5);
    let least = (SURE * noise).max(FAINTEST);
    let stroke = quantile(bin(middle + least), 0.75).map(value)? - middle;
    Some(Levels { middle, noise, stroke: stroke.max(least) })
}
