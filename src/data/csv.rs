//! `csv`: columns of a text file with a header line.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};

use super::columns::{self, Columns};
use super::decoded::Decoded;
use super::error::DataError;

/// Decodes the file.
pub(super) fn decode(file: &str, raw: &[u8], columns: &Columns) -> Result<Decoded, DataError> {
    let bad = |problem: String| DataError::malformed(file, format!("it is no CSV file with a header ({problem})"));
    let mut reader = csv::Reader::from_reader(raw);
    let names = reader.headers().map_err(|error| bad(error.to_string()))?.clone();
    let mut texts: Vec<Vec<String>> = vec![Vec::new(); names.len()];
    for row in reader.records() {
        let row = row.map_err(|error| bad(error.to_string()))?;
        texts.iter_mut().zip(&row).for_each(|(column, text)| column.push(text.to_owned()));
    }
    let arrays: Vec<ArrayRef> = texts.iter().map(|texts| array(texts)).collect();
    let field = |(name, array): (&str, &ArrayRef)| Field::new(name, array.data_type().clone(), true);
    let schema = Arc::new(Schema::new(names.iter().zip(&arrays).map(field).collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(|error| bad(error.to_string()))?;
    columns::decode(file, &schema, &[batch], columns)
}

/// A column as the narrowest of whole numbers, numbers, truth values and texts that all of it can be; what is empty is no value.
fn array(texts: &[String]) -> ArrayRef {
    let given = || texts.iter().map(|text| (!text.is_empty()).then_some(text.as_str()));
    let all = |fits: fn(&str) -> bool| given().flatten().all(fits);
    if all(|text| text.parse::<i64>().is_ok()) {
        Arc::new(given().map(|text| text?.parse().ok()).collect::<Int64Array>())
    } else if all(|text| text.parse::<f64>().is_ok()) {
        Arc::new(given().map(|text| text?.parse().ok()).collect::<Float64Array>())
    } else if all(|text| truth(text).is_some()) {
        Arc::new(given().map(|text| truth(text?)).collect::<BooleanArray>())
    } else {
        Arc::new(given().collect::<StringArray>())
    }
}

fn truth(text: &str) -> Option<bool> {
    text.to_ascii_lowercase().parse().ok()
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
        let flags = read("a,on,kind\n1,True,0\n2,false,1\n", kind()).expect("intact");
        assert_eq!(flags.values, Values::Floats(vec![1.0, 1.0, 2.0, 0.0]));
    }
}
