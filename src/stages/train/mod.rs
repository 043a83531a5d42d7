//! `train`: weights fitted to data by gradient descent, with the weights they started from and the course they took.

mod checkpoint;
mod config;
mod disturb;
mod facts;
mod optimizer;

use duress_cache::{Artifact, ColumnSpec, Table, TableBuilder, TableError, Tree};
use duress_engine::run::RunContext;
use duress_engine::stage::{InferContext, InputFacts, OutputDoc, OutputFact, Stage, StageError, StageKind, Tolerance};

use checkpoint::Parts;
pub use config::{EarlyStopping, Loss, Rewind, Train};
pub use disturb::{Adversarial, Augment, BitErrors, Word};
pub use optimizer::{Adam, AdamW, Cosine, Form, Optimizer, RmsProp, Schedule, Sgd, StepSchedule};

use super::artifact::{self, DataFact, rows_and_features};
use super::examples::dataset;
use crate::device;
use crate::nn::attack::{Samples, perturb};
use crate::nn::train::{Augment as Augmentation, CleanBatch, CurvePoint, Trained, Training};
use crate::nn::weights_table::{mask_from_table, weights_to_table};
use crate::nn::{Classifier, Examples, Mlp, Network, Stream, Weights};
pub(super) use facts::tensors;

impl StageKind for Train {
    const KIND: &'static str = "train";
    const REVISION: u32 = 4;
    const TOLERANCE: Tolerance = Tolerance::Relative(device::TOLERANCE);
    const SUMMARY: &'static str = "Fit a network to data by gradient descent";
    const EXAMPLE: &'static str = include_str!("example.toml");
    const OUTPUTS: &'static [OutputDoc] = &[
        OutputDoc { name: "weights", artifact: "weights", doc: "The trained weights" },
        OutputDoc { name: "initial", artifact: "weights", doc: "The weights that training started from" },
        OutputDoc { name: "snapshot", artifact: "weights", doc: "The weights after `snapshot` updates" },
        OutputDoc {
            name: "rewind",
            artifact: "weights",
            doc: "What later rounds go back to: the snapshot or the trained weights, or with `start` those that training started from",
        },
        OutputDoc { name: "curve", artifact: "table", doc: "Loss and accuracy over the updates" },
    ];
}

impl Stage for Train {
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        facts::infer(self, cx)
    }

    fn config(&self) -> Tree {
        self.tree()
    }

    fn memory(&self, inputs: &InputFacts) -> u64 {
        let data = inputs.slot(self.data.slot).and_then(|fact| fact.detail::<DataFact>());
        let (rows, features) = rows_and_features(inputs, self.data.slot, 60_000);
        let shape = data.and_then(|d| d.shape.as_deref()).unwrap_or_default();
        let network =
            self.model.network(&self.model.input(features, shape), data.and_then(|d| d.classes).unwrap_or(10));
        // What the layers of a batch give, forward and backward.
        let values = network.as_ref().map_or(0, |n| n.shapes().iter().map(|s| s.iter().product::<usize>()).sum());
        let parameters = network.map_or(0, |network| network.parameter_count());
        // The rows; and of each parameter its value, gradient, moments and the copies that a step makes.
        (rows * features * 4 + parameters * 4 * 12 + values * self.batch.size() * 4 * 3) as u64 + (16 << 20)
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        self.run_in_parts(cx, checkpoint::part_work)
    }
}

impl Train {
    /// Trains in parts of about so many multiply-adds.
    fn run_in_parts(&self, cx: &RunContext<'_>, part_work: impl Fn(&Network) -> u64) -> Result<Artifact, StageError> {
        let (data, validation) = dataset(cx, &self.data)?;
        let start = self.start(cx, &data)?;
        let mask = match &self.mask {
            Some(mask) => Some(mask_from_table(&cx.table(mask)?).map_err(StageError::failed)?.0),
            None => None,
        };
        let recipe = self.recipe(self.crash_rates(start.network())?, self.augmentation_of(&data)?);
        let attacked = |classifier: &Classifier, clean: &CleanBatch<'_>| self.attacked(classifier, clean);
        let network = start.network().clone();
        let update = self.work_per_update(&network, &data, validation.as_ref());
        let work = (part_work(&network), update, network.macs() * self.batch.0.min(data.rows() as u64));
        let (start, rows) = ((start, mask.as_ref()), (&data, validation.as_ref()));
        let training = Training::on(&device::of_run(cx)?, &recipe, start, rows, Some(&attacked));
        let mut parts = Parts::new(cx, training.map_err(StageError::failed)?, &network, work);
        cx.chain(&mut parts)?;
        self.artifact(&parts.into_training().finish())
    }

