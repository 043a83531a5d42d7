//! From a collected table to the rows of a figure: which column or metric is meant, which rows, in which units.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use duress_cache::Table;
use duress_engine::spec::{Condition, Figure, Spanned, Value as Written, nearest};

use super::error::FigureError;
use super::number::Format;
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
    /// Axes that vary among the rows and that no key of the figure names.
    pub(super) over: Vec<String>,
}

/// Picks the rows of a figure.
pub(super) fn select(figure: &Figure, table: &Table, orders: &Orders) -> Result<Selection, FigureError> {
    let source = Source { batch: table.one_batch()?, orders };
    if source.batch.num_rows() == 0 {
        return Err(FigureError::NoRows);
    }
    let (column, metric) = source.subject(&figure.y)?;
    let picked = source.pick(&figure.filter.0, metric)?;
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
    let own = if metric.is_some() { picked.own_intervals()? } else { Vec::new() };
    let row = |index: usize| Row {
        panel: panels.iter().map(|panel| panel[index].clone()).collect(),
        series: series.iter().map(|series| series[index].clone()).collect(),
        x: xs[index].clone(),
        y: y_values[index].as_number(),
        own: own.get(index).cloned().flatten(),
    };
    Ok(Selection {
        rows: (0..y_values.len()).map(row).collect(),
        x: picked.quantity(&figure.x),
        // The metrics of a tidy table share a column, and so a unit only where it is stated for none.
        y: Quantity { name: figure.y.value.clone(), ..picked.quantity(column) },
        series: figure.series.iter().map(|name| picked.quantity(name)).collect(),
        panel: figure.panel.iter().map(|name| picked.quantity(name)).collect(),
        over: picked.varying_besides(figure)?,
    })
}

/// A table and the order of its text axes.
struct Source<'a> {
    batch: RecordBatch,
    orders: &'a Orders,
}

impl Source<'_> {
    /// The column that `y` is in, and the metric where it is one.
    fn subject<'y>(&self, y: &'y str) -> Result<(&'y str, Option<&'y str>), FigureError> {
        if self.batch.column_by_name(y).is_some() {
            return Ok((y, None));
        }
        let metrics = self.metrics();
        if self.batch.column_by_name("value").is_some() && metrics.contains(y) {
            return Ok(("value", Some(y)));
        }
        Err(self.unknown("y", y, metrics.into_iter().collect()))
    }

    fn metrics(&self) -> BTreeSet<String> {
        let column = self.batch.column_by_name("metric").and_then(|column| column.as_string_opt::<i32>());
        column.into_iter().flatten().flatten().map(str::to_owned).collect()
    }

    fn unknown(&self, key: &'static str, name: &str, metrics: Vec<String>) -> FigureError {
        let columns: Vec<String> = self.batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        let near = nearest(name, columns.iter().chain(&metrics).map(String::as_str)).map(str::to_owned);
        FigureError::Unknown { key, name: name.to_owned(), columns, metrics, near }
    }

    fn values(&self, key: &'static str, name: &str) -> Result<Vec<Value>, FigureError> {
        let column = self.batch.column_by_name(name).ok_or_else(|| self.unknown(key, name, Vec::new()))?;
        let order = self.orders.get(name).map_or(&[][..], Vec::as_slice);
        read(column, order)?.ok_or_else(|| FigureError::Unplottable {
            key,
            column: name.to_owned(),
            found: column.data_type().to_string(),
        })
    }

    fn all_values(&self, key: &'static str, names: &[Spanned<String>]) -> Result<Vec<Vec<Value>>, FigureError> {
        names.iter().map(|name| self.values(key, name)).collect()
    }

    /// The rows that meet every condition.
    fn pick(&self, conditions: &[Condition], metric: Option<&str>) -> Result<Self, FigureError> {
        let mut keep = vec![true; self.batch.num_rows()];
        let mut unmet = Vec::new();
        if let Some(metric) = metric {
            for (keep, value) in keep.iter_mut().zip(self.values("y", "metric")?) {
                *keep &= matches!(&value, Value::Text { text, .. } if text == metric);
            }
        }
        for condition in conditions {
            let values = self.values("where", &condition.column)?;
            let mut met = false;
            for (keep, value) in keep.iter_mut().zip(&values) {
                let this = takes(condition, value);
                met |= this && *keep;
                *keep &= this;
            }
            if !met {
                unmet.push((written(condition), present(&values)));
            }
        }
        if !keep.contains(&true) {
            // The first one that fails empties the rest; only it can be told to the reader.
            unmet.truncate(1);
            return Err(FigureError::NothingSelected { conditions: unmet });
        }
        let batch = filter_record_batch(&self.batch, &BooleanArray::from(keep))?;
        Ok(Self { batch, orders: self.orders })
    }

    /// The axes that vary among the rows, but for those that the figure names.
    fn varying_besides(&self, figure: &Figure) -> Result<Vec<String>, FigureError> {
        let named = |axis: &str| {
            let keys = figure.series.iter().chain(&figure.panel).chain([&figure.x, &figure.y]);
            keys.map(|name| name.value.as_str()).any(|name| name == axis)
        };
        let mut varying = Vec::new();
        for axis in self.orders.keys().filter(|axis| !named(axis) && self.batch.column_by_name(axis).is_some()) {
            let values = self.values("where", axis)?;
            if values.iter().any(|value| *value != values[0]) {
                varying.push(axis.clone());
            }
        }
        Ok(varying)
    }

    /// What `status` says of the rows, most frequent first.
    fn statuses(&self) -> Vec<(String, usize)> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for value in self.values("y", "status").unwrap_or_default() {
            *counts.entry(value.print(Format::Plain)).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts.truncate(4);
        counts
    }

    /// The interval of each row, where the table has such columns.
    fn own_intervals(&self) -> Result<Vec<Option<Own>>, FigureError> {
        let has = |name: &str| self.batch.column_by_name(name).is_some();
        if !(has("lower") && has("upper")) {
            return Ok(Vec::new());
        }
        let (lower, upper) = (self.values("y", "lower")?, self.values("y", "upper")?);
        let methods = if has("interval") { self.values("y", "interval")? } else { Vec::new() };
        let counts = if has("n") { self.values("y", "n")? } else { Vec::new() };
        let own = |index: usize| {
            let (low, high) = (lower[index].as_number()?, upper[index].as_number()?);
            let method = methods.get(index).map_or(String::new(), |method| method.print(Format::Plain));
            let n = counts.get(index).and_then(Value::as_number).map(|n| n as i64);
            Some(Own { low, high, method, n })
        };
        Ok((0..lower.len()).map(own).collect())
    }

    fn quantity(&self, column: &str) -> Quantity {
        let schema = self.batch.schema();
        let field = schema.field_with_name(column).ok();
        let unit = field.and_then(|field| field.metadata().get("unit")).cloned().unwrap_or_default();
        Quantity { name: column.to_owned(), unit, format: Format::Plain }
    }
}

