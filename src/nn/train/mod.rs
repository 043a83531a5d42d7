//! Fits weights to examples.
//!
//! Which rows an update sees depends on the seed and the update's number alone; sums run in a fixed order. So the weights
//! have the same bits for any number of threads. `update` counts true updates of the weights, short last batches included.

mod augment;
mod batches;
mod bit_errors;
mod config;
mod course;
mod crashing;
mod state;

use duress_network::Weights;
use duress_network::chosen::{ChosenExecutor, Processor};
use duress_network::executor::{ExecutorError, Options};
use thiserror::Error;

pub use self::augment::Augment;
pub use self::bit_errors::{BitErrors, Word};
pub use self::config::{EarlyStopping, EpsilonForm, Length, Loss, Optimizer, Schedule, TrainConfig};
pub use self::course::Training;
use self::course::{correct, targets};
pub use self::state::{Best, Course, Running, State};
use super::classifier::Classifier;
use super::examples::Examples;
use super::mask::{Mask, MaskError};
pub use super::tape::TapeError;

/// Perturbs a batch against the current weights: gives as many features back, or says why it cannot.
pub type Perturb<'a> = dyn Fn(&Classifier, &CleanBatch<'_>) -> Result<Vec<f32>, String> + Sync + 'a;

/// The rows of an update, for an attack on them.
#[derive(Clone, Copy, Debug)]
pub struct CleanBatch<'a> {
    /// Their features, `rows x features`.
    pub x: &'a [f32],
    /// Their labels.
    pub labels: &'a [u32],
    /// Where in the training data they are.
    pub rows: &'a [usize],
    /// The number of the update, from 0.
    pub update: u64,
}

/// How a training talks to whoever runs it.
pub trait TrainHooks: Send {
    /// `done` of `total` updates are made.
    fn progress(&mut self, done: u64, total: u64);
    /// Whether to give up; asked before each update.
    fn cancelled(&self) -> bool;
}

/// Hooks that neither show progress nor cancel.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHooks;

impl TrainHooks for NoHooks {
    fn progress(&mut self, _done: u64, _total: u64) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// A point of the learning curve.
#[derive(Clone, Debug, PartialEq)]
pub struct CurvePoint {
    /// Updates made before it was measured.
    pub update: u64,
    /// Passes over the training rows made by then.
    pub epoch: f64,
    /// `train` (a mean over the batches since the last point, before each was learned from) or `validation` (all rows,
    /// with the current weights).
    pub split: &'static str,
    /// `loss` (without penalties on weights; the training loss as it is optimised, the validation loss on the plain labels),
    /// `accuracy`, or `learning-rate`.
    pub metric: &'static str,
    /// Its value.
    pub value: f64,
}

/// What came of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The trained weights: the last ones, or with early stopping the best ones.
    pub weights: Weights,
    /// The weights that training started from, masked.
    pub initial: Weights,
    /// The weights after [`TrainConfig::snapshot`] updates, or the last ones of a training that was shorter.
    pub snapshot: Weights,
    /// The learning curve.
    pub curve: Vec<CurvePoint>,
    /// Updates made.
    pub updates: u64,
    /// The update after which `weights` were taken.
    pub taken_at: u64,
}

/// A training that cannot be, or that broke off.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrainError {
    /// The mask does not fit the network.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// The network could not be run.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The device failed.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// Data and network or settings do not fit together.
    #[error("{0}")]
    Unfit(String),
    /// The loss stopped being a number.
    #[error("loss is not finite at update {update}; use a smaller learning rate")]
    Diverged {
        /// The update that saw it.
        update: u64,
    },
    /// The hooks said so.
    #[error("training was cancelled; run it again to start over")]
    Cancelled,
}

/// Trains `start` on `data`, with the weights that `mask` drops held at exactly zero.
///
/// Runs in the current rayon pool; see [`on_one_thread`] for trainings side by side.
///
/// # Errors
/// Where data, mask and network do not fit together, the loss stops being finite, or the hooks cancel.
pub fn train(
    config: &TrainConfig,
    start: Weights,
    mask: Option<&Mask>,
    data: &Examples,
    validation: Option<&Examples>,
    perturb: Option<&Perturb<'_>>,
    hooks: &mut dyn TrainHooks,
) -> Result<Trained, TrainError> {
    let mut training = Training::new(config, (start, mask), (data, validation), perturb)?;
    training.advance(u64::MAX, hooks)?;
    Ok(training.finish())
}

/// Runs `work` in a rayon pool of one thread, so that several trainings share the processor without waiting for each other.
///
/// # Errors
/// Where the system cannot start a thread.
pub fn on_one_thread<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R, rayon::ThreadPoolBuildError> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(1).build()?.install(work))
}

/// Whether `data` can be trained on as `config` says.
fn fit(config: &TrainConfig, weights: &Weights, data: &Examples, can_perturb: bool) -> Result<(), TrainError> {
    let network = weights.network();
    let (rows, outputs) = (data.rows(), network.output_len());
    let problem = if rows == 0 {
        "there are no rows to train on; give at least one".to_owned()
    } else if config.batch == 0 {
        "batch is 0; make it at least 1".to_owned()
    } else if data.features != network.input_len() {
        format!("data have {} features but the network reads {}; make them equal", data.features, network.input_len())
    } else if let Some(augment) = config.augment.filter(|augment| !augment.fits(data.features)) {
        let Augment { shape, crop, .. } = augment;
        format!("pictures of {shape:?} cropped by {crop} are no rows of {} features; crop less", data.features)
    } else if config.adversarial_share > 0.0 && (!can_perturb || data.targets.is_some()) {
        "adversarial training needs an attack and class labels; set its share to 0 or supply them".to_owned()
    } else if data.targets.is_some() {
        match (data.target_width() == outputs, config.loss) {
            (true, Loss::MeanSquare) => return Ok(()),
            (false, _) => format!("data have {} targets but the network gives {outputs}", data.target_width()),
            (_, Loss::CrossEntropy) => "data are for regression; use the loss mse".to_owned(),
        }
    } else if data.labels.len() != rows {
        format!("{rows} rows have {} labels; give one for each row", data.labels.len())
    } else if let Some(label) = data.labels.iter().find(|&&label| label as usize >= outputs) {
        format!("label {label} needs more than the network's {outputs} outputs; add outputs or drop the class")
    } else {
        return Ok(());
    };
    Err(TrainError::Unfit(problem))
}

/// The mean loss over all rows of `data` on their plain labels, and the share that is classified correctly.
///
/// # Errors
/// Where the rows do not fit the network.
pub fn score(weights: &Weights, data: &Examples, loss: Loss) -> Result<(f64, Option<f64>), ExecutorError> {
    score_on(&Processor::default(), weights, data, loss)
}

/// [`score`] on a device.
fn score_on(
    processor: &Processor,
    weights: &Weights,
    data: &Examples,
    loss: Loss,
) -> Result<(f64, Option<f64>), ExecutorError> {
    let executor = ChosenExecutor::on(processor, weights, &Options::default());
    let (rows, outputs) = (data.rows(), weights.network().output_len());
    let logits = executor.run(&data.x, rows)?;
    let (total, _) = super::tape::evaluate(loss, &logits, &targets(data, outputs, 0.0), &vec![1.0; rows], outputs);
    let accuracy = data.targets.is_none().then(|| correct(&logits, &data.labels, outputs) as f64 / rows as f64);
    Ok((total / rows as f64, accuracy))
}

#[cfg(test)]
mod tests;
