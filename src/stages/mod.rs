//! The kinds of stages: the thin layer between the algorithms of [`crate::nn`] and the engine.
//!
//! A kind is a folder: its keys, what comes out of what goes in, and how it runs. What several kinds share is beside them:
//! the types of artifacts, tables of samples, and tidy results.

pub mod artifact;
pub mod bound;
pub mod crash;
mod crash_errors;
mod examples;
pub mod inject;
pub mod model;
pub mod perturb;
pub mod prune;
#[cfg(test)]
mod testing;
mod tidy;
pub mod train;
