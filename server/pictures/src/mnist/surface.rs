//! Small grids of grey: averages, extremes of neighbourhoods, and smooth surfaces through them.

use ndarray::{Array2, ArrayView2, Axis, Zip, s};

use super::Plane;

/// The side that a picture is measured by: the longer one, but no more than twice the height, for a wide strip holds many
/// digits. A high one does not: digits below each other are not told apart.
pub(super) fn extent((rows, columns): (usize, usize)) -> usize {
    rows.max(columns.min(2 * rows))
}

/// Pixels along the side of squares that leave a picture `longest` of them along its [`extent`], and `most` in all.
pub(super) fn square((rows, columns): (usize, usize), longest: usize, most: usize) -> usize {
    let last = rows.max(columns).div_ceil(longest);
    let first = extent((rows, columns)).div_ceil(longest);
    let is_few = |side: &usize| rows.div_ceil(*side) * columns.div_ceil(*side) <= most;
    (first..last).find(is_few).unwrap_or(last)
}

/// How many times as many cells a strip may have as a square.
const OF_STRIPS: usize = 4;

/// Averages of squares, so many pixels wide that the picture's extent has no more than `longest` of them; and how wide
/// they are.
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

/// Pixels that stand for all of them.
pub(super) fn sample(plane: &Plane) -> impl Iterator<Item = &f32> {
    const ENOUGH: usize = 10_000;
    let mut step = plane.len() / ENOUGH + 1;
    // a step that divides the width would look at a few columns only
    while step > 1 && plane.ncols().is_multiple_of(step) {
        step += 1;
    }
    plane.as_slice().unwrap_or_default().iter().step_by(step)
}

/// The values below `low` or above `high`, of which there are few: parts without any are passed over quickly.
pub(super) fn beyond(plane: &Plane, low: f32, high: f32) -> impl Iterator<Item = f32> {
    let is_beyond = move |value: f32| value < low || value > high;
    let parts = plane.as_slice().unwrap_or_default().chunks(32);
    // counted, not searched: that takes several at once
    let parts = parts.filter(move |part| {
        part.iter().map(|&value| u32::from(value < low) + u32::from(value > high)).sum::<u32>() > 0
    });
    parts.flatten().copied().filter(move |&value| is_beyond(value))
}

/// What fills gaps narrower than `2 * radius + 1` that are darker than what surrounds them.
pub(super) fn close(plane: &Plane, radius: usize) -> Plane {
    extreme(&extreme(plane, radius, f32::max), radius, f32::min)
}

/// The extreme of the square of `radius` around each place, as far as it lies inside.
pub(super) fn extreme(plane: &Plane, radius: usize, pick: fn(f32, f32) -> f32) -> Plane {
    let down = along_columns(plane, radius, pick);
    let turned = along_columns(&down.t().as_standard_layout().into_owned(), radius, pick);
    turned.t().as_standard_layout().into_owned()
}

/// The extreme of `radius` rows above and below. Windows are doubled: the cost grows with the logarithm of `radius`.
fn along_columns(plane: &Plane, radius: usize, pick: fn(f32, f32) -> f32) -> Plane {
    let rows = plane.nrows();
    // each round, row i holds the extreme of rows i to i + length - 1
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
        // windows that would begin above or end below are cut: as the union of two that fit
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

/// A value between the middles of cells, for each pixel.
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

/// Each place's mean with its eight neighbours.
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

/// How much neighbours differ, in sum.
pub(super) fn roughness(plane: &Plane) -> f32 {
    let differences = |a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>| -> f32 {
        a.iter().zip(b.iter()).map(|(a, b)| (a - b).abs()).sum()
    };
    differences(plane.slice(s![1.., ..]), plane.slice(s![..-1, ..]))
        + differences(plane.slice(s![.., 1..]), plane.slice(s![.., ..-1]))
}

/// Terms of a surface of second degree.
const TERMS: usize = 6;

/// A surface of second degree.
pub(super) struct Bowl([f32; TERMS]);

impl Bowl {
    /// The surface through most of the places: those far from it count little.
    pub(super) fn through(plane: &Plane) -> Self {
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

    /// Its values at the cells of a grid over the same picture.
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

/// Gauss's elimination; a term that says nothing gets the factor 0.
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
