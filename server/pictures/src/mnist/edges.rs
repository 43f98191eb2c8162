//! Bars and lines along the edges of a picture that are none of its own.

use ndarray::ArrayView1;

use super::{Bounds, Plane};

/// Largest share of a line's pixels that may differ from a bar's tone.
const STRAYING: f32 = 0.03;

/// Grey levels that a bar's pixels may differ by.
const TOLERANCE: f32 = 32.0;

/// Grey levels between a bar and what lies beside it.
const CONTRAST: f32 = 48.0;

/// Most lines at a bar's inner side that mix its tone with the picture's.
const TRANSITION: usize = 3;

/// Most pixels of a line that are compared with a bar's tone.
const SAMPLES: usize = 70;

/// How often bars are looked for: an edge line may lie inside of a letterbox.
const ROUNDS: usize = 3;

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
    Top,
    Bottom,
}

impl Side {
    /// Number of lines of `frame` from this side to the opposite one.
    fn depth(self, frame: Bounds) -> usize {
        match self {
            Self::Left | Self::Right => frame.width,
            Self::Top | Self::Bottom => frame.height,
        }
    }
}

const SIDES: [Side; 4] = [Side::Left, Side::Right, Side::Top, Side::Bottom];

/// The part of the picture inside of letterbox bars, frames and edge lines.
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
    // Without a bar that was refuted, the lines beside the others are longer, and may refute them too.
    loop {
        let inner = shrink(frame, bars);
        let Some(inner) = inner else { return frame };
        let mut refuted = false;
        for (side, bar) in SIDES.into_iter().zip(&mut bars) {
            if bar.is_some_and(|found| edge(plane, frame, inner, side, found).is_none()) {
                *bar = None;
                refuted = true;
            }
        }
        if !refuted {
            for (side, bar) in SIDES.into_iter().zip(&mut bars) {
                if let Some(found) = bar {
                    found.lines = edge(plane, frame, inner, side, *found).unwrap_or(found.lines);
                }
            }
            return shrink(frame, bars).unwrap_or(frame);
        }
    }
}

/// Lines from a side that have one tone.
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

/// A line of pixels inside `frame`, counted from its side.
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
    // A sample of each line is enough: `edge` compares whole lines before anything is cut off.
    let step = first.len().div_ceil(SAMPLES);
    let most = (first.len().div_ceil(step) as f32 * STRAYING) as usize;
    let has_tone = |index: &usize| {
        let line = line(plane, frame, side, *index);
        let straying =
            line.slice(ndarray::s![..;step]).iter().filter(|&value| (value - tone).abs() > TOLERANCE).count();
        straying <= most
    };
    let lines = (0..depth).take_while(has_tone).count();
    (lines > 0 && lines * 2 < depth).then_some(Bar { lines, tone })
}

/// The number of lines to cut off with the bar. `None` where the line beside it is not wholly of another tone.
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
        same as f32 <= beside.len() as f32 * STRAYING
    })
}
