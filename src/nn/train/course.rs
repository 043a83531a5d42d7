//! A training under way. Between two updates it can be put down as a [`State`] and taken up again, with the same bits after.

use duress_network::Weights;
use duress_network::chosen::Processor;

use super::batches::Batches;
use super::bit_errors::Disturbed;
use super::crashing::crashing;
use super::state::{Best, Course, State};
use super::{CleanBatch, CurvePoint, Perturb, TrainConfig, TrainError, TrainHooks, Trained, fit, score_on};
use crate::nn::classes::argmax;
use crate::nn::classifier::Classifier;
use crate::nn::examples::Examples;
use crate::nn::mask::Mask;
use crate::nn::tape::{Batch, Learner, Seen};

/// A training under way.
#[derive(Debug)]
pub struct Training<'a> {
    config: &'a TrainConfig,
    data: &'a Examples,
    validation: Option<&'a Examples>,
    perturb: Option<AsPerturb<'a>>,
    processor: Processor,
    batches: Batches,
    /// The weights that it started from, masked.
    initial: Weights,
    learner: Learner,
    course: Course,
    /// What attacks see of the weights; made when the first comes.
    classifier: Option<Classifier>,
    disturbed: Option<Disturbed>,
}

/// An attack, which has nothing to show.
struct AsPerturb<'a>(&'a Perturb<'a>);

impl std::fmt::Debug for AsPerturb<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Perturb")
    }
}

/// What an update learns from.
struct Shown {
    x: Vec<f32>,
    targets: Vec<f32>,
    row_weights: Vec<f32>,
}

impl<'a> Training<'a> {
    /// A training that is about to begin, as [`train`](super::train) says, on the processor that the program runs on.
    ///
    /// # Errors
    /// Where data, mask and network do not fit together.
    pub fn new(
        config: &'a TrainConfig,
        start: (Weights, Option<&Mask>),
        data: (&'a Examples, Option<&'a Examples>),
        perturb: Option<&'a Perturb<'a>>,
    ) -> Result<Self, TrainError> {
        Self::on(&Processor::default(), config, start, data, perturb)
    }

    /// [`Training::new`] on `processor`, which runs the network forward and backward; updates are made where the program runs.
    ///
    /// # Errors
    /// Where data, mask and network do not fit together.
    pub fn on(
        processor: &Processor,
        config: &'a TrainConfig,
        (start, mask): (Weights, Option<&Mask>),
        (data, validation): (&'a Examples, Option<&'a Examples>),
        perturb: Option<&'a Perturb<'a>>,
    ) -> Result<Self, TrainError> {
        fit(config, &start, data, perturb.is_some())?;
        if let Some(validation) = validation {
            fit(config, &start, validation, true)?;
        } else if config.early_stopping.is_some() {
            return Err(TrainError::Unfit(
                "early stopping needs validation rows; hold some back with `validation` in the data section".into(),
            ));
        }
        let network = crashing(start.network(), &config.crash)?;
        let learner = Learner::new(processor, start, &network, mask, config)?;
        let initial = learner.weights().clone();
        let disturbed = config.bit_errors.as_ref().map(|errors| Disturbed::new(errors.clone(), config.seed, mask));
        Ok(Self {
            config,
            data,
            validation,
            perturb: perturb.filter(|_| config.adversarial_share > 0.0).map(AsPerturb),
            processor: processor.clone(),
            batches: Batches::new(config, data),
            initial,
            learner,
            course: Course::default(),
            classifier: None,
            disturbed,
        })
    }

