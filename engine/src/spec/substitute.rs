//! `"{axis}"` in a value: finding such placeholders, and filling them in.
//!
//! * `"{axis}"` alone takes the axis value's place and keeps its type; a table value comes without its `name`, and one that
//!   has nothing but a name is that name.
//! * `"{axis.field}"` alone takes the place of a field of a table value or of a grid point.
//! * In a longer string a placeholder becomes the label: `"gtsrb-{size}"`.
//! * `{{` and `}}` are the braces themselves.
//! * A field that a value does not have is a fault, except as the `from` of an optional reference, which then is absent.

use super::axes::{AxisValue, label_of};
use super::fault::{Fault, Faults};
use super::reference::is_name_char;
use super::suggest::unknown;
use super::value::{Entry, Node, Span, Table, Value};

/// An `{axis}` or `{axis.field}` in a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// The axis.
    pub axis: String,
    /// The path of the field below it, empty for the value itself.
    pub field: Vec<String>,
    /// Where the string stands.
    pub span: Span,
}

/// Every placeholder in the strings of a value, in the order of the text; malformed ones are left to [`substitute`].
#[must_use]
pub fn placeholders(node: &Node) -> Vec<Placeholder> {
    let mut found = Vec::new();
    visit_strings(node, &mut |text, span| {
        if !text.contains('{') {
            return;
        }
        found.extend(pieces(text).into_iter().flatten().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Hole { axis, field } => Some(Placeholder { axis, field, span }),
        }));
    });
    found
}

/// Whether a string of a value has a placeholder that cannot be read.
pub(super) fn has_malformed(node: &Node) -> bool {
    let mut found = false;
    visit_strings(node, &mut |text, _| found |= text.contains('{') && pieces(text).is_err());
    found
}

/// Calls `visit` with every string below `node`.
pub(super) fn visit_strings(node: &Node, visit: &mut dyn FnMut(&str, Span)) {
    match &node.value {
        Value::String(text) => visit(text, node.span),
        Value::Array(items) => items.iter().for_each(|item| visit_strings(item, visit)),
        Value::Table(table) => table.entries.iter().for_each(|entry| visit_strings(&entry.node, visit)),
        _ => {}
    }
}

/// The same value with every placeholder filled in, each from the axis value that `value_of` tells; `None` where that
/// cannot be, with a fault for each reason but one: an axis that `value_of` does not know is left to whoever knows
/// which axes there are.
///
/// What is substituted stands where the placeholder stood, so that later faults point at the key and not at the axis.
pub fn substitute<'a>(
    node: &Node,
    value_of: &dyn Fn(&str) -> Option<&'a AxisValue>,
    faults: &mut Faults,
) -> Option<Node> {
    let value = match &node.value {
        Value::String(text) if text.contains(['{', '}']) => return fill(text, node.span, value_of, faults),
        Value::Array(items) => {
            let filled: Vec<_> = items.iter().map(|item| substitute(item, value_of, faults)).collect();
            Value::Array(filled.into_iter().collect::<Option<_>>()?)
        }
        Value::Table(table) => Value::Table(fill_table(table, value_of, faults)?),
        other => other.clone(),
    };
    Some(Node { value, span: node.span })
}

/// As much of a table as can be filled in: the entries for which [`substitute`] fails are left out.
pub fn substitute_what_can_be<'a>(node: &Node, value_of: &dyn Fn(&str) -> Option<&'a AxisValue>) -> Node {
    let Value::Table(table) = &node.value else { return node.clone() };
    let filled = |entry: &Entry| {
        let node = substitute(&entry.node, value_of, &mut Faults::new())?;
        Some(Entry { key: entry.key.clone(), key_span: entry.key_span, node })
    };
    Node { value: Value::Table(Table { entries: table.entries.iter().filter_map(filled).collect() }), span: node.span }
}

fn fill_table<'a>(
    table: &Table,
    value_of: &dyn Fn(&str) -> Option<&'a AxisValue>,
    faults: &mut Faults,
) -> Option<Table> {
    let optional = table.get("optional").is_some_and(|entry| entry.node.value == Value::Boolean(true));
    let mut entries = Some(Vec::with_capacity(table.entries.len()));
    for entry in &table.entries {
        let filled = if optional && entry.key == "from" && lacks_field(&entry.node, value_of) {
            Some(Node { value: Value::String(String::new()), span: entry.node.span })
        } else {
            substitute(&entry.node, value_of, faults)
        };
        match (filled, &mut entries) {
            (Some(node), Some(entries)) => {
                entries.push(Entry { key: entry.key.clone(), key_span: entry.key_span, node });
            }
            _ => entries = None,
        }
    }
    entries.map(|entries| Table { entries })
}

