//! Tables as data: which columns are features, which is the label or the target.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema};
use serde::{Deserialize, Serialize};

use super::decoded::{Answers, Decoded, Values};
use super::error::DataError;
use super::npz::{check_features, labels};

/// Which columns to read, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// The columns of numbers, or one column of lists of numbers. Empty: the column `x` where it holds lists, else every
    /// column that is not the answer.
    pub features: Vec<String>,
    /// The answer.
    pub answer: Answer,
    /// Features per row, where the spec says so.
    pub width: Option<usize>,
}

/// The answer's columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// A class, as a whole number from 0.
    Label {
        /// The column.
        column: String,
        /// How many classes there are; where the spec does not say, one more than the greatest label.
        classes: Option<usize>,
    },
    /// Numbers to fit.
    Targets(Vec<String>),
}

impl Default for Columns {
    fn default() -> Self {
        let answer = Answer::Label { column: "label".to_owned(), classes: None };
        Self { features: Vec::new(), answer, width: None }
    }
}

/// Decodes a table.
pub(super) fn decode(
    file: &str,
    schema: &Schema,
    batches: &[RecordBatch],
    columns: &Columns,
) -> Result<Decoded, DataError> {
    let names = feature_names(file, schema, columns)?;
    let mut table = Rows { file, width: 0, values: Vec::new() };
    let mut targets = Rows { file, width: 0, values: Vec::new() };
    let mut classes = Vec::new();
    for batch in batches {
        table.add(batch, &names)?;
        match &columns.answer {
            Answer::Label { column, .. } => classes.extend(whole_numbers(file, batch, column)?),
            Answer::Targets(names) => targets.add(batch, names)?,
        }
    }
    let width = if table.values.is_empty() { names.len() } else { table.width };
    check_features(file, width, columns.width)?;
    let answers = match &columns.answer {
        Answer::Label { classes: known, .. } => labels(file, classes.into_iter(), *known)?,
        Answer::Targets(_) => Answers::Targets { values: targets.values, width: targets.width.max(1) },
    };
    Decoded::new(file, vec![width], Values::Floats(table.values), answers)
}

fn feature_names(file: &str, schema: &Schema, columns: &Columns) -> Result<Vec<String>, DataError> {
    let answer: &[String] = match &columns.answer {
        Answer::Label { column, .. } => std::slice::from_ref(column),
        Answer::Targets(names) => names,
    };
    let names = || schema.fields().iter().map(|field| field.name().clone());
    if let Some(absent) = columns.features.iter().chain(answer).find(|wanted| names().all(|name| name != **wanted)) {
        let problem = format!("there is no column `{absent}`; it has {}", names().collect::<Vec<_>>().join(", "));
        return Err(DataError::malformed_with(
            file,
            problem,
            "name the columns by `features`, and `label` or `target`",
        ));
    }
    let lists = schema.fields().iter().any(|field| field.name() == "x" && is_list(field.data_type()));
    let chosen = match &columns.features[..] {
        [] if lists => vec!["x".to_owned()],
        [] => names().filter(|name| !answer.contains(name)).collect(),
        given => given.to_vec(),
    };
    if chosen.is_empty() || answer.is_empty() {
        return Err(DataError::malformed(file, "no column is left for the features or for the answer"));
    }
    Ok(chosen)
}

fn is_list(kind: &DataType) -> bool {
    matches!(kind, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

/// A column by a name that the schema has.
fn column<'a>(file: &str, batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, DataError> {
    let column = batch.column_by_name(name);
    let column = column.ok_or_else(|| DataError::malformed(file, format!("there is no column `{name}`")))?;
    if let Some(row) = (0..column.len()).find(|&row| column.is_null(row)) {
        return Err(DataError::malformed(file, format!("column `{name}` has no value in row {row}")));
    }
    Ok(column)
}

fn converted(file: &str, name: &str, array: &ArrayRef, to: &DataType) -> Result<ArrayRef, DataError> {
    let kind = array.data_type();
    let fits = match to {
        DataType::Int64 => kind.is_integer() || *kind == DataType::Boolean,
        _ => kind.is_numeric() || *kind == DataType::Boolean,
    };
    let wrong = || {
        let wanted = if *to == DataType::Int64 { "whole numbers" } else { "numbers" };
        DataError::malformed(file, format!("column `{name}` holds {kind} where {wanted} are wanted"))
    };
    let array = if fits { cast(array, to).map_err(|_| wrong())? } else { return Err(wrong()) };
    if array.null_count() > 0 {
        return Err(DataError::malformed(file, format!("column `{name}` lacks values, or they are out of range")));
    }
    Ok(array)
}

fn whole_numbers(file: &str, batch: &RecordBatch, name: &str) -> Result<Vec<i64>, DataError> {
    let array = converted(file, name, column(file, batch, name)?, &DataType::Int64)?;
    Ok(array.as_primitive::<Int64Type>().values().to_vec())
}

/// Numbers row after row, all rows equally wide.
struct Rows<'a> {
    file: &'a str,
    width: usize,
    values: Vec<f32>,
}

