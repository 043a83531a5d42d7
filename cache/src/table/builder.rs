//! [`TableBuilder`]: tidy tables, a row at a time.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float32Builder, Float64Builder, Int64Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema};

use super::cell::Cell;
use super::{Table, TableError};

/// A column to be: a [`Field`] in the making.
#[derive(Clone, Debug)]
pub struct ColumnSpec(Field);

impl ColumnSpec {
    /// Text, never null.
    #[must_use]
    pub fn text(name: &str) -> Self {
        Self(Field::new(name, DataType::Utf8, false))
    }

    /// 64-bit floats, never null.
    #[must_use]
    pub fn float(name: &str) -> Self {
        Self(Field::new(name, DataType::Float64, false))
    }

    /// 64-bit integers, never null.
    #[must_use]
    pub fn integer(name: &str) -> Self {
        Self(Field::new(name, DataType::Int64, false))
    }

    /// Truth values, never null.
    #[must_use]
    pub fn boolean(name: &str) -> Self {
        Self(Field::new(name, DataType::Boolean, false))
    }

    /// Lists of 32-bit floats, neither they nor their values ever null.
    #[must_use]
    pub fn floats(name: &str) -> Self {
        Self(Field::new(name, DataType::List(item(DataType::Float32)), false))
    }

    /// Lists of 64-bit integers, neither they nor their values ever null.
    #[must_use]
    pub fn integers(name: &str) -> Self {
        Self(Field::new(name, DataType::List(item(DataType::Int64)), false))
    }

    /// Nulls are allowed.
    #[must_use]
    pub fn nullable(self) -> Self {
        Self(self.0.with_nullable(true))
    }

    /// The unit of its values, such as `s`, `pixel intensity` or `1`.
    #[must_use]
    pub fn unit(self, unit: &str) -> Self {
        self.meta("unit", unit)
    }

    /// What it holds, in one line.
    #[must_use]
    pub fn doc(self, doc: &str) -> Self {
        self.meta("doc", doc)
    }

    /// Anything else to be said of it.
    #[must_use]
    pub fn meta(mut self, key: &str, value: &str) -> Self {
        let mut metadata = self.0.metadata().clone();
        metadata.insert(key.to_owned(), value.to_owned());
        self.0.set_metadata(metadata);
        self
    }
}

/// Gathers rows: columns are declared first, then rows are pushed.
///
/// ```
/// use duress_cache::{Cell, ColumnSpec, TableBuilder};
/// let mut table = TableBuilder::new()
///     .text("metric")
///     .column(ColumnSpec::float("value").nullable().unit("1").doc("null where it is not defined"))
///     .integer("n");
/// table.push(["accuracy".into(), 0.98.into(), 1000_i64.into()])?;
/// table.push(["loss".into(), Cell::Null, 1000_i64.into()])?;
/// assert_eq!(table.finish()?.rows(), 2);
/// # Ok::<(), duress_cache::TableError>(())
/// ```
#[derive(Debug, Default)]
pub struct TableBuilder {
    fields: Vec<Field>,
    columns: Vec<Column>,
    metadata: HashMap<String, String>,
    rows: usize,
}

#[derive(Debug)]
enum Column {
    Text(StringBuilder),
    Float(Float64Builder),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Floats(ListBuilder<Float32Builder>),
    Integers(ListBuilder<Int64Builder>),
}

impl TableBuilder {
    /// A table without columns.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a column of text, never null.
    #[must_use]
    pub fn text(self, name: &str) -> Self {
        self.column(ColumnSpec::text(name))
    }

    /// Declares a column of 64-bit floats, never null.
    #[must_use]
    pub fn float(self, name: &str) -> Self {
        self.column(ColumnSpec::float(name))
    }

    /// Declares a column of 64-bit integers, never null.
    #[must_use]
    pub fn integer(self, name: &str) -> Self {
        self.column(ColumnSpec::integer(name))
    }

    /// Declares a column of truth values, never null.
    #[must_use]
    pub fn boolean(self, name: &str) -> Self {
        self.column(ColumnSpec::boolean(name))
    }

    /// Declares a column of lists of 32-bit floats, never null.
    #[must_use]
    pub fn floats(self, name: &str) -> Self {
        self.column(ColumnSpec::floats(name))
    }

    /// Declares a column of lists of 64-bit integers, never null.
    #[must_use]
    pub fn integers(self, name: &str) -> Self {
        self.column(ColumnSpec::integers(name))
    }

    /// Declares a column. All columns are declared before the first row is pushed.
    #[must_use]
    pub fn column(mut self, spec: ColumnSpec) -> Self {
        self.columns.push(Column::of(spec.0.data_type()));
        self.fields.push(spec.0);
        self
    }

    /// Says something of the table as a whole.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.to_owned(), value.to_owned());
        self
    }

    /// How many rows were pushed.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row: one cell for every column, in their order.
    ///
    /// # Errors
    /// [`TableError::Row`] where the cells do not fit the columns; the table is then as before.
    pub fn push(&mut self, cells: impl IntoIterator<Item = Cell>) -> Result<(), TableError> {
        let cells: Vec<Cell> = cells.into_iter().collect();
        let fault = |fault: String| Err(TableError::Row { row: self.rows, fault });
        if cells.len() != self.fields.len() {
            return fault(format!("it has {} cells for {} columns", cells.len(), self.fields.len()));
        }
        for (cell, (field, column)) in cells.iter().zip(self.fields.iter().zip(&self.columns)) {
            let fits = if *cell == Cell::Null { field.is_nullable() } else { column.takes(cell) };
            if !fits {
                return fault(format!("column `{}` does not take {}", field.name(), cell.kind()));
            }
        }
        self.columns.iter_mut().zip(cells).for_each(|(column, cell)| column.append(cell));
        self.rows += 1;
        Ok(())
    }

    /// The table.
    ///
    /// # Errors
    /// None that rows which were taken can cause.
    pub fn finish(mut self) -> Result<Table, TableError> {
        let schema = Arc::new(Schema::new_with_metadata(self.fields, self.metadata));
        let arrays = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        Table::from_batch(RecordBatch::try_new_with_options(schema, arrays, &options)?)
    }
}

