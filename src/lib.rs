//! Duress puts neural networks under duress: it trains, prunes, perturbs, injects faults into, evaluates and bounds them.
//!
//! A study is one TOML file. `duress-engine` compiles it into a DAG of stages and runs what `duress-cache` does not hold
//! yet; this crate adds what is about neural networks and what is about people: the command line and its reports.

pub mod commands;
pub mod data;
pub mod device;
pub mod exit;
pub mod host;
pub mod nn;
pub mod report;
pub mod settings;
pub mod stages;
mod units;