impl Rows<'_> {
    fn add(&mut self, batch: &RecordBatch, names: &[String]) -> Result<(), DataError> {
        if let [name] = names
            && is_list(column(self.file, batch, name)?.data_type())
        {
            return self.add_lists(batch, name);
        }
        let floats = names
            .iter()
            .map(|name| converted(self.file, name, column(self.file, batch, name)?, &DataType::Float32))
            .collect::<Result<Vec<_>, _>>()?;
        self.width = names.len();
        for row in 0..batch.num_rows() {
            self.values.extend(floats.iter().map(|column| column.as_primitive::<Float32Type>().value(row)));
        }
        Ok(())
    }

    fn add_lists(&mut self, batch: &RecordBatch, name: &str) -> Result<(), DataError> {
        let bad = |problem: String| DataError::malformed(self.file, format!("column `{name}` {problem}"));
        let array = column(self.file, batch, name)?;
        let item = match array.data_type() {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => item,
            other => return Err(bad(format!("holds {other} where lists are wanted"))),
        };
        let lists = cast(array, &DataType::LargeList(item.clone())).map_err(|error| bad(error.to_string()))?;
        let lists = lists.as_list::<i64>();
        for row in 0..lists.len() {
            let list = converted(self.file, name, &lists.value(row), &DataType::Float32)?;
            if self.values.is_empty() {
                self.width = list.len();
            }
            if list.len() != self.width || list.is_empty() {
                return Err(bad(format!("has a list of {} values in row {row} and not of {}", list.len(), self.width)));
            }
            self.values.extend(list.as_primitive::<Float32Type>().values());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{BooleanArray, Float64Array, Int64Array, ListArray, StringArray};

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).expect("equal lengths")
    }

    fn read(batch: &RecordBatch, columns: &Columns) -> Result<Decoded, String> {
        decode("table", &batch.schema(), std::slice::from_ref(batch), columns).map_err(|error| error.to_string())
    }

    fn plain() -> RecordBatch {
        batch(vec![
            ("a", Arc::new(Float64Array::from(vec![0.5, 1.5]))),
            ("label", Arc::new(Int64Array::from(vec![1, 0]))),
            ("b", Arc::new(BooleanArray::from(vec![true, false]))),
        ])
    }

    #[test]
    fn all_columns_but_the_label_are_features_unless_named() {
        let all = read(&plain(), &Columns::default()).expect("fits");
        assert_eq!(all.values, Values::Floats(vec![0.5, 1.0, 1.5, 0.0]));
        assert_eq!(all.answers, Answers::Classes { labels: vec![1, 0], classes: 2 });
        let one = Columns { features: vec!["b".into()], answer: Answer::Targets(vec!["a".into()]), width: Some(1) };
        let one = read(&plain(), &one).expect("fits");
        assert_eq!(one.values, Values::Floats(vec![1.0, 0.0]));
        assert_eq!(one.answers, Answers::Targets { values: vec![0.5, 1.5], width: 1 });
    }

    #[test]
    fn a_column_of_lists_is_a_row_of_features_each() {
        let lists = |rows: Vec<Option<Vec<Option<f32>>>>| {
            let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows));
            let labels: ArrayRef = Arc::new(Int64Array::from(vec![0, 1]));
            batch(vec![("x", lists), ("label", labels), ("note", Arc::new(StringArray::from(vec!["p", "q"])))])
        };
        let even = lists(vec![Some(vec![Some(1.0), Some(2.0)]), Some(vec![Some(3.0), Some(4.0)])]);
        let even = read(&even, &Columns::default()).expect("fits");
        assert_eq!((even.values, even.shape), (Values::Floats(vec![1.0, 2.0, 3.0, 4.0]), vec![2]));
        let ragged = lists(vec![Some(vec![Some(1.0), Some(2.0)]), Some(vec![Some(3.0)])]);
        assert!(read(&ragged, &Columns::default()).expect_err("ragged").contains("row 1"));
        let holes = lists(vec![Some(vec![Some(1.0)]), Some(vec![None])]);
        assert!(read(&holes, &Columns::default()).expect_err("null").contains("lacks values"));
        let missing = lists(vec![Some(vec![Some(1.0)]), None]);
        assert!(read(&missing, &Columns::default()).expect_err("null").contains("no value in row 1"));
    }

    #[test]
    fn wrong_columns_are_named() {
        let with = |answer: Answer| read(&plain(), &Columns { answer, ..Columns::default() }).expect_err("wrong");
        let label = |column: &str, classes| Answer::Label { column: column.into(), classes };
        assert!(with(label("class", None)).contains("no column `class`; it has a, label, b"));
        assert!(with(label("a", None)).contains("`a` holds Float64 where whole numbers"));
        assert!(with(label("label", Some(1))).contains("row 0 has label 1, but there are 1 classes"));
        let text = batch(vec![
            ("a", Arc::new(StringArray::from(vec!["p"])) as ArrayRef),
            ("label", Arc::new(Int64Array::from(vec![0]))),
        ]);
        assert!(read(&text, &Columns::default()).expect_err("text").contains("`a` holds Utf8"));
        let narrow = Columns { width: Some(3), ..Columns::default() };
        assert!(read(&plain(), &narrow).expect_err("width").contains("write `features = 2`"));
    }
}
