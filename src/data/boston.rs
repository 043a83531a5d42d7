//! `boston`: 506 census tracts of Boston, 13 features each, and the median value of a home there (regression).
//!
//! D. Harrison and D. L. Rubinfeld, *Hedonic housing prices and the demand for clean air*, J. Environ. Economics and
//! Management 5, 1978; in the form that scikit-learn shipped: a line of counts, a line of names, then the numbers. Feature
//! `B` encodes an offensive assumption about race; the set is here to reproduce published results, not to build upon.

use super::decoded::{Answers, Decoded, Values};
use super::error::DataError;
use super::facts::{Description, Facts, Task};
use super::find::Wanted;
use super::numbers;

/// Features of a row, in order, then the target.
const NAMES: [&str; FEATURES + 1] =
    ["CRIM", "ZN", "INDUS", "CHAS", "NOX", "RM", "AGE", "DIS", "RAD", "TAX", "PTRATIO", "B", "LSTAT", "MEDV"];
/// Features per row.
const FEATURES: usize = 13;
/// Rows.
const ROWS: usize = 506;

/// What is known of it.
pub(super) const DESCRIPTION: Description = Description {
    name: "boston",
    summary: "Housing values in suburbs of Boston, 13 features (regression)",
    facts: Facts {
        task: Task::Regression { outputs: Some(1) },
        shape: Some(&[FEATURES]),
        classes: None,
        train_rows: Some(ROWS),
        test_rows: None,
        class_names: &[],
        moments: None,
    },
    origin: "https://lib.stat.cmu.edu/datasets/boston",
    licence: "public domain",
};

/// Its only file.
pub(super) fn wanted() -> Vec<Wanted> {
    let candidates = ["boston_house_prices.csv", "boston.csv"].map(String::from).to_vec();
    vec![Wanted { name: "boston", candidates, embedded: None }]
}

/// Decodes the file.
pub(super) fn decode(file: &str, raw: &[u8]) -> Result<Decoded, DataError> {
    let bad = |problem: String| DataError::malformed(file, problem);
    let text = std::str::from_utf8(raw).map_err(|error| bad(format!("it is no text ({error})")))?;
    let mut lines = text.lines();
    let counts: Vec<&str> = lines.next().unwrap_or_default().split(',').filter(|field| !field.is_empty()).collect();
    if counts != ["506", "13"] {
        return Err(bad(format!("its first line does not say {ROWS},{FEATURES}")));
    }
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').map(|name| name.trim_matches('"')).collect();
    if names != NAMES {
        return Err(bad(format!("its second line does not name the columns {}", NAMES.join(","))));
    }
    let numbers = numbers::parse(file, lines, 3, NAMES.len())?;
    if numbers.len() != ROWS * NAMES.len() {
        return Err(bad(format!("it has {} rows and not {ROWS}", numbers.len() / NAMES.len())));
    }
    let rows = || numbers.chunks_exact(NAMES.len());
    let features = rows().flat_map(|row| &row[..FEATURES]).map(|&number| number as f32).collect();
    let targets = rows().map(|row| row[FEATURES] as f32).collect();
    let answers = Answers::Targets { values: targets, width: 1 };
    Decoded::new(file, vec![FEATURES], Values::Floats(features), answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_this_table_is_refused() {
        let head = "506,13,,,,,,,,,,,,\n\"CRIM\",\"ZN\",\"INDUS\",\"CHAS\",\"NOX\",\"RM\",\"AGE\",\"DIS\",\"RAD\",\"TAX\",\"PTRATIO\",\"B\",\"LSTAT\",\"MEDV\"\n";
        let row = "1,2,3,4,5,6,7,8,9,10,11,12,13,14\n";
        decode("boston", format!("{head}{}", row.repeat(506)).as_bytes()).expect("fits");
        for broken in ["", "506,13\n", &format!("{head}{row}"), &format!("{head}{}1,2\n", row.repeat(505))] {
            decode("boston", broken.as_bytes()).expect_err("broken");
        }
        decode("boston", &[0xff, 0xfe]).expect_err("no text");
    }
}
