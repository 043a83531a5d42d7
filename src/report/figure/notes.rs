//! The lines below a figure that say what its points and bands are, and what is not shown.

use std::fmt::Write;

use duress_engine::spec::FigureKind;

use super::axis::{Axis, Scale};
use super::number::Format;
use super::reduce::{Chart, How, Point};
use super::value::Value;

/// All notes, the most important first.
pub(super) fn notes(chart: &Chart, kind: FigureKind, x: &Axis, y: &Axis) -> Vec<String> {
    let mut notes = Vec::new();
    let about: Vec<String> = [means(chart, kind), bands(chart, kind)].into_iter().flatten().collect();
    if !about.is_empty() {
        let text = about.join("; ");
        let first = text.chars().next().into_iter().flat_map(char::to_uppercase);
        notes.push(first.chain(text.chars().skip(1)).chain(['.']).collect());
    }
    let left_out: Vec<String> = [missing(chart), off_log(chart, x, y)].into_iter().flatten().collect();
    if !left_out.is_empty() {
        notes.push(format!("Not shown: {}.", left_out.join("; ")));
    }
    notes
}

/// What a point is called in a figure of this kind.
fn mark(kind: FigureKind) -> &'static str {
    match kind {
        FigureKind::Bar => "bars",
        FigureKind::Heatmap => "cells",
        FigureKind::Line | FigureKind::Scatter => "points",
    }
}

fn means(chart: &Chart, kind: FigureKind) -> Option<String> {
    let least = chart.points().map(|point| point.n).min()?;
    let most = chart.points().map(|point| point.n).max()?;
    let count = if least == most { least.to_string() } else { format!("{least} to {most}") };
    let over = if chart.over.is_empty() { String::new() } else { format!(" over {}", chart.over.join(", ")) };
    (most > 1).then(|| format!("{}: means of {count} rows{over}", mark(kind)))
}

fn bands(chart: &Chart, kind: FigureKind) -> Option<String> {
    if kind == FigureKind::Heatmap {
        return None;
    }
    let has =
        |wanted: fn(&How) -> bool| chart.points().filter_map(|point| point.band.as_ref()).any(|band| wanted(&band.how));
    let mut parts = Vec::new();
    if has(|how| *how == How::Confidence) {
        parts.push("95% confidence interval of the mean (Student's t)");
    }
    if has(|how| *how == How::Deviation) {
        parts.push("one standard deviation of the rows");
    }
    if has(|how| matches!(how, How::Own { .. })) {
        parts.push("95% interval stated in the row, where it is the only one");
    }
    (!parts.is_empty()).then(|| format!("bands: {}", parts.join(", or ")))
}

fn missing(chart: &Chart) -> Option<String> {
    let rows = if chart.missing == 1 { "row" } else { "rows" };
    (chart.missing > 0).then(|| format!("{} {rows} without a value", chart.missing))
}

/// Points that a logarithmic axis has no place for.
fn off_log(chart: &Chart, x: &Axis, y: &Axis) -> Option<String> {
    let log = |axis: &Axis| matches!(axis.scale, Scale::Logarithmic { .. });
    let off = |point: &&Point| (log(x) && point.x.as_number().is_some_and(|x| x <= 0.0)) || (log(y) && point.y <= 0.0);
    let count = chart.points().filter(off).count();
    let points = if count == 1 { "point" } else { "points" };
    (count > 0).then(|| format!("{count} {points} at or below 0, which a logarithmic axis does not have"))
}

/// What is shown where the pointer rests on a point.
pub(super) fn tooltip(chart: &Chart, panel: &str, series: usize, point: &Point) -> String {
    let mut at = Vec::new();
    if !panel.is_empty() {
        at.push(panel.to_owned());
    }
    if let Some(by) = &chart.series_by {
        at.push(format!("{} = {}", by.words(), chart.series[series].print(by.format)));
    }
    at.push(format!("{} = {}", chart.x.words(), point.x.print(chart.x.format)));
    let number = |value: f64| super::number::significant(value, 4, chart.y.format);
    let mut text = format!("{}: {} {}", at.join(", "), chart.y.words(), number(point.y));
    if point.n > 1 {
        let _ = write!(text, ", mean of n = {}", point.n);
    }
    if let Some(band) = &point.band {
        let what = match &band.how {
            How::Confidence => "95% CI by Student's t".to_owned(),
            How::Deviation => "mean ± standard deviation".to_owned(),
            How::Own { method, n } => own(method, *n),
        };
        let _ = write!(text, ", {what} {} to {}", number(band.low), number(band.high));
    }
    text
}

fn own(method: &str, n: Option<i64>) -> String {
    let method = if method.is_empty() { String::new() } else { format!(" by {method}") };
    let n = n.map_or(String::new(), |n| format!(" of n = {}", Value::number(n as f64).print(Format::Plain)));
    format!("95% interval{method}{n}")
}
