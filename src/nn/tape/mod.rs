//! The one module that sees dfdx: its tape runs our backward kernels.
//!
//! The network and the loss are operations of our own on that tape ([`network`], [`loss`]), and updates are steps of our own
//! ([`optimize`]), on the kernels of [`duress_network`]: so a training has the same bits for any number of threads and on any
//! processor, and no parameter or gradient is copied between the two.

mod loss;
mod network;
mod optimize;

use std::sync::Arc;

use dfdx::prelude::{Backward, Cpu, Tensor};
use dfdx::tensor::{Gradients, NoneTape, OwnedTape};
use duress_network::chosen::{ChosenTrainer, Processor};
use duress_network::graph::Parameter;
use duress_network::kernel::{InstructionSet, Threads, elementwise};
use duress_network::op::{Randomness, Role};
use duress_network::training::TrainingError;
use duress_network::{Network, Weights};
use thiserror::Error;

pub(super) use self::loss::evaluate;
use self::network::{Places, Statistics};
use self::optimize::Updater;
use super::mask::{Mask, MaskError};
use super::train::{Loss, TrainConfig};

type Tape = OwnedTape<f32, Cpu>;
/// A parameter's place on the tape: a tensor of no numbers.
type Place = Tensor<(usize,), f32, Cpu>;
type Matrix<T = NoneTape> = Tensor<(usize, usize), f32, Cpu, T>;
type Grads = Gradients<f32, Cpu>;

/// A step that could not be computed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TapeError {
    /// The device gave up.
    #[error("device could not compute a training step ({0}); free memory or make the batch smaller")]
    Device(&'static str),
    /// The batch does not fit the network.
    #[error(transparent)]
    Network(#[from] TrainingError),
}

impl From<dfdx::tensor::CpuError> for TapeError {
    fn from(error: dfdx::tensor::CpuError) -> Self {
        Self::Device(match error {
            dfdx::tensor::CpuError::OutOfMemory => "out of memory",
            dfdx::tensor::CpuError::WrongNumElements => "wrong number of elements",
        })
    }
}

/// The examples of one update.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch<'a> {
    /// `rows x inputs`.
    pub(super) x: &'a [f32],
    /// What the outputs should be, `rows x outputs`; each row sums to 1 for the cross-entropy.
    pub(super) targets: &'a [f32],
    /// What each row's loss counts; they usually sum to 1.
    pub(super) row_weights: &'a [f32],
    /// The number of the update, from 0, which random draws depend on.
    pub(super) update: u64,
}

/// What a step saw before it updated the weights.
#[derive(Debug)]
pub(super) struct Seen {
    /// The weighted loss of the batch, without penalties on weights.
    pub(super) loss: f32,
    /// The outputs, `rows x outputs`.
    pub(super) logits: Vec<f32>,
    /// The gradient of the loss, by parameter; empty for buffers.
    gradients: Vec<Vec<f32>>,
    statistics: Statistics,
}

impl Seen {
    /// Makes loss and gradient `1 - share` times these and `share` times those of `other`; outputs and statistics stay.
    pub(super) fn mix(&mut self, other: &Self, share: f32) {
        let mean = |own: f32, other: f32| (1.0 - share) * own + share * other;
        self.loss = mean(self.loss, other.loss);
        for (own, other) in self.gradients.iter_mut().flatten().zip(other.gradients.iter().flatten()) {
            *own = mean(*own, *other);
        }
    }
}

/// Weights while they are trained.
pub(super) struct Learner {
    trainer: Arc<ChosenTrainer>,
    places: Places,
    weights: Weights,
    /// For each parameter that a mask is about and that is trained whole, 1 where a number takes part, else 0; of others the
    /// trainer knows which take part.
    keep: Vec<Option<Vec<f32>>>,
    updater: Updater,
    loss: Loss,
    l1: f32,
    l2: f32,
    seed: u64,
}

impl std::fmt::Debug for Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learner").field("network", self.weights.network()).finish_non_exhaustive()
    }
}

impl Learner {
    /// Starts from `start`, with the weights that `mask` drops set to zero and kept there. Runs are those of `network`,
    /// which has the parameters of the weights' own and may let neurons crash besides.
    ///
    /// # Errors
    /// Where the mask does not fit the weights.
    pub(super) fn new(
        processor: &Processor,
        start: Weights,
        network: &Network,
        mask: Option<&Mask>,
        config: &TrainConfig,
    ) -> Result<Self, MaskError> {
        let mut weights = start;
        if let Some(mask) = mask {
            mask.apply(&mut weights)?;
        }
        let mut masks = mask.into_iter().flat_map(|mask| &mask.tensors);
        let parameters = weights.network().parameters();
        let own = |p: &Parameter| (p.role == Role::Weight).then(|| Some(masks.next()?.keep.as_slice())).flatten();
        let flags: Vec<Option<&[bool]>> = parameters.iter().map(own).collect();
        let trainer = ChosenTrainer::masked(processor, network, &flags);
        let whole = flags.iter().enumerate().map(|(index, keep)| keep.filter(|_| trainer.pattern(index).is_none()));
        let number = |keep: &[bool]| keep.iter().map(|keep| f32::from(u8::from(*keep))).collect();
        let keep = whole.map(|keep| keep.map(number)).collect();
        // Buffers have no moments.
        let trained = |(index, p): (usize, &Parameter)| match trainer.pattern(index) {
            Some(pattern) => pattern.kept(),
            None if p.role.is_trained() => p.len(),
            None => 0,
        };
        let lengths: Vec<usize> = parameters.iter().enumerate().map(trained).collect();
        Ok(Self {
            trainer: Arc::new(trainer),
            places: Places::new(parameters.len()),
            keep,
            updater: Updater::new(config.optimizer, &lengths),
            loss: config.loss,
            l1: config.l1 as f32,
            l2: config.l2 as f32,
            seed: config.seed,
            weights,
        })
    }

