//! `parquet`: columns of a Parquet file.

use arrow_schema::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns::{self, Columns};
use super::decoded::Decoded;
use super::error::DataError;

/// Decodes the file.
pub(super) fn decode(file: &str, raw: &[u8], columns: &Columns) -> Result<Decoded, DataError> {
    let bad = |error: String| DataError::malformed(file, format!("it is no Parquet file that can be read ({error})"));
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(raw))
        .map_err(|error| bad(error.to_string()))?;
    let schema = builder.schema().clone();
    let batches = builder
        .build()
        .map_err(|error| bad(error.to_string()))?
        .collect::<Result<Vec<_>, ArrowError>>()
        .map_err(|error| bad(error.to_string()))?;
    columns::decode(file, &schema, &batches, columns)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float32Array, Int32Array, RecordBatch};
    use parquet::arrow::ArrowWriter;

    use super::super::decoded::{Answers, Values};
    use super::*;

    fn file() -> Vec<u8> {
        let a: ArrayRef = Arc::new(Float32Array::from(vec![0.5, 1.5, 2.5]));
        let label: ArrayRef = Arc::new(Int32Array::from(vec![2, 0, 1]));
        let batch = RecordBatch::try_from_iter([("a", a), ("label", label)]).expect("equal lengths");
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("memory");
        writer.write(&batch).expect("memory");
        writer.into_inner().expect("memory")
    }

    #[test]
    fn a_file_is_read() {
        let read = decode("mine", &file(), &Columns::default()).expect("intact");
        assert_eq!(read.values, Values::Floats(vec![0.5, 1.5, 2.5]));
        assert_eq!(read.answers, Answers::Classes { labels: vec![2, 0, 1], classes: 3 });
    }

    #[test]
    fn truncated_files_are_refused() {
        let whole = file();
        for length in 0..whole.len() {
            decode("mine", &whole[..length], &Columns::default()).expect_err("truncated");
        }
    }
}
