//! Neural networks: what they are, how they run, and the files that hold their weights.
//!
//! This crate knows nothing of studies, stages or caches, and of dfdx; training, attacks, faults and bounds are built on
//! it.

pub mod activation;
pub mod arch;
pub mod campaign;
pub mod chosen;
pub mod device;
pub mod executor;
pub mod files;
pub mod graph;
pub mod guard;
pub mod init;
pub mod kernel;
pub mod memory;
pub mod op;
pub mod random;
pub mod real;
pub mod tensor;
pub mod training;
pub mod weights;

pub use activation::Activation;
pub use graph::{Network, Node};
pub use init::{Init, Scheme};
pub use op::Op;
pub use random::Stream;
pub use real::Real;
pub use tensor::Tensor;
pub use weights::Weights;
