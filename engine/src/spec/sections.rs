//! `[data.X]` and other sources, `[stage.X]`, and the sections of definitions: names and kinds. What their tables hold is the kinds' business.

use super::check::{DefinitionTable, Section, Spec, named};
use super::fault::{Fault, Faults};
use super::substitute::placeholders;
use super::suggest::{listed, unknown};
use super::value::{Entry, Node, Table, Value};
use crate::stage::{Kind, Registry, SourceSection};

/// Reads every section into `spec`, in the order of the text; one with a fault in its name or kind is left out.
pub(super) fn read(root: &Table, registry: &Registry, spec: &mut Spec, faults: &mut Faults) {
    for source in registry.sources {
        for entry in named(root, source.section, faults) {
            push(entry, Some(source), Some((&source.kind, entry.node.clone())), spec, faults);
        }
    }
    for entry in named(root, "stage", faults) {
        let kind = kind(entry, registry, faults);
        push(entry, None, kind.map(|kind| (kind, without_kind(&entry.node))), spec, faults);
    }
    spec.sections.sort_by_key(|section| section.name_span);
    for definition in registry.definitions {
        for entry in named(root, definition.section, faults) {
            faults.extend(super::names::fault(definition.section, &entry.key, entry.key_span));
            spec.definitions.push(DefinitionTable {
                section: definition.section,
                name: entry.key.clone(),
                name_span: entry.key_span,
                table: entry.node.clone(),
            });
        }
    }
}

fn push(
    entry: &Entry,
    source: Option<&'static SourceSection>,
    read: Option<(&'static Kind, Node)>,
    spec: &mut Spec,
    faults: &mut Faults,
) {
    let what = source.map_or("stage", |source| source.noun);
    let source = source.map(|source| source.section);
    if let Some(fault) = super::names::fault(what, &entry.key, entry.key_span) {
        faults.push(fault);
        spec.left_out.insert(entry.key.clone());
    } else if let Some(other) = spec.sections.iter().find(|other| other.name == entry.key) {
        let (there, here) = (other.source.unwrap_or("stage"), source.unwrap_or("stage"));
        let message = format!("`{}` is both in `[{there}]` and in `[{here}]`", entry.key);
        let fault = Fault::new("duplicate-name", entry.key_span, message, format!("taken by `[{there}]`"));
        faults.push(fault.help("references tell them apart by name alone: rename one"));
    } else if let Some((kind, table)) = read {
        let (name, name_span) = (entry.key.clone(), entry.key_span);
        spec.sections.push(Section { name, name_span, source, kind, table });
    } else {
        spec.left_out.insert(entry.key.clone());
    }
}

fn kind(entry: &Entry, registry: &Registry, faults: &mut Faults) -> Option<&'static Kind> {
    let Value::Table(table) = &entry.node.value else { return None };
    let Some(written) = table.get("kind") else {
        let message = format!("`stage.{}.kind` is missing", entry.key);
        let fault = Fault::new("missing-key", entry.node.span, message, "needs `kind`");
        faults.push(fault.help(format!("add `kind = ...`: {}", kinds(registry))));
        return None;
    };
    let node = &written.node;
    let Value::String(name) = &node.value else {
        let label = format!("expected a string, found {}", node.value.describe());
        let fault = Fault::new("wrong-type", node.span, "`kind` has the wrong type", label);
        faults.push(fault.help(format!("one of {}", kinds(registry))));
        return None;
    };
    if let Some(place) = placeholders(node).first() {
        let fault =
            Fault::new("varying-kind", place.span, "the kind of a stage cannot vary", "an axis has no place here");
        faults.push(fault.help("write a stage for each kind"));
        return None;
    }
    let found = registry.kind(name);
    if found.is_none() {
        let known = registry.kinds.iter().map(|kind| kind.name);
        faults.push(unknown("unknown-kind", node.span, format!("there is no kind `{name}`"), name, known, "kinds"));
    }
    found
}

/// The kinds of the registry, as a help lists them.
pub(super) fn kinds(registry: &Registry) -> String {
    listed(registry.kinds.iter().map(|kind| kind.name))
}

fn without_kind(node: &Node) -> Node {
    let Value::Table(table) = &node.value else { return node.clone() };
    let entries = table.entries.iter().filter(|entry| entry.key != "kind").cloned().collect();
    Node { value: Value::Table(Table { entries }), span: node.span }
}
