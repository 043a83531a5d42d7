//! Gathers what a stage made over all of its axes into one table.
//!
//! The axes' columns come first, in the order of the spec: of whole numbers, numbers or truth values where all values of
//! the axis are, of text otherwise (a value that is a table stands under its name). An axis that a table has a column of
//! the same name for is told by that column where the two agree in every row, and is called `axis_NAME` otherwise.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, Field, Fields, Schema};
use duress_cache::{Entry, Store, StoreError, Table, TableError};

use crate::plan::{Coordinate, Instance, Plan};
use crate::spec::{Reference, Span, Value, nearest};

/// A stage's table over all of its axes.
#[derive(Clone, Debug)]
pub struct Collected {
    /// The rows of all instances that have a result, in the order of the axes' values, each with where its instance stands on the axes.
    pub table: Table,
    /// The axes' columns that were put in front.
    pub axes: Vec<String>,
    /// The labels of the instances that have no result.
    pub missing: Vec<String>,
}

/// Why a table could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A name that is no reference to a table.
    #[error("collect `{name}`: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it and what to write.
        reason: String,
    },
    /// Nothing was computed.
    #[error("collect `{name}`: none of its {instances} results is in the cache; run the study first")]
    Nothing {
        /// The name.
        name: String,
        /// How many instances the stage has.
        instances: usize,
    },
    /// A result that cannot be read.
    #[error("{source}")]
    Store {
        /// Whose it is, as an index into the plan's instances.
        instance: usize,
        /// Why.
        source: Box<StoreError>,
    },
    /// Tables that do not fit together.
    #[error("collect `{name}`: {source}")]
    Table {
        /// The name.
        name: String,
        /// Why.
        source: Box<TableError>,
    },
}

/// Collects `name`, which is `stage` or `stage.output`, given the results of the plan's instances (of an
/// [`Outcome`](super::Outcome), or of [resolved keys](super::KeyState::entry)). Without an output it is the first one
/// that is a plain table.
///
/// # Errors
/// Where there is no such stage or output, nothing was computed, or a result cannot be read.
pub fn collect(
    plan: &Plan,
    store: &dyn Store,
    entries: &[Option<Arc<Entry>>],
    name: &str,
) -> Result<Collected, CollectError> {
    let (section, output) = parse_name(plan, name)?;
    collect_output(plan, store, entries, &section, output)
}

/// As [`collect`], for a stage and an output that are known to exist.
///
/// # Errors
/// Where nothing was computed, or a result cannot be read.
pub fn collect_output(
    plan: &Plan,
    store: &dyn Store,
    entries: &[Option<Arc<Entry>>],
    section: &str,
    output: &str,
) -> Result<Collected, CollectError> {
    let name = format!("{section}.{output}");
    let mut rows = Vec::new();
    let mut missing = Vec::new();
    let mut instances = 0;
    for (index, instance) in plan.instances.iter().enumerate().filter(|(_, instance)| instance.section == section) {
        instances += 1;
        // An output may depend on the configuration: where an instance does not make it, nothing is missing.
        match &entries[index] {
            Some(entry) if entry.tables.contains_key(output) => {
                let read = store.table(entry, output);
                rows.push((
                    instance,
                    read.map_err(|source| CollectError::Store { instance: index, source: Box::new(source) })?,
                ));
            }
            Some(_) => {}
            None => missing.push(instance.label.clone()),
        }
    }
    if rows.is_empty() {
        return Err(CollectError::Nothing { name, instances });
    }
    // A plan is ordered by what needs what; a table by its axes.
    rows.sort_by_key(|(instance, _)| instance.at.iter().map(|at| at.index).collect::<Vec<_>>());
    let axes: Vec<AxisColumn> = axis_names(&rows).into_iter().filter_map(|axis| AxisColumn::of(axis, &rows)).collect();
    let table = join(&rows, &axes).map_err(|source| CollectError::Table { name, source: Box::new(source) })?;
    Ok(Collected { table, axes: axes.into_iter().map(|axis| axis.column).collect(), missing })
}

fn parse_name(plan: &Plan, name: &str) -> Result<(String, &'static str), CollectError> {
    let wrong = |reason: String| CollectError::Name { name: name.to_owned(), reason };
    let reference = Reference::parse(name, Span::default())
        .map_err(|fault| wrong(format!("{}; write `stage` or `stage.output`", fault.message)))?;
    if !reference.selections.is_empty() {
        return Err(wrong("a table is collected over all axes; pick rows from it afterwards".to_owned()));
    }
    let sections = || plan.instances.iter().map(|instance| instance.section.as_str());
    let Some(instance) = plan.instances.iter().find(|instance| instance.section == reference.name) else {
        let fix =
            nearest(&reference.name, sections()).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(wrong(format!("there is no stage `{}`{fix}", reference.name)));
    };
    let outputs = instance.kind.outputs;
    let output = match &reference.output {
        Some(wanted) => outputs.iter().find(|output| output.name == wanted),
        None => outputs.iter().find(|output| output.artifact == "table").or(outputs.first()),
    };
    let names = || outputs.iter().map(|output| output.name).collect::<Vec<_>>().join("`, `");
    let output = output.ok_or_else(|| wrong(format!("its outputs are `{}`; write one of them", names())))?;
    Ok((reference.name, output.name))
}

