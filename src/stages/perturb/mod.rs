//! `perturb`: samples moved on purpose or at random, and what the network then makes of them.
//!
//! The sizes of a list are taken in ascending order and a gradient attack goes on with the survivors of the smaller sizes only
//! (balls are nested), which gives every sample its critical epsilon. Of several attacks each goes on with what the ones before it
//! left. Noise is drawn for every sample at every size. Last, what survives is looked into: whether the attack was any good.

mod attack;
mod checks;
mod config;
mod results;
mod set;
mod tables;

use duress_cache::{Artifact, Table, Tree};
use duress_engine::run::RunContext;
use duress_engine::stage::{InferContext, InputFacts, OutputDoc, OutputFact, Stage, StageError, StageKind, Tolerance};

pub(crate) use attack::AttackKeys;
pub use attack::{AttackName, AttackTable, Loss, Method, Norm, Target};
pub use config::Perturb;
pub use set::Attacks;

use self::checks::Checks;
use super::artifact::{self, DataFact, rows_and_features};
use super::examples::{examples, split_table};
use crate::device;
use crate::nn::attack::{Samples, Sweep, sweep_set};
use crate::nn::{Classifier, Examples, Mask};

/// Multiply-adds of a part: some seconds of work for one core.
const PART_WORK: u64 = 1 << 36;

impl StageKind for Perturb {
    const KIND: &'static str = "perturb";
    const REVISION: u32 = 4;
    const TOLERANCE: Tolerance = Tolerance::Relative(device::TOLERANCE);
    const SUMMARY: &'static str = "Move samples by an attack or by noise, and see who is fooled";
    const EXAMPLE: &'static str = include_str!("example.toml");
    const OUTPUTS: &'static [OutputDoc] = &[
        OutputDoc {
            name: "results",
            artifact: "table",
            doc: "Accuracy and success by epsilon, and whether to trust them",
        },
        OutputDoc {
            name: "samples",
            artifact: "table",
            doc: "Every sample at every epsilon, and its critical epsilon",
        },
        OutputDoc { name: "perturbed", artifact: "split", doc: "The samples as perturbed at the largest epsilon" },
    ];
}

impl Stage for Perturb {
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        artifact::check_fit(cx, &self.weights, &self.data);
        artifact::check_labelled(cx, &self.data, Self::KIND);
        if let Some(surrogate) = &self.surrogate {
            artifact::check_fit(cx, surrogate, &self.data);
        }
        self.check(cx);
        self.check_attack(cx);
        let data = artifact::data(cx, &self.data).cloned().unwrap_or_default();
        let rows = data.rows.map(|rows| self.samples.map_or(rows, |limit| rows.min(limit.size())));
        vec![
            OutputFact { name: "results", fact: results::RESULTS.fact() },
            OutputFact { name: "samples", fact: artifact::table_fact("table", tables::SAMPLES) },
            OutputFact { name: "perturbed", fact: DataFact { rows, ..data }.split() },
        ]
    }

    fn config(&self) -> Tree {
        self.tree()
    }

    fn memory(&self, inputs: &InputFacts) -> u64 {
        let (rows, features) = rows_and_features(inputs, self.data.slot, 10_000);
        // The samples, the perturbed ones, their box, gradients, and what searches found, in single precision; and the table rows.
        let searches = self.attack.members().len();
        (rows * (features * 4 * (6 + searches) + 200 * self.attack.sizes().len())) as u64 + (16 << 20)
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let weights = artifact::weights(cx, &self.weights)?;
        let processor = device::of_run(cx)?;
        let classifier = Classifier::on(&processor, weights.clone());
        let surrogate = match &self.surrogate {
            Some(other) => Some(Classifier::on(&processor, artifact::weights(cx, other)?)),
            None => None,
        };
        let networks = [surrogate.as_ref().unwrap_or(&classifier), &classifier];
        let data = examples(cx, &self.data, self.samples)?;
        let macs = weights.network().macs() * self.passes();
        let rows = data.rows();
        let block = usize::try_from(PART_WORK / macs.max(1)).unwrap_or(usize::MAX).clamp(64, 1 << 16);
        let starts: Vec<usize> = (0..rows.max(1)).step_by(block).collect();
        let part = |first: &usize| -> Result<Table, StageError> {
            let count = block.min(rows - first);
            let table = cx.install(|| self.part(networks, &data, *first, count))?;
            cx.progress((first + count) as u64, rows as u64);
            Ok(table)
        };
        let identity = |first: &usize| Tree::map([("first", *first as i64), ("count", block as i64)]);
        let parts = cx.parts(&starts, identity, part)?;
        let (samples, perturbed) = tables::joined(&parts, &data).map_err(StageError::failed)?;
        let checks = cx.install(|| Checks::look(self, &classifier, &data, &samples))?;
        let (results, warnings) = results::results(&samples, Mask::density_of(&weights), &self.attack.names(), &checks)
            .map_err(StageError::failed)?;
        for warning in warnings {
            cx.warn(warning);
        }
        let perturbed = split_table(&perturbed).map_err(StageError::failed)?;
        Ok(Artifact::new([("results", results), ("samples", samples), ("perturbed", perturbed)]))
    }
}

impl Perturb {
    /// The samples `first..first + count`, attacked at every size and in every repetition.
    fn part(
        &self,
        [surrogate, classifier]: [&Classifier; 2],
        data: &Examples,
        first: usize,
        count: usize,
    ) -> Result<Table, StageError> {
        let rows = data.select(&(first..first + count).collect::<Vec<_>>());
        let ids: Vec<u64> = (first..first + count).map(|id| id as u64).collect();
        let plans = self.attack.plans(self.seed.0);
        let sizes = self.attack.sizes();
        let networks = [surrogate, classifier];
        let draws: Vec<Sweep> = (0..self.attack.repetitions())
            .map(|draw| {
                let samples = Samples { x: &rows.x, labels: &rows.labels, ids: &ids, draw };
                sweep_set(networks, &samples, &plans, &sizes, self.options()).map_err(StageError::failed)
            })
            .collect::<Result<_, _>>()?;
        tables::part(&ids, &rows.labels, &sizes, &self.attack.names(), &draws).map_err(StageError::failed)
    }

    /// About how many forward passes of the network a sample takes.
    fn passes(&self) -> u64 {
        self.attack.repetitions() * self.attack.sizes().len() as u64 * (3 + self.attack.passes())
    }
}
