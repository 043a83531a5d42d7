//! The JSON schema says of every key what the parser says of it.

mod support;

use duress_engine::spec::{Record, json_schema};
use serde_json::Value;

/// The schema of `[stage.X]` for one kind.
fn stage<'s>(schema: &'s Value, kind: &str) -> &'s Value {
    let kinds = schema["properties"]["stage"]["additionalProperties"]["oneOf"].as_array().expect("a list of kinds");
    kinds.iter().find(|stage| stage["properties"]["kind"]["const"] == kind).expect("the kind is in the schema")
}

fn assert_tells(table: &Value, record: &Record) {
    assert_eq!(table["additionalProperties"], false);
    for field in &record.fields {
        let property = &table["properties"][field.name];
        assert!(property["description"].as_str().is_some_and(|text| text.starts_with(&field.doc)), "{}", field.name);
        let required = table["required"].as_array().expect("a list").contains(&field.name.into());
        assert_eq!(required, field.required, "{}", field.name);
        assert_eq!(property.get("default").is_some(), field.default.is_some(), "{}", field.name);
    }
}

#[test]
fn every_key_of_every_kind_is_in_the_schema_with_its_help_and_its_default() {
    let schema = json_schema(&support::REGISTRY);
    for kind in support::REGISTRY.kinds {
        let table = stage(&schema, kind.name);
        assert_tells(table, &kind.record());
        assert!(table["required"].as_array().expect("a list").contains(&"kind".into()));
    }
    assert_tells(&schema["properties"]["data"]["additionalProperties"], &support::REGISTRY.sources[0].kind.record());
}

#[test]
fn every_section_of_a_spec_and_no_other_is_allowed() {
    let schema = json_schema(&support::REGISTRY);
    let sections = schema["properties"].as_object().expect("sections");
    let names: Vec<&str> = sections.keys().map(String::as_str).collect();
    assert_eq!(names, ["axes", "data", "exclude", "expect", "figure", "model", "stage", "study"]);
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn every_pointer_leads_somewhere() {
    let schema = json_schema(&support::REGISTRY);
    let mut pointers = Vec::new();
    collect(&schema, &mut pointers);
    assert!(!pointers.is_empty());
    for pointer in pointers {
        assert!(schema.pointer(pointer.trim_start_matches('#')).is_some(), "{pointer}");
    }
}

fn collect(value: &Value, pointers: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            pointers.extend(entries.get("$ref").and_then(Value::as_str).map(str::to_owned));
            entries.values().for_each(|value| collect(value, pointers));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, pointers)),
        _ => {}
    }
}
