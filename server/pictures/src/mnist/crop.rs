//! Recognises pictures that a digit fills up to the edges, and finds their two tones.

use super::{Plane, strokes};

/// Distance of a third tone from the other two, as a share of their contrast.
const THIRD_TONE_DISTANCE: f32 = 0.25;
/// Largest share of cells with a third tone in a picture that counts as one of two tones.
const THIRD_TONE_SHARE: f32 = 0.03;

/// The grey values of background and ink in a picture of two tones.
pub(super) struct Tones {
    pub(super) background: f32,
    pub(super) ink: f32,
}

/// The tones of a picture of two tones that is cropped closely to its digit: ink may cover most of it, and most of its
/// edges. Such ink is connected, reaches all four sides, and cuts the background into pieces.
pub(super) fn cut_close(grid: &Plane) -> Option<Tones> {
    let threshold = otsu(grid);
    let parts = [pieces(grid, |value| value < threshold), pieces(grid, |value| value >= threshold)];
    let ink = (0..2).find(|&class| {
        let (ink, background) = (&parts[class], &parts[1 - class]);
        ink.sides == 4
            && ink.largest > 0.9
            && background.largest < 0.9
            && background.share > 0.15
            && ink.ring < 0.8
            && strokes::are_narrow(
                &grid.mapv(|value| f32::from(u8::from((value < threshold) == (class == 0)))).view(),
            )
    })?;
    let of_kind = |kind: usize| grid.iter().copied().filter(move |&value| (value < threshold) == (kind == 0));
    let [dark, light] = [0, 1].map(|kind| median(of_kind(kind).collect()));
    let tone = if ink == 1 { dark } else { light };
    // Only two tones: no light or shadow on the background, and nothing darker or brighter than both.
    let (same, all) = of_kind(1 - ink)
        .fold((0, 0), |(same, all), value| (same + usize::from((value - tone).abs() < 12.0), all + 1));
    let beyond = THIRD_TONE_DISTANCE * (light - dark);
    let has_more = |kind: usize| {
        let (more, all) = of_kind(kind).fold((0, 0), |(more, all), value| {
            let away = if kind == 0 { dark - value } else { value - light };
            (more + usize::from(away > beyond), all + 1)
        });
        more as f32 > THIRD_TONE_SHARE * all as f32
    };
    let tones = Tones { background: tone, ink: if ink == 1 { light } else { dark } };
    (same as f32 > 0.7 * all as f32 && !has_more(0) && !has_more(1)).then_some(tones)
}

/// Largest side of a coarse scan, in pixels. The strokes of a larger picture are wider than one pixel.
const COARSE: usize = 40;
/// Least contrast between the two tones of a coarse scan, in grey levels.
const MIN_CONTRAST: f32 = 60.0;
/// Least ratio of this contrast to the spread within both tones.
const MIN_SEPARATION: f32 = 1.5;

/// The tones of a scan of few pixels. Its ink may reach the edges, as a shadow would. A single tone of background and a
/// single tone of ink exclude a shadow.
pub(super) fn coarse_scan(plane: &Plane) -> Option<Tones> {
    if plane.nrows().max(plane.ncols()) > COARSE {
        return None;
    }
    let threshold = otsu(plane);
    let (dark, light): (Vec<f32>, Vec<f32>) = plane.iter().partition(|&&value| value < threshold);
    // The median distance of a tone's pixels from its median.
    let spread =
        |tone: &[f32], middle: f32| median(tone.iter().map(|value| (value - middle).abs()).collect());
    let tones = [dark, light].map(|tone| {
        let middle = median(tone.clone());
        (middle, spread(&tone, middle))
    });
    let [(dark, dark_spread), (light, light_spread)] = tones;
    if light - dark < MIN_CONTRAST.max(MIN_SEPARATION * (dark_spread + light_spread)) {
        return None;
    }
    // Ink covers less of the edges than the background does.
    let rows = plane.nrows();
    let sides = [plane.row(0), plane.row(rows - 1), plane.column(0), plane.column(plane.ncols() - 1)];
    let (at_edges, dark_there) = sides
        .iter()
        .flatten()
        .fold((0, 0), |(all, dark), &value| (all + 1, dark + usize::from(value < threshold)));
    let is_dark = 2 * dark_there <= at_edges;
    Some(if is_dark {
        Tones { background: light, ink: dark }
    } else {
        Tones { background: dark, ink: light }
    })
}

