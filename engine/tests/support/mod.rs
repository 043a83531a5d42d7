//! Toy kinds with which the engine is tested: numbers instead of networks, but every feature of the language in use.
//!
//! `numbers` (the data kind) makes the numbers 1, 2, ... ; `fit` reads a data set and makes a weight; `scale` makes a weight
//! of a weight; `score` reads weights and a split and makes a tidy table.

use duress_cache::{Artifact, ColumnSpec, Table, TableBuilder, Tree};
use duress_engine::input::{ArtifactType, Input, Inputs};
use duress_engine::run::RunContext;
use duress_engine::spec::{Count, FromSpec, Node, Positive, Schema, Scope, Seed, Value};
use duress_engine::stage::{
    Column, Definition, Fact, InferContext, Kind, OutputDoc, OutputFact, Registry, SourceSection, Stage, StageError,
    StageKind,
};
use duress_engine::{choice, config};

/// A weight: one number.
#[derive(Debug)]
pub(crate) struct Weight;

impl ArtifactType for Weight {
    const ACCEPTS: &'static [&'static str] = &["weights"];
}

/// What a fit learns from.
#[derive(Debug)]
pub(crate) struct Dataset;

impl ArtifactType for Dataset {
    const ACCEPTS: &'static [&'static str] = &["dataset", "split"];
}

/// Numbers of one split.
#[derive(Debug)]
pub(crate) struct Split;

impl ArtifactType for Split {
    const ACCEPTS: &'static [&'static str] = &["split"];
}

/// The toy registry.
pub(crate) static REGISTRY: Registry = Registry {
    kinds: &[Kind::of::<Fit>(), Kind::of::<Scale>(), Kind::of::<Score>()],
    sources: &[SourceSection { section: "data", noun: "data set", kind: Kind::of::<Numbers>() }],
    definitions: &[Definition { section: "model", summary: "What a fit fits.", schema: <Line as FromSpec>::schema }],
};

config! {
    /// The numbers 1, 2, ... in two splits.
    pub struct Numbers {
        /// How many numbers each split has.
        count: Count = Count(3),
    }
}

config! {
    /// A line.
    pub struct Line {
        /// Its widths.
        hidden: Vec<Count> = vec![],
        /// Its slope.
        slope: f64 = 1.0,
    }
}

/// The name of a `[model.X]`, read in its place.
#[derive(Debug)]
pub(crate) struct Model(Line);

impl FromSpec for Model {
    fn schema() -> Schema {
        Schema::Definition { section: "model", content: Box::new(Line::schema()) }
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        let Value::String(name) = &node.value else {
            let message = format!("expected the name of a model, found {}", node.value.describe());
            scope.fault(duress_engine::spec::Fault::new("wrong-type", node.span, message, "not a name"));
            return None;
        };
        let content = scope.surroundings.definition("model", name, node.span, scope.faults)?;
        Line::from_spec(&content, scope).map(Self)
    }

    fn to_tree(&self) -> Option<Tree> {
        self.0.to_tree()
    }
}

choice! {
    /// How a fit steps.
    pub enum Method {
        /// All at once.
        "exact" => Exact,
        /// Step by step.
        "steps" => Steps(StepsConfig),
    }
}

config! {
    /// Steps of a fixed size.
    pub struct StepsConfig {
        /// How long a step is.
        size: Positive = Positive(0.5),
    }
}

config! {
    /// Fits a weight to numbers: slope x seed x rate x their sum, added to where it starts.
    pub struct Fit {
        /// What to fit.
        model: Option<Model>,
        /// The numbers.
        data: Input<Dataset>,
        /// Where to start.
        start: Option<Input<Weight>>,
        /// How fast.
        rate: Positive = Positive(0.1),
        /// How many steps.
        [unit = "updates"] steps: Count = Count(1),
        /// How it steps.
        method: Method = Method::Exact,
        /// The seed.
        seed: Seed,
    }
}

config! {
    /// Multiplies a weight.
    pub struct Scale {
        /// The weight.
        weights: Input<Weight>,
        /// By how much.
        factor: f64 = 1.0,
    }
}

config! {
    /// The sum of weights times numbers.
    pub struct Score {
        /// The weights.
        weights: Inputs<Weight>,
        /// The numbers.
        data: Input<Split>,
        /// In how many parts it is computed.
        parts: Count = Count(1),
    }
}

fn numbers(values: impl IntoIterator<Item = f64>) -> Result<Table, StageError> {
    let mut table = TableBuilder::new().column(ColumnSpec::float("value"));
    for value in values {
        table.push([value.into()]).map_err(StageError::failed)?;
    }
    table.finish().map_err(StageError::failed)
}

fn sum(table: &Table) -> Result<f64, StageError> {
    Ok(table.f64s("value").map_err(StageError::failed)?.iter().flatten().sum())
}

fn fact(name: &'static str, artifact: &'static str) -> OutputFact {
    let columns = vec![Column { name: "value".to_owned(), numeric: true }];
    OutputFact { name, fact: Fact { artifact, columns, metrics: Vec::new(), known: None } }
}

impl Stage for Numbers {
    fn infer(&self, _cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        vec![fact("training", "dataset"), fact("train", "split"), fact("test", "split")]
    }

    fn config(&self) -> Tree {
        self.to_tree().unwrap_or(Tree::Null)
    }

    fn run(&self, _cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let values = || (1..=self.count.0).map(|value| value as f64);
        let train = numbers(values())?;
        let test = numbers(values().map(|value| -value))?;
        Ok(Artifact::new([("training", train.clone()), ("train", train), ("test", test)]))
    }
}

