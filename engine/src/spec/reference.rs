//! References to what other stages make: `train`, `train.curve`, `train[trial=1]`, `pairs[net=*]`, `prune[round-1].mask`.
//!
//! ```text
//! reference = name [ "[" selection { "," selection } "]" ] [ "." output ]
//! selection = axis "=" value | axis "=" "*" | axis "-" steps
//! value     = anything without , ] [ ' " \ or an outer space, or the same in '...' or "..." with \ before a quote
//! ```

use std::fmt;

use super::fault::Fault;
use super::from_spec::Scope;
use super::suggest::unknown;
use super::value::{Node, Span, Value};

/// A reference, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The stage or data section.
    pub name: String,
    /// Where on its axes, as far as the reference says.
    pub selections: Vec<Selection>,
    /// Which of its outputs; none for the one that fits.
    pub output: Option<String>,
}

/// What a reference says of one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The axis.
    pub axis: String,
    /// Which of its values.
    pub pick: Pick,
}

/// Which values of an axis a reference picks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The one with this label.
    Value(String),
    /// All of them, collected.
    All,
    /// The one that stands so many (at least 1) before the reader's own.
    Previous(usize),
}

impl Reference {
    /// Takes a reference apart; `span` is where its text stands.
    ///
    /// # Errors
    /// Where the text is no reference.
    pub fn parse(text: &str, span: Span) -> Result<Self, Fault> {
        let mut cursor = Cursor { text, rest: text.trim(), span };
        let name = cursor.name("the name of a stage or data set")?;
        let mut selections = Vec::new();
        if cursor.eat('[') {
            loop {
                let selection = cursor.selection()?;
                if selections.iter().any(|other: &Selection| other.axis == selection.axis) {
                    return Err(cursor.fault(&format!("`{}` is selected twice", selection.axis), "select it once"));
                }
                selections.push(selection);
                if cursor.eat(']') {
                    break;
                }
                if !cursor.eat(',') {
                    return Err(cursor.fault("expected `,` or `]`", "a value with other signs goes in single quotes"));
                }
            }
        }
        let output = if cursor.eat('.') { Some(cursor.name("the name of an output")?) } else { None };
        if cursor.rest.starts_with('[') && output.is_some() {
            return Err(cursor.fault("the brackets come too late", "put them before the output: `train[seed=1].curve`"));
        }
        if !cursor.rest.is_empty() {
            let found = cursor.rest.chars().next().unwrap_or_default();
            return Err(cursor.fault(&format!("unexpected `{found}`"), FORMS));
        }
        Ok(Self { name, selections, output })
    }
}

const FORMS: &str =
    "a reference looks like `train`, `train.curve`, `train[seed=1]`, `train[seed=*]` or `prune[round-1].mask`";

struct Cursor<'t> {
    text: &'t str,
    rest: &'t str,
    span: Span,
}

impl<'t> Cursor<'t> {
    fn fault(&self, label: &str, help: &str) -> Fault {
        Fault::new("bad-reference", self.span, format!("`{}` is no reference", self.text), label).help(help)
    }

    fn eat(&mut self, sign: char) -> bool {
        let Some(rest) = self.rest.trim_start().strip_prefix(sign) else { return false };
        self.rest = rest;
        true
    }

    fn name(&mut self, wanted: &str) -> Result<String, Fault> {
        let start = self.rest.trim_start();
        let length = start.find(|c: char| !is_name_char(c)).unwrap_or(start.len());
        if length == 0 {
            return Err(self.fault(&format!("expected {wanted}"), FORMS));
        }
        let (name, rest) = start.split_at(length);
        self.rest = rest;
        Ok(name.to_owned())
    }

    fn selection(&mut self) -> Result<Selection, Fault> {
        let name = self.name("an axis")?;
        if self.eat('=') {
            let pick = self.value()?;
            return Ok(Selection { axis: name, pick });
        }
        let Some((axis, steps)) = split_steps(&name) else {
            return Err(self.fault(&format!("what of `{name}`?"), "select with `axis=value`, `axis=*` or `axis-1`"));
        };
        match steps.parse() {
            Ok(steps) if steps > 0 => Ok(Selection { axis: axis.to_owned(), pick: Pick::Previous(steps) }),
            _ => Err(self.fault(&format!("`-{steps}` goes nowhere"), "go back by at least 1: `round-1`")),
        }
    }

