//! The definition of a linear layer.

use super::Linear;
use crate::op::arithmetic::{Given, Reference, places};

impl Reference for Linear {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let features = places(given.shapes[0])[1];
        let bias = given.parameters.get(1).map_or_else(|| vec![0.0; self.outputs], |b| b.to_vec());
        map(given.x[0], features, given.parameters[0], &bias)
    }
}

/// `W x + b` for each row of `features` numbers.
pub(crate) fn map(x: &[f64], features: usize, weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let row = |x: &[f64], o: usize| bias[o] + x.iter().zip(&weight[o * features..]).map(|(x, w)| x * w).sum::<f64>();
    x.chunks_exact(features).flat_map(|x| (0..bias.len()).map(move |o| row(x, o))).collect()
}
