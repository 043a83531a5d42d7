//! The spec language as a JSON schema (draft 2020-12), so that editors complete and check specs as they are written.
//!
//! `[stage.X]` is one of the kinds, told apart by `kind`; where a stage may use an axis, a string with `{axis}` is taken
//! in the place of any value.

use serde_json::{Map, Value as Json, json};

use super::check::Study;
use super::expect::ExpectTable;
use super::fault::Faults;
use super::figure::FigureTable;
use super::from_spec::FromSpec;
use super::raw::{RawSpec, SourceText};
use super::schema::{Field, Record, Schema, Variant};
use super::value::{Node, Value};
use crate::stage::{Kind, Registry};

/// The schema of a whole spec, for the kinds, data and definitions of a registry.
#[must_use]
pub fn json_schema(registry: &Registry) -> Json {
    let mut sections = Map::new();
    sections.insert("study".into(), schema(&Study::schema(), Axes::No));
    sections.insert(
        "axes".into(),
        described(named(&reference("axis")), "What varies; written `\"{axis}\"` where a value belongs."),
    );
    for source in registry.sources {
        let table = record(&source.kind.record(), Axes::Yes);
        sections.insert(source.section.into(), described(named(&table), source.kind.summary));
    }
    for definition in registry.definitions {
        let table = schema(&(definition.schema)(), Axes::Yes);
        sections.insert(definition.section.into(), described(named(&table), definition.summary));
    }
    let kinds: Vec<Json> = registry.kinds.iter().map(stage).collect();
    sections.insert(
        "stage".into(),
        described(named(&json!({ "oneOf": kinds })), "Stages; the references between them make the graph."),
    );
    sections.insert("figure".into(), named(&schema(&FigureTable::schema(), Axes::No)));
    sections.insert("expect".into(), list(&schema(&ExpectTable::schema(), Axes::No)));
    let exclude = json!({ "type": "object", "minProperties": 1 });
    sections.insert("exclude".into(), described(list(&exclude), "Combinations of axis values to leave out."));
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Duress study",
        "type": "object",
        "required": ["study"],
        "additionalProperties": false,
        "properties": sections,
        "$defs": {
            "placeholder": {
                "type": "string",
                "pattern": r"\{[A-Za-z0-9_.-]+\}",
                "description": "The value of an axis, or a field of it: \"{axis}\", \"{axis.field}\".",
            },
            "reference": reference_schema(),
            "axis": axis_schema(),
        },
    });
    for shape in shapes_of(registry) {
        define(&shape, &mut whole["$defs"]);
    }
    whole
}

/// The shapes of all sections.
fn shapes_of(registry: &Registry) -> Vec<Schema> {
    let sources = registry.sources.iter().map(|source| Schema::Record(source.kind.record()));
    let kinds = registry.kinds.iter().map(|kind| Schema::Record(kind.record()));
    sources.chain(kinds).chain(registry.definitions.iter().map(|definition| (definition.schema)())).collect()
}

/// Writes the named shapes in `shape` among the definitions.
fn define(shape: &Schema, definitions: &mut Json) {
    match shape {
        Schema::Named { name, content } if definitions.get(name).is_none() => {
            definitions[*name] = schema(content, Axes::Yes);
            define(content, definitions);
        }
        Schema::List(inner) | Schema::Map(inner) => define(inner, definitions),
        Schema::Definition { content, .. } => define(content, definitions),
        Schema::Record(record) => record.fields.iter().for_each(|field| define(&field.schema, definitions)),
        Schema::AnyOf(shapes) => shapes.iter().for_each(|shape| define(shape, definitions)),
        Schema::Choice(variants) => {
            variants.iter().filter_map(|variant| variant.content.as_ref()).for_each(|shape| define(shape, definitions));
        }
        _ => {}
    }
}

/// Whether axes may be substituted in a value.
#[derive(Clone, Copy, PartialEq)]
enum Axes {
    Yes,
    No,
}

fn stage(kind: &Kind) -> Json {
    let mut table = record(&kind.record(), Axes::Yes);
    table["description"] = json!(kind.summary);
    table["properties"]["kind"] = json!({ "const": kind.name, "description": kind.summary });
    let required = table["required"].as_array().cloned().unwrap_or_default();
    table["required"] = json!([vec![json!("kind")], required].concat());
    table
}

