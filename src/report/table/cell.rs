//! Arrow values as the strings a person reads.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::ArrowError;
use arrow_schema::{DataType, Field};

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

/// Prints every value: nulls as nothing, floats in their shortest exact form or, for people, to six significant digits.
pub(super) fn print(rows: &RecordBatch, exact: bool) -> Result<Cells, ArrowError> {
    let options = FormatOptions::default().with_null("");
    let schema = rows.schema();
    let columns: Vec<ArrayFormatter<'_>> =
        rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &options)).collect::<Result<_, _>>()?;
    let line = |row: usize| {
        let cell = |(column, field): (&ArrayFormatter<'_>, &Arc<Field>)| {
            let text = column.value(row).try_to_string()?;
            Ok(if field.data_type().is_floating() && !exact { rounded(text) } else { text })
        };
        columns.iter().zip(schema.fields()).map(cell).collect::<Result<Vec<_>, ArrowError>>()
    };
    Ok(Cells {
        header: schema.fields().iter().map(|field| field.name().clone()).collect(),
        numeric: schema.fields().iter().map(|field| field.data_type().is_numeric()).collect(),
        rows: (0..rows.num_rows()).map(line).collect::<Result<_, _>>()?,
    })
}

/// A number to six significant digits.
fn rounded(text: String) -> String {
    let Ok(value) = text.parse::<f64>() else { return text };
    // Printing and reading back leaves the shortest form of what was kept.
    format!("{value:.5e}").parse::<f64>().map_or(text, |kept| kept.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_are_kept_and_short_numbers_stay_short() {
        let kept = |text: &str| rounded(text.to_owned());
        assert_eq!(kept("0.8328690807799443"), "0.832869");
        assert_eq!(kept("512.0"), "512");
        assert_eq!(kept("0.00001234567"), "0.0000123457");
        assert_eq!(kept(""), "");
    }
}
