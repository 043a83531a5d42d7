//! Finding things of a spec by name: sections, axes, definitions.

use std::collections::{BTreeMap, BTreeSet};

use crate::spec::{
    AxisValue, DefinitionTable, Fault, Faults, Node, Record, Reference, Span, Spec, Value, definition_names, nearest,
    placeholders, substitute,
};

/// How many stage instances a study may have, exclusions aside: a plan holds all of them in memory.
pub(super) const MOST_INSTANCES: usize = 200_000;

/// A spec with indices over its names.
pub(super) struct Lookup<'a> {
    /// The spec.
    pub(super) spec: &'a Spec,
    sections: BTreeMap<&'a str, usize>,
    axes: BTreeMap<&'a str, usize>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(spec: &'a Spec) -> Self {
        let sections = spec.sections.iter().enumerate().map(|(i, section)| (section.name.as_str(), i)).collect();
        let axes = spec.axes.iter().enumerate().map(|(i, axis)| (axis.name.as_str(), i)).collect();
        Self { spec, sections, axes }
    }

    /// The index of the stage or data section of that name.
    pub(super) fn section(&self, name: &str) -> Option<usize> {
        self.sections.get(name).copied()
    }

    /// The index of the axis of that name.
    pub(super) fn axis(&self, name: &str) -> Option<usize> {
        self.axes.get(name).copied()
    }

    /// The names of all sections.
    pub(super) fn section_names(&self) -> impl Iterator<Item = &str> {
        self.spec.sections.iter().map(|section| section.name.as_str())
    }

    /// The value of the axis called `name` at a point given by one index per axis of `axes`.
    pub(super) fn value_at(&self, axes: &[usize], point: &[usize], name: &str) -> Option<&AxisValue> {
        let axis = self.axis(name)?;
        let position = axes.iter().position(|&other| other == axis)?;
        self.spec.axes[axis].values.get(point[position])
    }

    /// How many points the product of `axes` has, without exclusions.
    pub(super) fn count_points(&self, axes: &[usize]) -> usize {
        axes.iter().fold(1, |points: usize, &axis| points.saturating_mul(self.spec.axes[axis].values.len()))
    }

    /// Calls `visit` with every point of the product of `axes`, the last axis running fastest; with none of a product
    /// beyond [`MOST_INSTANCES`], which the grid refuses.
    pub(super) fn for_each_point(&self, axes: &[usize], visit: &mut dyn FnMut(&[usize])) {
        if !(1..=MOST_INSTANCES).contains(&self.count_points(axes)) {
            return;
        }
        let lengths: Vec<usize> = axes.iter().map(|&axis| self.spec.axes[axis].values.len()).collect();
        let mut point = vec![0; axes.len()];
        loop {
            visit(&point);
            let Some(position) = (0..point.len()).rev().find(|&i| point[i] + 1 < lengths[i]) else { return };
            point[position] += 1;
            point[position + 1..].fill(0);
        }
    }

    /// The axes that a table mentions in `{axis}` placeholders, its own or those of the definitions that it names.
    pub(super) fn axes_mentioned(&self, table: &Node, record: &Record, faults: &mut Faults) -> BTreeSet<usize> {
        let mut axes = self.placeholder_axes(table, faults);
        for (section, name) in definition_names(record, table) {
            for definition in self.possible_definitions(section, &name) {
                axes.extend(self.placeholder_axes(definition, faults));
            }
        }
        axes
    }

    /// The faults of definitions that no section names: nothing else would ever look into them.
    pub(super) fn unused_definitions(&self) -> Vec<Fault> {
        let mut named: Vec<&Node> = Vec::new();
        for section in &self.spec.sections {
            for (kind, name) in definition_names(&section.kind.record(), &section.table) {
                named.extend(self.possible_definitions(kind, &name));
            }
        }
        let unused = |table: &&DefinitionTable| !named.iter().any(|node| std::ptr::eq(*node, &raw const table.table));
        let fault = |table: &DefinitionTable| {
            let message = format!("no stage names `[{}.{}]`", table.section, table.name);
            Fault::new("unused-definition", table.name_span, message, "not used")
                .help(format!("write `{} = \"{}\"` in a stage, or drop the table", table.section, table.name))
        };
        self.spec.definitions.iter().filter(unused).map(fault).collect()
    }

    /// The table of the definition `[section.name]`.
    pub(super) fn definition(&self, section: &str, name: &str) -> Option<&'a Node> {
        let mut tables = self.spec.definitions.iter();
        tables.find(|table| table.section == section && table.name == name).map(|table| &table.table)
    }

    /// The fault of naming a definition that is not there.
    pub(super) fn unknown_definition(&self, section: &str, name: &str, span: Span) -> Fault {
        let known = self.spec.definitions.iter().filter(|table| table.section == section);
        let message = format!("there is no `[{section}.{name}]`");
        let fault = match nearest(name, known.map(|table| table.name.as_str())) {
            Some(near) => Fault::new("unknown-definition", span, message, format!("did you mean `{near}`?")),
            None => Fault::new("unknown-definition", span, message, "not defined"),
        };
        fault.help(format!("add a table `[{section}.{name}]`"))
    }

    fn placeholder_axes(&self, node: &Node, faults: &mut Faults) -> BTreeSet<usize> {
        let mut axes = BTreeSet::new();
        for place in placeholders(node) {
            match self.axis(&place.axis) {
                Some(axis) => {
                    axes.insert(axis);
                }
                None if self.spec.left_out.contains(&place.axis) => {}
                None => faults.push(self.unknown_axis(&place.axis, place.span)),
            }
        }
        axes
    }

    /// The fault of naming an axis that is not there.
    pub(super) fn unknown_axis(&self, name: &str, span: Span) -> Fault {
        let label = match nearest(name, self.spec.axes.iter().map(|axis| axis.name.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not an axis".to_owned(),
        };
        Fault::new("unknown-axis", span, format!("there is no axis `{name}`"), label)
            .help(format!("add `{name} = [...]` under `[axes]`, or write `{{{{` for a brace"))
    }

    /// Whether a reference names something that was left out of the spec for a fault of its own.
    pub(super) fn refers_to_left_out(&self, reference: &str, span: Span) -> bool {
        Reference::parse(reference, span).is_ok_and(|reference| {
            let axes = reference.selections.iter().map(|selection| &selection.axis);
            axes.chain([&reference.name]).any(|name| self.spec.left_out.contains(name))
        })
    }

    /// Every definition that a name, which may hold placeholders, can turn into.
    fn possible_definitions(&self, section: &str, name: &Node) -> Vec<&'a Node> {
        let mut axes: Vec<usize> = placeholders(name).iter().filter_map(|place| self.axis(&place.axis)).collect();
        axes.sort_unstable();
        axes.dedup();
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        self.for_each_point(&axes, &mut |point| {
            let filled = substitute(name, &|axis| self.value_at(&axes, point, axis), &mut Faults::new());
            if let Some(Value::String(text)) = filled.map(|node| node.value)
                && seen.insert(text.clone())
            {
                found.extend(self.definition(section, &text));
            }
        });
        found
    }
}