/// Whether a placeholder asks for a field that the axis value does not have.
fn lacks_field<'a>(node: &Node, value_of: &dyn Fn(&str) -> Option<&'a AxisValue>) -> bool {
    placeholders(node)
        .iter()
        .any(|place| value_of(&place.axis).is_some_and(|value| field(&value.node, &place.field).is_none()))
}

fn fill<'a>(
    text: &str,
    span: Span,
    value_of: &dyn Fn(&str) -> Option<&'a AxisValue>,
    faults: &mut Faults,
) -> Option<Node> {
    let pieces = match pieces(text) {
        Ok(pieces) => pieces,
        Err(label) => {
            faults.push(
                Fault::new("bad-placeholder", span, format!("`{text}` has a malformed placeholder"), label)
                    .help("write `{axis}` or `{axis.field}`, and `{{` for a brace itself"),
            );
            return None;
        }
    };
    if let [Piece::Hole { axis, field }] = pieces.as_slice() {
        let value = value_at(axis, field, span, value_of, faults)?;
        return Some(moved(&value, span));
    }
    let mut filled = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => filled.push_str(&literal),
            Piece::Hole { axis, field } if field.is_empty() => filled.push_str(&value_of(&axis)?.label),
            Piece::Hole { axis, field } => {
                filled.push_str(&label_of(&value_at(&axis, &field, span, value_of, faults)?));
            }
        }
    }
    Some(Node { value: Value::String(filled), span })
}

/// What a placeholder stands for.
fn value_at<'a>(
    axis: &str,
    path: &[String],
    span: Span,
    value_of: &dyn Fn(&str) -> Option<&'a AxisValue>,
    faults: &mut Faults,
) -> Option<Node> {
    let value = value_of(axis)?;
    if path.is_empty() {
        return Some(unnamed(&value.node));
    }
    let found = field(&value.node, path);
    if found.is_none() {
        let path = path.join(".");
        // The same for every value, so that it is one fault however many values lack the field.
        let message = format!("not every value of axis `{axis}` has a `{path}`");
        let known: Vec<&str> = match &value.node.value {
            Value::Table(table) => table.entries.iter().map(|entry| entry.key.as_str()).collect(),
            _ => Vec::new(),
        };
        let called = format!("the fields of `{}`", value.label);
        let fault = unknown("missing-field", span, message, &path, known.iter().copied(), &called);
        faults.push(if known.is_empty() {
            fault.help(format!("write `{{{axis}}}` for the value itself"))
        } else {
            fault
        });
    }
    found.cloned()
}

/// A table value without its name; its name where it has nothing else.
fn unnamed(node: &Node) -> Node {
    let Value::Table(table) = &node.value else { return node.clone() };
    match table.entries.as_slice() {
        [only] if only.key == "name" => only.node.clone(),
        entries => {
            let entries = entries.iter().filter(|entry| entry.key != "name").cloned().collect();
            Node { value: Value::Table(Table { entries }), span: node.span }
        }
    }
}

/// The node at a path of keys.
pub(super) fn field<'n>(node: &'n Node, path: &[String]) -> Option<&'n Node> {
    path.iter().try_fold(node, |node, key| match &node.value {
        Value::Table(table) => table.get(key).map(|entry| &entry.node),
        _ => None,
    })
}

/// The same value, all of it standing at `span`.
fn moved(node: &Node, span: Span) -> Node {
    let value = match &node.value {
        Value::Array(items) => Value::Array(items.iter().map(|item| moved(item, span)).collect()),
        Value::Table(table) => {
            let entry =
                |entry: &Entry| Entry { key: entry.key.clone(), key_span: span, node: moved(&entry.node, span) };
            Value::Table(Table { entries: table.entries.iter().map(entry).collect() })
        }
        other => other.clone(),
    };
    Node { value, span }
}

enum Piece {
    Literal(String),
    Hole { axis: String, field: Vec<String> },
}

