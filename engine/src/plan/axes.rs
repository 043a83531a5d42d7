//! Over which axes a stage is repeated: exactly those that it, or an input it refers to, mentions.
//!
//! References may run in circles between names (a ticket prunes what the last ticket trained), so the answer is the
//! least fixed point: start from what each section mentions itself, and add what its inputs bring until nothing changes.

use std::collections::BTreeSet;

use super::lookup::Lookup;
use crate::spec::{Faults, Node, Pick, Reference, Template, Value, placeholders, references, substitute};

/// For each section of the spec, in its order, the indices of its axes in ascending order.
pub(super) fn of_sections(lookup: &Lookup<'_>, faults: &mut Faults) -> Vec<Vec<usize>> {
    let mut found: Vec<BTreeSet<usize>> = Vec::new();
    let mut needs: Vec<Vec<Reference>> = Vec::new();
    for section in &lookup.spec.sections {
        let record = section.kind.record();
        let needed: Vec<_> =
            references(&record, &section.table).iter().flat_map(|template| possible(lookup, template)).collect();
        let mut axes = lookup.axes_mentioned(&section.table, &record, faults);
        axes.extend(needed.iter().flat_map(|reference| stepped(lookup, reference)));
        found.push(axes);
        needs.push(needed);
    }
    loop {
        let mut changed = false;
        for (reader, references) in needs.iter().enumerate() {
            for reference in references {
                let Some(target) = lookup.section(&reference.name) else { continue };
                let brought = brought(lookup, reference, &found[target]);
                let before = found[reader].len();
                found[reader].extend(brought);
                changed |= found[reader].len() != before;
            }
        }
        if !changed {
            return found.into_iter().map(|axes| axes.into_iter().collect()).collect();
        }
    }
}

/// The axes along which a reference asks for an earlier value: to do so is to mention them.
fn stepped(lookup: &Lookup<'_>, reference: &Reference) -> impl Iterator<Item = usize> {
    let steps = reference.selections.iter().filter(|selection| matches!(selection.pick, Pick::Previous(_)));
    steps.filter_map(|selection| lookup.axis(&selection.axis))
}

/// The axes of `target` that a reader of `reference` is repeated over as well: all but the fixed and the collected ones.
fn brought(lookup: &Lookup<'_>, reference: &Reference, target: &BTreeSet<usize>) -> Vec<usize> {
    let settled = |axis: &usize| {
        reference.selections.iter().any(|selection| {
            lookup.axis(&selection.axis) == Some(*axis) && !matches!(selection.pick, Pick::Previous(_))
        })
    };
    target.iter().copied().filter(|axis| !settled(axis)).collect()
}

/// Every reference that a template can turn into, over all values of the axes that its text mentions.
///
/// Faults are left to the expansion, which meets each of them again at an instance.
fn possible(lookup: &Lookup<'_>, template: &Template) -> Vec<Reference> {
    let node = Node { value: Value::String(template.text.clone()), span: template.span };
    let mut axes: Vec<usize> = placeholders(&node).iter().filter_map(|place| lookup.axis(&place.axis)).collect();
    axes.sort_unstable();
    axes.dedup();
    let mut texts = BTreeSet::new();
    lookup.for_each_point(&axes, &mut |point| {
        let filled = substitute(&node, &|name| lookup.value_at(&axes, point, name), &mut Faults::new());
        if let Some(Value::String(text)) = filled.map(|node| node.value) {
            texts.insert(text);
        }
    });
    texts.iter().filter_map(|text| Reference::parse(text, template.span).ok()).collect()
}
