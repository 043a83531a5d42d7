//! `[figure.X]`: a plot over a collected table.

use super::Section;
use super::axes::Axis;
use super::filter::{Filter, TableName, table_name};
use super::from_spec::{FromSpec, Scope};
use super::scalar::{OneOrMany, Spanned};
use super::value::{Entry, Span};
use crate::{choice, config};

/// A plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name, which its file gets too.
    pub name: String,
    /// Where its name stands.
    pub span: Span,
    /// The table it shows.
    pub table: TableName,
    /// What goes to the right: a column or an axis.
    pub x: Spanned<String>,
    /// What goes up: a numeric column, or a metric of a tidy table.
    pub y: Spanned<String>,
    /// What tells lines apart.
    pub series: Vec<Spanned<String>>,
    /// What tells panels apart.
    pub panel: Vec<Spanned<String>>,
    /// What is drawn around the mean of the rows that fall on one point.
    pub band: Band,
    /// What stands above it.
    pub title: Option<String>,
    /// Which rows are shown.
    pub filter: Filter,
    /// Whether the x axis is logarithmic.
    pub log_x: bool,
    /// Whether the y axis is logarithmic.
    pub log_y: bool,
    /// How the points are drawn.
    pub kind: FigureKind,
}

config! {
    /// A plot over the collected table of a stage, drawn by `duress figure`.
    pub(super) struct FigureTable {
        /// The stage whose table is shown, such as `"attacked"` or `"attacked.results"`.
        table: Spanned<String>,
        /// What goes to the right: a column of the table or an axis.
        x: Spanned<String>,
        /// What goes up: a numeric column, or a metric of a tidy table.
        y: Spanned<String>,
        /// The column or axis (or several) that tells lines apart.
        series: Option<OneOrMany<Spanned<String>>>,
        /// The column or axis (or several) that tells panels apart.
        panel: Option<OneOrMany<Spanned<String>>>,
        /// What is drawn around the mean of the rows that fall on one point.
        band: Band = Band::None,
        /// What stands above the figure.
        title: Option<String>,
        /// Which rows are shown: values by column or axis.
        r#where: Option<Filter>,
        /// The axes that are logarithmic.
        log: Vec<LogAxis> = Vec::new(),
        /// How the points are drawn.
        kind: FigureKind = FigureKind::Line,
    }
}

choice! {
    /// What is drawn around a mean.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Band {
        /// Nothing.
        "none" => None,
        /// The 95 % confidence interval of the mean.
        "ci95" => Ci95,
        /// One standard deviation to both sides.
        "sd" => Sd,
    }
}

choice! {
    /// How points are drawn.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum FigureKind {
        /// Joined by lines.
        "line" => Line,
        /// As bars.
        "bar" => Bar,
        /// As the colours of a grid, x against the series.
        "heatmap" => Heatmap,
        /// As dots.
        "scatter" => Scatter,
    }
}

choice! {
    /// An axis of a plot.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(super) enum LogAxis {
        /// The one to the right.
        "x" => X,
        /// The one that goes up.
        "y" => Y,
    }
}

/// Reads one `[figure.X]`.
pub(super) fn read(entry: &Entry, sections: &[Section], axes: &[Axis], scope: &mut Scope<'_>) -> Option<Figure> {
    if let Some(fault) = super::names::fault("figure", &entry.key, entry.key_span) {
        scope.fault(fault);
    }
    let figure = FigureTable::from_spec(&entry.node, scope)?;
    let filter = figure.r#where.unwrap_or_default();
    filter.check(axes, scope.faults);
    Some(Figure {
        name: entry.key.clone(),
        span: entry.key_span,
        table: table_name(&figure.table, sections, scope.faults)?,
        x: figure.x,
        y: figure.y,
        series: figure.series.map(|series| series.0).unwrap_or_default(),
        panel: figure.panel.map(|panel| panel.0).unwrap_or_default(),
        band: figure.band,
        title: figure.title,
        filter,
        log_x: figure.log.contains(&LogAxis::X),
        log_y: figure.log.contains(&LogAxis::Y),
        kind: figure.kind,
    })
}