/// Takes a string apart; the error is a label that says what is malformed.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
        } else if brace == "}" {
            literal.push('}');
        } else {
            let Some(end) = rest.find('}') else { return Err("`{` is never closed".to_owned()) };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(hole(&rest[..end])?);
            rest = &rest[end + 1..];
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

fn hole(inside: &str) -> Result<Piece, String> {
    let mut path = inside.trim().split('.').map(str::to_owned);
    let axis = path.next().unwrap_or_default();
    let field: Vec<String> = path.collect();
    let named = |name: &String| !name.is_empty() && name.chars().all(is_name_char);
    if named(&axis) && field.iter().all(named) {
        Ok(Piece::Hole { axis, field })
    } else {
        Err(format!("`{{{inside}}}` names no axis"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(value: impl Into<Value>) -> Node {
        Node { value: value.into(), span: Span { start: 3, end: 9 } }
    }

    fn table(entries: &[(&str, Node)]) -> Value {
        let entry =
            |(key, node): &(&str, Node)| Entry { key: (*key).into(), key_span: Span::default(), node: node.clone() };
        Value::Table(Table { entries: entries.iter().map(entry).collect() })
    }

    fn filled(value: impl Into<Value>) -> Result<Value, Vec<Fault>> {
        let lr = AxisValue { label: "0.1".into(), node: node(Value::Float(0.1)) };
        let random = AxisValue { label: "random".into(), node: node(table(&[("name", node("random"))])) };
        let net = AxisValue {
            label: "small".into(),
            node: node(table(&[("name", node("small")), ("hidden", node(Value::Integer(8)))])),
        };
        let value_of = |name: &str| match name {
            "lr" => Some(&lr),
            "random" => Some(&random),
            "net" => Some(&net),
            _ => None,
        };
        let mut faults = Faults::new();
        match substitute(&node(value), &value_of, &mut faults) {
            Some(node) => Ok(node.value),
            None => Err(faults.sorted()),
        }
    }

    fn code(value: impl Into<Value>) -> &'static str {
        filled(value).expect_err("a fault")[0].code
    }

    #[test]
    fn a_placeholder_alone_keeps_the_type() {
        assert_eq!(filled("{lr}"), Ok(Value::Float(0.1)));
        assert_eq!(filled("{net.hidden}"), Ok(Value::Integer(8)));
    }

    #[test]
    fn in_a_longer_string_it_is_printed() {
        assert_eq!(filled("at-{lr}-{net}-{net.hidden}"), Ok("at-0.1-small-8".into()));
    }

    #[test]
    fn a_table_value_comes_without_its_name_unless_it_has_nothing_else() {
        assert_eq!(filled("{net}"), Ok(table(&[("hidden", node(Value::Integer(8)))]).relocated()));
        assert_eq!(filled("{random}"), Ok("random".into()));
    }

    #[test]
    fn doubled_braces_are_braces() {
        assert_eq!(filled("{{lr}} {lr} }"), Ok("{lr} 0.1 }".into()));
    }

    #[test]
    fn malformed_and_unknown_placeholders_are_faults() {
        assert_eq!(code("{lr"), "bad-placeholder");
        assert_eq!(code("{}"), "bad-placeholder");
        assert_eq!(code("{l r}"), "bad-placeholder");
        assert_eq!(filled("{rate}"), Err(Vec::new()), "left to the caller, who knows all axes");
        assert_eq!(code("{net.size}"), "missing-field");
        assert_eq!(code("{lr.size}"), "missing-field");
    }

    #[test]
    fn an_optional_reference_to_a_missing_field_is_absent() {
        let optional =
            |optional| table(&[("from", node("{random.start}")), ("optional", node(Value::Boolean(optional)))]);
        let absent = table(&[("from", node("")), ("optional", node(Value::Boolean(true)))]);
        assert_eq!(filled(optional(true)), Ok(absent));
        assert_eq!(code(optional(false)), "missing-field");
    }

    #[test]
    fn placeholders_are_found_at_any_depth() {
        let deep = node(Value::Array(vec![node("{a} {b.c}"), node(table(&[("k", node("{d}"))]))]));
        let axes: Vec<_> = placeholders(&deep).into_iter().map(|place| place.axis).collect();
        assert_eq!(axes, ["a", "b", "d"]);
    }

    impl From<&str> for Value {
        fn from(text: &str) -> Self {
            Self::String(text.to_owned())
        }
    }

    impl Value {
        /// The same value with key spans as a substitution leaves them.
        fn relocated(self) -> Self {
            moved(&node(self), Span { start: 3, end: 9 }).value
        }
    }
}