/// The field of a list's values. Parquet and every reader of it call it `element`.
fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", data_type, false))
}

impl Column {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Float64 => Self::Float(Float64Builder::new()),
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::List(child) if *child.data_type() == DataType::Float32 => {
                Self::Floats(ListBuilder::new(Float32Builder::new()).with_field(Arc::clone(child)))
            }
            DataType::List(child) => {
                Self::Integers(ListBuilder::new(Int64Builder::new()).with_field(Arc::clone(child)))
            }
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn takes(&self, cell: &Cell) -> bool {
        matches!(
            (self, cell),
            (Self::Text(_), Cell::Text(_))
                | (Self::Float(_), Cell::Float(_))
                | (Self::Integer(_), Cell::Integer(_))
                | (Self::Boolean(_), Cell::Boolean(_))
                | (Self::Floats(_), Cell::Floats(_))
                | (Self::Integers(_), Cell::Integers(_))
        )
    }

    /// Appends a cell that was checked; whatever does not fit counts as null.
    fn append(&mut self, cell: Cell) {
        match (self, cell) {
            (Self::Text(column), Cell::Text(value)) => column.append_value(value),
            (Self::Text(column), _) => column.append_null(),
            (Self::Float(column), Cell::Float(value)) => column.append_value(value),
            (Self::Float(column), _) => column.append_null(),
            (Self::Integer(column), Cell::Integer(value)) => column.append_value(value),
            (Self::Integer(column), _) => column.append_null(),
            (Self::Boolean(column), Cell::Boolean(value)) => column.append_value(value),
            (Self::Boolean(column), _) => column.append_null(),
            (Self::Floats(column), Cell::Floats(values)) => {
                column.values().append_slice(&values);
                column.append(true);
            }
            (Self::Floats(column), _) => column.append(false),
            (Self::Integers(column), Cell::Integers(values)) => {
                column.values().append_slice(&values);
                column.append(true);
            }
            (Self::Integers(column), _) => column.append(false),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Float(column) => Arc::new(column.finish()),
            Self::Integer(column) => Arc::new(column.finish()),
            Self::Boolean(column) => Arc::new(column.finish()),
            Self::Floats(column) => Arc::new(column.finish()),
            Self::Integers(column) => Arc::new(column.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_out_as_they_went_in() {
        let mut builder = TableBuilder::new()
            .text("name")
            .column(ColumnSpec::float("value").nullable().unit("1").doc("a share"))
            .integer("n")
            .boolean("certified")
            .floats("values")
            .integers("shape")
            .metadata("title", "weights");
        builder
            .push(["a".into(), 0.5.into(), 3_i64.into(), true.into(), vec![1.0_f32, 2.0].into(), vec![2_i64].into()])
            .unwrap();
        builder
            .push(["b".into(), Cell::Null, 4_usize.into(), false.into(), Cell::Floats(vec![]), vec![0_i64].into()])
            .unwrap();
        assert_eq!(builder.rows(), 2);
        let table = builder.finish().unwrap();
        assert_eq!(table.strings("name").unwrap().value(1), "b");
        assert_eq!(table.f64s("value").unwrap().iter().collect::<Vec<_>>(), [Some(0.5), None]);
        assert_eq!(table.i64s("n").unwrap().values(), &[3, 4]);
        assert!(table.bools("certified").unwrap().value(0));
        assert_eq!(table.f32_lists("values").unwrap()[0].values(), &[1.0, 2.0]);
        assert_eq!(table.i64_lists("shape").unwrap()[1].values(), &[0]);
        assert_eq!(table.metadata("title"), Some("weights"));
        let value = table.schema().field_with_name("value").unwrap();
        assert_eq!((value.metadata()["unit"].as_str(), value.metadata()["doc"].as_str()), ("1", "a share"));
    }

    #[test]
    fn a_row_that_does_not_fit_is_refused_and_leaves_no_trace() {
        let mut builder = TableBuilder::new().text("name").float("value");
        let shown = |error: TableError| error.to_string();
        assert_eq!(
            shown(builder.push(["a".into()]).unwrap_err()),
            "add row 0: it has 1 cells for 2 columns; push one cell for every column, in their order"
        );
        assert_eq!(
            shown(builder.push(["a".into(), 1_i64.into()]).unwrap_err()),
            "add row 0: column `value` does not take an integer; push one cell for every column, in their order"
        );
        assert_eq!(
            shown(builder.push(["a".into(), None::<f64>.into()]).unwrap_err()),
            "add row 0: column `value` does not take null; push one cell for every column, in their order"
        );
        builder.push(["a".into(), 1.0.into()]).unwrap();
        assert_eq!(builder.finish().unwrap().rows(), 1);
    }

    #[test]
    fn a_table_without_rows_or_without_columns_is_a_table() {
        assert_eq!(TableBuilder::new().text("name").finish().unwrap().rows(), 0);
        assert_eq!(TableBuilder::new().finish().unwrap().rows(), 0);
    }
}
