//! Operations on grey values: grids of averages, minimum and maximum filters, and smooth surfaces.

use ndarray::{Array2, ArrayView2, Axis, Zip, s};

use super::Plane;

/// The size of a picture that lengths are compared with: its longer side, but at most twice its height, because a wide
/// strip has many digits. A tall picture has no such limit: digits below each other are not separated.
pub(super) fn extent((rows, columns): (usize, usize)) -> usize {
    rows.max(columns.min(2 * rows))
}

/// Side in pixels of the smallest squares of which at most `longest` fit along the picture's [`extent`], and at most
/// `most` in the whole picture.
pub(super) fn square((rows, columns): (usize, usize), longest: usize, most: usize) -> usize {
    let last = rows.max(columns).div_ceil(longest);
    let first = extent((rows, columns)).div_ceil(longest);
    let is_few = |side: &usize| rows.div_ceil(*side) * columns.div_ceil(*side) <= most;
    (first..last).find(is_few).unwrap_or(last)
}

/// How many times more cells a strip may have than a square picture.
const OF_STRIPS: usize = 4;

/// Averages a picture over square cells, of which at most `longest` lie along its extent. Returns the averages, and the
/// side of a cell in pixels.
pub(super) fn coarse(plane: &Plane, longest: usize) -> (Plane, usize) {
    let (rows, columns) = plane.dim();
    let cell = square((rows, columns), longest, OF_STRIPS * longest * longest);
    if cell == 1 {
        return (plane.clone(), 1);
    }
    let mut out = Array2::zeros((rows.div_ceil(cell), columns.div_ceil(cell)));
    let mut sums = vec![0.0; columns];
    for (mut out, band) in out.axis_iter_mut(Axis(0)).zip(plane.axis_chunks_iter(Axis(0), cell)) {
        sums.fill(0.0);
        for row in band.axis_iter(Axis(0)) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        for (out, part) in out.iter_mut().zip(sums.chunks(cell)) {
            *out = part.iter().sum::<f32>() / (part.len() * band.nrows()) as f32;
        }
    }
    (out, cell)
}

/// A sample of at most about 10,000 pixels.
pub(super) fn sample(plane: &Plane) -> impl Iterator<Item = &f32> {
    const ENOUGH: usize = 10_000;
    let mut step = plane.len() / ENOUGH + 1;
    // A step that divides the width would sample only a few columns.
    while step > 1 && plane.ncols().is_multiple_of(step) {
        step += 1;
    }
    plane.as_slice().unwrap_or_default().iter().step_by(step)
}

/// The values below `low` or above `high`. It is fast if there are few: parts without any are skipped.
pub(super) fn beyond(plane: &Plane, low: f32, high: f32) -> impl Iterator<Item = f32> {
    let is_beyond = move |value: f32| value < low || value > high;
    let parts = plane.as_slice().unwrap_or_default().chunks(32);
    // Counting all values of a part is faster than searching for the first, because the compiler vectorises it.
    let parts = parts.filter(move |part| {
        part.iter().map(|&value| u32::from(value < low) + u32::from(value > high)).sum::<u32>() > 0
    });
    parts.flatten().copied().filter(move |&value| is_beyond(value))
}

/// Morphological closing: fills gaps that are darker than their surroundings and narrower than `2 * radius + 1`.
pub(super) fn close(plane: &Plane, radius: usize) -> Plane {
    extreme(&extreme(plane, radius, f32::max), radius, f32::min)
}

/// Minimum or maximum filter: the extreme of the values within `radius` rows and columns of each place.
pub(super) fn extreme(plane: &Plane, radius: usize, pick: fn(f32, f32) -> f32) -> Plane {
    let down = along_columns(plane, radius, pick);
    let turned = along_columns(&down.t().as_standard_layout().into_owned(), radius, pick);
    turned.t().as_standard_layout().into_owned()
}

/// The extreme of the values within `radius` rows. Windows are doubled in each round, so the cost grows with the
/// logarithm of `radius`.
fn along_columns(plane: &Plane, radius: usize, pick: fn(f32, f32) -> f32) -> Plane {
    let rows = plane.nrows();
    // After each round, row i holds the extreme of rows i to i + length - 1.
    let mut window = plane.clone();
    let want = (2 * radius + 1).min(rows);
    let mut length = 1;
    while length < want {
        let step = length.min(want - length);
        for row in 0..rows - step {
            let (mut first, second) = window.multi_slice_mut((s![row, ..], s![row + step, ..]));
            first.zip_mut_with(&second, |a, &b| *a = pick(*a, b));
        }
        length += step;
    }
    let mut out = plane.clone();
    for (row, mut line) in out.axis_iter_mut(Axis(0)).enumerate() {
        // At the edges, windows are shorter. Each is the union of two windows that fit.
        let (first, last) = (row.saturating_sub(radius), (row + radius).min(rows - 1));
        let height = last - first + 1;
        if height >= length {
            line.assign(&window.row(first));
            let end = window.row(last + 1 - length);
            line.zip_mut_with(&end, |a, &b| *a = pick(*a, b));
        } else {
            for near in first..=last {
                line.zip_mut_with(&plane.row(near), |a, &b| *a = pick(*a, b));
            }
        }
    }
    out
}

