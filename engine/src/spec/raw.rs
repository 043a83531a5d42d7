//! Text to values with positions: TOML, and nothing of what a spec means.

use std::sync::Arc;

use toml::de::{DeTable, DeValue, Error};

use super::fault::{Fault, Faults};
use super::value::{Entry, Node, Span, Table, Value};

/// The code of a fault of the text itself.
pub(super) const SYNTAX: &str = "toml-syntax";

/// The text of a spec and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// The path as the user gave it.
    pub name: String,
    /// The text.
    pub text: String,
}

impl SourceText {
    /// The line and the column (both from 1, columns in characters) of a byte offset.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..floor_boundary(&self.text, offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// A spec as its text says it, before anything is known of its meaning.
#[derive(Clone, Debug)]
pub struct RawSpec {
    /// The text.
    pub source: Arc<SourceText>,
    /// The whole document as one table.
    pub root: Table,
    /// Whether so much of the text could be read that looking for mistakes in its meaning makes sense.
    pub readable: bool,
}

impl RawSpec {
    /// Parses TOML; where it is broken, pushes a fault a line and reads on.
    pub fn parse(source: SourceText, faults: &mut Faults) -> Self {
        let source = Arc::new(source);
        let (document, errors) = DeTable::parse_recoverable(&source.text);
        let readable = !errors.iter().any(is_unclosed);
        push_syntax_faults(&source.text, &errors, faults);
        let mut reader = Reader { text: &source.text, faults };
        let root = reader.table(document.get_ref());
        Self { source, root, readable }
    }
}

/// Whether a bracket or a string was never closed, so that everything behind it was misread.
fn is_unclosed(error: &Error) -> bool {
    error.message().starts_with("unclosed")
}

/// One fault a line. Left out is what follows from another: everything behind something unclosed, since the parser
/// stumbles over every line from there on, and the keys of a table that was there before.
fn push_syntax_faults(text: &str, errors: &[Error], faults: &mut Faults) {
    let mut errors: Vec<_> =
        errors.iter().map(|error| (clamp(text, error.span().unwrap_or_default()), error)).collect();
    errors.sort_by_key(|(span, _)| *span);
    let unclosed = errors.iter().any(|(_, error)| is_unclosed(error));
    let (mut last_line, mut repeated_table) = (None, None);
    for (span, error) in errors {
        let start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
        let header =
            if text[start..].starts_with('[') { Some(start) } else { text[..start].rfind("\n[").map(|at| at + 1) };
        let duplicate = error.message().starts_with("duplicate key");
        let follows_unclosed = unclosed && last_line.is_some() && !is_unclosed(error);
        let follows = follows_unclosed || (duplicate && header.is_some() && repeated_table == header);
        if last_line == Some(start) || follows {
            continue;
        }
        last_line = Some(start);
        if duplicate && header == Some(start) {
            repeated_table = header;
        }
        faults.push(syntax_fault(span, error.message()));
    }
}

/// The parser's message in our words, where it has a common cause.
fn syntax_fault(span: Span, message: &str) -> Fault {
    let (what, label, help) = match message.split_once(", ").unwrap_or((message, "")) {
        ("duplicate key", _) => ("the same name twice", "again", "drop or rename one of the two"),
        ("string values must be quoted", _) if span.start == span.end => {
            ("a key without a value", "expected a value", "write a value, or drop the line")
        }
        ("string values must be quoted", _) => {
            ("not a value", "text needs quotes", "put text in quotes; numbers and `true` and `false` stand without")
        }
        (what, "" | "expected nothing") => (what, "not expected here", TOML),
        (what, expected) => (what, expected, TOML),
    };
    Fault::new(SYNTAX, span, format!("cannot read this as TOML: {what}"), label).help(help)
}

const TOML: &str = "https://toml.io shows how each sort of value is written";

struct Reader<'a> {
    text: &'a str,
    faults: &'a mut Faults,
}

