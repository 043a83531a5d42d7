//! Reading a collected table: columns as values, rows by conditions, the breakdown that is meant.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_select::filter::filter_record_batch;
use duress_engine::spec::{Condition, Figure, Spanned, Value as Written, nearest};

use super::data::{Orders, Own, Quantity};
use super::error::FigureError;
use super::number::Format;
use super::value::Value;

/// A table, or some rows of it, and the order of its axes.
pub(super) struct Source<'a> {
    pub(super) batch: RecordBatch,
    pub(super) orders: &'a Orders,
}

impl Source<'_> {
    /// The column that `y` is in, and the metric where it is one.
    pub(super) fn subject<'y>(&self, y: &'y str) -> Result<(&'y str, Option<&'y str>), FigureError> {
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

    pub(super) fn values(&self, key: &'static str, name: &str) -> Result<Vec<Value>, FigureError> {
        let column = self.batch.column_by_name(name).ok_or_else(|| self.unknown(key, name, Vec::new()))?;
        let order = self.orders.get(name).map_or(&[][..], Vec::as_slice);
        read(column, order)?.ok_or_else(|| FigureError::Unplottable {
            key,
            column: name.to_owned(),
            found: column.data_type().to_string(),
        })
    }

    pub(super) fn all_values(
        &self,
        key: &'static str,
        names: &[Spanned<String>],
    ) -> Result<Vec<Vec<Value>>, FigureError> {
        names.iter().map(|name| self.values(key, name)).collect()
    }

    /// The rows that meet every condition.
    pub(super) fn pick(&self, conditions: &[Condition], metric: Option<&str>) -> Result<Self, FigureError> {
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

    /// Of a tidy table, the rows of the breakdown that the figure asks for.
    ///
    /// Such a table breaks a metric down by several dimensions, and a row whose dimension is null is about all of its
    /// values. Where the figure names a dimension these rows are left out; where it does not, they are the ones to show,
    /// or a mean would mix the parts with the whole.
    pub(super) fn of_one_breakdown(mut self, figure: &Figure) -> Result<Self, FigureError> {
        let dimensions = self.dimensions();
        let (named, unnamed): (Vec<String>, Vec<String>) =
            dimensions.into_iter().partition(|column| names(figure).any(|name| name == column));
        for (columns, whole) in [(named, false), (unnamed, true)] {
            for column in columns {
                let values = self.values("where", &column)?;
                let keep: Vec<bool> = values.iter().map(|value| (*value == Value::Missing) == whole).collect();
                if keep.contains(&true) && keep.contains(&false) {
                    self.batch = filter_record_batch(&self.batch, &BooleanArray::from(keep))?;
                }
            }
        }
        Ok(self)
    }

    /// The dimensions of a tidy table: columns that are neither what is measured nor how sure that is.
    fn dimensions(&self) -> Vec<String> {
        const MEASURED: [&str; 9] =
            ["metric", "value", "status", "lower", "upper", "n", "interval", "density", "sparsity"];
        let schema = self.batch.schema();
        let plain = schema.fields().iter().filter(|field| {
            let data_type = field.data_type();
            matches!(data_type, DataType::Utf8 | DataType::Boolean) || data_type.is_numeric()
        });
        plain.map(|field| field.name().clone()).filter(|name| !MEASURED.contains(&name.as_str())).collect()
    }

    /// The axes (and dimensions of a tidy table) that are there and that the figure does not name.
    pub(super) fn rest(&self, figure: &Figure, tidy: bool) -> Vec<String> {
        let mut rest = if tidy { self.dimensions() } else { Vec::new() };
        rest.extend(self.orders.keys().filter(|axis| self.batch.column_by_name(axis).is_some()).cloned());
        rest.retain(|column| names(figure).all(|name| name != column));
        rest.sort();
        rest.dedup();
        rest
    }

    /// What `status` says of the rows, most frequent first.
    pub(super) fn statuses(&self) -> Vec<(String, usize)> {
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
    pub(super) fn own_intervals(&self) -> Result<Vec<Option<Own>>, FigureError> {
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

    pub(super) fn quantity(&self, column: &str) -> Quantity {
        let schema = self.batch.schema();
        let field = schema.field_with_name(column).ok();
        let unit = field.and_then(|field| field.metadata().get("unit")).cloned().unwrap_or_default();
        Quantity { name: column.to_owned(), unit, format: Format::Plain }
    }
}

/// Every column or axis that a key of the figure names.
fn names(figure: &Figure) -> impl Iterator<Item = &String> {
    let conditions = figure.filter.0.iter().map(|condition| &condition.column);
    let keys = figure.series.iter().chain(&figure.panel).chain([&figure.x, &figure.y]).chain(conditions);
    keys.map(|name| &name.value)
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
