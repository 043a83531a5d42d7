//! The plan: which stage instances there are and how they hang together.
//!
//! [`compile`] turns a checked [`Spec`] into a [`Plan`]: every stage is repeated over exactly the axes that it or its
//! inputs mention, references become edges between instances, and the facts of every artifact are inferred. No data is
//! read.
//!
//! | step | file |
//! |---|---|
//! | over which axes a section is repeated | `axes.rs` |
//! | one stage read for every point of them | `expand.rs` |
//! | references become slots | `connect.rs` |
//! | a topological order, or the cycle | `order.rs` |
//! | facts, inputs first | here |
//! | figures and expectations against the facts | `views.rs` |

mod axes;
mod connect;
mod expand;
mod lookup;
mod order;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;

use duress_cache::Tree;
use petgraph::graph::DiGraph;

use crate::spec::{Expect, Fault, Faults, Figure, Node, SourceText, Span, Spec, SpecErrors, Study};
use crate::stage::{Fact, InferContext, InputFacts, Kind, Registry, Stage};
use expand::{Draft, Grid};
use lookup::Lookup;

/// A study as a DAG of stage instances.
pub struct Plan {
    /// The text it came from.
    pub source: Arc<SourceText>,
    /// The study.
    pub study: Study,
    /// The instances in topological order: inputs always come first.
    pub instances: Vec<Instance>,
    /// Edges from an input's instance to the instance that reads it; node weights are indices into `instances`,
    /// edge weights the reader's slot.
    pub graph: DiGraph<usize, usize>,
    /// For each section, the names of the axes it is repeated over, in the order of the spec.
    pub axes: BTreeMap<String, Vec<String>>,
    /// Plots.
    pub figures: Vec<Figure>,
    /// Assertions.
    pub expects: Vec<Expect>,
}

/// One stage at one point of its axes.
#[derive(Debug)]
pub struct Instance {
    /// The section's name.
    pub section: String,
    /// The section of sources it comes from, such as `data`; nothing for a `[stage.X]`.
    pub source: Option<&'static str>,
    /// Its name and where it stands on its axes, such as `train[seed=1,lr=0.1]`.
    pub label: String,
    /// Where it stands on each of its axes, in the order of the spec.
    pub at: Vec<Coordinate>,
    /// Its kind.
    pub kind: &'static Kind,
    /// The configured stage.
    pub stage: Box<dyn Stage>,
    /// The configuration as it enters the key.
    pub config: Tree,
    /// What it reads.
    pub slots: Vec<Slot>,
    /// What is known of its outputs, by name.
    pub facts: BTreeMap<&'static str, Fact>,
    /// Where its section's name stands in the spec.
    pub span: Span,
}

/// A value of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Coordinate {
    /// The axis.
    pub axis: String,
    /// Which of its values, from 0.
    pub index: usize,
    /// The value as printed.
    pub label: String,
    /// The value itself.
    pub value: Node,
}

/// An input of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The key path of the field that reads it, such as `weights`.
    pub field: String,
    /// The instance that makes it, an index into [`Plan::instances`].
    pub from: usize,
    /// Which of its outputs.
    pub output: &'static str,
    /// For a collected input, where on the collected axes it stands: axis and label.
    pub labels: Vec<(String, String)>,
}

/// Reads a spec's text and compiles it; the faults of both phases come together.
///
/// # Errors
/// Every fault of the spec that can be found without data.
pub fn read(source: SourceText, registry: &Registry) -> Result<Plan, SpecErrors> {
    let (spec, mut faults) = crate::spec::check_collecting(source, registry);
    let source = Arc::clone(&spec.source);
    let plan = compile_collecting(spec, &mut faults);
    match plan {
        Some(plan) if faults.is_empty() => Ok(plan),
        _ => Err(SpecErrors::new(source, faults)),
    }
}

/// Compiles a checked spec.
///
/// # Errors
/// Every fault that shows only when axes are filled in and stages are connected.
pub fn compile(spec: Spec) -> Result<Plan, SpecErrors> {
    let (source, mut faults) = (Arc::clone(&spec.source), Faults::new());
    match compile_collecting(spec, &mut faults) {
        Some(plan) if faults.is_empty() => Ok(plan),
        _ => Err(SpecErrors::new(source, faults)),
    }
}

