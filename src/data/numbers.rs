//! Lines of numbers separated by commas, strictly: every line has as many fields as the first, and each is a number.

use super::error::DataError;

/// Reads `lines` of `width` finite numbers each, row after row; empty lines end the text. `first_line` is the number of
/// the first line for messages.
///
/// # Errors
/// [`DataError::Malformed`] naming line and column.
pub(super) fn parse<'a>(
    file: &str,
    lines: impl Iterator<Item = &'a str>,
    first_line: usize,
    width: usize,
) -> Result<Vec<f64>, DataError> {
    let mut numbers = Vec::new();
    for (line, text) in lines.enumerate().map(|(i, text)| (i + first_line, text.trim_end())) {
        let start = numbers.len();
        for (column, field) in text.split(',').enumerate() {
            let number = field.trim().parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| {
                let shown: String = field.chars().take(20).collect();
                DataError::malformed(file, format!("line {line}, column {}: `{shown}` is no number", column + 1))
            })?;
            numbers.push(number);
        }
        let found = numbers.len() - start;
        if found != width {
            return Err(DataError::malformed(file, format!("line {line} has {found} fields and not {width}")));
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_line_and_column() {
        let parse = |text: &str| parse("table", text.lines(), 1, 2).map_err(|error| error.to_string());
        assert_eq!(parse("1,2\n 3 , -4e1\r\n"), Ok(vec![1.0, 2.0, 3.0, -40.0]));
        assert!(parse("1,2\n3,x\n").expect_err("no number").contains("line 2, column 2: `x`"));
        assert!(parse("1,2\n3\n").expect_err("short").contains("line 2 has 1 fields"));
        assert!(parse("1,inf\n").expect_err("infinite").contains("line 1, column 2"));
        assert!(parse("1,2\n\n3,4\n").expect_err("a hole").contains("line 2"));
    }
}