    fn value(&mut self) -> Result<Pick, Fault> {
        let start = self.rest.trim_start();
        if let Some(quote @ ('\'' | '"')) = start.chars().next() {
            return self.quoted(&start[1..], quote).map(Pick::Value);
        }
        let length = start.find(['[', ']', ',', '\'', '"', '\\']).unwrap_or(start.len());
        let (value, rest) = start.split_at(length);
        self.rest = rest;
        match value.trim() {
            "" => Err(self.fault("expected a value", "select with `axis=value`, `axis=*` or `axis-1`")),
            "*" => Ok(Pick::All),
            value => Ok(Pick::Value(value.to_owned())),
        }
    }

    fn quoted(&mut self, inside: &'t str, quote: char) -> Result<String, Fault> {
        let mut value = String::new();
        let mut signs = inside.char_indices();
        while let Some((at, sign)) = signs.next() {
            match sign {
                '\\' => value.extend(signs.next().map(|(_, escaped)| escaped)),
                sign if sign == quote => {
                    self.rest = &inside[at + sign.len_utf8()..];
                    return Ok(value);
                }
                sign => value.push(sign),
            }
        }
        Err(self.fault("the quote is never closed", &format!("close it with {quote}")))
    }
}

/// Whether a character may stand in the name of a section, an axis or an output.
pub(super) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// `round-1` as `round` and `1`.
pub(super) fn split_steps(name: &str) -> Option<(&str, &str)> {
    let (axis, steps) = name.rsplit_once('-')?;
    (!axis.is_empty() && !steps.is_empty() && steps.bytes().all(|byte| byte.is_ascii_digit())).then_some((axis, steps))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (index, Selection { axis, pick }) in self.selections.iter().enumerate() {
            f.write_str(if index == 0 { "[" } else { "," })?;
            match pick {
                Pick::Value(label) => write!(f, "{axis}={}", quote_label(label))?,
                Pick::All => write!(f, "{axis}=*")?,
                Pick::Previous(steps) => write!(f, "{axis}-{steps}")?,
            }
        }
        if !self.selections.is_empty() {
            f.write_str("]")?;
        }
        self.output.iter().try_for_each(|output| write!(f, ".{output}"))
    }
}

/// A label as a reference writes it: in single quotes where it would be misread without.
#[must_use]
pub fn quote_label(label: &str) -> String {
    let plain =
        !label.is_empty() && label != "*" && label.trim() == label && !label.contains(['[', ']', ',', '\'', '"', '\\']);
    if plain {
        return label.to_owned();
    }
    let mut quoted = String::from("'");
    for sign in label.chars() {
        if sign == '\'' || sign == '\\' {
            quoted.push('\\');
        }
        quoted.push(sign);
    }
    quoted + "'"
}

/// A reference as it was written: a string, or `{ from = "...", optional = true }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its text; none where it is optional and empty, which means that there is no input.
    pub reference: Option<String>,
    /// Where the text stands.
    pub span: Span,
    /// Whether what it refers to may be absent.
    pub optional: bool,
}

