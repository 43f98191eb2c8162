//! Bars and lines along the edges of a picture that are none of its own.

use ndarray::ArrayView1;

use super::{Bounds, Plane};

/// Pixels of a line that may stray from its tone and leave it a bar's.
const STRAYING: f32 = 0.03;

/// Grey levels that a bar's pixels may differ by.
const TOLERANCE: f32 = 32.0;

/// Grey levels between a bar and what lies beside it.
const CONTRAST: f32 = 48.0;

/// Lines between a bar and the picture that may be a mix of both.
const TRANSITION: usize = 3;

/// Pixels that are looked at of a line that may be a bar's.
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
    // a bar that does not hold beside the others makes the rest longer, which may refute more
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
    let depth = match side {
        Side::Left | Side::Right => frame.width,
        Side::Top | Side::Bottom => frame.height,
    };
    if depth < 8 {
        return None;
    }
    let first = line(plane, frame, side, 0);
    let tone = first.mean()?;
    // some pixels of a line stand for all of them: what is counted here too much is refuted by what lies beside it
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

/// How many lines go with the bar, if what lies beside it is of another tone from end to end.
fn edge(plane: &Plane, frame: Bounds, inner: Bounds, side: Side, bar: Bar) -> Option<usize> {
    (0..TRANSITION).map(|more| bar.lines + more).find(|&index| {
        let from_inner = match side {
            Side::Left => (frame.left + index).checked_sub(inner.left),
            Side::Top => (frame.top + index).checked_sub(inner.top),
            Side::Right => inner.right().checked_sub(frame.right() - index),
            Side::Bottom => inner.bottom().checked_sub(frame.bottom() - index),
        };
        let depth = match side {
            Side::Left | Side::Right => inner.width,
            Side::Top | Side::Bottom => inner.height,
        };
        let Some(at) = from_inner.filter(|&at| at < depth) else { return false };
        let beside = line(plane, inner, side, at);
        let sum: f32 = beside.iter().map(|value| (value - bar.tone).signum()).sum();
        let way = sum.signum();
        let same = beside.iter().filter(|&value| (value - bar.tone) * way < CONTRAST).count();
        same as f32 <= beside.len() as f32 * STRAYING
    })
}
