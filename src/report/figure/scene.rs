//! [`Scene`]: a chart with its axes, styles and page; and what all kinds of figures draw alike.

use duress_engine::spec::{Figure, FigureKind};

use super::axis::{Axis, Room};
use super::error::FigureError;
use super::layout::{ANGLE, Area, BOLD, Beside, Content, LABEL, Layout, MARGIN, NOTE, NOTE_LINE, SMALL, TICK, TITLE};
use super::layout::{columns, panel_size};
use super::measure::fitted;
use super::palette::{FAINT, GRID, INK, LINE, Style, styles};
use super::reduce::{Chart, Panel};
use super::svg::Svg;
use super::value::Value;
use super::{heatmap, legend, notes};

/// Everything that drawing needs.
pub(super) struct Scene {
    pub(super) chart: Chart,
    pub(super) kind: FigureKind,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// The values' own axis where they are colours.
    pub(super) colour: Option<Axis>,
    pub(super) styles: Vec<Style>,
    pub(super) layout: Layout,
}

impl Scene {
    /// Lays a chart out.
    pub(super) fn new(chart: Chart, figure: &Figure, title: &str) -> Result<Self, FigureError> {
        let (w, h) = panel_size(&chart, figure.kind, columns(&chart));
        let x = x_axis(&chart, figure.kind, figure.log_x, w)?;
        let values = y_axis(&chart, figure.kind, figure.log_y, h)?;
        let (y, colour) = match (&chart.series_by, figure.kind) {
            (Some(series), FigureKind::Heatmap) => (Axis::places(series, &chart.series), Some(values)),
            _ => (values, None),
        };
        let beside = match &colour {
            Some(colour) => heatmap::key_size(colour, h),
            None => {
                chart.series_by.as_ref().map_or(Beside::default(), |by| legend::size(&chart.series, by, figure.kind))
            }
        };
        let notes = notes::notes(&chart, figure.kind, &x, colour.as_ref().unwrap_or(&y));
        let content = Content { chart: &chart, kind: figure.kind, x: &x, y: &y, title, notes: &notes, beside };
        let layout = Layout::new(&content);
        Ok(Self { styles: styles(&chart.series), chart, kind: figure.kind, x, y, colour, layout })
    }

    /// The title, the axes' titles and the notes.
    pub(super) fn draw_page(&self, svg: &mut Svg) {
        let layout = &self.layout;
        for (line, text) in layout.title.iter().enumerate() {
            let attrs = [("font-size", TITLE.into()), ("font-weight", "600".into()), ("fill", INK.into())];
            svg.text((MARGIN, Layout::title_at(line)), text, &attrs);
        }
        let (grid, middle) = (layout.grid, [("text-anchor", "middle".into())]);
        svg.group(&[("font-size", LABEL.into()), ("fill", INK.into())], |svg| {
            let shown = fitted(&self.x.title, LABEL, grid.w);
            svg.cut_text((grid.x + grid.w / 2.0, layout.x_title), &shown, &self.x.title, &middle);
            let (x, y) = (MARGIN + LABEL - 2.0, grid.y + grid.h / 2.0);
            let turn = format!("rotate(-90 {} {})", super::svg::coordinate(x), super::svg::coordinate(y));
            let shown = fitted(&self.y.title, LABEL, grid.h);
            let attrs = [("text-anchor", "middle".into()), ("transform", (&turn).into())];
            svg.cut_text((x, y), &shown, &self.y.title, &attrs);
        });
        let (first, lines) = &layout.notes;
        if !lines.is_empty() {
            svg.group(&[("font-size", NOTE.into()), ("fill", FAINT.into())], |svg| {
                for (line, text) in lines.iter().enumerate() {
                    svg.text((MARGIN, first + line as f64 * NOTE_LINE), text, &[]);
                }
            });
        }
    }

    /// What is behind the data of a panel, and around it.
    pub(super) fn draw_frame(&self, svg: &mut Svg, index: usize) {
        let (area, panel) = (self.layout.panels[index], &self.chart.panels[index]);
        if self.colour.is_none() {
            self.draw_grid(svg, &area);
        }
        self.draw_head(svg, &area, panel);
        svg.group(&[("stroke", LINE.into()), ("stroke-width", 1.0.into())], |svg| {
            let (left, bottom) = area.at(0.0, 0.0);
            if self.colour.is_none() {
                rule(svg, (left, bottom), area.at(1.0, 0.0));
                for at in self.x.minor.iter().copied().chain(self.x.ticks.iter().map(|(at, _)| *at)) {
                    let long = self.x.minor.contains(&at);
                    rule(svg, area.at(at, 0.0), (area.at(at, 0.0).0, bottom + if long { 2.5 } else { TICK - 1.0 }));
                }
                for &at in &self.y.minor {
                    rule(svg, area.at(0.0, at), (left - 2.5, area.at(0.0, at).1));
                }
            }
        });
        svg.group(&[("font-size", SMALL.into()), ("fill", FAINT.into())], |svg| {
            if self.layout.is_lowest(index) {
                self.draw_below(svg, &area);
            }
            if index.is_multiple_of(self.layout.columns) {
                self.draw_left(svg, &area);
            }
        });
    }

    fn draw_grid(&self, svg: &mut Svg, area: &Area) {
        svg.group(&[("stroke", GRID.into()), ("stroke-width", 1.0.into())], |svg| {
            for (at, _) in &self.y.ticks {
                rule(svg, area.at(0.0, *at), area.at(1.0, *at));
            }
            if self.x.place_width().is_none() {
                for (at, _) in &self.x.ticks {
                    rule(svg, area.at(*at, 0.0), area.at(*at, 1.0));
                }
            }
        });
    }