/// Reads a reference, or pushes the fault of it being something else.
pub fn read_reference(node: &Node, scope: &mut Scope<'_>) -> Option<Written> {
    let written = match &node.value {
        Value::String(text) => Written { reference: Some(text.clone()), span: node.span, optional: false },
        Value::Table(table) => {
            for entry in table.entries.iter().filter(|entry| entry.key != "from" && entry.key != "optional") {
                let message = format!("`{}` is not a key of a reference", entry.key);
                let known = ["from", "optional"];
                scope.fault(unknown("unknown-key", entry.key_span, message, &entry.key, known, "its keys"));
            }
            let optional = match table.get("optional") {
                Some(entry) => scope.inside("optional", |scope| super::FromSpec::from_spec(&entry.node, scope))?,
                None => false,
            };
            let Some(from) = table.get("from") else {
                let message = format!("`{}` is missing", scope.dotted("from"));
                scope.fault(
                    Fault::new("missing-key", node.span, message, "needs `from`")
                        .help("write `{ from = \"...\", optional = true }`"),
                );
                return None;
            };
            let text = scope.inside("from", |scope| <String as super::FromSpec>::from_spec(&from.node, scope))?;
            Written { reference: Some(text), span: from.node.span, optional }
        }
        _ => {
            scope.wrong_type_with(
                node,
                "a reference",
                Some("refer to a stage or data set by its name in quotes".into()),
            );
            return None;
        }
    };
    if written.reference.as_ref().is_none_or(|text| !text.trim().is_empty()) {
        return Some(written);
    }
    if written.optional {
        return Some(Written { reference: None, ..written });
    }
    let message = format!("`{}` refers to nothing", scope.here());
    scope.fault(
        Fault::new("bad-reference", written.span, message, "empty").help("name a stage or data set, or drop the key"),
    );
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Reference, Fault> {
        Reference::parse(text, Span::default())
    }

    fn one(axis: &str, pick: Pick) -> Vec<Selection> {
        vec![Selection { axis: axis.into(), pick }]
    }

    #[test]
    fn every_form_of_reference_is_understood() {
        let plain = |selections, output: Option<&str>| Reference {
            name: "train".into(),
            selections,
            output: output.map(str::to_owned),
        };
        assert_eq!(parse("train"), Ok(plain(vec![], None)));
        assert_eq!(parse(" train.curve "), Ok(plain(vec![], Some("curve"))));
        assert_eq!(parse("train[trial=1]"), Ok(plain(one("trial", Pick::Value("1".into())), None)));
        assert_eq!(parse("train[net=*]"), Ok(plain(one("net", Pick::All), None)));
        assert_eq!(parse("train[round-1].mask"), Ok(plain(one("round", Pick::Previous(1)), Some("mask"))));
        assert_eq!(parse("train[ my-axis = a b ]"), Ok(plain(one("my-axis", Pick::Value("a b".into())), None)));
        assert_eq!(
            parse(r"train[net='lr=0.1,batch=32']"),
            Ok(plain(one("net", Pick::Value("lr=0.1,batch=32".into())), None))
        );
        assert_eq!(parse(r#"train[net="it's"]"#), Ok(plain(one("net", Pick::Value("it's".into())), None)));
        let two = parse("train[a=1, b-2]").expect("two selections");
        assert_eq!(two.selections.len(), 2);
    }

    #[test]
    fn what_is_no_reference_says_why() {
        for (text, label) in [
            ("", "expected the name of a stage or data set"),
            ("train[", "expected an axis"),
            ("train[seed]", "what of `seed`?"),
            ("train[seed=]", "expected a value"),
            ("train[seed=1", "expected `,` or `]`"),
            ("train[seed='1]", "the quote is never closed"),
            ("train[round-0]", "`-0` goes nowhere"),
            ("train[a=1,a=2]", "`a` is selected twice"),
            ("train.curve[a=1]", "the brackets come too late"),
            ("train.", "expected the name of an output"),
            ("train!", "unexpected `!`"),
            ("train.a.b", "unexpected `.`"),
        ] {
            assert_eq!(parse(text).expect_err(text).label, label, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_reference_means_the_same(
            name in "[a-z0-9_-]{1,8}",
            picks in proptest::collection::btree_map("[a-z_]{1,6}", prop_oneof![
                "\\PC{0,10}".prop_map(Pick::Value),
                Just(Pick::All),
                (1usize..1000).prop_map(Pick::Previous),
            ], 0..4),
            output in proptest::option::of("[a-z-]{1,8}"),
        ) {
            let selections = picks.into_iter().map(|(axis, pick)| Selection { axis, pick }).collect();
            let reference = Reference { name, selections, output };
            prop_assert_eq!(parse(&reference.to_string()), Ok(reference));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}|[a-z\\[\\]=,.'\"* -]{0,20}") {
            if let Ok(reference) = parse(&text) {
                prop_assert_eq!(parse(&reference.to_string()), Ok(reference));
            }
        }
    }
}
