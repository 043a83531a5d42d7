//! The one module that sees dfdx: its tensors hold the parameters while they are trained, its tape runs our backward
//! kernels, its optimisers update.
//!
//! Layers and losses are operations of our own on that tape ([`layer`], [`loss`]), on the kernels of [`super::dense`], so
//! that a training has the same bits for any number of threads and on any processor. Weight matrices are kept transposed
//! (`inputs x outputs`) here, which is the layout that the forward pass and the weight gradient want.

mod layer;
mod loss;
mod optimize;

use dfdx::prelude::{Backward, Cpu, Tensor, TensorFromVec, Trace};
use dfdx::tensor::{Gradients, NoneTape, OwnedTape};
use thiserror::Error;

use self::layer::{Dense, dense};
pub(super) use self::loss::evaluate;
use self::optimize::Updater;
use super::dense::transpose;
use super::mask::{Mask, MaskError};
use super::mlp_weights::MlpWeights;
use super::train::{Loss, Optimizer};

type Tape = OwnedTape<f32, Cpu>;
type Vector = Tensor<(usize,), f32, Cpu>;
type Matrix<T = NoneTape> = Tensor<(usize, usize), f32, Cpu, T>;
type Grads = Gradients<f32, Cpu>;

/// A step that the device could not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("device could not compute a training step ({0}); free memory or make the batch smaller")]
pub struct TapeError(&'static str);

impl From<dfdx::tensor::CpuError> for TapeError {
    fn from(error: dfdx::tensor::CpuError) -> Self {
        Self(match error {
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
    /// For layer 0 to `depth`, 1 where a unit survives and 0 where it crashes (`rows x width`), or nothing.
    pub(super) survivors: Vec<Option<Vec<f32>>>,
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
    /// Names, shapes and activations; its numbers are those the training started from.
    start: MlpWeights,
    device: Cpu,
    layers: Vec<Dense>,
    updater: Updater,
    loss: Loss,
    l1: f32,
    l2: f32,
}

impl std::fmt::Debug for Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learner").field("network", &self.start.network).finish_non_exhaustive()
    }
}

impl Learner {
    /// Starts from `start`, with the weights that `mask` drops set to zero and kept there.
    ///
    /// # Errors
    /// Where the mask does not fit the weights.
    pub(super) fn new(
        start: MlpWeights,
        mask: Option<&Mask>,
        optimizer: &Optimizer,
        loss: Loss,
        (l1, l2): (f64, f64),
    ) -> Result<Self, MaskError> {
        let mut start = start;
        if let Some(mask) = mask {
            mask.apply_to_mlp(&mut start)?;
        }
        let device = Cpu::default();
        let layers = (1..=start.network.depth())
            .map(|number| {
                let layer = &start.network.layers[number - 1];
                let weight_t = transpose(start.weight(number), layer.outputs, layer.inputs);
                Dense {
                    weight_t: device.tensor_from_vec(weight_t, (layer.inputs, layer.outputs)),
                    bias: start.bias(number).map(|bias| device.tensor_from_vec(bias.to_vec(), (layer.outputs,))),
                    keep: mask.map(|m| transpose_flags(&m.tensors[number - 1].keep, layer.outputs, layer.inputs)),
                    activation: layer.activation,
                    first: number == 1,
                }
            })
            .collect();
        let updater = Updater::new(*optimizer);
        Ok(Self { start, device, layers, updater, loss, l1: l1 as f32, l2: l2 as f32 })
    }

    /// One update at `lr_factor` times the optimiser's learning rate.
    ///
    /// # Errors
    /// Where the device is out of memory.
    ///
    /// # Panics
    /// If the batch's slices do not fit the network.
    pub(super) fn step(&mut self, batch: Batch<'_>, lr_factor: f64) -> Result<Seen, TapeError> {
        let Batch { mut x, targets, row_weights, survivors } = batch;
        let mut survivors = survivors.into_iter();
        if let Some(survive) = survivors.next().flatten() {
            layer::multiply(&mut x, &survive);
        }
        let rows = row_weights.len();
        let x: Matrix = self.device.tensor_from_vec(x, (rows, self.start.network.inputs));
        let mut h = x.leaky_trace();
        for layer in &self.layers {
            h = dense(layer, h, survivors.next().flatten());
        }
        let (loss, logits) = loss::loss(self.loss, h, targets, row_weights);
        let value = loss::value(&loss);
        let mut gradients = loss.backward();
        self.updater.advance(lr_factor);
        for layer in &mut self.layers {
            if self.l1 != 0.0 || self.l2 != 0.0 {
                layer.penalize(&mut gradients, self.l1, self.l2)?;
            }
            self.updater.update(&mut layer.weight_t, &mut gradients)?;
            if let Some(bias) = &mut layer.bias {
                self.updater.update(bias, &mut gradients)?;
            }
        }
        Ok(Seen { loss: value, logits })
    }

    /// The weights as they are now.
    #[must_use]
    pub(super) fn weights(&self) -> MlpWeights {
        let mut weights = self.start.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            let at = weights.weight_index(index + 1);
            let (inputs, outputs) = *layer::shape_of(&layer.weight_t);
            weights.tensors[at].values = transpose(&layer::values(&layer.weight_t), inputs, outputs);
            if let Some(bias) = &layer.bias {
                weights.tensors[at + 1].values = layer::values(bias);
            }
        }
        weights
    }

    /// The weights that training started from, masked.
    #[must_use]
    pub(super) fn start(&self) -> &MlpWeights {
        &self.start
    }
}

/// A mask `outputs x inputs` as `inputs x outputs`.
fn transpose_flags(keep: &[bool], outputs: usize, inputs: usize) -> Vec<bool> {
    (0..inputs).flat_map(|i| (0..outputs).map(move |o| keep[o * inputs + i])).collect()
}
