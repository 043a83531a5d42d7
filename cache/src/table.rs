//! [`Table`]: rows under a schema, in memory. Its identity is its [logical digest](Table::digest), not the bytes of a file.

mod builder;
mod cell;
mod digest;
mod file;
#[cfg(test)]
mod samples;

use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow_schema::ArrowError;
use arrow_schema::{DataType, Schema, SchemaRef};
use arrow_select::concat::concat_batches;

pub use builder::{ColumnSpec, TableBuilder};
pub use cell::Cell;
pub use file::{SCHEMA_VERSION, SCHEMA_VERSION_KEY};

use crate::content_hash::Digest;

/// Why a table cannot be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A column that is not there.
    #[error("find a column named `{column}`: the table has {}", list(.present))]
    MissingColumn {
        /// The column asked for.
        column: String,
        /// The columns there are.
        present: Vec<String>,
    },
    /// A column of another type.
    #[error("read column `{column}` as {expected}: it holds {found}; ask for that type, or cast the column")]
    ColumnType {
        /// The column asked for.
        column: String,
        /// The type asked for.
        expected: &'static str,
        /// The type it has.
        found: String,
    },
    /// A null where there must be a value.
    #[error("read column `{column}`: row {row} is null; give it a value or leave the row out")]
    Null {
        /// The column.
        column: String,
        /// The first such row, from 0.
        row: usize,
    },
    /// A type that tables do not have.
    #[error(
        "keep column `{column}` of type {found}: use booleans, integers, floats, text, bytes, lists or structs of these"
    )]
    Unsupported {
        /// The column, dotted where it is nested.
        column: String,
        /// Its type.
        found: String,
    },
    /// Batches or tables that do not belong together.
    #[error("put batches into one table: {0}; give all the same columns, types and nullability")]
    Mismatch(String),
    /// A row with too few or too many cells, or with one of another type than its column's.
    #[error("add row {row}: {fault}; push one cell for every column, in their order")]
    Row {
        /// The row, from 0.
        row: usize,
        /// What is wrong with it.
        fault: String,
    },
    /// A file that is no table of ours: truncated, garbled or of a later version.
    #[error("read a table file: {0}; set the file aside and compute it again")]
    File(String),
    /// Arrow's own objection.
    #[error("handle a table: {0}; look at the sizes and types of its columns")]
    Arrow(#[from] ArrowError),
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Rows under a schema; cheap to clone. Where rows are split into batches has no meaning.
#[derive(Clone, Debug)]
pub struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    digest: Arc<OnceLock<Digest>>,
}