    fn draw_head(&self, svg: &mut Svg, area: &Area, panel: &Panel) {
        let whole = self.panel_name(panel);
        if whole.is_empty() {
            return;
        }
        let attrs = [("font-size", LABEL.into()), ("font-weight", "600".into()), ("fill", INK.into())];
        let room = area.w / BOLD;
        let mut shown = whole.clone();
        if super::measure::width(&shown, LABEL) > room {
            let values = panel.at.iter().zip(&self.chart.panel_by).map(|(value, by)| value.print(by.format));
            shown = fitted(&values.collect::<Vec<_>>().join(" · "), LABEL, room);
        }
        svg.cut_text((area.x, area.y - 7.0), &shown, &whole, &attrs);
    }

    /// `attack = fgsm, dataset = mnist`; empty where there is one panel only.
    pub(super) fn panel_name(&self, panel: &Panel) -> String {
        let part =
            |(value, by): (&Value, &super::data::Quantity)| format!("{} = {}", by.words(), value.print(by.format));
        panel.at.iter().zip(&self.chart.panel_by).map(part).collect::<Vec<_>>().join(", ")
    }

    fn draw_below(&self, svg: &mut Svg, area: &Area) {
        for label in self.layout.below.iter().filter(|label| !label.shown.is_empty()) {
            let (x, bottom) = area.at(label.at, 0.0);
            if self.layout.turned {
                let (x, y) = (x + 4.0, bottom + TICK + SMALL - 2.0);
                let (cx, cy) = (super::svg::coordinate(x), super::svg::coordinate(y));
                let turn = format!("rotate(-{ANGLE} {cx} {cy})");
                let attrs = [("text-anchor", "end".into()), ("transform", (&turn).into())];
                svg.cut_text((x, y), &label.shown, &label.whole, &attrs);
            } else {
                let at = (x, bottom + TICK + SMALL);
                svg.cut_text(at, &label.shown, &label.whole, &[("text-anchor", "middle".into())]);
            }
        }
    }

    fn draw_left(&self, svg: &mut Svg, area: &Area) {
        for (at, whole) in &self.y.ticks {
            let (x, y) = area.at(0.0, self.up(*at));
            let shown = fitted(whole, SMALL, 150.0);
            svg.cut_text((x - TICK - 2.0, y + 0.36 * SMALL), &shown, whole, &[("text-anchor", "end".into())]);
        }
    }

    /// Where a place of the vertical axis is: names are read from top to bottom, numbers grow upwards.
    pub(super) fn up(&self, at: f64) -> f64 {
        let names = self.colour.is_some() && self.chart.series.iter().any(|value| value.as_number().is_none());
        if names { 1.0 - at } else { at }
    }
}

/// Says so where a panel has nothing to show.
pub(super) fn draw_absence(svg: &mut Svg, panel: &Panel, area: &Area) {
    if panel.series.iter().all(Vec::is_empty) {
        let attrs = [("font-size", SMALL.into()), ("fill", FAINT.into()), ("text-anchor", "middle".into())];
        svg.text(area.at(0.5, 0.5), "no values", &attrs);
    }
}

/// A straight line.
pub(super) fn rule(svg: &mut Svg, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    svg.leaf("line", &[("x1", x1.into()), ("y1", y1.into()), ("x2", x2.into()), ("y2", y2.into())]);
}

fn x_axis(chart: &Chart, kind: FigureKind, log: bool, w: f64) -> Result<Axis, FigureError> {
    let numbers: Vec<f64> = chart.xs.iter().filter_map(Value::as_number).collect();
    // One number alone needs no scale around it.
    let named = numbers.len() < chart.xs.len() || numbers.len() == 1;
    if named || matches!(kind, FigureKind::Bar | FigureKind::Heatmap) {
        return Ok(Axis::places(&chart.x, &chart.xs));
    }
    if log && !numbers.iter().any(|&number| number > 0.0) {
        return Err(FigureError::NotPositive { key: "x", name: chart.x.name.clone() });
    }
    Ok(Axis::continuous(&chart.x, &numbers, log, Room::Margin, (w / 72.0) as usize))
}

fn y_axis(chart: &Chart, kind: FigureKind, log: bool, h: f64) -> Result<Axis, FigureError> {
    let mut values: Vec<f64> = chart.points().map(|point| point.y).collect();
    if log && !values.iter().any(|&value| value > 0.0) {
        return Err(FigureError::NotPositive { key: "y", name: chart.y.name.clone() });
    }
    let least = values.iter().copied().filter(|&value| value > 0.0).fold(f64::INFINITY, f64::min);
    if kind != FigureKind::Heatmap {
        let bands = chart.points().filter_map(|point| point.band.as_ref());
        // A band that nearly reaches 0 would leave a logarithmic axis to itself: it ends at the edge instead.
        let ends = bands.flat_map(|band| [band.low, band.high]).filter(|&end| !log || end > 0.2 * least);
        values.extend(ends.collect::<Vec<_>>());
    }
    let room = match kind {
        FigureKind::Bar => Room::Zero,
        FigureKind::Heatmap => Room::None,
        FigureKind::Line | FigureKind::Scatter => Room::Ticks,
    };
    // The key of a heatmap is about as high as a panel, but not lower than this.
    let h = if kind == FigureKind::Heatmap { heatmap::key_height(h) } else { h };
    Ok(Axis::continuous(&chart.y, &values, log, room, (h / 48.0) as usize))
}
