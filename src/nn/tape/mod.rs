//! The one module that sees dfdx: its tensors hold the parameters while they are trained, its tape runs our backward
//! kernels, its optimisers update.
//!
//! The network and the loss are operations of our own on that tape ([`network`], [`loss`]), on the kernels of
//! [`duress_network`], so that a training has the same bits for any number of threads and on any processor.

mod loss;
mod network;
mod optimize;

use std::sync::Arc;

use dfdx::prelude::{Backward, Cpu, Tensor, TensorFromVec, Trace};
use dfdx::tensor::{Gradients, NoneTape, OwnedTape};
use duress_network::Weights;
use duress_network::op::{Randomness, Role};
use duress_network::training::{Trainer, TrainingError};
use thiserror::Error;

pub(super) use self::loss::evaluate;
use self::network::Parameters;
use self::optimize::Updater;
use super::mask::{Mask, MaskError};
use super::train::{Loss, TrainConfig};

type Tape = OwnedTape<f32, Cpu>;
type Vector = Tensor<(usize,), f32, Cpu>;
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
#[derive(Debug)]
pub(super) struct Batch<'a> {
    /// `rows x inputs`.
    pub(super) x: Vec<f32>,
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
}

/// Weights while they are trained.
pub(super) struct Learner {
    /// What the training started from, masked.
    start: Weights,
    device: Cpu,
    parameters: Parameters,
    updater: Updater,
    loss: Loss,
    l1: f32,
    l2: f32,
    seed: u64,
}

impl std::fmt::Debug for Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learner").field("network", self.start.network()).finish_non_exhaustive()
    }
}

impl Learner {
    /// Starts from `start`, with the weights that `mask` drops set to zero and kept there. Runs are those of `network`,
    /// which has the parameters of the weights' own and may let neurons crash besides.
    ///
    /// # Errors
    /// Where the mask does not fit the weights.
    pub(super) fn new(
        start: Weights,
        network: &duress_network::Network,
        mask: Option<&Mask>,
        config: &TrainConfig,
    ) -> Result<Self, MaskError> {
        let mut start = start;
        if let Some(mask) = mask {
            mask.apply(&mut start)?;
        }
        let device = Cpu::default();
        let mut masks = mask.into_iter().flat_map(|mask| &mask.tensors);
        let values: Vec<Vec<f32>> = start.tensors().iter().map(|tensor| tensor.values.clone()).collect();
        let parameters = Parameters {
            trainer: Arc::new(Trainer::new(network, duress_network::device::Cpu::new())),
            tensors: values.iter().map(|values| device.tensor_from_vec(values.clone(), (values.len(),))).collect(),
            values,
            keep: (start.network().parameters().iter())
                .map(|p| (p.role == Role::Weight).then(|| Some(Arc::new(masks.next()?.keep.clone()))).flatten())
                .collect(),
        };
        let (updater, loss) = (Updater::new(config.optimizer), config.loss);
        let (l1, l2) = (config.l1 as f32, config.l2 as f32);
        Ok(Self { start, device, parameters, updater, loss, l1, l2, seed: config.seed })
    }

    /// One update at `lr_factor` times the optimiser's learning rate.
    ///
    /// # Errors
    /// Where the batch does not fit the network, or the device is out of memory.
    pub(super) fn step(&mut self, batch: Batch<'_>, lr_factor: f64) -> Result<Seen, TapeError> {
        let Batch { x, targets, row_weights, update } = batch;
        let rows = row_weights.len();
        let x: Matrix = self.device.tensor_from_vec(x, (rows, self.start.network().input_len()));
        let random = Randomness { seed: self.seed, step: update, first: 0 };
        let outputs = network::network(&mut self.parameters, x.leaky_trace(), random)?;
        let (loss, logits) = loss::loss(self.loss, outputs, targets, row_weights);
        let value = loss::value(&loss);
        let mut gradients = loss.backward();
        self.updater.advance(lr_factor);
        let Parameters { tensors, values, .. } = &mut self.parameters;
        for ((tensor, values), parameter) in tensors.iter_mut().zip(values).zip(self.start.network().parameters()) {
            if !parameter.role.is_trained() {
                continue;
            }
            if parameter.role == Role::Weight && (self.l1 != 0.0 || self.l2 != 0.0) {
                penalize(gradients.get_or_alloc_mut(tensor)?, values, self.l1, self.l2);
            }
            self.updater.update(tensor, &mut gradients)?;
            tensor.copy_into(values);
        }
        Ok(Seen { loss: value, logits })
    }

    /// The weights as they are now.
    #[must_use]
    pub(super) fn weights(&self) -> Weights {
        let mut weights = self.start.clone();
        weights.values_mut().zip(&self.parameters.values).for_each(|(own, values)| own.copy_from_slice(values));
        weights
    }

    /// The weights that training started from, masked.
    #[must_use]
    pub(super) fn start(&self) -> &Weights {
        &self.start
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