/// The values of a column; `None` where it holds lists or bytes.
fn read(column: &ArrayRef, order: &[String]) -> Result<Option<Vec<Value>>, FigureError> {
    let data_type = column.data_type();
    let values = if let Some(texts) = column.as_string_opt::<i32>() {
        let ranks: BTreeMap<&str, usize> =
            order.iter().enumerate().map(|(rank, label)| (label.as_str(), rank)).collect();
        let text = |text: &str| {
            let rank = ranks.get(text).copied().unwrap_or(order.len());
            Value::Text { rank, text: text.to_owned() }
        };
        texts.iter().map(|value| value.map_or(Value::Missing, text)).collect()
    } else if let Some(truths) = column.as_boolean_opt() {
        truths.iter().map(|value| value.map_or(Value::Missing, Value::Boolean)).collect()
    } else if let Some(singles) = column.as_primitive_opt::<Float32Type>() {
        // The double that prints like the single: 0.1, not 0.10000000149.
        let wide = |single: f32| single.to_string().parse().unwrap_or(f64::from(single));
        singles.iter().map(|value| value.map_or(Value::Missing, |single| Value::number(wide(single)))).collect()
    } else if data_type.is_numeric() {
        let doubles = cast(column, &DataType::Float64)?;
        let doubles = doubles.as_primitive::<Float64Type>();
        doubles.iter().map(|value| value.map_or(Value::Missing, Value::number)).collect()
    } else {
        return Ok(None);
    };
    Ok(Some(values))
}

fn takes(condition: &Condition, value: &Value) -> bool {
    match value {
        Value::Boolean(truth) => condition.takes_boolean(*truth),
        Value::Number(number) => condition.takes_number(*number),
        Value::Text { text, .. } => condition.takes_text(text),
        Value::Missing => false,
    }
}

fn written(condition: &Condition) -> String {
    let values: Vec<String> = (condition.values.iter())
        .map(|node| match &node.value {
            Written::Boolean(truth) => truth.to_string(),
            Written::Integer(number) => number.to_string(),
            Written::Float(number) => number.to_string(),
            Written::String(text) => format!("{text:?}"),
            other => other.describe().to_owned(),
        })
        .collect();
    format!("{} = {}", condition.column.value, values.join(" or "))
}

/// The first few distinct values.
fn present(values: &[Value]) -> String {
    const SHOWN: usize = 8;
    let distinct: BTreeSet<&Value> = values.iter().collect();
    let mut shown: Vec<String> = distinct.iter().take(SHOWN).map(|value| value.print(Format::Plain)).collect();
    if distinct.len() > SHOWN {
        shown.push("...".to_owned());
    }
    shown.join(", ")
}
