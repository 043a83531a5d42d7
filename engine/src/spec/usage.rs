//! Mistakes that show only when a spec is seen as a whole: axes that nothing varies with, malformed placeholders.

use std::collections::BTreeSet;

use super::check::Spec;
use super::fault::{Fault, Faults};
use super::reference::Reference;
use super::sections::kinds;
use super::substitute::{field, has_malformed, placeholders, visit_strings};
use super::suggest::{nearest, unknown};
use super::value::{Node, Span, Table, Value};
use crate::stage::Registry;

/// Checks that there is something to run, that placeholders name axes and fields, and that every axis is used.
pub(super) fn check(spec: &Spec, root: &Table, registry: &Registry, faults: &mut Faults) {
    if let Some(study) = root.get("study")
        && root.get("stage").is_none()
        && registry.sources.iter().all(|source| root.get(source.section).is_none())
    {
        let fault = Fault::new("empty-study", study.key_span, "this study has no stages", "nothing to run");
        faults.push(fault.help(format!("add a table `[stage.X]` with `kind = ...`: {}", kinds(registry))));
    }
    let definitions = spec.definitions.iter().map(|definition| &definition.table);
    for table in spec.sections.iter().map(|section| &section.table).chain(definitions) {
        check_placeholders(table, spec, faults);
    }
    check_use(spec, root, faults);
}

/// Checks that something varies with every axis.
fn check_use(spec: &Spec, root: &Table, faults: &mut Faults) {
    let values = spec.axes.iter().flat_map(|axis| axis.values.iter().map(|value| &value.node));
    // What is written in a section that was left out counts as well: its own fault says enough.
    let written =
        root.entries.iter().filter(|entry| !["axes", "figure", "expect", "exclude"].contains(&entry.key.as_str()));
    let (mut mentioned, mut malformed) = (BTreeSet::new(), false);
    for node in values.chain(written.map(|entry| &entry.node)) {
        collect_axes(node, &mut mentioned);
        malformed |= has_malformed(node);
    }
    let names = || spec.axes.iter().map(|axis| axis.name.as_str());
    let misspelt: Vec<&str> = mentioned
        .iter()
        .filter(|name| names().all(|known| known != name.as_str()))
        .filter_map(|name| nearest(name, names()))
        .collect();
    let meant = |name: &str| mentioned.contains(name) || misspelt.contains(&name);
    for axis in spec.axes.iter().filter(|axis| !malformed && !meant(&axis.name)) {
        let message = format!("nothing varies with axis `{}`", axis.name);
        let help = format!("write `\"{{{}}}\"` where its values belong, or drop the axis", axis.name);
        faults.push(Fault::new("unused-axis", axis.span, message, "not used").help(help));
    }
}

/// The axes that strings below a node mention, in placeholders or in the brackets of references.
fn collect_axes(node: &Node, used: &mut BTreeSet<String>) {
    used.extend(placeholders(node).into_iter().map(|place| place.axis));
    visit_strings(node, &mut |text, _| {
        if text.contains('[')
            && let Ok(reference) = Reference::parse(text, Span::default())
        {
            used.extend(reference.selections.into_iter().map(|selection| selection.axis));
        }
    });
}

fn check_placeholders(table: &Node, spec: &Spec, faults: &mut Faults) {
    for place in placeholders(table) {
        let Some(axis) = spec.axes.iter().find(|axis| axis.name == place.axis) else {
            if !spec.left_out.contains(&place.axis) {
                let known = spec.axes.iter().map(|axis| axis.name.as_str());
                let message = format!("there is no axis `{}`", place.axis);
                let fault = unknown("unknown-axis", place.span, message, &place.axis, known, "axes");
                faults.push(
                    fault.help(format!("add `{} = [...]` under `[axes]`, or write `{{{{` for a brace", place.axis)),
                );
            }
            continue;
        };
        if axis.values.iter().any(|value| field(&value.node, &place.field).is_some()) {
            continue;
        }
        let mut fields: Vec<&str> = Vec::new();
        for value in &axis.values {
            if let Value::Table(table) = &value.node.value {
                fields.extend(table.entries.iter().map(|entry| entry.key.as_str()));
            }
        }
        fields.sort_unstable();
        fields.dedup();
        let name = place.field.join(".");
        let message = format!("no value of axis `{}` has a `{name}`", axis.name);
        let fault = unknown("unknown-field", place.span, message, &name, fields.iter().copied(), "its fields");
        let plain = format!("its values are plain: write `{{{}}}`", axis.name);
        faults.push(if fields.is_empty() { fault.help(plain) } else { fault });
    }
}
