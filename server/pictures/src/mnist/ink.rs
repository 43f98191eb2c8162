//! Tells ink from noise: a threshold from the noise of the ground, and the pixels above it.

use super::{Plane, components, components::Components, ground::Light, surface};

/// Ink fainter than this many grey levels is none: 2.4 % of the range.
const FAINTEST: f32 = 6.0;

/// Standard deviations of the noise beyond which a pixel is ink.
const SURE: f32 = 5.0;

/// Standard deviations that ink which belongs to sure ink has at least.
const LIKELY: f32 = 3.5;

/// Shares of the usual darkness of strokes: what a component must reach somewhere, and everywhere.
const CORE: f32 = 0.45;
const RIM: f32 = 0.12;

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

pub(super) fn find(mut plane: Plane, light: Option<&Light>) -> Option<Marked> {
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
    let grey = light.map(|light| &light.grey);
    let before = light.map(|_| plane.clone());
    plane.mapv_inplace(|value| ((value - middle) / stroke).clamp(0.0, 1.0));
    let components = components::find(&plane, rim / stroke, core / stroke, grey);
    if components.had_crossing
        && let Some(mut ink) = before
        && let Some(lines) = lines(&ink, middle + rim)
    {
        ink.mapv_inplace(|value| ((value - lines.tone) / lines.beyond).clamp(0.0, 1.0));
        let mut components = components::find(&ink, LINE_RIM, CORE, grey);
        if !components.is_empty() && !components.cross(ink.dim()) {
            components.had_crossing = true;
            return Some(Marked { ink, components });
        }
    }
    // lines alone are said to be there, for wider strokes may lie under them
    (components.had_crossing || !components.is_empty()).then_some(Marked { ink: plane, components })
}

/// Ink of one tone on a ground of one tone, where ink is 1.
pub(super) fn find_plain(mut ink: Plane) -> Option<Marked> {
    ink.mapv_inplace(|value| value.clamp(0.0, 1.0));
    let components = components::find(&ink, PLAIN_RIM, CORE, None);
    (!components.is_empty()).then_some(Marked { ink, components })
}

/// Share of ink's darkness from which on a pixel is ink where there are two tones: more than noise, less than edges.
const PLAIN_RIM: f32 = 0.25;

/// Share of the way from the tone of a page's lines to that of ink from which on a pixel is ink.
const LINE_RIM: f32 = 0.4;
/// How much darker than lines ink is at least, to be told from them.
const DARKER: f32 = 1.7;

/// The lines of a page, under ink.
struct Lines {
    /// Their usual darkness.
    tone: f32,
    /// How much darker than that ink usually is.
    beyond: f32,
}

/// Tells the lines of a page from ink that is darker, among pixels that are at least `least`.
fn lines(plane: &Plane, least: f32) -> Option<Lines> {
    let mut values: Vec<f32> = surface::beyond(plane, f32::NEG_INFINITY, least).collect();
    values.sort_unstable_by(f32::total_cmp);
    let total: f32 = values.iter().sum();
    // the split into two tones with the most variance between them
    let (mut below, mut best, mut at) = (0.0, 0.0, 0);
    for (index, value) in values.iter().enumerate().skip(1) {
        below += values[index - 1];
        let (few, many) = (index as f32, (values.len() - index) as f32);
        let apart = (total - below) / many - below / few;
        let between = few * many * apart * apart;
        if between > best && *value > values[index - 1] {
            (best, at) = (between, index);
        }
    }
    let (faint, dark) = values.split_at(at);
    let (tone, ink) = (*faint.get(faint.len() / 2)?, *dark.get(dark.len() / 2)?);
    (ink > DARKER * tone).then_some(Lines { tone, beyond: ink - tone })
}

/// The noise between neighbouring pixels, as a standard deviation.
///
/// The mask that no slope and no straight edge passes is that of J. Immerkaer, Fast noise variance estimation, 1996.
/// Three tenths of the pixels count, the calmest, for the rest may hold ink.
fn grain(plane: &Plane) -> f32 {
    const SHARE: f32 = 0.3;
    /// Three tenths of a normal distribution lie within this many standard deviations of its middle.
    const WITHIN: f32 = 0.385;
    let (rows, columns) = plane.dim();
    if rows < 3 || columns < 3 {
        return 0.0;
    }
    let mut counts = [0_u32; 1024];
    let mut line = vec![0.0_f32; columns];
    let step = (rows * columns / 8192).max(1);
    let pixels = plane.as_slice().unwrap_or_default();
    for three in pixels.windows(3 * columns).step_by(step * columns) {
        let (above, rest) = three.split_at(columns);
        let (here, below) = rest.split_at(columns);
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
    let value = |bin: usize| (bin as f32 + 0.5) / 4.0 - 64.0;
    let mut counts = vec![0_u32; BINS];
    let count = |counts: &mut [u32], value: f32| counts[(((value + 64.0) * 4.0) as usize).min(BINS - 1)] += 1;
    for &value in surface::sample(plane) {
        count(&mut counts, value);
    }
    let quantile = |counts: &[u32], share: f32| {
        let want = counts.iter().sum::<u32>() as f32 * share;
        let mut sum = 0;
        let found = counts.iter().position(|&count| {
            sum += count;
            sum > 0 && sum as f32 >= want
        });
        found.map(value)
    };
    // The lowest tenth and the lowest three tenths of the values are ground, since ink lies above it. In a normal
    // distribution they are 0.757 standard deviations apart, and the middle is 0.524 above the second.
    let low = quantile(&counts, 0.1)?;
    let high = quantile(&counts, 0.3)?;
    let spread = (high - low) / 0.757;
    let middle = if high.abs() < 0.5 { 0.0 } else { high + 0.524 * spread };
    let noise = spread.max(grain(plane)).max(0.5);
    let least = (SURE * noise).max(FAINTEST);
    // There may be little ink: count every pixel of it, not a sample.
    counts.fill(0);
    for value in surface::beyond(plane, f32::NEG_INFINITY, middle + least) {
        count(&mut counts, value);
    }
    let first = quantile(&counts, 0.75)? - middle;
    // Leave out the softest part of a stroke's edge: below 0.3 of its darkness, for faint and dark ink alike.
    let edges = (((middle + 0.3 * first + 64.0) * 4.0) as usize).min(BINS);
    counts[..edges].fill(0);
    let stroke = quantile(&counts, 0.75)? - middle;
    Some(Levels { middle, noise, stroke: stroke.max(least) })
}
