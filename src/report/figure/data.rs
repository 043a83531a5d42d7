//! From a collected table to the rows of a figure: which column or metric is meant, which rows, in which units.

use std::collections::BTreeMap;

use duress_cache::Table;
use duress_engine::spec::Figure;

use super::error::FigureError;
use super::number::Format;
use super::source::Source;
use super::value::Value;

/// The values of every axis, by axis, as printed and in the order in which they are to be shown. Numbers are ordered by size
/// all the same, and text that is not listed comes after, in natural order.
pub type Orders = BTreeMap<String, Vec<String>>;

/// Something that is measured or varied.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantity {
    /// Its axis, column or metric.
    pub(super) name: String,
    /// Its unit; empty or `1` where it has none.
    pub(super) unit: String,
    /// How its values are printed.
    pub(super) format: Format,
}

impl Quantity {
    /// Its name in words, and its unit.
    pub(super) fn title(&self) -> String {
        let words = self.words();
        if matches!(self.unit.as_str(), "" | "1") { words } else { format!("{words} ({})", self.unit) }
    }

    /// Its name in words.
    pub(super) fn words(&self) -> String {
        self.name.replace('_', " ")
    }
}

/// One row of the table, as far as the figure looks at it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) panel: Vec<Value>,
    pub(super) series: Vec<Value>,
    pub(super) x: Value,
    /// `None` where there is no finite value.
    pub(super) y: Option<f64>,
    /// The interval that the row itself states.
    pub(super) own: Option<Own>,
    /// Its value of each of [`Selection::rest`].
    pub(super) rest: Vec<Value>,
}

/// A 95 % interval out of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Own {
    pub(super) low: f64,
    pub(super) high: f64,
    /// How it was made, as the table says.
    pub(super) method: String,
    /// Of how many trials.
    pub(super) n: Option<i64>,
}

/// The rows to be drawn.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    pub(super) rows: Vec<Row>,
    pub(super) x: Quantity,
    pub(super) y: Quantity,
    pub(super) series: Vec<Quantity>,
    pub(super) panel: Vec<Quantity>,
    /// Axes and dimensions of the table that no key of the figure names.
    pub(super) rest: Vec<String>,
}

/// Picks the rows of a figure.
pub(super) fn select(figure: &Figure, table: &Table, orders: &Orders) -> Result<Selection, FigureError> {
    let source = Source { batch: table.one_batch()?, orders };
    if source.batch.num_rows() == 0 {
        return Err(FigureError::NoRows);
    }
    let (column, metric) = source.subject(&figure.y)?;
    let mut picked = source.pick(&figure.filter.0, metric)?;
    if metric.is_some() {
        picked = picked.of_one_breakdown(figure)?;
    }
    let y_values: Vec<Value> = picked.values("y", column)?;
    if y_values.iter().any(|value| !matches!(value, Value::Number(_) | Value::Missing)) {
        return Err(FigureError::NotNumbers { key: "y", column: column.to_owned() });
    }
    if y_values.iter().all(|value| *value == Value::Missing) {
        let statuses = picked.statuses();
        return Err(FigureError::NoValues { y: figure.y.value.clone(), rows: y_values.len(), statuses });
    }
    let xs = picked.values("x", &figure.x)?;
    let series = picked.all_values("series", &figure.series)?;
    let panels = picked.all_values("panel", &figure.panel)?;
    let rest = picked.rest(figure, metric.is_some());
    let others: Vec<Vec<Value>> = rest.iter().map(|name| picked.values("where", name)).collect::<Result<_, _>>()?;
    let own = if metric.is_some() { picked.own_intervals()? } else { Vec::new() };
    let row = |index: usize| Row {
        panel: panels.iter().map(|panel| panel[index].clone()).collect(),
        series: series.iter().map(|series| series[index].clone()).collect(),
        x: xs[index].clone(),
        y: y_values[index].as_number(),
        own: own.get(index).cloned().flatten(),
        rest: others.iter().map(|values| values[index].clone()).collect(),
    };
    Ok(Selection {
        rows: (0..y_values.len()).map(row).collect(),
        x: picked.quantity(&figure.x),
        // The metrics of a tidy table share a column, and so a unit only where it is stated for none.
        y: Quantity { name: figure.y.value.clone(), ..picked.quantity(column) },
        series: figure.series.iter().map(|name| picked.quantity(name)).collect(),
        panel: figure.panel.iter().map(|name| picked.quantity(name)).collect(),
        rest,
    })
}
