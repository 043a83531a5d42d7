//! Networks and their kernels: pure types and functions that know nothing of specs, stages or the cache.
//!
//! A [`Network`] says what the operations are; [`Weights`] give their numbers and a [`Mask`] says which of them are kept.
//! What the literature says of multilayer perceptrons alone is computed on [`Mlp`], the same network seen as layers; crashes of
//! neurons on any [`Sequence`] of layers. [`train`] fits weights on dfdx's tape, which no other module sees; [`prune`] chooses what
//! to drop.

pub mod attack;
pub mod bound;
pub mod classes;
pub mod classifier;
pub mod crash_rates;
pub mod examples;
pub mod fault;
pub mod gradient;
pub mod mask;
pub mod mlp;
pub mod mlp_weights;
#[cfg(test)]
pub(crate) mod plain;
pub mod prune;
pub mod sequence;
pub mod statistics;
mod tape;
pub mod train;
pub mod weights_table;

pub use duress_network::{
    Activation, Init, Network, Real, Scheme, Stream, Tensor, Weights, activation, random, real, tensor,
};

pub use classes::{argmax, predict};
pub use classifier::Classifier;
pub use examples::Examples;
pub use mask::{Mask, MaskError, MaskTensor};
pub use mlp::{Layer, Mlp, MlpError};
pub use mlp_weights::{MlpWeights, MlpWeightsError};
pub use sequence::{LayerNames, Sequence};
