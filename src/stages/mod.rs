//! The kinds of stages: the thin layer between the algorithms of [`crate::nn`] and the engine.
//!
//! A kind is a folder: its keys, what comes out of what goes in, and how it runs. What several kinds share is beside them:
//! the types of artifacts, tables of samples, and tidy results.

use duress_engine::stage::{Kind, Registry, SourceSection};

pub mod artifact;
pub mod bound;
pub mod crash;
mod crash_errors;
pub mod data;
pub mod evaluate;
mod examples;
pub mod inject;
pub mod model;
pub mod perturb;
pub mod prune;
#[cfg(test)]
mod testing;
mod tidy;
pub mod train;
pub mod weights;

/// Everything that can be written in a spec. A new kind is its folder and a line here.
pub static REGISTRY: Registry = Registry {
    kinds: &[
        Kind::of::<train::Train>(),
        Kind::of::<prune::Prune>(),
        Kind::of::<perturb::Perturb>(),
        Kind::of::<inject::Inject>(),
        Kind::of::<evaluate::Evaluate>(),
        Kind::of::<bound::Bound>(),
    ],
    sources: &[
        SourceSection { section: "data", noun: "data set", kind: Kind::of::<data::Data>() },
        SourceSection { section: "weights", noun: "file of weights", kind: Kind::of::<weights::Pretrained>() },
    ],
    definitions: &[model::DEFINITION],
};
