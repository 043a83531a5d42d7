//! Picking rows by the values of their columns.

use arrow_array::BooleanArray;
use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use arrow_select::filter::filter_record_batch;

use super::cell;

/// `column = value | value | ...`, as written `eps=0.1,0.3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The column.
    pub column: String,
    /// The values it may have, as printed.
    pub values: Vec<String>,
}

impl std::str::FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (column, values) =
            text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`; write COLUMN=VALUE, such as `seed=1`"))?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        Ok(Self { column: column.trim().to_owned(), values })
    }
}

/// Why rows could not be picked.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// No such column.
    #[error("the table has no column `{column}`; it has {}", .columns.join(", "))]
    UnknownColumn {
        /// What was asked for.
        column: String,
        /// What there is.
        columns: Vec<String>,
    },
    /// The column's type cannot be printed, hence not compared.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// The rows that meet every condition.
///
/// # Errors
/// See [`FilterError`].
pub fn keep(rows: &RecordBatch, conditions: &[Condition]) -> Result<RecordBatch, FilterError> {
    let mut picked = vec![true; rows.num_rows()];
    for condition in conditions {
        let schema = rows.schema();
        let Ok(index) = schema.index_of(&condition.column) else {
            let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
            return Err(FilterError::UnknownColumn { column: condition.column.clone(), columns });
        };
        let column = rows.column(index);
        for (picked, printed) in picked.iter_mut().zip(cell::column(column)?) {
            *picked &= condition.values.iter().any(|value| cell::same(column.data_type(), &printed, value));
        }
    }
    Ok(filter_record_batch(rows, &BooleanArray::from(picked))?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn conditions_compare_numbers_as_numbers_and_join_with_and() {
        let rows = RecordBatch::try_from_iter([
            ("eps", Arc::new(Float64Array::from(vec![0.1, 0.2, 0.3])) as _),
            ("seed", Arc::new(Int64Array::from(vec![1, 1, 2])) as _),
            ("name", Arc::new(StringArray::from(vec!["a", "b", "c"])) as _),
        ]);
        let rows = rows.expect("three columns of three rows");
        let picked = |text: &[&str]| {
            let conditions: Vec<Condition> = text.iter().map(|text| text.parse().expect("has an =")).collect();
            keep(&rows, &conditions).map(|rows| rows.num_rows()).map_err(|error| error.to_string())
        };
        assert_eq!(picked(&["eps=0.10,0.3"]), Ok(2));
        assert_eq!(picked(&["eps=0.1,0.2", "seed=1", "name=b"]), Ok(1));
        assert_eq!(picked(&["depth=1"]), Err("the table has no column `depth`; it has eps, seed, name".to_owned()));
    }
}
