//! Networks and their kernels: pure types and functions that know nothing of specs, stages or the cache.
//!
//! A [`Network`] says what the layers are; [`Weights`] give their numbers and a [`Mask`] says which of them are kept. An
//! [`Executor`] runs a network forward in `f32` or `f64`; [`gradient`] goes backward to inputs and activations; [`train`]
//! fits weights on dfdx's tape, which no other module sees; [`prune`] chooses what to drop.

pub mod attack;
pub mod bound;
pub mod crash_rates;
pub mod examples;
pub mod executor;
pub mod fault;
pub mod gradient;
pub mod init;
pub mod mask;
pub mod network;
pub mod prune;
pub mod statistics;
mod tape;
pub mod train;
pub mod weights;
pub mod weights_table;

pub use duress_network::{Activation, Real, Stream, Tensor, activation, dense, random, real, tensor};

pub use examples::Examples;
pub use executor::{Executor, Trace, argmax, predict};
pub use init::Init;
pub use mask::{Mask, MaskTensor};
pub use network::{Layer, Network, NetworkError};
pub use weights::{Weights, WeightsError};