/// Interpolates linearly between the centres of cells, to one value for each pixel.
pub(super) fn enlarge(coarse: &Plane, cell: usize, (rows, columns): (usize, usize)) -> Plane {
    let (cells_down, cells_across) = coarse.dim();
    let place = |pixel: usize, cells: usize| {
        let at = ((pixel as f32 + 0.5) / cell as f32 - 0.5).clamp(0.0, (cells - 1) as f32);
        let low = (at as usize).min(cells.saturating_sub(2));
        (low, (low + 1).min(cells - 1), at - low as f32)
    };
    let across: Vec<_> = (0..columns).map(|column| place(column, cells_across)).collect();
    let mut line = vec![0.0_f32; cells_across];
    let mut out = Array2::zeros((rows, columns));
    for (row, mut out) in out.axis_iter_mut(Axis(0)).enumerate() {
        let (low, high, part) = place(row, cells_down);
        for (value, (a, b)) in line.iter_mut().zip(coarse.row(low).iter().zip(coarse.row(high))) {
            *value = a + (b - a) * part;
        }
        for (value, &(low, high, part)) in out.iter_mut().zip(&across) {
            *value = line[low] + (line[high] - line[low]) * part;
        }
    }
    out
}

/// Smooths a picture: each value becomes the mean over itself and its eight neighbours.
pub(super) fn smooth(plane: &Plane) -> Plane {
    let blur = |plane: &Plane| {
        let rows = plane.nrows();
        let mut out = plane.clone();
        for (row, mut line) in out.axis_iter_mut(Axis(0)).enumerate() {
            let (above, below) = (plane.row(row.saturating_sub(1)), plane.row((row + 1).min(rows - 1)));
            for (value, (above, below)) in line.iter_mut().zip(above.iter().zip(below)) {
                *value = (*value + above + below) / 3.0;
            }
        }
        out
    };
    let down = blur(plane);
    blur(&down.t().as_standard_layout().into_owned()).t().as_standard_layout().into_owned()
}

/// Sum of the absolute differences between neighbouring values.
pub(super) fn roughness(plane: &Plane) -> f32 {
    let differences = |a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>| -> f32 {
        a.iter().zip(b.iter()).map(|(a, b)| (a - b).abs()).sum()
    };
    differences(plane.slice(s![1.., ..]), plane.slice(s![..-1, ..]))
        + differences(plane.slice(s![.., 1..]), plane.slice(s![.., ..-1]))
}

/// Number of terms of a quadratic surface.
const TERMS: usize = 6;

/// A quadratic surface.
pub(super) struct QuadraticSurface([f32; TERMS]);

impl QuadraticSurface {
    /// Fits a surface robustly: values far away from it have little weight.
    pub(super) fn fit(plane: &Plane) -> Self {
        let mut weights = Plane::ones(plane.dim());
        let mut bowl = Self([0.0; TERMS]);
        for _ in 0..6 {
            let mut system = [[0.0_f64; TERMS + 1]; TERMS];
            for (at, &value) in plane.indexed_iter() {
                let terms = Self::terms(at, plane.dim());
                let weight = weights[at];
                for (line, a) in system.iter_mut().zip(terms) {
                    for (cell, b) in line.iter_mut().zip(terms) {
                        *cell += f64::from(weight * a * b);
                    }
                    line[TERMS] += f64::from(weight * a * value);
                }
            }
            bowl = Self(solve(system));
            let surface = bowl.over(plane.dim());
            let mut distances: Vec<f32> = plane.iter().zip(&surface).map(|(a, b)| (a - b).abs()).collect();
            let middle = distances.len() / 2;
            let (_, &mut median, _) = distances.select_nth_unstable_by(middle, f32::total_cmp);
            let spread = 3.0 * median.max(1.0);
            Zip::from(&mut weights).and(plane).and(&surface).for_each(|weight, value, surface| {
                *weight = 1.0 / (1.0 + ((value - surface) / spread).powi(4));
            });
        }
        bowl
    }

    /// The surface's values at the cells of a grid over the same picture.
    pub(super) fn over(&self, cells: (usize, usize)) -> Plane {
        Array2::from_shape_fn(cells, |at| {
            Self::terms(at, cells).iter().zip(self.0).map(|(term, factor)| term * factor).sum()
        })
    }

    fn terms((row, column): (usize, usize), (rows, columns): (usize, usize)) -> [f32; TERMS] {
        let y = (row as f32 + 0.5) / rows as f32 * 2.0 - 1.0;
        let x = (column as f32 + 0.5) / columns as f32 * 2.0 - 1.0;
        [1.0, x, y, x * x, x * y, y * y]
    }
}

/// Gaussian elimination. A term that the equations do not determine gets the factor 0.
fn solve<const N: usize, const M: usize>(mut system: [[f64; M]; N]) -> [f32; N] {
    for (at, line) in system.iter_mut().enumerate() {
        line[at] += 1e-6;
    }
    for pivot in 0..N {
        let row = system[pivot];
        for (at, line) in system.iter_mut().enumerate() {
            if at != pivot && row[pivot].abs() > 1e-12 {
                let factor = line[pivot] / row[pivot];
                line.iter_mut().zip(row).for_each(|(value, other)| *value -= factor * other);
            }
        }
    }
    let mut factors = [0.0; N];
    for (at, factor) in factors.iter_mut().enumerate() {
        if system[at][at].abs() > 1e-12 {
            *factor = (system[at][M - 1] / system[at][at]) as f32;
        }
    }
    factors
}
