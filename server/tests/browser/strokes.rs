//! Digits to draw.

use serde_json::Value;

/// Points from pen down to pen up, in the paper's units.
pub(crate) type Stroke = Vec<(f64, f64)>;

/// A digit and how it is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Drawing {
    pub(crate) digit: u64,
    pub(crate) style: String,
    strokes: Vec<Stroke>,
    width: f64,
    height: f64,
}

impl Drawing {
    /// The digit with its upper left corner there, and so high.
    pub(crate) fn at(&self, left: f64, top: f64, height: f64) -> Vec<Stroke> {
        let scale = height / self.height;
        let moved = |&(x, y): &(f64, f64)| (left + x * scale, top + y * scale);
        self.strokes.iter().map(|stroke| stroke.iter().map(moved).collect()).collect()
    }

    /// The digit in the middle of the paper, two thirds as high.
    pub(crate) fn in_the_middle(&self) -> Vec<Stroke> {
        self.at(240.0 - self.width * 120.0 / self.height, 60.0, 240.0)
    }
}

/// The digits of a file: a list of `{digit, style, strokes}`, a stroke being a list of `[x, y]`.
pub(crate) fn read(text: &str) -> Vec<Drawing> {
    let list: Vec<Value> = serde_json::from_str(text).unwrap();
    list.iter().map(drawing).collect()
}

/// The digits from 0 to 9, made by hand.
pub(crate) fn own() -> Vec<Drawing> {
    read(include_str!("strokes.json"))
}

/// This digit, made by hand.
pub(crate) fn digit(digit: usize) -> Drawing {
    own().swap_remove(digit)
}

fn drawing(value: &Value) -> Drawing {
    let point = |point: &Value| (point[0].as_f64().unwrap(), point[1].as_f64().unwrap());
    let stroke = |stroke: &Value| stroke.as_array().unwrap().iter().map(point).collect();
    let strokes: Vec<Stroke> = value["strokes"].as_array().unwrap().iter().map(stroke).collect();
    let (left, top) =
        strokes.iter().flatten().fold((f64::MAX, f64::MAX), |(left, top), &(x, y)| (x.min(left), y.min(top)));
    let from_corner = |stroke: &Stroke| stroke.iter().map(|&(x, y)| (x - left, y - top)).collect();
    let strokes: Vec<Stroke> = strokes.iter().map(from_corner).collect();
    let largest = |axis: fn(&(f64, f64)) -> f64| strokes.iter().flatten().map(axis).fold(1.0, f64::max);
    Drawing {
        digit: value["digit"].as_u64().unwrap(),
        style: value["style"].as_str().unwrap_or_default().to_owned(),
        width: largest(|point| point.0),
        height: largest(|point| point.1),
        strokes,
    }
}