fn schema(shape: &Schema, axes: Axes) -> Json {
    match shape {
        Schema::Boolean => or_axis(json!({ "type": "boolean" }), axes),
        Schema::Integer { min, max } => or_axis(bounded("integer", json!(min), json!(max), false), axes),
        Schema::Seed => or_axis(json!({ "type": "integer", "minimum": 0 }), axes),
        Schema::Number { min, max, above_min } => or_axis(bounded("number", json!(min), json!(max), *above_min), axes),
        Schema::Text => {
            // A placeholder alone may bring any type, a placeholder in a text is a string like any other.
            json!({ "type": "string" })
        }
        Schema::List(item) => or_axis(list(&schema(item, axes)), axes),
        Schema::Map(value) => or_axis(named(&schema(value, axes)), axes),
        Schema::Record(keys) => or_axis(record(keys, axes), axes),
        Schema::Choice(variants) => or_axis(choice(variants, axes), axes),
        Schema::Named { name, .. } | Schema::Again(name) => reference(name),
        Schema::AnyOf(shapes) => json!({ "anyOf": shapes.iter().map(|shape| schema(shape, axes)).collect::<Vec<_>>() }),
        Schema::Input { many: false, .. } => reference("reference"),
        Schema::Input { many: true, .. } => json!({ "anyOf": [reference("reference"), list(&reference("reference"))] }),
        Schema::Definition { content, .. } => json!({ "anyOf": [{ "type": "string" }, schema(content, axes)] }),
    }
}

fn or_axis(schema: Json, axes: Axes) -> Json {
    if axes == Axes::Yes { json!({ "anyOf": [schema, reference("placeholder")] }) } else { schema }
}

fn bounded(kind: &str, min: Json, max: Json, above_min: bool) -> Json {
    let mut schema = json!({ "type": kind });
    if !min.is_null() {
        schema[if above_min { "exclusiveMinimum" } else { "minimum" }] = min;
    }
    if !max.is_null() {
        schema["maximum"] = max;
    }
    schema
}

fn record(record: &Record, axes: Axes) -> Json {
    let properties: Map<String, Json> =
        record.fields.iter().map(|field| (field.name.to_owned(), property(field, axes))).collect();
    let required: Vec<&str> = record.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let table = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    described(table, &record.doc)
}

fn property(field: &Field, axes: Axes) -> Json {
    let mut property = schema(&field.schema, axes);
    let unit = if field.unit.is_empty() { String::new() } else { format!(" In {}.", field.unit) };
    property["description"] = json!(format!("{}{unit}", field.doc));
    if let Some(default) = field.default.as_deref().and_then(toml_to_json) {
        property["default"] = default;
    }
    property
}

/// Words alone as one enumeration, and a table of one key for every variant with content.
fn choice(variants: &[Variant], axes: Axes) -> Json {
    let alone = |variant: &&Variant| match &variant.content {
        None => true,
        Some(Schema::Record(record)) => record.fields.iter().all(|field| !field.required),
        Some(_) => false,
    };
    let mut forms: Vec<Json> = variants
        .iter()
        .filter(alone)
        .map(|variant| json!({ "const": variant.name, "description": variant.doc }))
        .collect();
    for variant in variants {
        let Some(content) = &variant.content else { continue };
        let mut table = json!({ "type": "object", "required": [variant.name], "additionalProperties": false });
        table["properties"][variant.name] = schema(content, axes);
        forms.push(described(table, &variant.doc));
    }
    json!({ "anyOf": forms })
}

fn list(item: &Json) -> Json {
    json!({ "type": "array", "items": item })
}

fn named(table: &Json) -> Json {
    json!({ "type": "object", "additionalProperties": table })
}

fn reference(definition: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{definition}") })
}

fn described(mut schema: Json, doc: &str) -> Json {
    if !doc.is_empty() {
        schema["description"] = json!(doc);
    }
    schema
}

