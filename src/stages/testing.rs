//! What the tests of several kinds need: a table of a spec read as a kind, and its faults at plan time.

use std::sync::Arc;

use duress_cache::Table;
use duress_engine::spec::{
    Connection, Fault, Faults, FromSpec, Node, RawSpec, Request, Scope, SourceText, Span, Surroundings, Value,
};
use duress_engine::stage::{Fact, InferContext, InputFacts, OutputFact, Stage};

use super::artifact::DataFact;
use crate::nn::{Activation, Mlp, Network};

/// Connects every input to a slot of its own, in the order they are read; the study's seed is 42.
#[derive(Default)]
struct Anything {
    slots: usize,
}

impl Surroundings for Anything {
    fn seed(&self) -> u64 {
        42
    }

    fn definition(&mut self, _: &'static str, _: &str, _: Span, _: &mut Faults) -> Option<Node> {
        None
    }

    fn connect(&mut self, _: &Request<'_>, _: &mut Faults) -> Option<Connection> {
        self.slots += 1;
        Some(Connection::Slots(vec![self.slots - 1]))
    }
}

/// Reads `text`, the keys of one stage, as a `T`.
pub(super) fn read<T: FromSpec>(text: &str) -> Result<(T, Node), Vec<Fault>> {
    let mut faults = Faults::new();
    let raw = RawSpec::parse(SourceText { name: "test".to_owned(), text: text.to_owned() }, &mut faults);
    let mut scope = Scope { faults: &mut faults, surroundings: &mut Anything::default(), path: Vec::new() };
    let root = Node { value: Value::Table(raw.root), span: Span { start: 0, end: text.len() } };
    let read = T::from_spec(&root, &mut scope);
    match read {
        Some(stage) if faults.is_empty() => Ok((stage, root)),
        _ => Err(faults.sorted()),
    }
}

/// The keys of a stage that name its network and its samples.
pub(super) const INPUTS: &str = "weights = 'train'\ndata = 'digits.test'\n";

/// The codes of the faults of a stage of these keys beside [`INPUTS`], as [`infer`] finds them.
pub(super) fn fault_codes<T: FromSpec + Stage>(keys: &str) -> Vec<&'static str> {
    infer::<T>(&format!("{INPUTS}{keys}"), 4).1.iter().map(|fault| fault.code).collect()
}

/// The names of the outputs of such a stage.
pub(super) fn output_names<T: FromSpec + Stage>(keys: &str) -> Vec<&'static str> {
    infer::<T>(&format!("{INPUTS}{keys}"), 4).0.iter().map(|output| output.name).collect()
}

/// The facts and faults of a stage over a network of 4 inputs, two hidden layers and 3 outputs, and data of `features`.
pub(super) fn infer<T: FromSpec + Stage>(text: &str, features: usize) -> (Vec<OutputFact>, Vec<Fault>) {
    let network = Mlp::new(4, &[5, 5], 3, Activation::relu(), false).graph().expect("a network");
    infer_on::<T>(text, features, network)
}

/// The facts and faults of a stage over `network` and data of `features`.
pub(super) fn infer_on<T: FromSpec + Stage>(
    text: &str,
    features: usize,
    network: Network,
) -> (Vec<OutputFact>, Vec<Fault>) {
    let (stage, table) = match read::<T>(text) {
        Ok(read) => read,
        Err(faults) => return (Vec::new(), faults),
    };
    let weights =
        Fact { artifact: "weights", columns: Vec::new(), metrics: Vec::new(), known: Some(Arc::new(network)) };
    let data = DataFact { features: Some(features), classes: Some(3), rows: Some(50), ..DataFact::default() };
    let inputs = InputFacts { slots: vec![Some(weights), Some(data.split())] };
    let mut faults = Faults::new();
    let facts = stage.infer(&mut InferContext { inputs: &inputs, faults: &mut faults, table: &table });
    (facts, faults.sorted())
}

/// The number `value` of the row of a tidy table that has these texts in these columns.
pub(super) fn value_where(table: &Table, texts: &[(&str, &str)]) -> f64 {
    let has = |row: usize| {
        let same = |(column, text): &(&str, &str)| table.strings(column).expect("a column of text").value(row) == *text;
        texts.iter().all(same)
    };
    let row = (0..table.rows()).find(|row| has(*row)).unwrap_or_else(|| panic!("no row of {texts:?}"));
    table.f64s("value").expect("floats").value(row)
}

/// The configuration that a table means, as it enters the key.
pub(super) fn key<T: FromSpec + Stage>(text: &str) -> duress_cache::Tree {
    match read::<T>(text) {
        Ok((stage, _)) => stage.config(),
        Err(faults) => panic!("{faults:?}"),
    }
}
