//! `[axes]`: what varies. A list of values, a range, or the points of a grid.

use super::fault::{Fault, Faults};
use super::grid;
use super::reference::split_steps;
use super::substitute::placeholders;
use super::suggest::unknown;
use super::value::{Node, Span, Table, Value};

/// The most values that an axis may have.
pub(super) const MOST_VALUES: usize = 1_000_000;

/// Something that varies.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub span: Span,
    /// Its values, at least one, no two with the same label.
    pub values: Vec<AxisValue>,
    /// Whether its values have an order, so that one comes before another: ranges, and ascending lists of numbers.
    pub ordered: bool,
}

/// One value of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisValue {
    /// How it is printed and referred to: a scalar as TOML prints it (text without quotes), a table by its `name`, a point
    /// of a grid as `lr=0.1,batch=32`.
    pub label: String,
    /// The value itself.
    pub node: Node,
}

impl Axis {
    /// The index of the value that a text means: by its label, or as the same number written differently.
    #[must_use]
    pub fn position(&self, text: &str) -> Option<usize> {
        let exact = self.values.iter().position(|value| value.label == text);
        exact.or_else(|| {
            let number = text.parse::<f64>().ok()?;
            self.values.iter().position(|value| as_number(&value.node) == Some(number))
        })
    }
}

/// A value that is a number, as one.
pub(super) fn as_number(node: &Node) -> Option<f64> {
    match node.value {
        Value::Integer(number) => Some(number as f64),
        Value::Float(number) => Some(number),
        _ => None,
    }
}

/// How a value is printed: as TOML writes it, strings at the outermost level without quotes.
pub(super) fn label_of(node: &Node) -> String {
    match &node.value {
        Value::String(text) => text.clone(),
        Value::Table(table) => match table.get("name").map(|entry| &entry.node.value) {
            Some(Value::String(name)) => name.clone(),
            _ => printed(node),
        },
        _ => printed(node),
    }
}

