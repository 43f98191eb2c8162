//! Curves over the epochs, drawn as SVG with a logarithmic axis.

use std::fmt::Write;

use anyhow::Result;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 28.0;

/// One line of a chart.
#[derive(Debug)]
pub(super) struct Curve {
    pub name: &'static str,
    pub colour: &'static str,
    /// A value an epoch; none where it was not measured.
    pub values: Vec<Option<f64>>,
}

/// An SVG element with all curves.
pub(super) fn chart(curves: &[Curve]) -> Result<String> {
    let epochs = curves.iter().map(|curve| curve.values.len()).max().unwrap_or(0);
    let (low, high) = decades(curves);
    let x =
        |epoch: usize| LEFT + (WIDTH - LEFT - RIGHT) * epoch as f64 / epochs.saturating_sub(1).max(1) as f64;
    let y = |value: f64| {
        TOP + (HEIGHT - TOP - BOTTOM) * (f64::from(high) - value.max(f64::MIN_POSITIVE).log10())
            / f64::from(high - low)
    };
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    for decade in low..=high {
        let (value, height) = (10_f64.powi(decade), y(10_f64.powi(decade)));
        let (label, right) = (LEFT - 8.0, WIDTH - RIGHT);
        write!(svg, "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{height:.1}\" y2=\"{height:.1}\" ")?;
        write!(svg, "stroke=\"#d8dee6\"/>")?;
        write!(svg, "<text x=\"{label}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>", height + 4.0)?;
    }
    for epoch in (0..epochs).step_by(epochs.div_ceil(10).max(1)) {
        let (x, y) = (x(epoch), HEIGHT - 8.0);
        write!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>", epoch + 1)?;
    }
    for (index, curve) in curves.iter().enumerate() {
        let points = curve.values.iter().enumerate();
        let points = points.filter_map(|(epoch, value)| Some((x(epoch), y((*value)?))));
        let points: Vec<(f64, f64)> = points.map(|(x, y)| (x, y.min(HEIGHT - BOTTOM))).collect();
        if points.is_empty() {
            continue;
        }
        let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let colour = curve.colour;
        write!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" ", line.join(" "))?;
        write!(svg, "stroke-width=\"2\"/>")?;
        for (x, y) in points {
            write!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>")?;
        }
        let key = LEFT + 330.0 * index as f64;
        write!(svg, "<circle cx=\"{key}\" cy=\"8\" r=\"4\" fill=\"{colour}\"/>")?;
        write!(svg, "<text x=\"{}\" y=\"12\">{}</text>", key + 10.0, curve.name)?;
    }
    svg.push_str("</svg>");
    Ok(svg)
}

/// The powers of ten around all values that have a logarithm.
fn decades(curves: &[Curve]) -> (i32, i32) {
    let values = curves.iter().flat_map(|curve| curve.values.iter().flatten()).filter(|value| **value > 0.0);
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for &value in values {
        low = low.min(value);
        high = high.max(value);
    }
    if high == 0.0 {
        return (-1, 0);
    }
    let (low, high) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    (low, high.max(low + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[Option<f64>]) -> Curve {
        Curve { name: "some", colour: "#000", values: values.to_vec() }
    }

    #[test]
    fn the_axis_holds_every_value() {
        assert_eq!(decades(&[curve(&[Some(3.0), None, Some(0.04)])]), (-2, 1));
        assert_eq!(decades(&[curve(&[Some(0.0), None])]), (-1, 0));
        assert_eq!(decades(&[curve(&[Some(1.0)])]), (0, 1));
    }

    #[test]
    fn what_was_not_measured_is_left_out() -> Result<()> {
        let svg = chart(&[curve(&[Some(1.0), None, Some(0.1)]), curve(&[None, None, None])])?;
        assert_eq!(svg.matches("<polyline").count(), 1);
        assert_eq!(svg.matches("r=\"2.5\"").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        Ok(())
    }
}
