//! The plan: which stage instances there are and how they hang together.
//!
//! [`compile`] turns a checked [`Spec`](crate::spec::Spec) into a [`Plan`]: every stage is repeated over exactly the axes that it or its inputs
//! mention, references become edges between instances, and the facts of every artifact are inferred. No data is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use duress_cache::Tree;
use petgraph::graph::DiGraph;

use crate::spec::{Expect, Figure, Node, SourceText, Span, Study};
use crate::stage::{Fact, Kind, Stage};

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
    /// Whether it is a `[data.X]` section.
    pub data: bool,
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
