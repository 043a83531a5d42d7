//! From sections to instances: every point of a section's axes that is not excluded, its table filled in and read.

use std::collections::BTreeMap;

use super::connect::Wires;
use super::lookup::{Lookup, MOST_INSTANCES};
use super::{Coordinate, Slot};
use crate::spec::{
    Connection, Fault, Faults, Node, Request, Scope, Span, Surroundings, substitute, substitute_what_can_be,
};
use crate::stage::Stage;

/// A stage at one point of its axes, before it is known whether the whole makes a DAG.
pub(super) struct Draft {
    /// Which section.
    pub(super) section: usize,
    /// One value index for each of the section's axes.
    pub(super) point: Vec<usize>,
    /// The table with axis values filled in.
    pub(super) table: Option<Node>,
    /// The stage, unless its table has faults.
    pub(super) stage: Option<Box<dyn Stage>>,
    /// What it reads; `from` counts drafts.
    pub(super) slots: Vec<Slot>,
    /// For each slot, where the reference stands.
    pub(super) slot_spans: Vec<Span>,
}

/// All points of all sections, by section and then by point.
pub(super) struct Grid {
    /// For each section, the indices of its axes.
    pub(super) axes: Vec<Vec<usize>>,
    /// Every instance, section by section.
    pub(super) points: Vec<(usize, Vec<usize>)>,
    index: Vec<BTreeMap<Vec<usize>, usize>>,
}

impl Grid {
    /// Lists the points of every section that no `[[exclude]]` leaves out; `None` where there are more than can be
    /// handled.
    pub(super) fn new(lookup: &Lookup<'_>, axes: Vec<Vec<usize>>, faults: &mut Faults) -> Option<Self> {
        if let Some(fault) = too_many(lookup, &axes) {
            faults.push(fault);
            return None;
        }
        let mut points = Vec::new();
        let mut index = Vec::new();
        for (section, own) in axes.iter().enumerate() {
            let mut by_point = BTreeMap::new();
            lookup.for_each_point(own, &mut |point| {
                if !excluded(lookup, own, point) {
                    by_point.insert(point.to_vec(), points.len());
                    points.push((section, point.to_vec()));
                }
            });
            index.push(by_point);
        }
        Some(Self { axes, points, index })
    }

    /// The instance of `section` at `point`, unless it is excluded.
    pub(super) fn at(&self, section: usize, point: &[usize]) -> Option<usize> {
        self.index[section].get(point).copied()
    }

    /// The printed name of an instance: its section and where it stands.
    pub(super) fn label(&self, lookup: &Lookup<'_>, instance: usize) -> String {
        let (section, point) = &self.points[instance];
        label(lookup, *section, &self.axes[*section], point)
    }
}

/// The fault of a study whose sections, exclusions aside, have more points than [`MOST_INSTANCES`] together.
fn too_many(lookup: &Lookup<'_>, axes: &[Vec<usize>]) -> Option<Fault> {
    let counts: Vec<usize> = axes.iter().map(|own| lookup.count_points(own)).collect();
    let total = counts.iter().fold(0, |total: usize, &count| total.saturating_add(count));
    if total <= MOST_INSTANCES {
        return None;
    }
    let largest = (0..counts.len()).max_by_key(|&section| counts[section])?;
    let lengths = axes[largest].iter().map(|&axis| {
        let axis = &lookup.spec.axes[axis];
        format!("{} values of `{}`", axis.values.len(), axis.name)
    });
    let label = format!("repeated over {}", lengths.collect::<Vec<_>>().join(" x "));
    let message = format!("the study has more stage instances than the {MOST_INSTANCES} there may be");
    let fault = Fault::new("too-many-instances", lookup.spec.sections[largest].name_span, message, label);
    Some(fault.help("draw some of the combinations with `{ grid = { .. }, sample = .. }`, or split the study"))
}

/// `section[axis=value,...]`, or the bare name where there are no axes.
pub(super) fn label(lookup: &Lookup<'_>, section: usize, axes: &[usize], point: &[usize]) -> String {
    let name = &lookup.spec.sections[section].name;
    if axes.is_empty() {
        return name.clone();
    }
    let values = axes.iter().zip(point).map(|(&axis, &value)| {
        let axis = &lookup.spec.axes[axis];
        format!("{}={}", axis.name, axis.values[value].label)
    });
    format!("{name}[{}]", values.collect::<Vec<_>>().join(","))
}

