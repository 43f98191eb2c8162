//! Cuts off letterbox bars, frames and black lines along the edges of a picture.

use ndarray::ArrayView1;

use super::{Bounds, Plane};

/// Largest share of a line's pixels that may be exceptions to a condition.
const OUTLIERS: f32 = 0.03;

/// Largest difference of a bar's pixels from its tone, in grey levels.
const TOLERANCE: f32 = 32.0;

/// Least contrast between a bar and the picture beside it, in grey levels.
const CONTRAST: f32 = 48.0;

/// Largest number of lines at a bar's inner side that mix its tone with the picture's.
const TRANSITION: usize = 3;

/// Largest number of pixels of a line that are compared with a bar's tone at first.
const SAMPLES: usize = 70;

/// Number of searches for bars: there may be an edge line inside a letterbox.
const ROUNDS: usize = 3;

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
    Top,
    Bottom,
}

impl Side {
    /// Number of lines in `frame` that are parallel to this side.
    fn depth(self, frame: Bounds) -> usize {
        match self {
            Self::Left | Self::Right => frame.width,
            Self::Top | Self::Bottom => frame.height,
        }
    }
}

const SIDES: [Side; 4] = [Side::Left, Side::Right, Side::Top, Side::Bottom];

/// The part of the picture inside letterbox bars, frames and edge lines.
pub(super) fn trim(plane: &Plane) -> Bounds {
    let (height, width) = plane.dim();
    let mut frame = Bounds { left: 0, top: 0, width, height };
    for _ in 0..ROUNDS {
        let cut = round(plane, frame);
        if cut == frame {
            break;
        }
        frame = cut;
    }
    frame
}

fn round(plane: &Plane, frame: Bounds) -> Bounds {
    let mut bars = SIDES.map(|side| bar(plane, frame, side));
    // When a bar is rejected, the lines beside the other bars get longer. That may lead to their rejection too.
    loop {
        let inner = shrink(frame, bars);
        let Some(inner) = inner else { return frame };
        let mut rejected = false;
        for (side, bar) in SIDES.into_iter().zip(&mut bars) {
            if bar.is_some_and(|found| edge(plane, frame, inner, side, found).is_none()) {
                *bar = None;
                rejected = true;
            }
        }
        if !rejected {
            for (side, bar) in SIDES.into_iter().zip(&mut bars) {
                if let Some(found) = bar {
                    found.lines = edge(plane, frame, inner, side, *found).unwrap_or(found.lines);
                }
            }
            return shrink(frame, bars).unwrap_or(frame);
        }
    }
}

/// A bar: lines along a side that have one tone.
#[derive(Clone, Copy)]
struct Bar {
    lines: usize,
    tone: f32,
}

fn shrink(frame: Bounds, bars: [Option<Bar>; 4]) -> Option<Bounds> {
    let [left, right, top, bottom] = bars.map(|bar| bar.map_or(0, |bar| bar.lines));
    let width = frame.width.checked_sub(left + right).filter(|&width| width * 8 > frame.width)?;
    let height = frame.height.checked_sub(top + bottom).filter(|&height| height * 8 > frame.height)?;
    Some(Bounds { left: frame.left + left, top: frame.top + top, width, height })
}

/// A row or column of pixels inside `frame`; `index` counts from `side`.
fn line(plane: &Plane, frame: Bounds, side: Side, index: usize) -> ArrayView1<'_, f32> {
    let rows = frame.top..frame.bottom();
    let columns = frame.left..frame.right();
    match side {
        Side::Left => plane.slice(ndarray::s![rows, frame.left + index]),
        Side::Right => plane.slice(ndarray::s![rows, frame.right() - 1 - index]),
        Side::Top => plane.slice(ndarray::s![frame.top + index, columns]),
        Side::Bottom => plane.slice(ndarray::s![frame.bottom() - 1 - index, columns]),
    }
}

fn bar(plane: &Plane, frame: Bounds, side: Side) -> Option<Bar> {
    let depth = side.depth(frame);
    if depth < 8 {
        return None;
    }
    let first = line(plane, frame, side, 0);
    let tone = first.mean()?;
    // A sample of each line is enough here: `edge` compares whole lines before anything is cut off.
    let step = first.len().div_ceil(SAMPLES);
    let most = (first.len().div_ceil(step) as f32 * OUTLIERS) as usize;
    let has_tone = |index: &usize| {
        let line = line(plane, frame, side, *index);
        let outliers =
            line.slice(ndarray::s![..;step]).iter().filter(|&value| (value - tone).abs() > TOLERANCE).count();
        outliers <= most
    };
    let lines = (0..depth).take_while(has_tone).count();
    (lines > 0 && lines * 2 < depth).then_some(Bar { lines, tone })
}

/// The number of lines to cut off: the bar and the transition beside it. `None` if no line beside the bar has clearly
/// another tone over its whole length.
fn edge(plane: &Plane, frame: Bounds, inner: Bounds, side: Side, bar: Bar) -> Option<usize> {
    (0..TRANSITION).map(|more| bar.lines + more).find(|&index| {
        let from_inner = match side {
            Side::Left => (frame.left + index).checked_sub(inner.left),
            Side::Top => (frame.top + index).checked_sub(inner.top),
            Side::Right => inner.right().checked_sub(frame.right() - index),
            Side::Bottom => inner.bottom().checked_sub(frame.bottom() - index),
        };
        let Some(at) = from_inner.filter(|&at| at < side.depth(inner)) else { return false };
        let beside = line(plane, inner, side, at);
        let sum: f32 = beside.iter().map(|value| (value - bar.tone).signum()).sum();
        let way = sum.signum();
        let same = beside.iter().filter(|&value| (value - bar.tone) * way < CONTRAST).count();
        same as f32 <= beside.len() as f32 * OUTLIERS
    })
}
