//! Tables as Parquet files, written in one pinned way: equal tables make equal bytes, so that they are stored once.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::{Table, TableError};

/// Under which the footer of a file names the version of our schemas.
pub const SCHEMA_VERSION_KEY: &str = "duress.schema_version";

/// The version of our schemas; files of a later one are not read.
pub const SCHEMA_VERSION: u32 = 1;

/// Stays the same across releases, for it is in the bytes of every file.
const CREATED_BY: &str = "duress 1";
const ROW_GROUP: usize = 65_536;
const ZSTD_LEVEL: i32 = 3;
/// Rows a batch when a file is read.
const READ_BATCH: usize = 65_536;

impl Table {
    /// The table as a Parquet file: Zstandard, statistics, the Arrow schema with its metadata and the version of our
    /// schemas in the footer. Equal tables make equal bytes, however they are batched.
    ///
    /// # Errors
    /// [`TableError::Arrow`] where a row group would be too long for one array.
    pub fn to_parquet(&self) -> Result<Vec<u8>, TableError> {
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, Arc::clone(self.schema()), Some(properties(self.schema())))
            .map_err(|error| failed(&error))?;
        let mut group: Vec<RecordBatch> = Vec::new();
        let mut filled = 0;
        for batch in self.batches() {
            let mut start = 0;
            while start < batch.num_rows() {
                let length = (ROW_GROUP - filled).min(batch.num_rows() - start);
                group.push(batch.slice(start, length));
                (start, filled) = (start + length, filled + length);
                if filled == ROW_GROUP {
                    self.write_group(&mut writer, &mut group)?;
                    filled = 0;
                }
            }
        }
        self.write_group(&mut writer, &mut group)?;
        writer.close().map_err(|error| failed(&error))?;
        Ok(bytes)
    }

    /// Pages end where arrays do, so a row group is written from one array a column.
    fn write_group(
        &self,
        writer: &mut ArrowWriter<&mut Vec<u8>>,
        group: &mut Vec<RecordBatch>,
    ) -> Result<(), TableError> {
        let batch = match group.as_slice() {
            [] => return Ok(()),
            [one] => one.clone(),
            several => concat_batches(self.schema(), several)?,
        };
        group.clear();
        writer.write(&batch).and_then(|()| writer.flush()).map_err(|error| failed(&error))
    }

    /// Reads a Parquet file, ours or another program's.
    ///
    /// # Errors
    /// [`TableError::File`] where the bytes are no whole Parquet file or one of a later version of ours, and
    /// [`TableError::Unsupported`] where it has columns that tables cannot keep. Never a panic, whatever the bytes.
    pub fn from_parquet(bytes: Bytes) -> Result<Self, TableError> {
        // The decoder was written for files, not for enemies: where garbage makes it panic, the file is at fault.
        std::panic::catch_unwind(|| read(bytes))
            .unwrap_or_else(|_| Err(TableError::File("its contents are garbled".to_owned())))
    }
}

fn failed(error: &parquet::errors::ParquetError) -> TableError {
    TableError::File(error.to_string())
}

fn properties(schema: &Schema) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).expect("3 is a level of Zstandard")))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_key_value_metadata(Some(vec![KeyValue::new(SCHEMA_VERSION_KEY.to_owned(), SCHEMA_VERSION.to_string())]));
    for field in schema.fields() {
        // Measured values hardly repeat: a dictionary of them costs time and saves nothing.
        if let Some(path) = float_path(field.name(), field.data_type()) {
            properties = properties.set_column_dictionary_enabled(ColumnPath::new(path), false);
        }
    }
    properties.build()
}

/// The path, in a Parquet schema, of a column of floats or of lists of floats.
fn float_path(name: &str, data_type: &DataType) -> Option<Vec<String>> {
    match data_type {
        DataType::Float32 | DataType::Float64 => Some(vec![name.to_owned()]),
        DataType::List(child) | DataType::LargeList(child) | DataType::FixedSizeList(child, _) => {
            let inner = float_path(child.name(), child.data_type())?;
            Some([name.to_owned(), "list".to_owned()].into_iter().chain(inner).collect())
        }
        _ => None,
    }
}

fn read(bytes: Bytes) -> Result<Table, TableError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| failed(&error))?;
    let mut schema = Schema::clone(builder.schema());
    if let Some(version) = schema.metadata.remove(SCHEMA_VERSION_KEY)
        && version.parse::<u32>().map_or(true, |version| version > SCHEMA_VERSION)
    {
        return Err(TableError::File(format!("it is of schema version {version}, later than {SCHEMA_VERSION}")));
    }
    let reader = builder.with_batch_size(READ_BATCH).build().map_err(|error| failed(&error))?;
    let batches: Result<Vec<_>, _> = reader.collect();
    Table::new(Arc::new(schema), batches.map_err(|error| TableError::File(error.to_string()))?)
}