/// Compiles as much of the spec as can be, pushing every fault; `None` where no order of the instances exists.
fn compile_collecting(spec: Spec, faults: &mut Faults) -> Option<Plan> {
    let lookup = Lookup::new(&spec);
    let grid = Grid::new(&lookup, axes::of_sections(&lookup, faults), faults)?;
    let drafts = expand::drafts(&lookup, &grid, faults);
    let order = order::topological(&lookup, &grid, &drafts, faults)?;
    let instances = instances(&lookup, &grid, drafts, &order, faults);
    if instances.len() < grid.points.len() && faults.is_empty() {
        // A stage is left out only with a fault; a plan that silently lacks one would be worse than no plan.
        let span = spec.sections.first().map_or_else(Span::default, |section| section.name_span);
        let fault = Fault::new("internal", span, "a stage was left out of the plan for no known reason", "some stage");
        faults.push(fault.help("please report this with the spec"));
    }
    let axes = section_axes(&lookup, &grid);
    views::check(&spec, &axes, &instances, faults);
    if faults.is_empty() {
        // A misspelt name has told of its table already.
        faults.extend(lookup.unused_definitions());
    }
    let graph = graph(&instances);
    let Spec { source, study, figures, expects, .. } = spec;
    Some(Plan { source, study, instances, graph, axes, figures, expects })
}

/// The instances in topological order, each with the facts of its outputs; those with faults are left out.
fn instances(
    lookup: &Lookup<'_>,
    grid: &Grid,
    drafts: Vec<Draft>,
    order: &[usize],
    faults: &mut Faults,
) -> Vec<Instance> {
    let mut place = vec![None; drafts.len()];
    let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    let mut instances: Vec<Instance> = Vec::with_capacity(drafts.len());
    for &index in order {
        let Some(mut draft) = drafts[index].take() else { continue };
        let (Some(stage), Some(table)) = (draft.stage.take(), draft.table.take()) else { continue };
        let Some(slots) = placed(&draft.slots, &place) else { continue };
        let section = &lookup.spec.sections[draft.section];
        let inputs = input_facts(&slots, &instances);
        let mut cx = InferContext { inputs: &inputs, faults, table: &table };
        let facts = stage.infer(&mut cx).into_iter().map(|output| (output.name, output.fact)).collect();
        place[index] = Some(instances.len());
        instances.push(Instance {
            section: section.name.clone(),
            source: section.source,
            label: grid.label(lookup, index),
            at: expand::coordinates(lookup, &grid.axes[draft.section], &draft.point),
            kind: section.kind,
            config: stage.config(),
            stage,
            slots,
            facts,
            span: section.name_span,
        });
    }
    instances
}

/// The slots with `from` counting instances; `None` where an input has faults of its own.
fn placed(slots: &[Slot], place: &[Option<usize>]) -> Option<Vec<Slot>> {
    slots.iter().map(|slot| Some(Slot { from: place[slot.from]?, ..slot.clone() })).collect()
}

fn input_facts(slots: &[Slot], instances: &[Instance]) -> InputFacts {
    let fact = |slot: &Slot| instances[slot.from].facts.get(slot.output).cloned();
    InputFacts { slots: slots.iter().map(fact).collect() }
}

fn section_axes(lookup: &Lookup<'_>, grid: &Grid) -> BTreeMap<String, Vec<String>> {
    let names = |axes: &Vec<usize>| axes.iter().map(|&axis| lookup.spec.axes[axis].name.clone()).collect();
    lookup.spec.sections.iter().zip(&grid.axes).map(|(section, axes)| (section.name.clone(), names(axes))).collect()
}

fn graph(instances: &[Instance]) -> DiGraph<usize, usize> {
    let mut graph = DiGraph::with_capacity(instances.len(), instances.len());
    let nodes: Vec<_> = (0..instances.len()).map(|index| graph.add_node(index)).collect();
    for (reader, instance) in instances.iter().enumerate() {
        for (slot, input) in instance.slots.iter().enumerate() {
            graph.add_edge(nodes[input.from], nodes[reader], slot);
        }
    }
    graph
}

impl Plan {
    /// What an instance says of itself before it runs.
    #[must_use]
    pub fn notes(&self, instance: &Instance) -> Vec<String> {
        instance.stage.notes(&input_facts(&instance.slots, &self.instances))
    }

    /// The instances of a section, in the order of its axes.
    pub fn section<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (usize, &'a Instance)> {
        self.instances.iter().enumerate().filter(move |(_, instance)| instance.section == name)
    }
}
