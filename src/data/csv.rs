//! `csv`: columns of a text file with a header line.

use std::io::Cursor;
use std::sync::Arc;

use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::error::ArrowError;

use super::columns::{self, Columns};
use super::decoded::Decoded;
use super::error::DataError;

/// Decodes the file.
pub(super) fn decode(file: &str, raw: &[u8], columns: &Columns) -> Result<Decoded, DataError> {
    let bad = |error: &ArrowError| DataError::malformed(file, format!("it is no CSV file with a header ({error})"));
    let format = Format::default().with_header(true);
    let (schema, _) = format.infer_schema(Cursor::new(raw), None).map_err(|error| bad(&error))?;
    let schema = Arc::new(schema);
    let batches = ReaderBuilder::new(schema.clone())
        .with_format(format)
        .build(Cursor::new(raw))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(&error))?;
    columns::decode(file, &schema, &batches, columns)
}

#[cfg(test)]
mod tests {
    use super::super::columns::Answer;
    use super::super::decoded::{Answers, Values};
    use super::*;

    #[test]
    fn a_file_is_read_and_faults_are_named() {
        let read = |text: &str, answer: Answer| {
            let columns = Columns { answer, ..Columns::default() };
            decode("mine", text.as_bytes(), &columns).map_err(|error| error.to_string())
        };
        let kind = || Answer::Label { column: "kind".into(), classes: None };
        let good = read("width,kind,height\n1,0,0.25\n2,1,-3e1\n", kind()).expect("intact");
        assert_eq!(good.values, Values::Floats(vec![1.0, 0.25, 2.0, -30.0]));
        assert_eq!(good.answers, Answers::Classes { labels: vec![0, 1], classes: 2 });
        let targets = read("a,b\n1,2\n", Answer::Targets(vec!["b".into()])).expect("intact");
        assert_eq!(targets.answers, Answers::Targets { values: vec![2.0], width: 1 });
        assert!(read("a,kind\n1,0\n,1\n", kind()).expect_err("a hole").contains("`a` has no value in row 1"));
        assert!(read("a,kind\n1,0\nx,1\n", kind()).expect_err("text").contains("`a` holds Utf8"));
        assert!(read("a,kind\n1\n", kind()).expect_err("short").contains("CSV"));
        read("", kind()).expect_err("empty");
    }
}
