//! `train`: weights fitted to data by gradient descent, with the weights they started from and the course they took.

mod config;
mod facts;

use duress_cache::{Artifact, ColumnSpec, Table, TableBuilder, TableError, Tree};
use duress_engine::run::RunContext;
use duress_engine::stage::{InferContext, InputFacts, OutputDoc, OutputFact, Stage, StageError, StageKind};

pub use config::{
    Adam, AdamW, Adversarial, Augment, Cosine, EarlyStopping, Form, Loss, Optimizer, RmsProp, Schedule, Sgd,
    StepSchedule, Train,
};

use super::artifact::{self, DataFact};
use super::examples::dataset;
use crate::nn::attack::{Samples, perturb};
use crate::nn::train::{
    Augment as Augmentation, CleanBatch, CurvePoint, TrainError, TrainHooks, Trained, on_one_thread, train,
};
use crate::nn::weights_table::{mask_from_table, weights_to_table};
use crate::nn::{Classifier, Examples, Mlp, Network, Weights};
pub(super) use facts::tensors;

/// Multiply-adds of an update, forward, from which a training is worth all threads.
const SHARED_FROM: u64 = 1 << 26;

impl StageKind for Train {
    const KIND: &'static str = "train";
    const REVISION: u32 = 2;
    const SUMMARY: &'static str = "Fit a network to data by gradient descent";
    const EXAMPLE: &'static str = include_str!("example.toml");
    const OUTPUTS: &'static [OutputDoc] = &[
        OutputDoc { name: "weights", artifact: "weights", doc: "The trained weights" },
        OutputDoc { name: "initial", artifact: "weights", doc: "The weights that training started from" },
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
        let (rows, features) =
            data.map_or((60_000, 1_000), |d| (d.rows.unwrap_or(60_000), d.features.unwrap_or(1_000)));
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
        let (data, validation) = dataset(cx, &self.data)?;
        let start = self.start(cx, &data)?;
        let mask = match &self.mask {
            Some(mask) => Some(mask_from_table(&cx.table(mask)?).map_err(StageError::failed)?.0),
            None => None,
        };
        let recipe = self.recipe(self.crash_rates(start.network())?, self.augmentation_of(&data)?);
        let attacked = |classifier: &Classifier, clean: &CleanBatch<'_>| self.attacked(classifier, clean);
        let mut hooks = Hooks(cx);
        let work_per_update = start.network().macs() * self.batch.0;
        let work = || train(&recipe, start, mask.as_ref(), &data, validation.as_ref(), Some(&attacked), &mut hooks);
        // Small trainings side by side share the processor best with a thread each.
        let trained = if work_per_update < SHARED_FROM { on_one_thread(work) } else { Ok(cx.install(work)) };
        let trained = trained.map_err(StageError::failed)?.map_err(|error| match error {
            TrainError::Cancelled => StageError::Cancelled,
            error => StageError::failed(error),
        })?;
        artifact(&trained)
    }
}

impl Train {
    /// The weights to start from: those given, or fresh ones.
    fn start(&self, cx: &RunContext<'_>, data: &Examples) -> Result<Weights, StageError> {
        let outputs = if data.targets.is_some() { data.target_width() } else { data.classes };
        let network =
            self.model.network(&self.model.input(data.features, &data.shape), outputs).map_err(StageError::failed)?;
        let Some(start) = &self.start else {
            return Ok(self.model.initialize(&network, self.seed.0));
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

    /// The rows of an update, perturbed.
    fn attacked(&self, classifier: &Classifier, clean: &CleanBatch<'_>) -> Result<Vec<f32>, String> {
        let Some(keys) = &self.adversarial else { return Ok(clean.x.to_vec()) };
        let ids: Vec<u64> = clean.rows.iter().map(|&row| row as u64).collect();
        let samples = Samples { x: clean.x, labels: clean.labels, ids: &ids, draw: clean.update };
        perturb(classifier, &samples, &keys.plan(self.seed.0), keys.eps.0, None).map_err(|error| error.to_string())
    }
}

/// Lets a training speak with the run.
struct Hooks<'a, 'b>(&'a RunContext<'b>);

impl TrainHooks for Hooks<'_, '_> {
    fn progress(&mut self, done: u64, total: u64) {
        self.0.progress(done, total);
    }

    fn cancelled(&self) -> bool {
        self.0.check().is_err()
    }
}

/// What a training leaves behind.
fn artifact(trained: &Trained) -> Result<Artifact, StageError> {
    Ok(Artifact::new([
        ("weights", weights_to_table(&trained.weights).map_err(StageError::failed)?),
        ("initial", weights_to_table(&trained.initial).map_err(StageError::failed)?),
        ("curve", curve(&trained.curve).map_err(StageError::failed)?),
    ]))
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
