//! The definition of a softmax.

use super::Softmax;
use crate::op::arithmetic::{Given, Reference, places};

impl Reference for Softmax {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        given.x[0].chunks_exact(places(given.shapes[0])[1]).flat_map(probabilities).collect()
    }
}

/// The softmax of a row.
pub(crate) fn probabilities(x: &[f64]) -> Vec<f64> {
    let sum: f64 = x.iter().map(|x| x.exp()).sum();
    x.iter().map(|x| x.exp() / sum).collect()
}
