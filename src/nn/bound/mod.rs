//! Analytic statements about a network under neuron crashes, each marked as certified or as an estimate.
//!
//! [`Chain`] is the network in double precision, read by [`read_chain`] where its operations can be followed; [`crash_bounds`]
//! are the bounds b1 to b4 for many inputs at once, [`norm_sums`] the baselines that know only the weights.

mod chain;
mod crash;
mod map;
mod norms;
mod read;

pub use chain::{Chain, ChainError, ChainTrace, DenseLayer, Layer};
pub use crash::{CrashBounds, CrashError, CrashForm, Guarantee, NormOf, Spread, Variance, Without, crash_bounds};
pub use map::{Convolution, Map, Matrix};
pub use norms::{Norm, NormSums, norm_sums};
pub use read::{Unfollowed, check_chain, read_chain};

#[cfg(test)]
mod tests;