impl Table {
    /// A table of these batches, each of which must have the schema's columns.
    ///
    /// # Errors
    /// [`TableError::Mismatch`] where a batch has other columns, [`TableError::Unsupported`] where a type cannot be kept.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Self, TableError> {
        for field in schema.fields() {
            digest::check(field, field.name())?;
        }
        let mut own = Vec::with_capacity(batches.len());
        for batch in batches {
            if batch.num_columns() != schema.fields().len() {
                let (found, expected) = (batch.num_columns(), schema.fields().len());
                return Err(TableError::Mismatch(format!("a batch has {found} columns and not {expected}")));
            }
            // The batch takes the table's schema, so that names and metadata are said once.
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), batch.columns().to_vec(), &options)
                .map_err(|error| TableError::Mismatch(error.to_string()))?;
            if batch.num_rows() > 0 {
                own.push(batch);
            }
        }
        Ok(Self { schema, batches: own, digest: Arc::default() })
    }

    /// A table of one batch.
    ///
    /// # Errors
    /// [`TableError::Unsupported`] where a type cannot be kept.
    pub fn from_batch(batch: RecordBatch) -> Result<Self, TableError> {
        Self::new(batch.schema(), vec![batch])
    }

    /// All rows of `tables`, in order. The first gives the metadata; the columns' names, types and nullability must agree.
    ///
    /// # Errors
    /// [`TableError::Mismatch`] where they do not agree or there is no table at all.
    pub fn concat(tables: &[Self]) -> Result<Self, TableError> {
        let Some(first) = tables.first() else {
            return Err(TableError::Mismatch("there is no table".to_owned()));
        };
        for table in tables {
            let same = table.schema.fields().len() == first.schema.fields().len()
                && table.schema.fields().iter().zip(first.schema.fields()).all(|(a, b)| {
                    a.name() == b.name() && a.data_type() == b.data_type() && a.is_nullable() == b.is_nullable()
                });
            if !same {
                let (a, b) = (describe(&first.schema), describe(&table.schema));
                return Err(TableError::Mismatch(format!("one has ({a}) and another has ({b})")));
            }
        }
        let batches = tables.iter().flat_map(|table| table.batches.iter().cloned()).collect();
        Self::new(Arc::clone(&first.schema), batches)
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows; no batch is empty, and a table without rows has no batch.
    #[must_use]
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// All rows in one batch; copies only where there are several.
    ///
    /// # Errors
    /// [`TableError::Arrow`] where a column would be too long for one batch.
    pub fn one_batch(&self) -> Result<RecordBatch, TableError> {
        match self.batches.as_slice() {
            [batch] => Ok(batch.clone()),
            batches => Ok(concat_batches(&self.schema, batches)?),
        }
    }

    /// The same rows with `value` under `key` in the schema's metadata.
    ///
    /// # Errors
    /// None that a sound table can cause.
    pub fn with_metadata(&self, key: impl Into<String>, value: impl Into<String>) -> Result<Self, TableError> {
        let mut metadata = self.schema.metadata().clone();
        metadata.insert(key.into(), value.into());
        let schema = Schema::new_with_metadata(self.schema.fields().clone(), metadata);
        Self::new(Arc::new(schema), self.batches.clone())
    }

    /// What the schema's metadata says under `key`.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.schema.metadata().get(key).map(String::as_str)
    }

    /// The digest of schema and values in row order, nulls and NaN canonical. It does not depend on batches, on how a
    /// file encodes the table, or on the order of metadata. Computed once.
    #[must_use]
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| digest::digest(self))
    }

    /// The column of that name, whole.
    ///
    /// # Errors
    /// [`TableError::MissingColumn`].
    pub fn column(&self, name: &str) -> Result<ArrayRef, TableError> {
        let index = self.schema.index_of(name).map_err(|_| TableError::MissingColumn {
            column: name.to_owned(),
            present: self.schema.fields().iter().map(|field| field.name().clone()).collect(),
        })?;
        let chunks: Vec<&dyn Array> = self.batches.iter().map(|batch| batch.column(index).as_ref()).collect();
        match chunks.as_slice() {
            [] => Ok(arrow_array::new_empty_array(self.schema.field(index).data_type())),
            [_] => Ok(Arc::clone(self.batches[0].column(index))),
            chunks => Ok(arrow_select::concat::concat(chunks)?),
        }
    }

    fn typed<T: Clone + 'static>(
        &self,
        name: &str,
        expected: &'static str,
        cast: fn(&dyn Array) -> Option<&T>,
    ) -> Result<T, TableError> {
        let column = self.column(name)?;
        cast(column.as_ref()).cloned().ok_or_else(|| TableError::ColumnType {
            column: name.to_owned(),
            expected,
            found: column.data_type().to_string(),
        })
    }

    /// A column of 64-bit floats; nulls are in its validity.
    ///
    /// # Errors
    /// [`TableError::MissingColumn`], [`TableError::ColumnType`].
    pub fn f64s(&self, name: &str) -> Result<Float64Array, TableError> {
        self.typed(name, "64-bit floats", |column| column.as_primitive_opt::<Float64Type>())
    }

    /// A column of 32-bit floats; nulls are in its validity.
    ///
    /// # Errors
    /// [`TableError::MissingColumn`], [`TableError::ColumnType`].
    pub fn f32s(&self, name: &str) -> Result<Float32Array, TableError> {
        self.typed(name, "32-bit floats", |column| column.as_primitive_opt::<Float32Type>())
    }

    /// A column of 64-bit integers; nulls are in its validity.
    ///
    /// # Errors
    /// [`TableError::MissingColumn`], [`TableError::ColumnType`].
    pub fn i64s(&self, name: &str) -> Result<Int64Array, TableError> {
        self.typed(name, "64-bit integers", |column| column.as_primitive_opt::<Int64Type>())
    }

    /// A column of truth values; nulls are in its validity.
    ///
    /// # Errors
    /// [`TableError::MissingColumn`], [`TableError::ColumnType`].
    pub fn bools(&self, name: &str) -> Result<BooleanArray, TableError> {
        self.typed(name, "booleans", |column| column.as_boolean_opt())
    }

    /// A column of text; nulls are in its validity.
    ///
    /// # Errors
    /// [`TableError::MissingColumn`], [`TableError::ColumnType`].
    pub fn strings(&self, name: &str) -> Result<StringArray, TableError> {
        self.typed(name, "text", |column| column.as_string_opt::<i32>())
    }

    /// A column of lists of 32-bit floats (of one length or of many), a row each.
    ///
    /// # Errors
    /// [`TableError::MissingColumn`], [`TableError::ColumnType`], and [`TableError::Null`] where a list or one of its
    /// values is null.
    pub fn f32_lists(&self, name: &str) -> Result<Vec<Float32Array>, TableError> {
        self.lists(name, "lists of 32-bit floats", |values| values.as_primitive_opt::<Float32Type>())
    }

    /// A column of lists of 64-bit integers (shapes, say), a row each.
    ///
    /// # Errors
    /// Those of [`Table::f32_lists`].
    pub fn i64_lists(&self, name: &str) -> Result<Vec<Int64Array>, TableError> {
        self.lists(name, "lists of 64-bit integers", |values| values.as_primitive_opt::<Int64Type>())
    }

    fn lists<T: Array + Clone + 'static>(
        &self,
        name: &str,
        expected: &'static str,
        cast: fn(&dyn Array) -> Option<&T>,
    ) -> Result<Vec<T>, TableError> {
        let column = self.column(name)?;
        let null = |row| TableError::Null { column: name.to_owned(), row };
        (0..column.len())
            .map(|row| {
                if column.is_null(row) {
                    return Err(null(row));
                }
                let values = match column.data_type() {
                    DataType::List(_) => Some(column.as_list::<i32>().value(row)),
                    DataType::LargeList(_) => Some(column.as_list::<i64>().value(row)),
                    DataType::FixedSizeList(_, _) => Some(column.as_fixed_size_list().value(row)),
                    _ => None,
                };
                let list = values.as_deref().and_then(cast).cloned().ok_or_else(|| TableError::ColumnType {
                    column: name.to_owned(),
                    expected,
                    found: column.data_type().to_string(),
                })?;
                if list.null_count() > 0 { Err(null(row)) } else { Ok(list) }
            })
            .collect()
    }
}