/// Where an instance stands, for the plan.
pub(super) fn coordinates(lookup: &Lookup<'_>, axes: &[usize], point: &[usize]) -> Vec<Coordinate> {
    let coordinate = |(&axis, &index): (&usize, &usize)| {
        let axis = &lookup.spec.axes[axis];
        let value = &axis.values[index];
        Coordinate { axis: axis.name.clone(), index, label: value.label.clone(), value: value.node.clone() }
    };
    axes.iter().zip(point).map(coordinate).collect()
}

/// Whether an `[[exclude]]` leaves the point out: all of its axes are among `axes`, and every one matches.
fn excluded(lookup: &Lookup<'_>, axes: &[usize], point: &[usize]) -> bool {
    let matches = |(name, values): &(String, Vec<usize>)| {
        let position = lookup.axis(name).and_then(|axis| axes.iter().position(|&other| other == axis));
        position.is_some_and(|position| values.contains(&point[position]))
    };
    lookup.spec.excludes.iter().any(|exclude| !exclude.axes.is_empty() && exclude.axes.iter().all(matches))
}

/// Reads every instance of the grid.
pub(super) fn drafts(lookup: &Lookup<'_>, grid: &Grid, faults: &mut Faults) -> Vec<Draft> {
    (0..grid.points.len()).map(|instance| draft(lookup, grid, instance, faults)).collect()
}

fn draft(lookup: &Lookup<'_>, grid: &Grid, instance: usize, faults: &mut Faults) -> Draft {
    let (section, point) = &grid.points[instance];
    let (axes, source) = (&grid.axes[*section], &lookup.spec.sections[*section]);
    let mut draft =
        Draft { section: *section, point: point.clone(), table: None, stage: None, slots: vec![], slot_spans: vec![] };
    let value_of = |name: &str| lookup.value_at(axes, point, name);
    let (table, whole) = match substitute(&source.table, &value_of, faults) {
        Some(table) => (table, true),
        None => (substitute_what_can_be(&source.table, &value_of), false),
    };
    let mut found = Faults::new();
    let mut here = Here {
        lookup,
        wires: Wires { lookup, grid, instance },
        axes,
        point,
        draft: &mut draft,
        kind: source.kind.name,
    };
    let mut scope = Scope { faults: &mut found, surroundings: &mut here, path: Vec::new() };
    let stage = source.kind.parse(&table, &mut scope);
    if !whole {
        // A key that could not be filled in is not missing; what else is wrong with the table is.
        faults.extend(found.sorted().into_iter().filter(|fault| fault.code != "missing-key"));
        draft.slots.clear();
        draft.slot_spans.clear();
        return draft;
    }
    faults.extend(found.sorted());
    draft.stage = stage;
    draft.table = Some(table);
    draft
}

/// The spec as one instance sees it.
struct Here<'a> {
    lookup: &'a Lookup<'a>,
    wires: Wires<'a>,
    axes: &'a [usize],
    point: &'a [usize],
    draft: &'a mut Draft,
    kind: &'static str,
}

impl Surroundings for Here<'_> {
    fn kind(&self) -> Option<&str> {
        Some(self.kind)
    }

    fn seed(&self) -> u64 {
        self.lookup.spec.study.seed
    }

    fn definition(&mut self, section: &'static str, name: &str, span: Span, faults: &mut Faults) -> Option<Node> {
        let Some(table) = self.lookup.definition(section, name) else {
            faults.push(self.lookup.unknown_definition(section, name, span));
            return None;
        };
        substitute(table, &|axis| self.lookup.value_at(self.axes, self.point, axis), faults)
    }

    fn connect(&mut self, request: &Request<'_>, faults: &mut Faults) -> Option<Connection> {
        let slots = match self.wires.connect(request) {
            Ok(Some(slots)) => slots,
            Ok(None) => return Some(Connection::Absent),
            Err(fault) => {
                if !self.lookup.refers_to_left_out(request.reference, request.span) {
                    faults.push(fault);
                }
                return None;
            }
        };
        let first = self.draft.slots.len();
        self.draft.slot_spans.extend(slots.iter().map(|_| request.span));
        self.draft.slots.extend(slots);
        Some(Connection::Slots((first..self.draft.slots.len()).collect()))
    }
}
