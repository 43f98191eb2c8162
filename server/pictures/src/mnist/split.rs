//! Groups components into digits, from left to right.

use ndarray::{Array2, s};

use super::{
    Bounds, Plane,
    background::UnevenBackground,
    components::{Component, Run, gap},
    ink::Marked,
};

/// The components of one digit.
pub(super) struct Group {
    pub(super) bounds: Bounds,
    runs: Vec<Run>,
}

impl Group {
    /// The ink of this digit alone, 0 to 1, with a margin of one pixel for its soft edges.
    pub(super) fn draw(&self, marked: &Marked) -> Plane {
        let Bounds { left, top, width, height } = self.bounds;
        let (rows, columns) = marked.ink.dim();
        let mut plane = Array2::zeros((height + 2, width + 2));
        for run in &self.runs {
            // Column c of the picture is column c + 1 - left of the drawing.
            let (start, end) = (run.start.saturating_sub(1), (run.end + 1).min(columns));
            let from = (start + 1).saturating_sub(left).max(usize::from(start + 1 < left));
            for row in run.row.saturating_sub(1)..(run.row + 2).min(rows) {
                let ink = marked.ink.slice(s![row, start..end]);
                plane.slice_mut(s![row + 1 - top, from..from + end - start]).assign(&ink);
            }
        }
        plane
    }
}

/// Groups the components into digits, from left to right.
pub(super) fn split(marked: &Marked, background: Option<&UnevenBackground>) -> Vec<Group> {
    let components = &marked.components;
    let (group_of, bounds) = gather(&components.all);
    let runs = components.runs_of(&group_of, bounds.len());
    let groups = bounds.into_iter().zip(runs).map(|(bounds, runs)| Group { bounds, runs });
    match background {
        Some(background) => join_at_steps(groups.collect(), background),
        None => groups.collect(),
    }
}

/// Joins groups that the edge of a shadow has cut: they lie on both sides of a step and reach it.
fn join_at_steps(groups: Vec<Group>, background: &UnevenBackground) -> Vec<Group> {
    let ends_at_step =
        |group: &Group| group.runs.iter().any(|run| background.is_at_step(run.row, run.start..run.end));
    let mut joined: Vec<(Group, bool)> = Vec::with_capacity(groups.len());
    for group in groups {
        let cut = ends_at_step(&group);
        match joined.last_mut() {
            Some((last, true)) if cut && gap(&last.bounds, &group.bounds) <= background.band() => {
                last.bounds = last.bounds.union(&group.bounds);
                last.runs.extend(group.runs);
            }
            _ => joined.push((group, cut)),
        }
    }
    joined.into_iter().map(|(group, _)| group).collect()
}

/// Assigns each component to a group. Returns the group of each component, and the bounds of the groups from left to
/// right.
fn gather(all: &[Component]) -> (Vec<Option<usize>>, Vec<Bounds>) {
    let tallest = all.iter().map(|component| component.bounds.height).max().unwrap_or(0);
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_unstable_by_key(|&index| (all[index].bounds.left, all[index].bounds.top));
    // Tall components first: each is a digit of its own, unless it overlaps another horizontally.
    let is_tall = |index: &usize| all[*index].bounds.height * 2 >= tallest;
    let mut groups: Vec<(Bounds, Vec<usize>)> = Vec::new();
    for index in order.iter().copied().filter(is_tall) {
        let bounds = all[index].bounds;
        match groups.last_mut() {
            Some((last, members)) if overlap(last, &bounds) * 2 > last.width.min(bounds.width) => {
                *last = last.union(&bounds);
                members.push(index);
            }
            _ => groups.push((bounds, vec![index])),
        }
    }
    // Then the others: each joins the nearest group that it overlaps or nearly touches.
    let cores: Vec<Bounds> = groups.iter().map(|(bounds, _)| *bounds).collect();
    for index in order.iter().copied().filter(|index| !is_tall(index)) {
        let bounds = all[index].bounds;
        let first = cores.partition_point(|core| core.right() + tallest < bounds.left);
        let near = cores[first..]
            .iter()
            .take_while(|core| core.left <= bounds.right() + tallest)
            .enumerate()
            .map(|(at, core)| (first + at, overlap(core, &bounds), gap(core, &bounds)))
            .max_by_key(|&(_, overlap, gap)| (overlap, std::cmp::Reverse(gap)));
        match near {
            Some((group, over, away)) if over > 0 || away * 4 <= tallest => {
                groups[group].0 = groups[group].0.union(&bounds);
                groups[group].1.push(index);
            }
            _ => groups.push((bounds, vec![index])),
        }
    }
    groups.sort_by_key(|(bounds, _)| bounds.left);
    let mut group_of = vec![None; all.len()];
    for (group, (_, members)) in groups.iter().enumerate() {
        for &member in members {
            group_of[member] = Some(group);
        }
    }
    (group_of, groups.into_iter().map(|(bounds, _)| bounds).collect())
}

/// Number of columns that two rectangles have in common.
fn overlap(a: &Bounds, b: &Bounds) -> usize {
    a.right().min(b.right()).saturating_sub(a.left.max(b.left))
}
