//! `[[exclude]]`: combinations of axis values to leave out.

use super::check::Spec;
use super::fault::{Fault, Faults};
use super::filter::position_of;
use super::suggest::unknown;
use super::value::{Node, Span, Value};

/// A combination to leave out: an instance that has one of these values on every one of these axes does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclude {
    /// Where it stands.
    pub span: Span,
    /// Axes and the indices of their values, at least one axis.
    pub axes: Vec<(String, Vec<usize>)>,
}

/// Reads one `[[exclude]]`: a table of axes to a value or several.
pub(super) fn read(node: &Node, spec: &Spec, faults: &mut Faults) -> Option<Exclude> {
    let Value::Table(table) = &node.value else {
        let label = format!("expected a table, found {}", node.value.describe());
        let fault = Fault::new("wrong-type", node.span, "`exclude` has the wrong type", label);
        faults.push(fault.help("write `[[exclude]]` and `axis = value` below"));
        return None;
    };
    if table.entries.is_empty() {
        let fault = Fault::new("empty-exclude", node.span, "this excludes everything", "names no axis");
        faults.push(fault.help("add `axis = value` for each axis of the combination"));
        return None;
    }
    let mut whole = true;
    let mut axes = Vec::new();
    for entry in &table.entries {
        let Some(axis) = spec.axes.iter().find(|axis| axis.name == entry.key) else {
            whole = false;
            if !spec.left_out.contains(&entry.key) {
                let known = spec.axes.iter().map(|axis| axis.name.as_str());
                let message = format!("there is no axis `{}`", entry.key);
                faults.push(unknown("unknown-axis", entry.key_span, message, &entry.key, known, "axes"));
            }
            continue;
        };
        let direct = axis.position(&super::axes::label_of(&entry.node));
        let values = match (&entry.node.value, direct) {
            (_, Some(index)) => vec![Some(index)],
            (Value::Array(items), None) => items.iter().map(|item| position_of(axis, item, faults)).collect(),
            _ => vec![position_of(axis, &entry.node, faults)],
        };
        whole &= values.iter().all(Option::is_some);
        axes.push((axis.name.clone(), values.into_iter().flatten().collect()));
    }
    whole.then_some(Exclude { span: node.span, axes })
}
