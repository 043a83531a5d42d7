//! Schema-directed walks over a table that is not filled in yet: which strings are references, which name definitions.

use super::schema::{Record, Schema};
use super::value::{Node, Span, Table, Value};

/// A reference as it stands in a spec, axes not filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its text, which may hold `{axis}`.
    pub text: String,
    /// Where it stands.
    pub span: Span,
    /// Whether what it refers to may be absent.
    pub optional: bool,
    /// The dotted path of the key it is written under.
    pub field: String,
    /// Names of the artifact types that are taken there.
    pub accepts: &'static [&'static str],
}

/// Every reference in a table, wherever its schema has an input.
#[must_use]
pub fn references(record: &Record, table: &Node) -> Vec<Template> {
    let mut found = Found::default();
    found.record(record, table, "");
    found.references
}

/// Every string in a table that stands for a `[section.X]` table, with the section.
#[must_use]
pub fn definition_names(record: &Record, table: &Node) -> Vec<(&'static str, Node)> {
    let mut found = Found::default();
    found.record(record, table, "");
    found.definitions
}

#[derive(Default)]
struct Found {
    references: Vec<Template>,
    definitions: Vec<(&'static str, Node)>,
}

impl Found {
    fn record(&mut self, record: &Record, node: &Node, path: &str) {
        let Value::Table(table) = &node.value else { return };
        for field in &record.fields {
            if let Some(entry) = table.get(field.name) {
                self.schema(&field.schema, &entry.node, &joined(path, field.name));
            }
        }
    }

    fn schema(&mut self, schema: &Schema, node: &Node, path: &str) {
        match (schema, &node.value) {
            (Schema::Input { accepts, many: true }, Value::Array(items)) => {
                for item in items {
                    self.reference(item, path, accepts);
                }
            }
            (Schema::Input { accepts, .. }, _) => self.reference(node, path, accepts),
            (Schema::List(item), Value::Array(items)) => {
                for (index, node) in items.iter().enumerate() {
                    self.schema(item, node, &format!("{path}[{index}]"));
                }
            }
            (Schema::Map(value), Value::Table(table)) => {
                for entry in &table.entries {
                    self.schema(value, &entry.node, &joined(path, &entry.key));
                }
            }
            (Schema::Record(record), _) => self.record(record, node, path),
            (Schema::Choice(variants), Value::Table(Table { entries })) => {
                for entry in entries {
                    let variant = variants.iter().find(|variant| variant.name == entry.key);
                    if let Some(content) = variant.and_then(|variant| variant.content.as_ref()) {
                        self.schema(content, &entry.node, &joined(path, &entry.key));
                    }
                }
            }
            (Schema::AnyOf(shapes), _) => {
                if let Some(shape) = shapes.iter().find(|shape| fits(shape, &node.value)) {
                    self.schema(shape, node, path);
                }
            }
            (Schema::Definition { section, .. }, Value::String(_)) => self.definitions.push((section, node.clone())),
            (Schema::Named { content, .. }, _) | (Schema::Definition { content, .. }, Value::Table(_)) => {
                self.schema(content, node, path);
            }
            _ => {}
        }
    }

    fn reference(&mut self, node: &Node, path: &str, accepts: &'static [&'static str]) {
        let (from, optional) = match &node.value {
            Value::Table(table) => {
                let optional = table.get("optional").is_some_and(|entry| entry.node.value == Value::Boolean(true));
                (table.get("from").map(|entry| &entry.node), optional)
            }
            _ => (Some(node), false),
        };
        let Some(Node { value: Value::String(text), span }) = from else { return };
        if !text.is_empty() {
            let (text, field) = (text.clone(), path.to_owned());
            self.references.push(Template { text, span: *span, optional, field, accepts });
        }
    }
}

/// Whether a value could be meant for a shape, by the look of its outermost layer.
fn fits(schema: &Schema, value: &Value) -> bool {
    match schema {
        Schema::Boolean => matches!(value, Value::Boolean(_)),
        Schema::Integer { .. } | Schema::Seed => matches!(value, Value::Integer(_)),
        Schema::Number { .. } => matches!(value, Value::Integer(_) | Value::Float(_)),
        Schema::Text => matches!(value, Value::String(_)),
        Schema::List(_) => matches!(value, Value::Array(_)),
        Schema::Map(_) | Schema::Record(_) => matches!(value, Value::Table(_)),
        Schema::Choice(variants) => match value {
            Value::String(word) => variants.iter().any(|variant| variant.name == word),
            Value::Table(table) => variants.iter().any(|variant| table.get(variant.name).is_some()),
            _ => false,
        },
        Schema::AnyOf(shapes) => shapes.iter().any(|shape| fits(shape, value)),
        Schema::Named { content, .. } => fits(content, value),
        Schema::Again(_) => false,
        Schema::Input { many, .. } => {
            matches!(value, Value::String(_) | Value::Table(_)) || *many && matches!(value, Value::Array(_))
        }
        Schema::Definition { .. } => matches!(value, Value::String(_) | Value::Table(_)),
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
