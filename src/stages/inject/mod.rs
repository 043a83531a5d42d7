//! `inject`: faults in stored numbers or activations, or crashing neurons, and what the network then answers.
//!
//! Every verdict compares with the fault-free run: `masked` (no output changed), `non-critical` (the class did not change),
//! `critical` (it did, whatever the label). The rules and their source are those of [`duress_network::campaign`].

mod campaign;
mod check;
mod config;
mod crashes;
mod faults;
mod paired;
mod protect;
mod rates;

use duress_cache::{Artifact, Tree};
use duress_engine::run::RunContext;
use duress_engine::stage::{
    InferContext, InputFacts, Location, OutputDoc, OutputFact, Source, SourceRoots, Stage, StageError, StageKind,
    Tolerance,
};

pub use config::{
    Confidence, Inject, ListKeys, Method, Model, Published, Range, Sampling, Screened, Stop, Stratified, Target,
};

pub use faults::listed;

use super::artifact::{self, DataFact};
use super::examples::examples;
use crate::device;
use crate::nn::Network;

/// Multiply-adds of a part: some seconds of work for one core.
const PART_WORK: u64 = 1 << 36;
/// What the engine keeps of fault-free values, and as much again for what it works with.
const ENGINE_MEMORY: u64 = 1 << 30;

impl StageKind for Inject {
    const KIND: &'static str = "inject";
    const REVISION: u32 = 4;
    const TOLERANCE: Tolerance = Tolerance::Relative(device::TOLERANCE);
    const SUMMARY: &'static str = "Put faults into weights or activations, and count the damage";
    const EXAMPLE: &'static str = include_str!("example.toml");
    const OUTPUTS: &'static [OutputDoc] = &[
        OutputDoc { name: "results", artifact: "table", doc: "Rates over all faults, by layer, bit and sign" },
        OutputDoc { name: "strata", artifact: "table", doc: "Rates by layer, bit and sign together; of single faults" },
        OutputDoc { name: "faults", artifact: "table", doc: "Every fault and its outcomes; of single faults" },
        OutputDoc {
            name: "protections",
            artifact: "table",
            doc: "Rates and costs of each of `protect`, on the same faults",
        },
        OutputDoc { name: "paired", artifact: "table", doc: "Every fault under each of `protect`, beside none" },
        OutputDoc { name: "errors", artifact: "crash-errors", doc: "Output errors of every sample; of crashes" },
    ];
}

impl Stage for Inject {
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        artifact::check_fit(cx, &self.weights, &self.data);
        artifact::check_labelled(cx, &self.data, Self::KIND);
        self.check(cx);
        if self.is_crash() { crashes::infer(self, cx) } else { campaign::infer(self) }
    }

    fn config(&self) -> Tree {
        self.tree()
    }

    fn memory(&self, inputs: &InputFacts) -> u64 {
        let network = inputs.slot(self.weights.slot).and_then(|fact| fact.detail::<Network>());
        let data = inputs.slot(self.data.slot).and_then(|fact| fact.detail::<DataFact>());
        let rows = data.and_then(|d| d.rows).unwrap_or(10_000);
        let rows = self.samples.map_or(rows, |limit| rows.min(limit.size())) as u64;
        let Some(network) = network else { return ENGINE_MEMORY };
        if self.is_crash() {
            let widths: usize = network.shapes().iter().map(|shape| shape.iter().product::<usize>()).sum();
            return rows * widths as u64 * 8 + (64 << 20);
        }
        // The samples, the outputs, two copies of the weights, and the fault-free values of some samples.
        rows * (network.input_len() + 2 * network.output_len()) as u64 * 4
            + network.parameter_count() as u64 * 8
            + ENGINE_MEMORY
    }

    fn notes(&self, inputs: &InputFacts) -> Vec<String> {
        self.announcement(inputs).into_iter().collect()
    }

    fn sources(&self, roots: &SourceRoots) -> Result<Vec<Source>, String> {
        let Some(list) = self.list() else { return Ok(Vec::new()) };
        let mut files = vec![(campaign::LIST, "sampling.list.path", &list.path)];
        files.extend(list.names.as_ref().map(|names| (campaign::NAMES, "sampling.list.names", names)));
        let source = |(name, key, path): (&str, &str, &std::path::PathBuf)| {
            let path = roots.spec.join(path);
            if path.is_file() {
                return Ok(Source { name: name.to_owned(), location: Location::File(path) });
            }
            Err(format!("find the file {}: there is none; mend `{key}`", path.display()))
        };
        files.into_iter().map(source).collect()
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let weights = artifact::weights(cx, &self.weights)?;
        let data = examples(cx, &self.data, self.samples)?;
        if self.is_crash() { crashes::run(self, cx, &weights, &data) } else { campaign::run(self, cx, &weights, &data) }
    }
}