    /// Updates that it makes unless it stops early.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.batches.total()
    }

    /// Updates made.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.course.updates
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.course.stopped || self.course.updates >= self.total()
    }

    /// Goes on until `until` updates are made, or the end.
    ///
    /// # Errors
    /// Where the loss stops being finite, or the hooks cancel.
    pub fn advance(&mut self, until: u64, hooks: &mut dyn TrainHooks) -> Result<(), TrainError> {
        if self.course.updates == 0 {
            self.evaluate()?;
        }
        let every = self.config.evaluate_every.unwrap_or(self.batches.per_epoch()).max(1);
        while !self.is_over() && self.course.updates < until {
            if hooks.cancelled() {
                return Err(TrainError::Cancelled);
            }
            self.update()?;
            let updates = self.course.updates;
            hooks.progress(updates, self.total());
            if updates.is_multiple_of(every) || updates == self.total() {
                self.course.stopped = self.evaluate()?;
            }
        }
        Ok(())
    }

    /// Where it is now.
    #[must_use]
    pub fn state(&self) -> State {
        State { course: self.course.clone(), weights: self.learner.weights().clone(), moments: self.learner.moments() }
    }

    /// Goes to where a training of the same configuration was.
    ///
    /// # Errors
    /// Where the state belongs to another network or optimiser; then nothing changes.
    pub fn resume(&mut self, state: State) -> Result<(), TrainError> {
        let State { course, weights, moments } = state;
        if !self.learner.resume(course.updates, weights, moments) {
            return Err(TrainError::Unfit("the state is that of another training; run `duress cache gc`".into()));
        }
        self.course = course;
        Ok(())
    }

    /// What came of it.
    #[must_use]
    pub fn finish(self) -> Trained {
        let Course { updates, curve, best, snapshot, .. } = self.course;
        let last = self.learner.weights();
        let snapshot = match (self.config.snapshot, snapshot) {
            (0, _) => self.initial.clone(),
            (_, Some(taken)) => taken,
            (_, None) => last.clone(),
        };
        let (weights, taken_at) = match best {
            Some(best) => (best.weights, best.update),
            None => (last.clone(), updates),
        };
        Trained { weights, initial: self.initial, snapshot, curve, updates, taken_at }
    }

    /// Makes the next update.
    fn update(&mut self) -> Result<(), TrainError> {
        let update = self.course.updates;
        let rows = self.batches.rows(update);
        let mut own = self.data.select(&rows);
        if let Some(augment) = self.config.augment {
            let epoch = update / self.batches.per_epoch();
            for (x, row) in own.x.chunks_exact_mut(self.data.features).zip(&rows) {
                augment.apply(self.config.seed, epoch, *row, x);
            }
        }
        let shown = self.shown(&mut own, &rows)?;
        let Shown { x, targets, row_weights } = &shown;
        let mut seen = self.look(Batch { x, targets, row_weights, update })?;
        if !seen.loss.is_finite() {
            return Err(TrainError::Diverged { update });
        }
        let factor = self.config.lr_factor(update, self.total());
        self.learner.update(&mut seen, factor);
        let outputs = self.initial.network().output_len();
        let running = &mut self.course.running;
        running.rows += rows.len() as f64;
        running.loss += f64::from(seen.loss) * rows.len() as f64;
        running.correct += correct(&seen.logits[..rows.len() * outputs], &own.labels, outputs) as f64;
        running.lr = factor * self.config.optimizer.lr();
        self.course.updates += 1;
        if self.course.updates == self.config.snapshot {
            self.course.snapshot = Some(self.learner.weights().clone());
        }
        Ok(())
    }

    /// What is learned from the rows `rows`, whose features and labels are `own`: they, and behind them what an attack makes
    /// of them. Takes the features out of `own`.
    fn shown(&mut self, own: &mut Examples, rows: &[usize]) -> Result<Shown, TrainError> {
        let mut targets = targets(own, self.initial.network().output_len(), self.config.label_smoothing);
        let mut row_weights = vec![1.0 / rows.len() as f32; rows.len()];
        let mut x = std::mem::take(&mut own.x);
        if let Some(AsPerturb(perturb)) = &self.perturb {
            let weights = self.learner.weights();
            match &mut self.classifier {
                Some(classifier) => classifier.set(weights),
                None => self.classifier = Some(Classifier::on(&self.processor, weights.clone())),
            }
            let clean = CleanBatch { x: &x, labels: &own.labels, rows, update: self.course.updates };
            let perturbed = match &self.classifier {
                Some(classifier) => perturb(classifier, &clean).map_err(TrainError::Unfit)?,
                None => Vec::new(),
            };
            if perturbed.len() != x.len() {
                return Err(TrainError::Unfit(
                    "the attack gave another number of features back; fix the attack".into(),
                ));
            }
            let share = self.config.adversarial_share as f32;
            x.extend(perturbed);
            targets.extend_from_within(..);
            row_weights.fill((1.0 - share) / rows.len() as f32);
            row_weights.resize(2 * rows.len(), share / rows.len() as f32);
        }
        Ok(Shown { x, targets, row_weights })
    }

    /// The loss of the batch and its gradient: at the weights, at weights with bit errors, or a mean of both.
    fn look(&mut self, batch: Batch<'_>) -> Result<Seen, TrainError> {
        let weights = self.learner.weights();
        let Some(disturbed) = &mut self.disturbed else { return Ok(self.learner.look(weights, batch)?) };
        let share = disturbed.share();
        let faulty = self.learner.look(disturbed.of(weights, batch.update), batch)?;
        if share >= 1.0 {
            return Ok(faulty);
        }
        let mut seen = self.learner.look(weights, batch)?;
        seen.mix(&faulty, share as f32);
        Ok(seen)
    }

    /// Adds points to the curve, and says whether it is time to stop.
    fn evaluate(&mut self) -> Result<bool, TrainError> {
        let Course { updates: update, running, curve, best, .. } = &mut self.course;
        let update = *update;
        let epoch = update as f64 / self.batches.per_epoch() as f64;
        let mut point = |split, metric, value| curve.push(CurvePoint { update, epoch, split, metric, value });
        let running = std::mem::take(running);
        if running.rows > 0.0 {
            point("train", "loss", running.loss / running.rows);
            if self.data.targets.is_none() {
                point("train", "accuracy", running.correct / running.rows);
            }
            point("train", "learning-rate", running.lr);
        }
        let Some(validation) = self.validation else { return Ok(false) };
        let weights = self.learner.weights();
        let (loss, accuracy) = score_on(&self.processor, weights, validation, self.config.loss)?;
        if !loss.is_finite() {
            return Err(TrainError::Diverged { update });
        }
        point("validation", "loss", loss);
        if let Some(accuracy) = accuracy {
            point("validation", "accuracy", accuracy);
        }
        let Some(stopping) = self.config.early_stopping else { return Ok(false) };
        match best {
            Some(best) if loss >= best.loss - stopping.min_delta => {
                best.waited += 1;
                Ok(best.waited >= stopping.patience)
            }
            _ => {
                *best = Some(Best { loss, update, waited: 0, weights: weights.clone() });
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
    let mut out = vec![off; data.labels.len() * outputs];
    for (row, &label) in data.labels.iter().enumerate() {
        out[row * outputs + label as usize] = on;
    }
    out
}

/// How many rows of `logits` have their label as the largest.
pub(super) fn correct(logits: &[f32], labels: &[u32], outputs: usize) -> usize {
    logits.chunks_exact(outputs).zip(labels).filter(|(row, label)| argmax(row) == **label as usize).count()
}
