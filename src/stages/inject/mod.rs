//! `inject`: faults in stored weights, or crashing neurons, and what the network then answers.
//!
//! Every verdict compares with the fault-free run: `masked` (no output changed), `non-critical` (the class did not change),
//! `critical` (it did, whatever the label).

mod config;
mod crashes;
mod flips;

use duress_cache::{Artifact, Tree};
use duress_engine::run::RunContext;
use duress_engine::stage::{InferContext, InputFacts, OutputDoc, OutputFact, Stage, StageError, StageKind};

pub use config::{Confidence, Inject, Model, Sampling, Target};

use super::artifact::{self, DataFact};
use super::examples::examples;
use crate::nn::Network;

/// Multiply-adds of a part: some seconds of work for one core.
const PART_WORK: u64 = 1 << 36;

impl StageKind for Inject {
    const KIND: &'static str = "inject";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Put faults into weights or let neurons crash, and count the damage";
    const EXAMPLE: &'static str = include_str!("example.toml");
    const OUTPUTS: &'static [OutputDoc] = &[
        OutputDoc { name: "results", artifact: "table", doc: "Rates over all faults, by layer and by bit" },
        OutputDoc { name: "strata", artifact: "table", doc: "Rates by layer and bit; of weight faults" },
        OutputDoc { name: "faults", artifact: "table", doc: "Every fault and its outcomes; of weight faults" },
        OutputDoc { name: "errors", artifact: "crash-errors", doc: "Output errors of every sample; of crashes" },
    ];
}

impl Stage for Inject {
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        artifact::check_fit(cx, &self.weights, &self.data);
        artifact::check_labelled(cx, &self.data, Self::KIND);
        self.check(cx);
        if self.is_crash() { crashes::infer(self, cx) } else { flips::infer() }
    }

    fn config(&self) -> Tree {
        self.tree()
    }

    fn memory(&self, inputs: &InputFacts) -> u64 {
        let network = inputs.slot(self.weights.slot).and_then(|fact| fact.detail::<Network>());
        let data = inputs.slot(self.data.slot).and_then(|fact| fact.detail::<DataFact>());
        let rows = data.and_then(|d| d.rows).unwrap_or(10_000);
        let rows = self.samples.map_or(rows, |limit| rows.min(limit.size())) as u64;
        let widths =
            network.map_or(2_000, |n| n.shapes().iter().map(|shape| shape.iter().product::<usize>()).sum()) as u64;
        // All activations, once as they are and once transposed, in single precision.
        rows * widths * 8 + (64 << 20)
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let weights = artifact::weights(cx, &self.weights)?;
        let data = examples(cx, &self.data, self.samples)?;
        if self.is_crash() { crashes::run(self, cx, &weights, &data) } else { flips::run(self, cx, &weights, &data) }
    }
}
