//! The state of a training between two updates.

use super::crashing::crashing;
use super::{CleanBatch, CurvePoint, Perturb, TrainConfig, TrainError, Trained, score};
use crate::nn::classifier::Classifier;
use crate::nn::examples::Examples;
use crate::nn::executor::argmax;
use crate::nn::mask::Mask;
use duress_network::Weights;

use crate::nn::tape::{Batch, Learner};

/// What was seen of the batches since the last evaluation.
#[derive(Default)]
struct Running {
    rows: f64,
    loss: f64,
    correct: f64,
    lr: f64,
}

/// The best weights so far.
struct Best {
    loss: f64,
    update: u64,
    weights: Weights,
    /// Evaluations since.
    waited: u64,
}

/// A training under way.
pub(super) struct Course<'a> {
    config: &'a TrainConfig,
    data: &'a Examples,
    validation: Option<&'a Examples>,
    perturb: Option<&'a Perturb<'a>>,
    learner: Learner,
    curve: Vec<CurvePoint>,
    running: Running,
    best: Option<Best>,
    per_epoch: u64,
}

impl<'a> Course<'a> {
    /// A training that is about to begin.
    pub(super) fn new(
        config: &'a TrainConfig,
        (start, mask): (Weights, Option<&Mask>),
        (data, validation): (&'a Examples, Option<&'a Examples>),
        perturb: Option<&'a Perturb<'a>>,
        per_epoch: u64,
    ) -> Result<Self, TrainError> {
        let network = crashing(start.network(), &config.crash)?;
        let learner = Learner::new(start, &network, mask, config)?;
        let (curve, running) = (Vec::new(), Running::default());
        Ok(Self { config, data, validation, perturb, learner, curve, running, best: None, per_epoch })
    }

    /// What came of it after `updates` updates.
    pub(super) fn finish(self, updates: u64) -> Trained {
        let initial = self.learner.start().clone();
        let (weights, taken_at) = match self.best {
            Some(best) => (best.weights, best.update),
            None => (self.learner.weights(), updates),
        };
        Trained { weights, initial, curve: self.curve, updates, taken_at }
    }

    /// Update number `step`, from 0, on `rows` of the data.
    pub(super) fn update(&mut self, step: u64, total: u64, rows: &[usize]) -> Result<(), TrainError> {
        let mut own = self.data.select(rows);
        if let Some(augment) = self.config.augment {
            for (x, row) in own.x.chunks_exact_mut(self.data.features).zip(rows) {
                augment.apply(self.config.seed, step / self.per_epoch, *row, x);
            }
        }
        let outputs = self.learner.start().network().output_len();
        let mut targets = targets(&own, outputs, self.config.label_smoothing);
        let share = self.config.adversarial_share as f32;
        let mut x = own.x.clone();
        let mut row_weights = vec![1.0 / rows.len() as f32; rows.len()];
        if let (true, Some(perturb)) = (share > 0.0, self.perturb) {
            let classifier = Classifier::new(self.learner.weights());
            let clean = CleanBatch { x: &own.x, labels: &own.labels, rows, update: step };
            let perturbed = perturb(&classifier, &clean).map_err(TrainError::Unfit)?;
            if perturbed.len() != x.len() {
                return Err(TrainError::Unfit(
                    "the attack gave another number of features back; fix the attack".into(),
                ));
            }
            x.extend(perturbed);
            targets.extend_from_within(..);
            row_weights.fill((1.0 - share) / rows.len() as f32);
            row_weights.extend(vec![share / rows.len() as f32; rows.len()]);
        }
        let factor = self.config.schedule.factor(step, total);
        let batch = Batch { x, targets: &targets, row_weights: &row_weights, update: step };
        let seen = self.learner.step(batch, factor)?;
        if !seen.loss.is_finite() {
            return Err(TrainError::Diverged { update: step });
        }
        self.running.rows += rows.len() as f64;
        self.running.loss += f64::from(seen.loss) * rows.len() as f64;
        self.running.correct += correct(&seen.logits[..rows.len() * outputs], &own.labels, outputs) as f64;
        self.running.lr = factor * self.config.optimizer.lr();
        Ok(())
    }

    /// Adds points to the curve, and says whether it is time to stop.
    pub(super) fn evaluate(&mut self, update: u64) -> Result<bool, TrainError> {
        let epoch = update as f64 / self.per_epoch as f64;
        let mut point = |split, metric, value| self.curve.push(CurvePoint { update, epoch, split, metric, value });
        let running = std::mem::take(&mut self.running);
        if running.rows > 0.0 {
            point("train", "loss", running.loss / running.rows);
            if self.data.targets.is_none() {
                point("train", "accuracy", running.correct / running.rows);
            }
            point("train", "learning-rate", running.lr);
        }
        let Some(validation) = self.validation else { return Ok(false) };
        let weights = self.learner.weights();
        let (loss, accuracy) = score(&weights, validation, self.config.loss)?;
        if !loss.is_finite() {
            return Err(TrainError::Diverged { update });
        }
        point("validation", "loss", loss);
        if let Some(accuracy) = accuracy {
            point("validation", "accuracy", accuracy);
        }
        let Some(stopping) = self.config.early_stopping else { return Ok(false) };
        match &mut self.best {
            Some(best) if loss >= best.loss - stopping.min_delta => {
                best.waited += 1;
                Ok(best.waited >= stopping.patience)
            }
            _ => {
                self.best = Some(Best { loss, update, weights, waited: 0 });
                Ok(false)
            }
        }
    }
}

/// What the outputs should be, `rows x outputs`.
pub(super) fn targets(data: &Examples, outputs: usize, smoothing: f64) -> Vec<f32> {
    if let Some(targets) = &data.targets {
        return targets.clone();
    }
    let off = (smoothing / outputs as f64) as f32;
    let on = (1.0 - smoothing + smoothing / outputs as f64) as f32;
    let mut out = vec![off; data.rows() * outputs];
    for (row, &label) in data.labels.iter().enumerate() {
        out[row * outputs + label as usize] = on;
    }
    out
}

/// How many rows of `logits` have their label as the largest.
pub(super) fn correct(logits: &[f32], labels: &[u32], outputs: usize) -> usize {
    logits.chunks_exact(outputs).zip(labels).filter(|(row, label)| argmax(row) == **label as usize).count()
}
