//! What figures and expectations share: the table they look at, and `where`, which picks its rows.

use duress_cache::Tree;

use super::Section;
use super::axes::{Axis, as_number};
use super::fault::{Fault, Faults};
use super::from_spec::{FromSpec, Scope};
use super::reference::Reference;
use super::scalar::Spanned;
use super::schema::Schema;
use super::suggest::{listed, nearest, unknown};
use super::value::{Node, Span, Value};

/// A stage's table, collected over all of the stage's axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// The stage or data section.
    pub section: String,
    /// Its output; one that the kind documents.
    pub output: &'static str,
    /// Where the name stands.
    pub span: Span,
}

/// `where`: rows that fulfil all of these conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter(pub Vec<Condition>);

/// A column (of the table, or an axis) and the values that it may have.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The column.
    pub column: Spanned<String>,
    /// The values, at least one: booleans, numbers and strings.
    pub values: Vec<Node>,
}

impl Condition {
    /// Whether a number is one of the values.
    #[must_use]
    pub fn takes_number(&self, number: f64) -> bool {
        self.values.iter().any(|value| as_number(value) == Some(number))
    }

    /// Whether a text is one of the values; numbers and booleans count as they are printed.
    #[must_use]
    pub fn takes_text(&self, text: &str) -> bool {
        self.values.iter().any(|value| super::axes::label_of(value) == text)
    }

    /// Whether a boolean is one of the values.
    #[must_use]
    pub fn takes_boolean(&self, boolean: bool) -> bool {
        self.values.iter().any(|value| value.value == Value::Boolean(boolean))
    }
}

impl FromSpec for Filter {
    fn schema() -> Schema {
        let scalar = vec![Schema::Boolean, f64::schema(), Schema::Text];
        let one_or_many = [scalar.clone(), vec![Schema::List(Box::new(Schema::AnyOf(scalar)))]].concat();
        Schema::Map(Box::new(Schema::AnyOf(one_or_many)))
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            scope.wrong_type_with(node, "a table", Some("write `where = { column = value }`".to_owned()));
            return None;
        };
        let mut conditions = Vec::new();
        for entry in &table.entries {
            let values = match &entry.node.value {
                Value::Array(items) => items.clone(),
                _ => vec![entry.node.clone()],
            };
            if values.is_empty() {
                let message = format!("`{}` can have no value at all", entry.key);
                scope.fault(
                    Fault::new("empty-list", entry.node.span, message, "empty").help("list a value, or drop the key"),
                );
            }
            for value in &values {
                if matches!(value.value, Value::Array(_) | Value::Table(_)) {
                    scope.inside(&entry.key, |scope| scope.wrong_type(value, "a boolean, a number or a string"));
                }
            }
            let column = Spanned { value: entry.key.clone(), span: entry.key_span };
            conditions.push(Condition { column, values });
        }
        Some(Self(conditions))
    }

    fn to_tree(&self) -> Option<Tree> {
        None
    }
}

impl Filter {
    /// Checks that every value of a condition on an axis is one of the axis.
    pub(super) fn check(&self, axes: &[Axis], faults: &mut Faults) {
        for condition in &self.0 {
            let Some(axis) = axes.iter().find(|axis| axis.name == *condition.column.value) else { continue };
            for value in &condition.values {
                position_of(axis, value, faults);
            }
        }
    }
}

/// The index of the axis value that `node` means, by label or number; a fault where there is none.
pub(super) fn position_of(axis: &Axis, node: &Node, faults: &mut Faults) -> Option<usize> {
    let text = super::axes::label_of(node);
    let found = axis.position(&text);
    if found.is_none() {
        let labels = axis.values.iter().map(|value| value.label.as_str());
        let message = format!("axis `{}` has no value `{text}`", axis.name);
        faults.push(unknown("unknown-axis-value", node.span, message, &text, labels, "its values are"));
    }
    found
}

/// The table that a figure or an expectation names.
pub(super) fn table_name(written: &Spanned<String>, sections: &[Section], faults: &mut Faults) -> Option<TableName> {
    let reference = match Reference::parse(written, written.span) {
        Ok(reference) => reference,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    if !reference.selections.is_empty() {
        let message = format!("`{}` selects values of an axis", written.value);
        let fault = Fault::new("selection-in-table", written.span, message, "a table is the stage's over all its axes");
        faults.push(fault.help("pick rows with `where = { axis = value }`"));
        return None;
    }
    let names = sections.iter().map(|section| section.name.as_str());
    let Some(section) = sections.iter().find(|section| section.name == reference.name) else {
        let message = format!("there is no stage or data set `{}`", reference.name);
        faults.push(unknown("unknown-stage", written.span, message, &reference.name, names, "stages and data sets"));
        return None;
    };
    let outputs = section.kind.outputs;
    let output = match &reference.output {
        Some(name) => outputs.iter().find(|output| output.name == name),
        None => outputs.iter().find(|output| output.artifact == "table").or(outputs.first()),
    };
    if output.is_none() {
        let name = reference.output.as_deref().unwrap_or_default();
        let label = match nearest(name, outputs.iter().map(|output| output.name)) {
            Some(near) => format!("did you mean `{}.{near}`?", reference.name),
            None => "not an output".to_owned(),
        };
        let message = format!("`{}` has no output `{name}`", reference.name);
        let help = format!("its outputs are {}", listed(outputs.iter().map(|output| output.name)));
        faults.push(Fault::new("unknown-output", written.span, message, label).help(help));
    }
    output.map(|output| TableName { section: reference.name, output: output.name, span: written.span })
}
