//! Draws all charts in one style, with `plotters`, as SVG.
//!
//! Charts are drawn at twice their size on the page, because `plotters` rounds coordinates to whole units. The page's
//! style sheet replaces these colours when the background is dark.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;

pub(super) const TRAINING: RGBColor = RGBColor(0xC7, 0x7B, 0x0A);
pub(super) const HELD_OUT: RGBColor = RGBColor(0x0B, 0x6B, 0xCB);
const INK: RGBColor = RGBColor(0x5A, 0x6B, 0x7D);
const GRID: RGBColor = RGBColor(0xD8, 0xDE, 0xE6);

/// Size of the text. `plotters` divides it by 1.24.
const TEXT: u32 = 34;

/// An axis with its ticks.
pub(super) struct Axis<'a> {
    /// The axis title, with the unit.
    pub name: &'a str,
    pub range: Range<f64>,
    pub ticks: Vec<f64>,
    /// The text at a tick.
    pub label: &'a dyn Fn(f64) -> String,
}

/// The range of an axis and its ticks.
struct Scale {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Axis<'_> {
    fn scale(&self) -> Scale {
        Scale { range: self.range.clone(), ticks: self.ticks.clone() }
    }
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        start + (f64::from(end - start) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// Points, and whether a line joins them.
pub(super) struct Line {
    pub colour: RGBColor,
    pub joined: bool,
    /// Position and radius of each point.
    pub points: Vec<((f64, f64), f64)>,
}

/// A chart.
pub(super) struct Plot<'a> {
    /// Description for screen readers.
    pub name: &'a str,
    /// Width and height.
    pub size: (u32, u32),
    pub x: Axis<'a>,
    pub y: Axis<'a>,
    /// Ends of a dashed line for comparison.
    pub guide: [(f64, f64); 2],
    pub lines: Vec<Line>,
}

impl Plot<'_> {
    /// Renders the chart as an SVG element.
    pub(super) fn svg(self) -> Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg)?;
        // Replaces the fixed size by a label for screen readers.
        let rest = svg.find("viewBox").map_or(svg.as_str(), |start| &svg[start..]);
        Ok(format!("<svg role=\"img\" aria-label=\"{}\" {rest}", self.name))
    }

    fn draw(&self, svg: &mut String) -> Result<()> {
        let Self { x, y, .. } = self;
        let root = SVGBackend::with_string(svg, self.size).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(20)
            .margin_right(40)
            .x_label_area_size(92)
            .y_label_area_size(150)
            .build_cartesian_2d(x.scale(), y.scale())?;
        let text = ("sans-serif", TEXT).into_font().color(&INK);
        chart
            .configure_mesh()
            .axis_style(GRID.stroke_width(2))
            .bold_line_style(GRID.stroke_width(2))
            .light_line_style(TRANSPARENT)
            .label_style(text.clone())
            .axis_desc_style(text)
            .x_desc(x.name)
            .y_desc(y.name)
            .x_label_formatter(&|value| (x.label)(*value))
            .y_label_formatter(&|value| (y.label)(*value))
            .draw()?;
        chart.draw_series(DashedLineSeries::new(self.guide, 10, 8, INK.stroke_width(2)))?;
        for Line { colour, joined, points } in &self.lines {
            let line = points.iter().filter(|_| *joined).map(|(place, _)| *place);
            chart.draw_series(LineSeries::new(line, colour.stroke_width(4)))?;
            let dots = points.iter().filter(|(_, radius)| *radius > 0.0);
            chart.draw_series(
                dots.map(|(place, radius)| Circle::new(*place, radius.round() as i32, colour.filled())),
            )?;
        }
        root.present()?;
        Ok(())
    }
}