fn printed(node: &Node) -> String {
    match &node.value {
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) if value.is_nan() => "nan".to_owned(),
        Value::Float(value) => format!("{value:?}"),
        Value::String(text) => format!("\"{text}\""),
        Value::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(", ")),
        Value::Table(Table { entries }) => {
            let entries: Vec<_> =
                entries.iter().map(|entry| format!("{} = {}", entry.key, printed(&entry.node))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// Reads `[axes]`; an axis with a fault is left out.
pub(super) fn read(table: &Table, seed: u64, faults: &mut Faults) -> Vec<Axis> {
    let mut axes = Vec::new();
    for entry in &table.entries {
        if let Some(fault) = super::names::fault("axis", &entry.key, entry.key_span) {
            faults.push(fault);
            continue;
        }
        if split_steps(&entry.key).is_some() {
            let message = format!("`{}` cannot be the name of an axis", entry.key);
            faults.push(
                Fault::new("bad-name", entry.key_span, message, "ends like a step back")
                    .help("`[round-1]` in a reference means the value before: end the name in another way"),
            );
            continue;
        }
        if let Some((values, ordered)) = values(&entry.key, &entry.node, seed, faults) {
            axes.push(Axis { name: entry.key.clone(), span: entry.key_span, values, ordered });
        }
    }
    axes
}

/// The values of an axis and whether they have an order.
fn values(axis: &str, node: &Node, seed: u64, faults: &mut Faults) -> Option<(Vec<AxisValue>, bool)> {
    if let Some(place) = placeholders(node).first() {
        let message = format!("axis `{axis}` cannot depend on axis `{}`", place.axis);
        faults.push(
            Fault::new("placeholder-in-axis", place.span, message, "axes stand for themselves")
                .help("write the combinations as tables with a `name`, or leave some out with `[[exclude]]`"),
        );
        return None;
    }
    match &node.value {
        Value::Array(items) => {
            let values = list(axis, node.span, items, faults)?;
            let numbers: Option<Vec<f64>> = values.iter().map(|value| as_number(&value.node)).collect();
            let ordered = numbers.is_some_and(|numbers| numbers.windows(2).all(|pair| pair[0] < pair[1]));
            Some((values, ordered))
        }
        Value::Table(table) if table.get("range").is_some() => {
            let nodes = grid::range(axis, node, table, faults)?;
            Some((nodes.into_iter().map(labelled).collect(), true))
        }
        Value::Table(table) if table.get("grid").is_some() => {
            Some((grid::points(axis, node, table, seed, faults)?, false))
        }
        Value::Table(table) => {
            let known = ["range", "grid"];
            let found = table.entries.first().map_or("", |entry| entry.key.as_str());
            let span = table.entries.first().map_or(node.span, |entry| entry.key_span);
            let message = format!("axis `{axis}` has neither `range` nor `grid`");
            faults
                .push(unknown("bad-axis", span, message, found, known, "an axis can be").help(
                    "write a list, `{ range = [0, 9], step = 1 }` or `{ grid = { lr = [...], batch = [...] } }`",
                ));
            None
        }
        _ => {
            let label = format!("expected a list, a range or a grid, found {}", node.value.describe());
            let message = format!("axis `{axis}` has no values to go through");
            faults.push(
                Fault::new("bad-axis", node.span, message, label)
                    .help("put a single value in brackets, or write it where it is used"),
            );
            None
        }
    }
}

fn labelled(node: Node) -> AxisValue {
    AxisValue { label: label_of(&node), node }
}

/// The values of a list that are named where they are tables, and distinct; a fault for each of the others, which are left
/// out so that what uses the axis can still be looked at.
pub(super) fn list(axis: &str, span: Span, items: &[Node], faults: &mut Faults) -> Option<Vec<AxisValue>> {
    if items.is_empty() {
        faults.push(
            Fault::new("empty-axis", span, format!("axis `{axis}` has no values"), "empty")
                .help("give it at least one value, or drop the axis"),
        );
        return None;
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        if let Value::Table(table) = &item.value
            && !is_named(axis, item, table, faults)
        {
            continue;
        }
        let value = labelled(item.clone());
        let same_as = as_number(item).map_or_else(|| value.label.clone(), |number| format!("{:?}", number + 0.0));
        if !seen.insert(same_as) {
            faults.push(
                Fault::new("duplicate-value", item.span, format!("axis `{axis}` has `{}` twice", value.label), "again")
                    .help("values of an axis are told apart by how they print: drop or rename one"),
            );
            continue;
        }
        values.push(value);
    }
    (!values.is_empty()).then_some(values)
}

fn is_named(axis: &str, item: &Node, table: &Table, faults: &mut Faults) -> bool {
    let named =
        table.get("name").is_some_and(|entry| matches!(&entry.node.value, Value::String(name) if !name.is_empty()));
    if !named {
        let span = table.get("name").map_or(item.span, |entry| entry.node.span);
        faults.push(
            Fault::new("unnamed-value", span, format!("a table value of axis `{axis}` has no `name`"), "needs a name")
                .help("add `name = \"...\"`: it labels the value in tables and plots"),
        );
    }
    named
}

#[cfg(test)]
mod tests {
    use super::super::raw::{RawSpec, SourceText};
    use super::*;

    fn axes(text: &str) -> Result<Vec<Axis>, Vec<&'static str>> {
        let mut faults = Faults::new();
        let raw = RawSpec::parse(SourceText { name: "a.toml".into(), text: text.into() }, &mut faults);
        let axes = read(&raw.root, 7, &mut faults);
        if faults.is_empty() { Ok(axes) } else { Err(faults.sorted().iter().map(|fault| fault.code).collect()) }
    }

    fn labels(text: &str) -> Vec<String> {
        axes(text).expect("axes")[0].values.iter().map(|value| value.label.clone()).collect()
    }

    #[test]
    fn lists_keep_their_order_and_print_as_written() {
        assert_eq!(labels("a = [\"x\", \"y z\"]"), ["x", "y z"]);
        assert_eq!(labels("a = [0.0, 1e-7, 3, true]"), ["0.0", "1e-7", "3", "true"]);
        assert_eq!(labels("a = [[300, 100], []]"), ["[300, 100]", "[]"]);
        assert_eq!(labels("a = [{ name = \"s\", k = 1 }]"), ["s"]);
    }

    #[test]
    fn ascending_numbers_are_ordered_and_other_lists_are_not() {
        let ordered = |text: &str| axes(text).expect("axes")[0].ordered;
        assert!(ordered("a = [1, 2.5, 9]"));
        assert!(!ordered("a = [2, 1]"));
        assert!(!ordered("a = [\"a\", \"b\"]"));
        assert!(ordered("a = { range = [3, 1], step = -1 }"));
        assert!(!ordered("a = { grid = { b = [1, 2] } }"));
    }

    #[test]
    fn whole_ranges_include_both_ends() {
        assert_eq!(labels("a = { range = [1, 5] }"), ["1", "2", "3", "4", "5"]);
        assert_eq!(labels("a = { range = [0, 10], step = 4 }"), ["0", "4", "8"]);
        assert_eq!(labels("a = { range = [2, 2] }"), ["2"]);
    }

    #[test]
    fn decimal_ranges_do_not_drift() {
        let tenths = labels("a = { range = [0.0, 1.0], step = 0.1 }");
        assert_eq!(tenths, ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]);
        assert_eq!(labels("a = { range = [1, 0.5], step = -0.25 }"), ["1.0", "0.75", "0.5"]);
        assert_eq!(labels("a = { range = [1e-3, 3e-3], step = 1e-3 }"), ["0.001", "0.002", "0.003"]);
    }

    #[test]
    fn a_grid_is_every_combination_the_last_key_running_fastest() {
        assert_eq!(
            labels("a = { grid = { lr = [0.1, 0.2], batch = [8, 16] } }"),
            ["lr=0.1,batch=8", "lr=0.1,batch=16", "lr=0.2,batch=8", "lr=0.2,batch=16"]
        );
    }

    #[test]
    fn a_sample_is_drawn_without_repetition_and_depends_on_its_seed_alone() {
        let sample = |seed: u32| {
            labels(&format!(
                "a = {{ grid = {{ x = {{ range = [1, 1000] }}, y = {{ range = [1, 1000] }} }}, sample = 50, seed = {seed} }}"
            ))
        };
        let distinct: std::collections::BTreeSet<_> = sample(1).into_iter().collect();
        assert_eq!(distinct.len(), 50);
        assert_eq!(sample(1), sample(1));
        assert_ne!(sample(1), sample(2));
    }

    #[test]
    fn a_sample_of_everything_is_the_whole_grid() {
        assert_eq!(labels("a = { grid = { x = [1, 2], y = [3, 4] }, sample = 4 }").len(), 4);
    }

    #[test]
    fn values_are_found_by_label_and_by_number() {
        let axes = axes("a = [0.1, 1.0]\nb = [\"x\"]").expect("axes");
        assert_eq!(axes[0].position("0.10"), Some(0));
        assert_eq!(axes[0].position("1"), Some(1));
        assert_eq!(axes[1].position("x"), Some(0));
        assert_eq!(axes[1].position("y"), None);
    }

    #[test]
    fn every_slip_is_a_fault() {
        for (text, code) in [
            ("a = []", "empty-axis"),
            ("a = 1", "bad-axis"),
            ("a = { rang = [1, 2] }", "bad-axis"),
            ("a = [1, 1]", "duplicate-value"),
            ("a = [1, 1.0]", "duplicate-value"),
            ("a = [{ k = 1 }]", "unnamed-value"),
            ("a = [\"{b}\"]", "placeholder-in-axis"),
            ("round-1 = [1]", "bad-name"),
            ("\"a b\" = [1]", "bad-name"),
            ("a = { range = [1, 5], step = 0 }", "bad-range"),
            ("a = { range = [5, 1] }", "bad-range"),
            ("a = { range = [1] }", "bad-range"),
            ("a = { range = [1, 2], stop = 1 }", "unknown-key"),
            ("a = { range = [0, 10_000_000] }", "too-many-values"),
            ("a = { grid = {} }", "empty-axis"),
            ("a = { grid = { x = [1] }, sample = 2 }", "bad-sample"),
            ("a = { grid = { x = { range = [1, 2000] }, y = { range = [1, 2000] } } }", "too-many-values"),
        ] {
            assert_eq!(axes(text), Err(vec![code]), "{text}");
        }
    }
}