impl StageKind for Numbers {
    const KIND: &'static str = "numbers";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "The numbers 1, 2, ...";
    const EXAMPLE: &'static str = "[study]\nname = \"numbers\"\n[data.xs]\ncount = 4\n";
    const OUTPUTS: &'static [OutputDoc] = &[
        OutputDoc { name: "training", artifact: "dataset", doc: "What a fit learns from." },
        OutputDoc { name: "train", artifact: "split", doc: "1, 2, ..." },
        OutputDoc { name: "test", artifact: "split", doc: "-1, -2, ..." },
    ];
}

impl Stage for Fit {
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        if self.steps.0 > 1_000 {
            let fault =
                duress_engine::spec::Fault::new("too-long", cx.span_of("steps"), "that is too long", "too many");
            cx.faults.push(fault.help("1000 steps are plenty"));
        }
        vec![fact("weights", "weights"), fact("curve", "table")]
    }

    fn config(&self) -> Tree {
        self.to_tree().unwrap_or(Tree::Null)
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let slope = self.model.as_ref().map_or(1.0, |model| model.0.slope);
        let start = self.start.as_ref().map(|start| cx.table(start)).transpose()?;
        let start = start.map_or(Ok(0.0), |table| sum(&table))?;
        let seed = self.seed.0 as f64;
        let weight = start + slope * seed * self.rate.0 * sum(&cx.table(&self.data)?)?;
        let curve = numbers((0..self.steps.0).map(|step| step as f64))?;
        Ok(Artifact::new([("weights", numbers([weight])?), ("curve", curve)]))
    }
}

impl StageKind for Fit {
    const KIND: &'static str = "fit";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Fits a weight to numbers.";
    const EXAMPLE: &'static str = "[study]\nname = \"fit\"\n[data.xs]\n[stage.fit]\nkind = \"fit\"\ndata = \"xs\"\n";
    const OUTPUTS: &'static [OutputDoc] = &[
        OutputDoc { name: "weights", artifact: "weights", doc: "The weight." },
        OutputDoc { name: "curve", artifact: "table", doc: "The steps." },
    ];
}

impl Stage for Scale {
    fn infer(&self, _cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        vec![fact("weights", "weights")]
    }

    fn config(&self) -> Tree {
        self.to_tree().unwrap_or(Tree::Null)
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        Ok(Artifact::new([("weights", numbers([self.factor * sum(&cx.table(&self.weights)?)?])?)]))
    }
}

impl StageKind for Scale {
    const KIND: &'static str = "scale";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Multiplies a weight.";
    const EXAMPLE: &'static str = "[study]\nname = \"scale\"\n[data.xs]\n[stage.fit]\nkind = \"fit\"\ndata = \"xs\"\n\
                                   [stage.double]\nkind = \"scale\"\nweights = \"fit\"\nfactor = 2.0\n";
    const OUTPUTS: &'static [OutputDoc] = &[OutputDoc { name: "weights", artifact: "weights", doc: "The product." }];
}

impl Stage for Score {
    fn infer(&self, _cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        let columns = [("metric", false), ("value", true), ("n", true)];
        let column = |(name, numeric): (&str, bool)| Column { name: name.to_owned(), numeric };
        let fact = Fact {
            artifact: "table",
            columns: columns.into_iter().map(column).collect(),
            metrics: vec!["total".to_owned(), "mean".to_owned()],
            known: None,
        };
        vec![OutputFact { name: "results", fact }]
    }

    fn config(&self) -> Tree {
        Tree::Null
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let weights = cx.tables(&self.weights)?;
        let weight: f64 = weights.iter().map(|weight| sum(&weight.table)).sum::<Result<f64, _>>()?;
        let data = cx.table(&self.data)?;
        let values: Vec<f64> = data.f64s("value").map_err(StageError::failed)?.iter().flatten().collect();
        let size = values.len().div_ceil(self.parts.0 as usize).max(1);
        let chunks: Vec<(usize, Vec<f64>)> = values.chunks(size).map(<[f64]>::to_vec).enumerate().collect();
        let identity = |(index, _): &(usize, Vec<f64>)| Tree::from(*index as i64);
        let parts = cx.parts(&chunks, identity, |(_, chunk)| numbers(chunk.iter().map(|value| value * weight)))?;
        let total = parts.iter().map(sum).sum::<Result<f64, _>>()?;
        let mut results = TableBuilder::new()
            .text("metric")
            .column(ColumnSpec::float("value").nullable())
            .column(ColumnSpec::integer("n"));
        for (metric, value) in [("total", total), ("mean", total / values.len() as f64)] {
            results.push([metric.into(), value.into(), values.len().into()]).map_err(StageError::failed)?;
        }
        Ok(Artifact::new([("results", results.finish().map_err(StageError::failed)?)]))
    }
}

impl StageKind for Score {
    const KIND: &'static str = "score";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "The sum of weights times numbers.";
    const EXAMPLE: &'static str = "[study]\nname = \"score\"\n[data.xs]\n[stage.fit]\nkind = \"fit\"\ndata = \"xs\"\n\
                                   [stage.score]\nkind = \"score\"\nweights = \"fit\"\ndata = \"xs.test\"\n";
    const OUTPUTS: &'static [OutputDoc] = &[OutputDoc { name: "results", artifact: "table", doc: "Total and mean." }];
}
