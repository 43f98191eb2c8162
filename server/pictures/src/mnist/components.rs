//! Connected components of ink, and which of them are specks.

use super::{Bounds, Plane, surface};

/// A run: adjacent ink pixels of one row.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) row: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    component: usize,
}

/// A connected component: ink pixels that touch, at least at their corners.
#[derive(Clone, Copy)]
pub(super) struct Component {
    pub(super) bounds: Bounds,
    /// Sum of the ink over the pixels, each 0 to 1.
    pub(super) mass: f32,
    darkest: f32,
    /// Number of pixels at the picture's edges.
    contact: usize,
    /// Sums over the pixels of the grey value's gradient: its horizontal part, its vertical part, and its length.
    gradient: [f32; 3],
}

/// Least ratio of the gradient sum's length to the sum of the gradients' lengths, for the edge of a shadow.
const ONE_SIDED: f32 = 0.5;

/// The connected components of a picture's ink.
pub(super) struct Components {
    pub(super) all: Vec<Component>,
    /// Whether a component, kept or dropped, reaches from one side of the picture to the opposite one, as the lines of
    /// ruled paper do.
    pub(super) had_crossing: bool,
    /// The runs of the components, ordered by row.
    runs: Vec<Run>,
}

impl Component {
    /// The longer side of the bounding box, in pixels.
    pub(super) fn size(&self) -> usize {
        self.bounds.width.max(self.bounds.height)
    }

    fn is_along_edge(&self) -> bool {
        self.contact * 3 >= self.size()
    }

    /// Whether the picture is brighter on one side of the component only, as at the edge of a shadow. At a stroke, the
    /// gradients of both sides cancel each other.
    fn is_one_sided(&self) -> bool {
        let [right, down, length] = self.gradient;
        right.hypot(down) > ONE_SIDED * length
    }
}

impl Components {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether a kept component reaches from one side of the picture to the opposite one, as the lines of ruled paper
    /// do.
    pub(super) fn cross(&self, size: (usize, usize)) -> bool {
        self.all.iter().any(|component| component.bounds.cross(size))
    }

    /// The runs of each group. `group_of` has the group of each component, or `None`.
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

/// Finds the components of pixels with at least `rim` ink, of which one pixel has at least `core`. Specks are dropped.
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

/// Sums over a run of the gradient's horizontal part, its vertical part, and its length.
fn gradient(grey: &Plane, run: &Run) -> [f32; 3] {
    /// Distance in pixels of the two values whose difference is the gradient, to either side. Two average more noise
    /// out than one.
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
            // Most of a row is background. Parts without ink are skipped 32 pixels at a time, by vector instructions.
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

/// Joins runs that touch runs of the row above (union-find). The parent of a run is itself or an earlier run.
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

/// Least number of components that make a pattern, such as that of paper.
const MIN_PATTERN_COMPONENTS: usize = 3;
/// The threshold `core` above which components may be a pattern, as a share of the strokes' usual darkness. It is this
/// high only when ink is hardly darker than the noise.
const FAINT_CORE: f32 = 0.5;

/// Number of the heaviest components with which others are compared.
const LARGEST: usize = 64;

/// Decides for each component whether it is ink of a digit, or else a speck or a shadow.
fn keep(all: &[Component], core: f32, uneven: bool, (rows, columns): (usize, usize)) -> Vec<bool> {
    let extent = surface::extent((rows, columns));
    // On an uneven background, a component along the picture's edges is the rest of a shadow, unless it is the only
    // component and fills the picture.
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
    // Several small components that are hardly darker than the noise are the pattern of paper or of a board.
    let is_pattern = large.len() >= MIN_PATTERN_COMPONENTS && largest * 12 < extent && core > FAINT_CORE;
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

/// Distance between two rectangles in pixels, along the axis on which it is larger.
pub(super) fn gap(a: &Bounds, b: &Bounds) -> usize {
    let across = b.left.saturating_sub(a.right()).max(a.left.saturating_sub(b.right()));
    let down = b.top.saturating_sub(a.bottom()).max(a.top.saturating_sub(b.bottom()));
    across.max(down)
}