fn axis_names<'p>(rows: &[(&'p Instance, Table)]) -> Vec<&'p str> {
    // All instances of a section stand on the same axes.
    rows.first().map_or_else(Vec::new, |(instance, _)| instance.at.iter().map(|at| at.axis.as_str()).collect())
}

/// The column of an axis.
struct AxisColumn {
    axis: String,
    column: String,
    kind: DataType,
}

impl AxisColumn {
    /// None where every table already says where it stands on the axis.
    fn of(axis: &str, rows: &[(&Instance, Table)]) -> Option<Self> {
        let own: Vec<_> =
            rows.iter().filter_map(|(instance, table)| Some((at(instance, axis)?, table.column(axis).ok()?))).collect();
        let agree = own.len() == rows.len() && own.iter().all(|(at, column)| says(column, at));
        if agree {
            return None;
        }
        let column = if own.is_empty() { axis.to_owned() } else { format!("axis_{axis}") };
        let values = || rows.iter().filter_map(|(instance, _)| at(instance, axis)).map(|at| &at.value.value);
        let kind = if values().all(|value| matches!(value, Value::Integer(_))) {
            DataType::Int64
        } else if values().all(|value| matches!(value, Value::Integer(_) | Value::Float(_))) {
            DataType::Float64
        } else if values().all(|value| matches!(value, Value::Boolean(_))) {
            DataType::Boolean
        } else {
            DataType::Utf8
        };
        Some(Self { axis: axis.to_owned(), column, kind })
    }

    fn array(&self, instance: &Instance, rows: usize) -> ArrayRef {
        let Some(at) = at(instance, &self.axis) else { return new_null_array(&self.kind, rows) };
        match (&self.kind, &at.value.value) {
            (DataType::Int64, Value::Integer(value)) => Arc::new(Int64Array::from_value(*value, rows)),
            (DataType::Float64, Value::Integer(value)) => Arc::new(Float64Array::from_value(*value as f64, rows)),
            (DataType::Float64, Value::Float(value)) => Arc::new(Float64Array::from_value(*value, rows)),
            (DataType::Boolean, Value::Boolean(value)) => Arc::new(BooleanArray::from(vec![*value; rows])),
            _ => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&at.label, rows))),
        }
    }
}

fn at<'i>(instance: &'i Instance, axis: &str) -> Option<&'i Coordinate> {
    instance.at.iter().find(|at| at.axis == axis)
}

/// Whether every row of a column holds where the instance stands.
fn says(column: &ArrayRef, at: &Coordinate) -> bool {
    let number = match at.value.value {
        Value::Integer(value) => Some(value as f64),
        Value::Float(value) => Some(value),
        _ => None,
    };
    (0..column.len()).all(|row| {
        let text = array_value_to_string(column, row).unwrap_or_default();
        text == at.label || (number.is_some() && text.parse::<f64>().ok() == number)
    })
}

/// One table under the union of the columns: what an instance's table lacks is null.
fn join(rows: &[(&Instance, Table)], axes: &[AxisColumn]) -> Result<Table, TableError> {
    let mut fields: Vec<Field> = axes.iter().map(|axis| Field::new(&axis.column, axis.kind.clone(), false)).collect();
    let own = fields.len();
    for (_, table) in rows {
        for field in table.schema().fields() {
            match fields[own..].iter_mut().find(|known| known.name() == field.name()) {
                Some(known) => known.set_nullable(known.is_nullable() || field.is_nullable()),
                None => fields.push(field.as_ref().clone()),
            }
        }
    }
    for field in &mut fields[own..] {
        let everywhere = rows.iter().all(|(_, table)| table.schema().index_of(field.name()).is_ok());
        field.set_nullable(field.is_nullable() || !everywhere);
    }
    let metadata = rows[0].1.schema().metadata().clone();
    let schema = Arc::new(Schema::new_with_metadata(Fields::from(fields), metadata));
    let mut batches = Vec::new();
    for (instance, table) in rows {
        for batch in table.batches() {
            let mut columns: Vec<ArrayRef> = axes.iter().map(|axis| axis.array(instance, batch.num_rows())).collect();
            for field in &schema.fields()[own..] {
                columns.push(
                    batch
                        .column_by_name(field.name())
                        .map_or_else(|| new_null_array(field.data_type(), batch.num_rows()), Arc::clone),
                );
            }
            batches.push(RecordBatch::try_new(Arc::clone(&schema), columns)?);
        }
    }
    Table::new(schema, batches)
}
