//! Duress.

pub mod nn;