/// Tables are equal where their digests are.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

fn describe(schema: &Schema) -> String {
    let fields: Vec<_> =
        schema.fields().iter().map(|field| format!("{}: {}", field.name(), field.data_type())).collect();
    fields.join(", ")
}

#[cfg(test)]
mod tests {
    use super::samples::{cut, every_type};
    use super::*;

    #[test]
    fn columns_are_read_by_name_across_batches() {
        let table = cut(&every_type(), &[2, 5]);
        assert_eq!((table.rows(), table.batches().len()), (9, 3));
        assert_eq!(table.i64s("i64").unwrap().values(), &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(table.strings("utf8").unwrap().iter().nth(3), Some(Some("ü")));
        assert_eq!(table.one_batch().unwrap(), every_type());
    }

    #[test]
    fn what_a_column_lacks_is_named() {
        let table = cut(&every_type(), &[]);
        let missing = table.f64s("valeu").unwrap_err().to_string();
        assert!(missing.starts_with("find a column named `valeu`: the table has bool, i8, "), "{missing}");
        let wrong = table.f64s("utf8").unwrap_err().to_string();
        assert_eq!(wrong, "read column `utf8` as 64-bit floats: it holds Utf8; ask for that type, or cast the column");
        assert!(matches!(table.f32_lists("list"), Err(TableError::Null { row: 1, .. })));
        assert!(matches!(table.f32_lists("i64"), Err(TableError::ColumnType { .. })));
        assert!(matches!(table.i64_lists("fixed"), Err(TableError::Null { row: 0, .. })));
    }

    #[test]
    fn tables_of_one_kind_are_put_together_and_others_are_not() {
        let batch = every_type();
        let (head, tail) = (cut(&batch.slice(0, 4), &[]), cut(&batch.slice(4, 5), &[]));
        assert_eq!(Table::concat(&[head.clone(), tail]).unwrap(), cut(&batch, &[]));
        let narrow = cut(&batch.project(&[0, 1]).unwrap(), &[]);
        let error = Table::concat(&[narrow, head]).unwrap_err().to_string();
        assert!(error.contains("one has (bool: Boolean, i8: Int8) and another has"), "{error}");
        assert!(Table::concat(&[]).is_err());
    }

    #[test]
    fn an_empty_batch_leaves_no_trace() {
        let batch = every_type();
        let table = Table::new(batch.schema(), vec![batch.slice(0, 0), batch.clone(), batch.slice(9, 0)]).unwrap();
        assert_eq!(table.batches().len(), 1);
        assert_eq!(table, cut(&batch, &[]));
    }
}
