//! One look for all charts, drawn by `plotters` as SVG.
//!
//! They are drawn at twice the size they are shown at, since `plotters` rounds to whole units. Their colours
//! are found by the page's style sheet, which changes them on a dark ground.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;

pub(super) const TRAINING: RGBColor = RGBColor(0xC7, 0x7B, 0x0A);
pub(super) const HELD_OUT: RGBColor = RGBColor(0x0B, 0x6B, 0xCB);
const INK: RGBColor = RGBColor(0x5A, 0x6B, 0x7D);
const GRID: RGBColor = RGBColor(0xD8, 0xDE, 0xE6);

/// Size of the text; `plotters` writes it divided by 1.24.
const TEXT: u32 = 34;

/// An axis with the places that are named on it.
pub(super) struct Axis<'a> {
    /// What it shows, with the unit.
    pub name: &'a str,
    pub range: Range<f64>,
    pub ticks: Vec<f64>,
    /// A tick's text.
    pub label: &'a dyn Fn(f64) -> String,
}

/// Where an axis starts and ends, and what is named on it.
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

/// Points and, where it is drawn, the line through them.
pub(super) struct Line {
    pub colour: RGBColor,
    pub joined: bool,
    /// Place and radius of each point.
    pub points: Vec<((f64, f64), f64)>,
}

/// A chart.
pub(super) struct Plot<'a> {
    /// What it shows, for those who cannot see it.
    pub name: &'a str,
    /// Width and height.
    pub size: (u32, u32),
    pub x: Axis<'a>,
    pub y: Axis<'a>,
    /// Ends of a dashed line that something is compared with.
    pub guide: [(f64, f64); 2],
    pub lines: Vec<Line>,
}

impl Plot<'_> {
    /// The chart as an element of a page.
    pub(super) fn svg(self) -> Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg)?;
        // A name instead of a fixed size.
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
