//! Toy stages, and plans of them put together by hand.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use duress_cache::{Artifact, Store, Table, TableBuilder, Tree};
use petgraph::graph::DiGraph;

use crate::plan::{Coordinate, Instance, Plan, Slot};
use crate::run::{CancelToken, Event, Host, Outcome, RunContext, RunOptions, run};
use crate::spec::{FromSpec, Node, Schema, Scope, SourceText, Span, Study, Value};
use crate::stage::{
    Fact, InferContext, InputFacts, Kind, Location, OutputDoc, OutputFact, Source, SourceRoots, Stage, StageError,
    StageKind, Tolerance,
};

/// What a toy does when it runs, given the numbers in its inputs.
pub(super) type Body = Arc<dyn Fn(&RunContext<'_>, &[i64]) -> Result<i64, StageError> + Send + Sync>;

/// A stage that makes a table of one number.
pub(super) struct Toy {
    config: Tree,
    pub(super) body: Body,
    pub(super) memory: u64,
    pub(super) sources: Result<Vec<Source>, String>,
}

impl fmt::Debug for Toy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Toy({})", self.config)
    }
}

impl Stage for Toy {
    fn infer(&self, _: &mut InferContext<'_>) -> Vec<OutputFact> {
        Vec::new()
    }

    fn config(&self) -> Tree {
        self.config.clone()
    }

    fn sources(&self, _: &SourceRoots) -> Result<Vec<Source>, String> {
        self.sources.clone()
    }

    fn memory(&self, _: &InputFacts) -> u64 {
        self.memory
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let mut inputs = Vec::new();
        for slot in 0..cx.instance().slots.len() {
            inputs.push(number_in(&cx.slot_table(slot)?));
        }
        Ok(Artifact::new([("value", number((self.body)(cx, &inputs)?))]))
    }
}

impl FromSpec for Toy {
    fn schema() -> Schema {
        Schema::Text
    }

    fn from_spec(_: &Node, _: &mut Scope<'_>) -> Option<Self> {
        None
    }

    fn to_tree(&self) -> Option<Tree> {
        None
    }
}

impl StageKind for Toy {
    const KIND: &'static str = "toy";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "a number made of numbers";
    const EXAMPLE: &'static str = "";
    const OUTPUTS: &'static [OutputDoc] = &[OutputDoc { name: "value", artifact: "table", doc: "the number" }];
    const TOLERANCE: Tolerance = Tolerance::Exact;
}

static KIND: Kind = Kind::of::<Toy>();

/// A table of one number.
pub(super) fn number(value: i64) -> Table {
    let mut builder = TableBuilder::new().integer("value");
    builder.push([value.into()]).expect("one cell for one column");
    builder.finish().expect("a sound table")
}

/// The number in such a table.
pub(super) fn number_in(table: &Table) -> i64 {
    table.i64s("value").expect("the column of a number").value(0)
}

/// A plan in the making.
#[derive(Default)]
pub(super) struct Sketch {
    toys: Vec<(String, Toy, Vec<usize>)>,
}

impl Sketch {
    /// Adds a toy that adds `add` to the sum of what it reads; returns its index.
    pub(super) fn toy(&mut self, label: &str, add: i64, reads: &[usize]) -> usize {
        let toy = Toy {
            config: Tree::map([("add", add)]),
            body: Arc::new(move |_, inputs| Ok(add + inputs.iter().sum::<i64>())),
            memory: 1,
            sources: Ok(Vec::new()),
        };
        self.toys.push((label.to_owned(), toy, reads.to_vec()));
        self.toys.len() - 1
    }