    /// What the network makes of the batch with these weights, which may differ from the learner's, and the gradient there.
    ///
    /// # Errors
    /// Where the batch does not fit the network, or the device is out of memory.
    pub(super) fn look(&self, weights: &Weights, batch: Batch<'_>) -> Result<Seen, TapeError> {
        let rows = batch.row_weights.len();
        let given = self.trainer.taking_part(weights);
        let parameters: Vec<&[f32]> = given.iter().map(|values| &**values).collect();
        let random = Randomness { seed: self.seed, step: batch.update, first: 0 };
        let (outputs, statistics) =
            network::network(&self.trainer, &self.places, &parameters, (batch.x, rows), random)?;
        let (loss, logits) = loss::loss(self.loss, outputs, batch.targets, batch.row_weights);
        let value = loss::value(&loss);
        let mut gradients = loss.backward();
        self.places.check()?;
        let gradients = self.places.take(&mut gradients)?;
        Ok(Seen { loss: value, logits, gradients, statistics })
    }

    /// Moves the weights along what was seen, at `lr_factor` times the optimiser's learning rate. The gradients and moments
    /// of dropped weights are exactly zero.
    pub(super) fn update(&mut self, seen: &mut Seen, lr_factor: f64) {
        let how = (InstructionSet::detect(), Threads::Pool);
        self.updater.advance(lr_factor);
        let roles: Vec<Role> = self.weights.network().parameters().iter().map(|p| p.role).collect();
        for (index, (values, role)) in self.weights.values_mut().zip(roles).enumerate() {
            if !role.is_trained() {
                continue;
            }
            let gradient = &mut seen.gradients[index];
            let pattern = self.trainer.pattern(index);
            let mut kept = pattern.map(|pattern| pattern.gather(values));
            let moving = kept.as_deref_mut().unwrap_or(&mut *values);
            if role == Role::Weight && (self.l1 != 0.0 || self.l2 != 0.0) {
                penalize(gradient, moving, self.l1, self.l2);
            }
            if let Some(keep) = &self.keep[index] {
                elementwise::rectify_gradient(how, keep, gradient);
            }
            self.updater.update(index, moving, gradient);
            if let (Some(pattern), Some(kept)) = (pattern, kept) {
                pattern.scatter(&kept, values);
            }
        }
        for (index, values) in &seen.statistics {
            self.weights.value_mut(*index).copy_from_slice(values);
        }
    }

    /// The weights as they are now.
    #[must_use]
    pub(super) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The optimiser's moments, each by parameter and as long as it, dropped weights having none; empty for buffers.
    #[must_use]
    pub(super) fn moments(&self) -> Vec<Vec<Vec<f32>>> {
        let parameters = self.weights.network().parameters();
        let whole = |(index, values): (usize, &Vec<f32>)| match self.trainer.pattern(index) {
            Some(pattern) => {
                let mut whole = vec![0.0; parameters[index].len()];
                pattern.scatter(values, &mut whole);
                whole
            }
            None => values.clone(),
        };
        self.updater.moments().iter().map(|moment| moment.iter().enumerate().map(whole).collect()).collect()
    }

    /// Those of [`Learner::moments`] that belong to numbers that take part; none where they are not as long as that.
    fn taking_part(&self, moments: Vec<Vec<Vec<f32>>>) -> Option<Vec<Vec<Vec<f32>>>> {
        let parameters = self.weights.network().parameters();
        let part = |(index, values): (usize, Vec<f32>)| match self.trainer.pattern(index) {
            Some(pattern) => (values.len() == parameters[index].len()).then(|| pattern.gather(&values)),
            None => Some(values),
        };
        let moment = |moment: Vec<Vec<f32>>| {
            (moment.len() == parameters.len()).then(|| moment.into_iter().enumerate().map(part).collect()).flatten()
        };
        moments.into_iter().map(moment).collect()
    }

    /// Goes to where a learner was after so many updates; whether the state is one of this network and optimiser, without
    /// which nothing changes.
    pub(super) fn resume(&mut self, updates: u64, weights: Weights, moments: Vec<Vec<Vec<f32>>>) -> bool {
        let moments = self.taking_part(moments);
        let fits = weights.network() == self.weights.network()
            && moments.is_some_and(|moments| self.updater.resume(updates, moments));
        if fits {
            self.weights = weights;
        }
        fits
    }
}

/// Adds the derivatives of `l1 * sum |w| + l2 * sum w^2` to the gradient of the weights.
fn penalize(gradient: &mut [f32], weights: &[f32], l1: f32, l2: f32) {
    for (d, w) in gradient.iter_mut().zip(weights) {
        // A weight at zero, masked or not, is pulled nowhere.
        let pull = if *w == 0.0 { 0.0 } else { l1.copysign(*w) };
        *d += pull + 2.0 * l2 * w;
    }
}
