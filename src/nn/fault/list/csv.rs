//! Comma-separated text as RFC 4180 has it, each cell with the place it stands at, so that a mistake can be pointed at.

use super::error::{ListError, Problem};

/// A cell: its text without quotes, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
}

/// The records of `text`; blank lines are none.
pub(super) fn records(text: &str) -> Result<Vec<Vec<Cell>>, ListError> {
    let mut reader = Reader { rest: text.chars().peekable(), line: 1, column: 1 };
    let mut records = Vec::new();
    while reader.rest.peek().is_some() {
        let record = reader.record()?;
        if record.len() > 1 || !record[0].text.trim().is_empty() {
            records.push(record);
        }
    }
    Ok(records)
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    column: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        if next == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some(next)
    }

    fn record(&mut self) -> Result<Vec<Cell>, ListError> {
        let mut cells = Vec::new();
        loop {
            let (line, column) = (self.line, self.column);
            let text = self.cell()?;
            cells.push(Cell { text, line, column });
            match self.next() {
                Some(',') => {}
                _ => return Ok(cells),
            }
        }
    }

    /// The text up to the next comma or the end of the line, which is left.
    fn cell(&mut self) -> Result<String, ListError> {
        if self.rest.peek() == Some(&'"') {
            return self.quoted();
        }
        let mut text = String::new();
        while let Some(&next) = self.rest.peek() {
            if next == ',' || next == '\n' {
                break;
            }
            text.push(next);
            self.next();
        }
        if text.ends_with('\r') {
            text.pop();
        }
        Ok(text)
    }

    fn quoted(&mut self) -> Result<String, ListError> {
        let (line, column) = (self.line, self.column);
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') if self.rest.peek() == Some(&'"') => {
                    self.next();
                    text.push('"');
                }
                Some('"') => break,
                Some(other) => text.push(other),
                None => return Err(ListError { line, column, problem: Problem::OpenQuote }),
            }
        }
        if self.rest.peek() == Some(&'\r') {
            self.next();
        }
        match self.rest.peek() {
            None | Some(',' | '\n') => Ok(text),
            Some(_) => Err(ListError { line: self.line, column: self.column, problem: Problem::AfterQuote }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<Vec<String>> {
        let records = records(text).expect("sound");
        records.into_iter().map(|record| record.into_iter().map(|cell| cell.text).collect()).collect()
    }

    #[test]
    fn quotes_commas_and_line_ends_are_those_of_the_rfc() {
        assert_eq!(texts("a,b\r\n\"(1, 2)\",\"x\"\"y\"\r\n"), [["a", "b"], ["(1, 2)", "x\"y"]]);
        assert_eq!(texts("a,\n\n,b"), [["a", ""], ["", "b"]]);
        assert!(texts("").is_empty());
    }

    #[test]
    fn cells_know_where_they_stand() {
        let records = records("é,b\n\"two\nlines\",c\nd,e").expect("sound");
        let places: Vec<_> = records.iter().flatten().map(|cell| (cell.line, cell.column)).collect();
        assert_eq!(places, [(1, 1), (1, 3), (2, 1), (3, 8), (4, 1), (4, 3)]);
    }
}