    /// The weights to start from: those given, or fresh ones.
    fn start(&self, cx: &RunContext<'_>, data: &Examples) -> Result<Weights, StageError> {
        let outputs = if data.targets.is_some() { data.target_width() } else { data.classes };
        let network =
            self.model.network(&self.model.input(data.features, &data.shape), outputs).map_err(StageError::failed)?;
        let Some(start) = &self.start else {
            let seed = match self.draw {
                0 => self.seed.0,
                draw => Stream::new(self.seed.0, "train/draw", &[draw]).next_u64(),
            };
            return Ok(self.model.initialize(&network, seed));
        };
        let start = artifact::weights(cx, start)?;
        if *start.network() == network {
            return Ok(start);
        }
        Err(StageError::failed("`start` holds weights of another network than `model`; give both the same layers"))
    }

    fn crash_rates(&self, network: &Network) -> Result<Vec<f64>, StageError> {
        let Some(crash) = &self.crash else { return Ok(Vec::new()) };
        let unknown = |names: Vec<String>| format!("`crash` names no layer: {}; use names of layers", names.join(", "));
        let mlp = Mlp::of(network).ok_or_else(|| {
            StageError::failed("let neurons crash by layer in a network that is no multilayer perceptron: drop `crash`")
        })?;
        crash.rates(&mlp).map_err(|names| StageError::failed(unknown(names)))
    }

    /// How the rows of `data` are changed at random.
    fn augmentation_of(&self, data: &Examples) -> Result<Option<Augmentation>, StageError> {
        if self.augment.is_none_or(|keys| !keys.changes()) {
            return Ok(None);
        }
        let shape = data.picture().ok_or_else(|| {
            StageError::failed("`augment` changes pictures, but the rows of `data` are plain vectors; leave it out")
        })?;
        Ok(self.augmentation(shape))
    }

    /// About how many multiply-adds an update takes, with its share of the evaluations: backward costs twice forward.
    fn work_per_update(&self, network: &Network, data: &Examples, validation: Option<&Examples>) -> u64 {
        let rows = self.batch.0.min(data.rows() as u64);
        let adversarial = self.adversarial.as_ref().filter(|keys| keys.share.0 > 0.0);
        let shown = if adversarial.is_some() { 2 } else { 1 };
        let looks = match self.bit_errors.as_ref().and_then(BitErrors::plan) {
            Some(errors) if errors.share < 1.0 => 2,
            _ => 1,
        };
        let passes = adversarial.map_or(0, Adversarial::passes).saturating_add(3 * shown * looks);
        let every = self.evaluate_every.map_or_else(|| (data.rows() as u64).div_ceil(self.batch.0), |every| every.0);
        let evaluated = validation.map_or(0, |validation| validation.rows() as u64) / every.max(1);
        network.macs().saturating_mul(rows.saturating_mul(passes).saturating_add(evaluated))
    }

    /// What a training leaves behind.
    fn artifact(&self, trained: &Trained) -> Result<Artifact, StageError> {
        let table = |weights| weights_to_table(weights).map_err(StageError::failed);
        let (initial, snapshot, weights) =
            (table(&trained.initial)?, table(&trained.snapshot)?, table(&trained.weights)?);
        let rewind = match self.rewind {
            _ if self.start.is_some() => &initial,
            Rewind::Snapshot => &snapshot,
            Rewind::Weights => &weights,
        };
        Ok(Artifact::new([
            ("rewind", rewind.clone()),
            ("weights", weights),
            ("initial", initial),
            ("snapshot", snapshot),
            ("curve", curve(&trained.curve).map_err(StageError::failed)?),
        ]))
    }

    /// The rows of an update, perturbed.
    fn attacked(&self, classifier: &Classifier, clean: &CleanBatch<'_>) -> Result<Vec<f32>, String> {
        let Some(keys) = &self.adversarial else { return Ok(clean.x.to_vec()) };
        let ids: Vec<u64> = clean.rows.iter().map(|&row| row as u64).collect();
        let samples = Samples { x: clean.x, labels: clean.labels, ids: &ids, draw: clean.update };
        perturb(classifier, &samples, &keys.plan(self.seed.0), keys.eps.0, None).map_err(|error| error.to_string())
    }
}

/// The learning curve, a measurement a row.
fn curve(points: &[CurvePoint]) -> Result<Table, TableError> {
    let mut table = TableBuilder::new()
        .column(ColumnSpec::text("metric").doc("loss (without penalties on weights), accuracy or learning-rate"))
        .column(
            ColumnSpec::text("split")
                .doc("train: mean over the batches since the last point; validation: all its rows"),
        )
        .column(ColumnSpec::integer("update").unit("updates").doc("updates made by then"))
        .column(ColumnSpec::float("epoch").unit("epochs").doc("passes over the training rows made by then"))
        .column(ColumnSpec::float("value"));
    for point in points {
        let row =
            [point.metric.into(), point.split.into(), point.update.into(), point.epoch.into(), point.value.into()];
        table.push(row)?;
    }
    table.finish()
}

#[cfg(test)]
mod tests;
