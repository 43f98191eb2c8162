//! How dark ink must be to be none of the noise, and the pixels that are.

use ndarray::Array2;

use super::{Plane, components, components::Components, surface};

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

pub(super) fn find(mut plane: Plane) -> Option<Marked> {
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
    let components = components::find(&plane, rim / stroke, core / stroke);
    (!components.is_empty()).then_some(Marked { ink: plane, components })
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
    let quantile = |from: usize, to: usize, share: f32| {
        let total: u32 = counts[from..to].iter().sum();
        let want = total as f32 * share;
        let mut sum = 0;
        (from..to).find(|&bin| {
            sum += counts[bin];
            sum as f32 >= want && sum > 0
        })
    };
    let ground = quantile(0, bin(16.0), 0.5).map_or(0.0, value);
    let middle = if ground.abs() < 1.0 { 0.0 } else { ground };
    // below the ground there is nothing but noise: half of a normal distribution, whose median is 0.6745 deviations
    let half = quantile(0, bin(middle) + 1, 0.5).map_or(0.0, |at| middle - value(at));
    let noise = (half / 0.6745).max(0.5);
    let least = (SURE * noise).max(FAINTEST);
    let stroke = quantile(bin(middle + least), BINS, 0.75).map(value)? - middle;
    Some(Levels { middle, noise, stroke: stroke.max(least) })
}