    /// Adds a toy that does something else.
    pub(super) fn doing(
        &mut self,
        label: &str,
        add: i64,
        reads: &[usize],
        body: impl Fn(&RunContext<'_>, &[i64]) -> Result<i64, StageError> + Send + Sync + 'static,
    ) -> usize {
        let index = self.toy(label, add, reads);
        self.toys[index].1.body = Arc::new(body);
        index
    }

    /// The toy at `index`, to be changed.
    pub(super) fn at(&mut self, index: usize) -> &mut Toy {
        &mut self.toys[index].1
    }

    /// The plan.
    pub(super) fn plan(self) -> Plan {
        let mut graph = DiGraph::new();
        let nodes: Vec<_> = (0..self.toys.len()).map(|index| graph.add_node(index)).collect();
        let mut instances = Vec::new();
        for (index, (label, toy, reads)) in self.toys.into_iter().enumerate() {
            for (slot, &from) in reads.iter().enumerate() {
                graph.add_edge(nodes[from], nodes[index], slot);
            }
            instances.push(instance(label, toy, &reads));
        }
        Plan {
            source: Arc::new(SourceText { name: "toy.toml".to_owned(), text: String::new() }),
            study: Study { name: "toys".to_owned(), about: String::new(), seed: 0 },
            instances,
            graph,
            axes: BTreeMap::new(),
            figures: Vec::new(),
            expects: Vec::new(),
        }
    }
}

fn instance(label: String, toy: Toy, reads: &[usize]) -> Instance {
    let (section, place) = label.split_once('[').unwrap_or((&label, ""));
    let coordinates = place.trim_end_matches(']').split(',').filter_map(|coordinate| coordinate.split_once('='));
    let at = coordinates
        .map(|(axis, label)| Coordinate {
            axis: axis.to_owned(),
            index: 0,
            label: label.to_owned(),
            value: Node {
                value: label.parse().map_or_else(|_| Value::String(label.to_owned()), Value::Integer),
                span: Span::default(),
            },
        })
        .collect();
    let slot = |(position, &from): (usize, &usize)| Slot {
        field: format!("from{position}"),
        from,
        output: "value",
        labels: Vec::new(),
    };
    let fact = Fact { artifact: "table", columns: Vec::new(), metrics: Vec::new(), known: None };
    Instance {
        section: section.to_owned(),
        source: None,
        at,
        kind: &KIND,
        config: toy.config(),
        stage: Box::new(toy),
        slots: reads.iter().enumerate().map(slot).collect(),
        facts: BTreeMap::from([("value", fact)]),
        span: Span::default(),
        label,
    }
}

/// A source in the program itself.
pub(super) fn embedded(name: &str, bytes: &'static [u8]) -> Source {
    Source { name: name.to_owned(), location: Location::Embedded(bytes) }
}

/// A machine whose clock goes on by 10 ms each time it is looked at.
#[derive(Default)]
pub(super) struct ToyHost {
    looks: AtomicU64,
}

impl Host for ToyHost {
    fn now_unix_ms(&self) -> u64 {
        1_795_467_240_000
    }

    fn elapsed_seconds(&self) -> f64 {
        self.looks.fetch_add(1, Ordering::SeqCst) as f64 * 0.01
    }

    fn name(&self) -> String {
        "here".to_owned()
    }

    fn program(&self) -> String {
        "toy 1.0".to_owned()
    }

    fn cpu(&self) -> String {
        "abacus".to_owned()
    }

    fn process(&self) -> u32 {
        1
    }
}

/// Runs a plan and writes down what happens, a line an event.
pub(super) fn log(plan: &Plan, store: &dyn Store, options: &RunOptions) -> (Outcome, Vec<String>) {
    log_until(plan, store, options, &CancelToken::new())
}

/// As [`log`], with a way to stop.
pub(super) fn log_until(
    plan: &Plan,
    store: &dyn Store,
    options: &RunOptions,
    cancel: &CancelToken,
) -> (Outcome, Vec<String>) {
    let lines = Mutex::new(Vec::new());
    let sink = |event: Event| lines.lock().expect("no test panics here").extend(line(event));
    let outcome = run(plan, store, &ToyHost::default(), options, &sink, cancel).expect("the store can be read");
    (outcome, lines.into_inner().expect("no test panics here"))
}

fn line(event: Event) -> Option<String> {
    Some(match event {
        Event::Hit { instance, .. } => format!("hit {instance}"),
        Event::Miss { instance, why, .. } => format!("miss {instance}: {why}"),
        Event::Part { instance, index, cached, .. } => {
            format!("part {index} of {instance}{}", if cached { " cached" } else { "" })
        }
        Event::Waiting { instance, .. } => format!("wait {instance}"),
        Event::Computed { instance, .. } => format!("run {instance}"),
        Event::Failed { instance, error } => format!("fail {instance}: {error}"),
        Event::Skipped { instance, because } => format!("skip {instance}: {because}"),
        Event::Cancelled { instance } => format!("stop {instance}"),
        Event::Warning { instance, message } => format!("warn {instance}: {message}"),
        Event::Expectation { name, passed, .. } => format!("expect {name}: {passed}"),
        Event::RunStarted { .. } | Event::Started { .. } | Event::Progress { .. } | Event::RunFinished { .. } => {
            return None;
        }
    })
}

/// One worker, so that the order of events is the order of the plan.
pub(super) fn one_job() -> RunOptions {
    RunOptions { jobs: 1, threads: 1, ..RunOptions::default() }
}

/// So many workers.
pub(super) fn jobs(jobs: usize) -> RunOptions {
    RunOptions { jobs, threads: 2, ..RunOptions::default() }
}

/// The numbers that a run left in a store.
pub(super) fn numbers(store: &dyn Store, outcome: &Outcome) -> Vec<Option<i64>> {
    let read =
        |entry: &Arc<duress_cache::Entry>| number_in(&store.table(entry, "value").expect("it was just put there"));
    outcome.entries.iter().map(|entry| entry.as_ref().map(read)).collect()
}
