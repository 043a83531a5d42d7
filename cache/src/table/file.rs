//! Tables as Parquet files, written in one pinned way: equal tables make equal bytes, so that they are stored once.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
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

    /// Reads a Parquet file, ours or another program's; of the latter, the columns without metadata.
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
    let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new()).map_err(|error| failed(&error))?;
    let (metadata, schema) = match metadata.schema().metadata().get(SCHEMA_VERSION_KEY) {
        Some(version) if version.parse::<u32>().is_ok_and(|version| version <= SCHEMA_VERSION) => {
            let mut schema = Schema::clone(metadata.schema());
            schema.metadata.remove(SCHEMA_VERSION_KEY);
            (metadata, schema)
        }
        Some(version) => {
            return Err(TableError::File(format!("it is of schema version {version}, later than {SCHEMA_VERSION}")));
        }
        // Another program's: its hints would ask for types of that program's memory, and its notes mean nothing here.
        None => {
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            let metadata = ArrowReaderMetadata::load(&bytes, options).map_err(|error| failed(&error))?;
            let schema = Schema::new(metadata.schema().fields().clone());
            (metadata, schema)
        }
    };
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata);
    let reader = builder.with_batch_size(READ_BATCH).build().map_err(|error| failed(&error))?;
    let batches: Result<Vec<_>, _> = reader.collect();
    Table::new(Arc::new(schema), batches.map_err(|error| TableError::File(error.to_string()))?)
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Float32Type;
    use arrow_array::{Float32Array, ListArray};
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::super::TableBuilder;
    use super::super::builder::ColumnSpec;
    use super::super::samples::{cut, every_type};
    use super::*;

    fn read_back(table: &Table) -> Table {
        Table::from_parquet(table.to_parquet().unwrap().into()).unwrap()
    }

    fn small() -> Table {
        let mut table = TableBuilder::new().column(ColumnSpec::text("metric").doc("what")).floats("values");
        table.push(["loss".into(), vec![0.5_f32, -1.0].into()]).unwrap();
        table.finish().unwrap().with_metadata("title", "small").unwrap()
    }

    #[test]
    fn a_table_of_every_type_reads_back_with_its_schema_and_digest() {
        let table = cut(&every_type(), &[4]).with_metadata("title", "all").unwrap();
        let read = read_back(&table);
        assert_eq!(read.schema(), table.schema());
        assert_eq!(read.digest(), table.digest());
        assert_eq!(read_back(&small()).schema(), small().schema());
    }

    #[test]
    fn equal_tables_make_equal_bytes_however_they_are_batched() {
        let batch = every_type();
        let whole = cut(&batch, &[]).to_parquet().unwrap();
        for cuts in [&[1][..], &[2, 2, 5], &[1, 2, 3, 4, 5, 6, 7, 8]] {
            assert_eq!(cut(&batch, cuts).to_parquet().unwrap(), whole);
        }
        assert_eq!(Table::from_parquet(whole.clone().into()).unwrap().to_parquet().unwrap(), whole);
    }

    // Where an upgrade of the writer changes this, say so in the changelog: tables written before and after are equal,
    // but no longer share a file.
    #[test]
    fn bytes_are_those_of_the_first_release() {
        let bytes = small().to_parquet().unwrap();
        assert_eq!(
            crate::Digest::of_bytes(&bytes).to_string(),
            "b13684218ffa1b552592439df0f9ab886c9e65cb6d7e51552ab5950b08bf080d"
        );
    }

    #[test]
    fn a_table_longer_than_a_row_group_reads_back_and_is_written_the_same_in_any_batches() {
        let values = Float32Array::from_iter_values((0..ROW_GROUP + 100).map(|row| row as f32));
        let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(
            (0..ROW_GROUP + 100).map(|row| Some(vec![Some(row as f32); row % 3])),
        );
        let batch = RecordBatch::try_from_iter([("v", Arc::new(values) as _), ("l", Arc::new(lists) as _)]).unwrap();
        let whole = cut(&batch, &[]);
        let read = read_back(&whole);
        assert_eq!(read.digest(), whole.digest());
        assert_eq!(cut(&batch, &[7, 40_000, ROW_GROUP + 1]).to_parquet().unwrap(), whole.to_parquet().unwrap());
    }

    #[test]
    fn the_footer_names_version_statistics_compression_and_no_clock() {
        let bytes = Bytes::from(small().to_parquet().unwrap());
        let reader = SerializedFileReader::new(bytes).unwrap();
        let metadata = reader.metadata();
        assert_eq!(metadata.file_metadata().created_by(), Some("duress 1"));
        let version = metadata.file_metadata().key_value_metadata().unwrap().iter();
        let version = version.filter(|pair| pair.key == SCHEMA_VERSION_KEY).map(|pair| pair.value.clone());
        assert_eq!(version.collect::<Vec<_>>(), [Some("1".to_owned())]);
        for column in metadata.row_group(0).columns() {
            assert!(matches!(column.compression(), Compression::ZSTD(_)));
            assert!(column.statistics().is_some());
        }
    }

    #[test]
    fn a_file_of_a_later_version_is_refused() {
        let table = small().with_metadata(SCHEMA_VERSION_KEY, "2").unwrap();
        let properties = WriterProperties::builder()
            .set_key_value_metadata(Some(vec![KeyValue::new(SCHEMA_VERSION_KEY.to_owned(), "2".to_owned())]));
        let mut bytes = Vec::new();
        let mut writer =
            ArrowWriter::try_new(&mut bytes, Arc::clone(table.schema()), Some(properties.build())).unwrap();
        writer.write(&table.one_batch().unwrap()).unwrap();
        writer.close().unwrap();
        let error = Table::from_parquet(bytes.into()).unwrap_err();
        assert!(error.to_string().contains("schema version 2, later than 1"), "{error}");
    }

    #[test]
    fn text_of_another_program_is_text_however_that_program_keeps_it_in_memory() {
        let views = arrow_array::StringViewArray::from(vec!["a", "b"]);
        let batch = RecordBatch::try_from_iter([("name", Arc::new(views) as _)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let table = Table::from_parquet(bytes.into()).unwrap();
        assert_eq!(table.strings("name").unwrap().value(1), "b");
    }

    #[test]
    fn a_file_cut_at_any_length_is_an_error_and_no_panic() {
        let bytes = Bytes::from(small().to_parquet().unwrap());
        for length in 0..bytes.len() {
            assert!(matches!(Table::from_parquet(bytes.slice(..length)), Err(TableError::File(_))), "{length}");
        }
    }

    #[test]
    fn a_file_with_any_changed_byte_is_no_panic() {
        let bytes = small().to_parquet().unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 0x55;
            let _ = Table::from_parquet(changed.into());
        }
    }
}
