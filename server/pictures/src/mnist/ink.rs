//! Separates ink from noise: derives thresholds from the noise of the background, and marks the pixels above them.

use super::{Plane, background::UnevenBackground, components, components::Components, surface};

/// Least darkness of ink, in grey levels: 2.4 % of the range.
const FAINTEST: f32 = 6.0;

/// A pixel is certainly ink if it is darker than this many standard deviations of the noise.
const SURE: f32 = 5.0;

/// A pixel beside certain ink is ink if it is darker than this many standard deviations of the noise.
const LIKELY: f32 = 3.5;

/// Darkness that the darkest pixel of a component must reach, as a share of the strokes' usual darkness.
const CORE: f32 = 0.45;
/// Darkness that each pixel of a component must reach, as a share of the strokes' usual darkness.
const RIM: f32 = 0.12;

/// Least side of a picture that is smoothed, in pixels. Smaller pictures would lose too much detail.
const SMOOTHED_FROM: usize = 96;

/// The ink of a picture, and its connected components.
pub(super) struct Marked {
    /// Ink of each pixel, 0 to 1.
    pub(super) ink: Plane,
    pub(super) components: Components,
}

/// Measured levels of noise and ink, in grey levels.
struct Levels {
    /// Mean of the background.
    middle: f32,
    /// Standard deviation of the background's noise.
    noise: f32,
    /// Usual darkness of strokes above `middle`.
    stroke: f32,
}

pub(super) fn find(mut plane: Plane, background: Option<&UnevenBackground>) -> Option<Marked> {
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
    let grey = background.map(|background| &background.grey);
    let before = background.map(|_| plane.clone());
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
    // If there are only crossing lines, the result still reports them: wider strokes may be hidden under them.
    (components.had_crossing || !components.is_empty()).then_some(Marked { ink: plane, components })
}

/// Marks ink of one tone on a background of one tone. The input is 1 for full ink.
pub(super) fn find_plain(mut ink: Plane) -> Option<Marked> {
    ink.mapv_inplace(|value| value.clamp(0.0, 1.0));
    let components = components::find(&ink, PLAIN_RIM, CORE, None);
    (!components.is_empty()).then_some(Marked { ink, components })
}

/// Least darkness of ink in a picture of two tones, as a share of full ink: above noise, below the edges of strokes.
const PLAIN_RIM: f32 = 0.25;

/// Least darkness of ink on ruled paper: 0 is the tone of the lines, 1 the tone of ink.
const LINE_RIM: f32 = 0.4;
/// Least ratio of the darkness of ink to that of lines. Below it, the two cannot be separated.
const DARKER: f32 = 1.7;

/// Darkness of the lines of ruled paper, and of the ink on it.
struct Lines {
    /// Usual darkness of the lines.
    tone: f32,
    /// Difference between the usual darkness of ink and that of the lines.
    beyond: f32,
}

/// Separates the lines of ruled paper from darker ink, among the pixels that are at least `least` dark.
fn lines(plane: &Plane, least: f32) -> Option<Lines> {
    let mut values: Vec<f32> = surface::beyond(plane, f32::NEG_INFINITY, least).collect();
    values.sort_unstable_by(f32::total_cmp);
    let total: f32 = values.iter().sum();
    // The split into two tones with the largest variance between them (Otsu's method).
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

/// Estimates the noise between neighbouring pixels, as a standard deviation.
///
/// The filter mask is that of J. Immerkaer, Fast noise variance estimation, 1996. It responds neither to slopes nor to
/// straight edges. Only the 30 % of pixels with the smallest response count, because the others may be ink.
fn pixel_noise(plane: &Plane) -> f32 {
    const SHARE: f32 = 0.3;
    /// 30 % of a normal distribution lie within this many standard deviations of its mean.
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

/// Number of bins of the histogram: one for each quarter of a grey level, from -64 to 256.
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
    // The 10 % and 30 % quantiles lie in the background, because ink is above it. In a normal distribution they are
    // 0.757 standard deviations apart, and the mean lies 0.524 above the second.
    let low = quantile(&counts, 0.1)?;
    let high = quantile(&counts, 0.3)?;
    let spread = (high - low) / 0.757;
    let middle = if high.abs() < 0.5 { 0.0 } else { high + 0.524 * spread };
    let noise = spread.max(pixel_noise(plane)).max(0.5);
    let least = (SURE * noise).max(FAINTEST);
    // There may be little ink, so all pixels count here, not a sample.
    counts.fill(0);
    for value in surface::beyond(plane, f32::NEG_INFINITY, middle + least) {
        count(&mut counts, value);
    }
    let first = quantile(&counts, 0.75)? - middle;
    // Leave out the soft edges of strokes, which have less than 0.3 of the darkness.
    let edges = (((middle + 0.3 * first + 64.0) * 4.0) as usize).min(BINS);
    counts[..edges].fill(0);
    let stroke = quantile(&counts, 0.75)? - middle;
    Some(Levels { middle, noise, stroke: stroke.max(least) })
}
