//! Arrow values as the strings a person reads.

use arrow::array::Array;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// A table of strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cells {
    /// The columns' names.
    pub(super) header: Vec<String>,
    /// Whether each column holds numbers.
    pub(super) numeric: Vec<bool>,
    /// The rows; a null is empty.
    pub(super) rows: Vec<Vec<String>>,
}

/// Prints every value: floats in their shortest exact form, nulls as nothing.
pub(super) fn print(rows: &RecordBatch) -> Result<Cells, ArrowError> {
    let options = FormatOptions::default().with_null("");
    let schema = rows.schema();
    let columns: Vec<ArrayFormatter<'_>> =
        rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &options)).collect::<Result<_, _>>()?;
    let line = |row: usize| {
        let cell = |column: &ArrayFormatter<'_>| column.value(row).try_to_string();
        columns.iter().map(cell).collect::<Result<Vec<_>, _>>()
    };
    Ok(Cells {
        header: schema.fields().iter().map(|field| field.name().clone()).collect(),
        numeric: schema.fields().iter().map(|field| field.data_type().is_numeric()).collect(),
        rows: (0..rows.num_rows()).map(line).collect::<Result<_, _>>()?,
    })
}

/// One column's values as printed in a table.
pub(super) fn column(column: &dyn Array) -> Result<Vec<String>, ArrowError> {
    let options = FormatOptions::default().with_null("");
    let formatter = ArrayFormatter::try_new(column, &options)?;
    (0..column.len()).map(|row| formatter.value(row).try_to_string()).collect()
}

/// Whether two values of a column of this type are the same, as numbers where both are.
pub(super) fn same(data_type: &DataType, printed: &str, wanted: &str) -> bool {
    if data_type.is_numeric()
        && let (Ok(left), Ok(right)) = (printed.parse::<f64>(), wanted.parse::<f64>())
    {
        return (left - right).abs() <= f64::EPSILON * left.abs().max(right.abs());
    }
    printed == wanted
}
