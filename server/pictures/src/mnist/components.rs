//! Pixels that hang together, and which of them are specks.

use super::{Bounds, Plane, surface};

/// Neighbouring pixels of a row that are ink.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) row: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    component: usize,
}

/// Pixels that touch, corners included.
#[derive(Clone, Copy)]
pub(super) struct Component {
    pub(super) bounds: Bounds,
    /// Ink, as pixels of full darkness.
    pub(super) mass: f32,
    darkest: f32,
    /// Pixels along the picture's edges.
    contact: usize,
    /// Over its pixels the sum of the grey's gradients, right and down, and of their lengths.
    gradient: [f32; 3],
}

/// Share that gradients of one direction have in the edge of a shadow.
const ONE_SIDED: f32 = 0.5;

/// What a picture's ink is made of.
pub(super) struct Components {
    pub(super) all: Vec<Component>,
    /// Whether one goes from one side of the picture to the opposite one, as the lines of a page do; it may be none of
    /// those that are kept.
    pub(super) had_crossing: bool,
    /// In the order of rows.
    runs: Vec<Run>,
}

impl Component {
    /// The longer side.
    pub(super) fn size(&self) -> usize {
        self.bounds.width.max(self.bounds.height)
    }

    fn is_along_edge(&self) -> bool {
        self.contact * 3 >= self.size()
    }

    /// Whether it is brighter on one side only, as the edge of a shadow: at a stroke the gradients of both sides
    /// cancel each other.
    fn is_one_sided(&self) -> bool {
        let [right, down, length] = self.gradient;
        right.hypot(down) > ONE_SIDED * length
    }
}

impl Components {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether one of them goes from one side of a picture to the opposite one, as the lines of a page do.
    pub(super) fn cross(&self, size: (usize, usize)) -> bool {
        self.all.iter().any(|component| component.bounds.cross(size))
    }

    /// The runs of each of `groups`, where `group_of` says in which a component is, if in any.
    pub(super) fn runs_of(&self, group_of: &[Option<usize>], groups: usize) -> Vec<Vec<Run>> {
        let mut found = vec![Vec::new(); groups];
        for run in &self.runs {
            if let Some(group) = group_of[run.component] {
                found[group].push(*run);
            }
        }
        found
    }
}

/// The components of pixels of at least `rim` that have one of at least `core`, without specks.
pub(super) fn find(ink: &Plane, rim: f32, core: f32, grey: Option<&Plane>) -> Components {
    let (rows, columns) = ink.dim();
    let mut runs = runs(ink, rim);
    let mut parents = join(&mut runs);
    let mut all: Vec<Component> = Vec::new();
    let mut index_of = vec![usize::MAX; parents.len()];
    for run in &mut runs {
        let root = root(&mut parents, run.component);
        let values = ink.row(run.row);
        let (mut mass, mut darkest) = (0.0, 0.0_f32);
        for value in values.iter().skip(run.start).take(run.end - run.start) {
            mass += value;
            darkest = darkest.max(*value);
        }
        let gradient = grey.map_or([0.0; 3], |grey| gradient(grey, run));
        let length = run.end - run.start;
        let contact = if run.row == 0 || run.row + 1 == rows {
            length
        } else {
            usize::from(run.start == 0) + usize::from(run.end == columns)
        };
        let bounds = Bounds { left: run.start, top: run.row, width: length, height: 1 };
        if index_of[root] == usize::MAX {
            index_of[root] = all.len();
            all.push(Component { bounds, mass, darkest, contact, gradient });
        } else {
            let component = &mut all[index_of[root]];
            component.bounds = component.bounds.union(&bounds);
            component.mass += mass;
            component.contact += contact;
            component.gradient.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
            component.darkest = component.darkest.max(darkest);
        }
        run.component = index_of[root];
    }
    let had_crossing = all.iter().any(|component| component.bounds.cross((rows, columns)));
    let kept = keep(&all, core, grey.is_some(), (rows, columns));
    let mut new = vec![usize::MAX; all.len()];
    let mut remaining = Vec::new();
    for (index, component) in all.into_iter().enumerate() {
        if kept[index] {
            new[index] = remaining.len();
            remaining.push(component);
        }
    }
    runs.retain_mut(|run| {
        run.component = new[run.component];
        run.component != usize::MAX
    });
    Components { all: remaining, had_crossing, runs }
}

/// Sums over a run of the gradient, right and down, and of its length.
fn gradient(grey: &Plane, run: &Run) -> [f32; 3] {
    /// The gradient is the difference between the pixels this far on either side. A longer reach averages noise out.
    const REACH: usize = 2;
    let (rows, columns) = grey.dim();
    let line = |row: usize| grey.row(row).to_slice().unwrap_or_default();
    let here = line(run.row);
    let (above, below) = (line(run.row.saturating_sub(REACH)), line((run.row + REACH).min(rows - 1)));
    let mut sums = [0.0; 3];
    for column in run.start..run.end {
        let right = here[(column + REACH).min(columns - 1)] - here[column.saturating_sub(REACH)];
        let down = below[column] - above[column];
        sums[0] += right;
        sums[1] += down;
        sums[2] += right.hypot(down);
    }
    sums
}