fn reference_schema() -> Json {
    json!({
        "description": "What another stage makes: \"train\", \"train.curve\", \"train[seed=1]\", \"train[seed=*]\", \"prune[round-1].mask\".",
        "anyOf": [
            { "type": "string" },
            {
                "type": "object",
                "required": ["from"],
                "additionalProperties": false,
                "properties": {
                    "from": { "type": "string", "description": "The reference." },
                    "optional": {
                        "type": "boolean",
                        "default": false,
                        "description": "Whether it may be absent, as at the first value of an axis.",
                    },
                },
            },
        ],
    })
}

fn axis_schema() -> Json {
    let values = json!({ "type": "array", "minItems": 1, "description": "Its values; tables need a `name`." });
    let range = json!({
        "type": "object",
        "required": ["range"],
        "additionalProperties": false,
        "properties": {
            "range": {
                "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2,
                "description": "The first and the last number, both included.",
            },
            "step": { "type": "number", "default": 1, "description": "From one number to the next." },
        },
    });
    json!({
        "anyOf": [
            values,
            range,
            {
                "type": "object",
                "required": ["grid"],
                "additionalProperties": false,
                "properties": {
                    "grid": {
                        "description": "Every combination of these lists; written `{axis.key}`.",
                        "type": "object",
                        "minProperties": 1,
                        "additionalProperties": { "anyOf": [values, range] },
                    },
                    "sample": {
                        "type": "integer", "minimum": 1,
                        "description": "How many of them to draw, without repetition; all where it is absent.",
                    },
                    "seed": {
                        "type": "integer", "minimum": 0,
                        "description": "What the draw depends on; the study's seed where it is absent.",
                    },
                },
            },
        ],
    })
}

/// A default, which is documented as TOML, as JSON; nothing for numbers that JSON lacks.
fn toml_to_json(text: &str) -> Option<Json> {
    let mut faults = Faults::new();
    let raw = RawSpec::parse(SourceText { name: String::new(), text: format!("default = {text}") }, &mut faults);
    if faults.is_empty() { node_to_json(&raw.root.get("default")?.node) } else { None }
}

fn node_to_json(node: &Node) -> Option<Json> {
    Some(match &node.value {
        Value::Boolean(value) => json!(value),
        Value::Integer(value) => json!(value),
        Value::Float(value) if value.is_finite() => json!(value),
        Value::Float(_) => return None,
        Value::String(value) => json!(value),
        Value::Array(items) => Json::Array(items.iter().map(node_to_json).collect::<Option<_>>()?),
        Value::Table(table) => {
            let entry = |entry: &super::value::Entry| Some((entry.key.clone(), node_to_json(&entry.node)?));
            Json::Object(table.entries.iter().map(entry).collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Count, Fraction, Positive};

    #[test]
    fn bounds_and_placeholders_are_part_of_a_value() {
        let placeholder = json!({ "$ref": "#/$defs/placeholder" });
        assert_eq!(
            schema(&Positive::schema(), Axes::Yes),
            json!({ "anyOf": [{ "type": "number", "exclusiveMinimum": 0.0 }, placeholder] })
        );
        assert_eq!(schema(&Count::schema(), Axes::No), json!({ "type": "integer", "minimum": 1 }));
        assert_eq!(schema(&Fraction::schema(), Axes::No), json!({ "type": "number", "minimum": 0.0, "maximum": 1.0 }));
    }

    #[test]
    fn defaults_become_json() {
        assert_eq!(toml_to_json("{ lr = 0.001, hidden = [1, 2] }"), Some(json!({ "lr": 0.001, "hidden": [1, 2] })));
        assert_eq!(toml_to_json("inf"), None);
    }

    #[test]
    fn a_word_may_stand_alone_only_where_nothing_is_required() {
        let table = |required| {
            let field =
                Field { name: "k", doc: String::new(), schema: Schema::Boolean, required, default: None, unit: "" };
            Some(Schema::Record(Record { doc: String::new(), fields: vec![field] }))
        };
        let variant = |name, content| Variant { name, doc: "Doc.".to_owned(), content };
        let found = choice(&[variant("a", None), variant("b", table(false)), variant("c", table(true))], Axes::No);
        let consts: Vec<_> =
            found["anyOf"].as_array().expect("forms").iter().filter_map(|form| form["const"].as_str()).collect();
        assert_eq!(consts, ["a", "b"]);
    }
}
