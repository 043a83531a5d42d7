//! Where everything stands on the page, in pixels from the top left.

use duress_engine::spec::FigureKind;

use super::axis::{Axis, Scale};
use super::measure::{fitted_around, width, wrapped};
use super::reduce::Chart;

/// Sizes of text.
pub(super) const TITLE: f64 = 16.0;
pub(super) const LABEL: f64 = 12.5;
pub(super) const SMALL: f64 = 11.0;
pub(super) const NOTE: f64 = 10.5;

/// By how much bold text is wider than what is measured.
pub(super) const BOLD: f64 = 1.15;

/// Around everything.
pub(super) const MARGIN: f64 = 18.0;
/// Between a tick's end and its label.
pub(super) const TICK: f64 = 5.0;
/// Between panels that stand side by side, and above one another.
const GAP: f64 = 20.0;
/// For what stands above a panel.
const HEAD: f64 = 22.0;
/// From one line of a note to the next.
pub(super) const NOTE_LINE: f64 = 14.5;
const TITLE_LINE: f64 = 21.0;
/// The longest label that stands turned below a place.
const TURNED: f64 = 130.0;
/// By how much labels turn that have no room to lie.
pub(super) const ANGLE: f64 = 38.0;

/// A rectangle of the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) w: f64,
    pub(super) h: f64,
}

impl Area {
    /// The point at these shares of the width, from the left, and of the height, from the bottom.
    pub(super) fn at(&self, right: f64, up: f64) -> (f64, f64) {
        (self.x + right * self.w, self.y + (1.0 - up) * self.h)
    }
}

/// A label below the horizontal axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Below {
    /// Where, from 0 to 1.
    pub(super) at: f64,
    /// As much of it as there is room for; empty where there is none.
    pub(super) shown: String,
    /// All of it.
    pub(super) whole: String,
}

/// What a key beside the panels takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Beside {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// The page.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) title: Vec<String>,
    /// One a panel.
    pub(super) panels: Vec<Area>,
    pub(super) columns: usize,
    /// All panels, without the labels around them.
    pub(super) grid: Area,
    pub(super) below: Vec<Below>,
    /// Whether the labels below are turned.
    pub(super) turned: bool,
    /// The middle of the horizontal axis' title.
    pub(super) x_title: f64,
    /// The key's top left corner.
    pub(super) beside: (f64, f64),
    /// The first line of the notes, and all of them.
    pub(super) notes: (f64, Vec<String>),
}

/// What is known before the page is laid out.
pub(super) struct Content<'a> {
    pub(super) chart: &'a Chart,
    pub(super) kind: FigureKind,
    pub(super) x: &'a Axis,
    pub(super) y: &'a Axis,
    pub(super) title: &'a str,
    pub(super) notes: &'a [String],
    pub(super) beside: Beside,
}

/// How many panels stand side by side: those of the second key where two keys make a full grid, else what fills rows best.
pub(super) fn columns(chart: &Chart) -> usize {
    let count = chart.panels.len().max(1);
    if chart.panel_by.len() == 2 {
        let first = &chart.panels[0].at[0];
        let across = chart.panels.iter().take_while(|panel| panel.at[0] == *first).count();
        let full = chart
            .panels
            .chunks(across)
            .all(|row| row.len() == across && row.iter().zip(&chart.panels).all(|(a, b)| a.at[1] == b.at[1]));
        if full && (2..=4).contains(&across) {
            return across;
        }
    }
    match count {
        1..=3 => count,
        4 => 2,
        5 | 6 | 9 => 3,
        _ => 4,
    }
}

/// The size of a panel's area.
pub(super) fn panel_size(chart: &Chart, kind: FigureKind, columns: usize) -> (f64, f64) {
    let (w, h) = match columns {
        1 => (540.0, 320.0),
        2 => (370.0, 250.0),
        3 => (280.0, 205.0),
        _ => (230.0, 175.0),
    };
    let (places, series) = (chart.xs.len().max(1) as f64, chart.series.len().max(1) as f64);
    match kind {
        FigureKind::Heatmap => (places * (w / places).clamp(26.0, 84.0), series * (h / series).clamp(18.0, 54.0)),
        // So that no bar is thinner than five pixels, and every name has a line.
        FigureKind::Bar => {
            let names = chart.xs.iter().any(|x| x.as_number().is_none());
            (w.max(places * (5.0 * series + 6.0).max(if names { 20.0 } else { 0.0 })), h)
        }
        _ => (w, h),
    }
}