fn median(mut values: Vec<f32>) -> f32 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// Otsu's threshold: it divides the values into two classes with the least variance within each (N. Otsu, 1979).
fn otsu(grid: &Plane) -> f32 {
    let mut counts = [0.0_f32; 256];
    for &value in grid {
        counts[((value + 0.5) as usize).min(255)] += 1.0;
    }
    let total: f32 = counts.iter().sum();
    let sum: f32 = counts.iter().enumerate().map(|(value, count)| value as f32 * count).sum();
    let (mut below, mut sum_below) = (0.0, 0.0);
    let (mut best, mut threshold) = (0.0, 0.0);
    for (value, count) in counts.iter().enumerate() {
        below += count;
        sum_below += value as f32 * count;
        let above = total - below;
        if below > 0.0 && above > 0.0 {
            let apart = sum_below / below - (sum - sum_below) / above;
            let between = below * above * apart * apart;
            if between > best {
                (best, threshold) = (between, value as f32 + 0.5);
            }
        }
    }
    threshold
}

/// Measurements of the cells of one kind, ink or background, and of the connected pieces that they form.
struct Pieces {
    /// Share of the kind's cells that belong to the largest piece.
    largest: f32,
    /// Share of the grid's outermost cells that are of this kind.
    ring: f32,
    /// Number of sides of the grid that the largest piece reaches.
    sides: usize,
    /// Share of the grid's cells that are of this kind.
    share: f32,
}

fn pieces(grid: &Plane, is_kind: impl Fn(f32) -> bool) -> Pieces {
    let (rows, columns) = grid.dim();
    let mut left = grid.mapv(is_kind);
    let total = left.iter().filter(|&&is| is).count();
    let (mut largest, mut sides) = (0, 0);
    let is_ring =
        |(row, column): (usize, usize)| row == 0 || column == 0 || row + 1 == rows || column + 1 == columns;
    let ring = ndarray::indices(grid.dim()).into_iter().filter(|&at| is_ring(at));
    let (ring, of_kind) = ring.fold((0, 0), |(all, kind), at| (all + 1, kind + usize::from(left[at])));
    let mut waiting = Vec::new();
    for start in ndarray::indices(grid.dim()) {
        if !left[start] {
            continue;
        }
        left[start] = false;
        waiting.push(start);
        let (mut size, mut reached) = (0, [false; 4]);
        while let Some((row, column)) = waiting.pop() {
            size += 1;
            // The tip of a round stroke may fill less than half of the outermost cell, so the second one counts too.
            let at_side = [row <= 1, column <= 1, row + 2 >= rows, column + 2 >= columns];
            reached.iter_mut().zip(at_side).for_each(|(reached, at)| *reached |= at);
            let beside = [
                (row.wrapping_sub(1), column),
                (row + 1, column),
                (row, column.wrapping_sub(1)),
                (row, column + 1),
            ];
            for next in beside {
                if left.get(next) == Some(&true) {
                    left[next] = false;
                    waiting.push(next);
                }
            }
        }
        if size > largest {
            (largest, sides) = (size, reached.iter().filter(|&&reached| reached).count());
        }
    }
    let share = |cells: usize, of: usize| cells as f32 / of.max(1) as f32;
    Pieces {
        largest: share(largest, total),
        ring: share(of_kind, ring),
        sides,
        share: share(total, grid.len()),
    }
}