fn runs(ink: &Plane, rim: f32) -> Vec<Run> {
    let mut runs = Vec::new();
    for (row, values) in ink.outer_iter().enumerate() {
        let values = values.to_slice().unwrap_or_default();
        let mut at = 0;
        while at < values.len() {
            // most of a row is ground: parts without ink are passed over quickly
            let part = &values[at..(at + 32).min(values.len())];
            if part.iter().map(|&value| u32::from(value >= rim)).sum::<u32>() == 0 {
                at += part.len();
                continue;
            }
            let start = at + part.iter().position(|&value| value >= rim).unwrap_or(0);
            let end = values[start..]
                .iter()
                .position(|&value| value < rim)
                .map_or(values.len(), |more| start + more);
            runs.push(Run { row, start, end, component: runs.len() });
            at = end;
        }
    }
    runs
}

/// Joins runs that touch those of the row above; a run's parent is itself or an earlier one.
fn join(runs: &mut [Run]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..runs.len()).collect();
    let mut above = 0;
    for index in 0..runs.len() {
        let Run { row, start, end, .. } = runs[index];
        while runs[above].row + 1 < row || (runs[above].row + 1 == row && runs[above].end < start) {
            above += 1;
        }
        let mut other = above;
        while runs[other].row + 1 == row && runs[other].start <= end {
            let (a, b) = (root(&mut parents, index), root(&mut parents, other));
            parents[a.max(b)] = a.min(b);
            other += 1;
        }
    }
    parents
}

fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

/// The fewest pieces that make a pattern, and the share of the usual darkness below which a piece may be noise.
const PATTERN: usize = 3;
const HARDLY: f32 = 0.5;

/// The largest components that others are measured against.
const LARGEST: usize = 64;

/// Which components are ink of a digit, and not specks.
fn keep(all: &[Component], core: f32, uneven: bool, (rows, columns): (usize, usize)) -> Vec<bool> {
    let extent = surface::extent((rows, columns));
    // on an uneven ground, what lies along the edges of the picture is the rest of a shadow, unless it is the only
    // component and fills the picture
    let inside = all.iter().any(|component| {
        component.darkest >= core
            && !component.is_along_edge()
            && !component.is_one_sided()
            && component.size() * 8 >= extent
    });
    let fills = |component: &Component| {
        let Bounds { width, height, .. } = component.bounds;
        width * 10 >= columns * 9 && height * 10 >= rows * 9 && component.contact * 5 <= component.size() * 6
    };
    let dark = |component: &Component| {
        component.darkest >= core
            && !(uneven
                && (component.is_one_sided() || (component.is_along_edge() && (inside || !fills(component)))))
    };
    let mut order: Vec<usize> = (0..all.len()).filter(|&index| dark(&all[index])).collect();
    order.sort_unstable_by(|&a, &b| all[b].mass.total_cmp(&all[a].mass));
    order.truncate(LARGEST);
    let largest = order.iter().map(|&index| all[index].size()).max().unwrap_or(0);
    let heaviest = order.first().map_or(0.0, |&index| all[index].mass);
    // A component no longer than this is a speck, even if it is the only one.
    if largest < 4.max(extent / 50) {
        return vec![false; all.len()];
    }
    let large: Vec<Bounds> = order
        .iter()
        .map(|&index| &all[index])
        .filter(|component| component.size() * 4 >= largest && component.mass >= 0.04 * heaviest)
        .map(|component| component.bounds)
        .collect();
    // pieces that are small, several, and hardly darker than the noise are the pattern of paper or of a board
    let is_pattern = large.len() >= PATTERN && largest * 12 < extent && core > HARDLY;
    if uneven && is_pattern {
        return vec![false; all.len()];
    }
    let near = largest / 8 + 1;
    all.iter()
        .map(|component| {
            let size = component.size();
            dark(component)
                && ((size * 4 >= largest && component.mass >= 0.04 * heaviest)
                    || ((size * 16 >= largest || component.mass >= 0.02 * heaviest)
                        && component.mass >= 0.005 * heaviest
                        && large.iter().any(|bounds| gap(bounds, &component.bounds) <= near)))
        })
        .collect()
}

/// Pixels between two rectangles, along the axis in which they are further apart.
pub(super) fn gap(a: &Bounds, b: &Bounds) -> usize {
    let across = b.left.saturating_sub(a.right()).max(a.left.saturating_sub(b.right()));
    let down = b.top.saturating_sub(a.bottom()).max(a.top.saturating_sub(b.bottom()));
    across.max(down)
}
