//! Analytic statements about a network under neuron crashes, each marked as certified or as an estimate.
//!
//! [`DenseChain`] is the network in double precision, [`crash_bounds`] the bounds b1 to b4 for many inputs at once,
//! [`norm_sums`] the baselines that know only the weights.

mod chain;
mod crash;
mod norms;

pub use chain::{ChainError, ChainTrace, DenseChain, DenseLayer, Matrix};
pub use crash::{CrashBounds, CrashError, CrashForm, Guarantee, NormOf, Spread, Variance, crash_bounds};
pub use norms::{Norm, NormSums, norm_sums};

#[cfg(test)]
mod tests;