impl Reader<'_> {
    /// The entries in the order of the text (the parser sorts them by key).
    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let key_span = clamp(self.text, key.span());
            if let Some(node) = self.node(value.get_ref(), clamp(self.text, value.span())) {
                entries.push(Entry { key: key.get_ref().to_string(), key_span, node });
            }
        }
        entries.sort_by_key(|entry| entry.key_span);
        Table { entries }
    }

    fn node(&mut self, value: &DeValue<'_>, span: Span) -> Option<Node> {
        let value = match value {
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => Value::Integer(self.integer(number.as_str(), number.radix(), span)?),
            DeValue::Float(number) => Value::Float(self.float(number.as_str(), span)?),
            DeValue::Array(items) => Value::Array(
                items.iter().filter_map(|item| self.node(item.get_ref(), clamp(self.text, item.span()))).collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table)),
            DeValue::Datetime(_) => {
                self.faults.push(
                    Fault::new("date", span, "a date has no meaning in a spec", "found a date")
                        .help("write it in quotes if it is meant as text"),
                );
                return None;
            }
        };
        Some(Node { value, span })
    }

    fn integer(&mut self, digits: &str, radix: u32, span: Span) -> Option<i64> {
        let number = i64::from_str_radix(digits, radix).ok();
        if number.is_none() {
            self.too_large(span, "whole numbers go from -9223372036854775808 to 9223372036854775807");
        }
        number
    }

    fn float(&mut self, digits: &str, span: Span) -> Option<f64> {
        let number = digits.parse::<f64>().ok().filter(|number| number.is_finite() || digits.contains(['i', 'n']));
        if number.is_none() {
            self.too_large(span, "numbers go up to about 1.8e308; write `inf` for infinity");
        }
        number
    }

    fn too_large(&mut self, span: Span, help: &str) {
        self.faults
            .push(Fault::new("number-too-large", span, "this number does not fit 64 bits", "too large").help(help));
    }
}

/// The same span, made to lie inside the text and on character boundaries.
fn clamp(text: &str, span: std::ops::Range<usize>) -> Span {
    let start = floor_boundary(text, span.start);
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    Span { start, end }
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (RawSpec, Vec<Fault>) {
        let mut faults = Faults::new();
        let raw = RawSpec::parse(SourceText { name: "spec.toml".into(), text: text.into() }, &mut faults);
        (raw, faults.sorted())
    }

    #[test]
    fn entries_keep_the_order_and_the_places_of_the_text() {
        let text = "[b]\nz = 1\na = [2, 0.5]\n[a]\n";
        let (raw, faults) = parse(text);
        assert_eq!(faults, []);
        assert_eq!(raw.root.entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        let Value::Table(b) = &raw.root.entries[0].node.value else { panic!("not a table") };
        assert_eq!(b.entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["z", "a"]);
        let span = b.entries[1].node.span;
        assert_eq!(&text[span.start..span.end], "[2, 0.5]");
    }

    #[test]
    fn numbers_may_have_underscores_and_other_bases() {
        let (raw, faults) = parse("a = 50_000\nb = 0xff\nc = 1e-7\nd = -inf\n");
        assert_eq!(faults, []);
        let values: Vec<_> = raw.root.entries.iter().map(|entry| entry.node.value.clone()).collect();
        let expected =
            [Value::Integer(50_000), Value::Integer(255), Value::Float(1e-7), Value::Float(f64::NEG_INFINITY)];
        assert_eq!(values, expected);
    }

    #[test]
    fn every_broken_line_is_one_fault() {
        let (raw, faults) = parse("a = \nb = 1\nc = 1 2 3\n");
        assert_eq!(faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["toml-syntax"; 2]);
        assert!(raw.readable);
    }

    #[test]
    fn an_unclosed_list_is_not_followed_by_its_consequences() {
        let (raw, faults) = parse("a = [1, 2\nb = 1\nc = 1\nd = 1\n");
        assert!(faults.len() <= 2, "{faults:?}");
        assert!(!raw.readable);
    }

    #[test]
    fn a_table_that_is_there_twice_is_one_fault() {
        let (_, faults) = parse("[a]\nx = 1\ny = 2\n[a]\nx = 1\ny = 2\n[b]\nz = 1\nz = 1\n");
        assert_eq!(faults.iter().map(|fault| fault.span.start).collect::<Vec<_>>(), [17, 42]);
    }

    #[test]
    fn dates_and_numbers_beyond_64_bits_are_refused() {
        let (_, faults) = parse("a = 1979-05-27\nb = 99999999999999999999\nc = 1e999\n");
        assert_eq!(
            faults.iter().map(|fault| fault.code).collect::<Vec<_>>(),
            ["date", "number-too-large", "number-too-large"]
        );
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let source = SourceText { name: String::new(), text: "ä = 1\nb = ü\n".into() };
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(2), (1, 2));
        assert_eq!(source.position(11), (2, 5));
    }
}