impl Layout {
    /// Lays the page out, from the top left to the bottom right; each number needs those before it.
    pub(super) fn new(content: &Content<'_>) -> Self {
        let Content { chart, kind, x, y, .. } = *content;
        let columns = columns(chart);
        let rows = chart.panels.len().div_ceil(columns).max(1);
        let (w, h) = panel_size(chart, kind, columns);
        let head = if chart.panel_by.is_empty() { 0.0 } else { HEAD };
        let (below, turned, depth) = below(x, w);
        let left = MARGIN + LABEL + 10.0 + y.widest(SMALL).min(150.0) + TICK + 3.0;
        // The first turned label may reach further to the left than the labels of the vertical axis.
        let reach = if turned { overhang(&below, w) } else { 0.0 };
        let left = left.max(MARGIN + reach);
        let grid_w = columns as f64 * (w + GAP) - GAP;
        let key = if content.beside.width > 0.0 { 22.0 + content.beside.width } else { 8.0 };
        let width = (left + grid_w + key + MARGIN).max(360.0);
        let title = wrapped(content.title, TITLE, (width - 2.0 * MARGIN) / BOLD);
        let top = MARGIN + title.len() as f64 * TITLE_LINE + 9.0;
        let pitch = head + h + GAP;
        let grid = Area { x: left, y: top + head, w: grid_w, h: rows as f64 * pitch - GAP - head };
        let panels = (0..chart.panels.len()).map(|index| {
            let (column, row) = ((index % columns) as f64, (index / columns) as f64);
            Area { x: left + column * (w + GAP), y: grid.y + row * pitch, w, h }
        });
        let x_title = grid.y + grid.h + TICK + depth + LABEL + 5.0;
        let ends = (x_title + 8.0).max(grid.y + content.beside.height + 6.0);
        let notes: Vec<String> =
            content.notes.iter().flat_map(|note| wrapped(note, NOTE, width - 2.0 * MARGIN)).collect();
        let first = ends + 8.0 + NOTE;
        let height = if notes.is_empty() { ends } else { first + (notes.len() - 1) as f64 * NOTE_LINE } + MARGIN - 4.0;
        Self {
            width: width.ceil(),
            height: height.ceil(),
            title,
            panels: panels.collect(),
            columns,
            grid,
            below,
            turned,
            x_title,
            beside: (left + grid_w + 22.0, grid.y),
            notes: (first, notes),
        }
    }

    /// Whether the labels of the horizontal axis stand below this panel: nothing else is there.
    pub(super) fn is_lowest(&self, panel: usize) -> bool {
        panel + self.columns >= self.panels.len()
    }

    /// The baseline of the title's first line.
    pub(super) fn title_at(line: usize) -> f64 {
        MARGIN + TITLE - 2.0 + line as f64 * TITLE_LINE
    }
}

/// The labels below the axis, whether they are turned, and how much room they take downwards.
fn below(x: &Axis, w: f64) -> (Vec<Below>, bool, f64) {
    let label = |(at, whole): &(f64, String), shown: String| Below { at: *at, shown, whole: whole.clone() };
    let plain = || x.ticks.iter().map(|tick| label(tick, tick.1.clone())).collect();
    let Scale::Places(values) = &x.scale else { return (plain(), false, SMALL + 3.0) };
    let place = w / values.len().max(1) as f64;
    if x.widest(SMALL) + 6.0 <= place {
        return (plain(), false, SMALL + 3.0);
    }
    let numbers = values.iter().all(|value| value.as_number().is_some());
    if numbers {
        let every = ((x.widest(SMALL) + 8.0) / place).ceil() as usize;
        return (thinned(x, every, f64::MAX), false, SMALL + 3.0);
    }
    let every = ((SMALL + 1.0) / (place * ANGLE.to_radians().sin())).ceil() as usize;
    let labels = thinned(x, every, TURNED);
    let longest = labels.iter().map(|label| width(&label.shown, SMALL)).fold(0.0, f64::max);
    (labels, true, longest * ANGLE.to_radians().sin() + SMALL + 2.0)
}

/// How far turned labels reach to the left of the panel.
fn overhang(labels: &[Below], w: f64) -> f64 {
    let reach = |label: &Below| width(&label.shown, SMALL) * ANGLE.to_radians().cos() - label.at * w;
    labels.iter().map(reach).fold(0.0, f64::max)
}

/// Every so-manieth label, its middle left out where there is no room for it.
fn thinned(x: &Axis, every: usize, room: f64) -> Vec<Below> {
    let every = every.max(1);
    let shown = |index: usize, text: &str| {
        if index.is_multiple_of(every) { fitted_around(text, SMALL, room) } else { String::new() }
    };
    (x.ticks.iter().enumerate())
        .map(|(index, (at, whole))| Below { at: *at, shown: shown(index, whole), whole: whole.clone() })
        .collect()
}
