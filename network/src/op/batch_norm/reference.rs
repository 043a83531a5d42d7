//! The definition of a batch normalisation.

use super::BatchNorm;
use crate::op::arithmetic::{Given, Reference, places};

impl Reference for BatchNorm {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let [places, channels] = places(given.shapes[0]);
        let (x, len) = (given.x[0], places * channels);
        let mut y = vec![0.0; x.len()];
        for c in 0..channels {
            let all: Vec<usize> =
                (0..given.images).flat_map(|n| (0..places).map(move |p| n * len + c * places + p)).collect();
            let m = all.len() as f64;
            let (mean, variance) = if given.random.is_some() {
                let mean = all.iter().map(|i| x[*i]).sum::<f64>() / m;
                (mean, all.iter().map(|i| (x[*i] - mean).powi(2)).sum::<f64>() / m)
            } else {
                (given.parameters[2][c], given.parameters[3][c])
            };
            for i in all {
                let z = (x[i] - mean) / (variance + self.eps).sqrt();
                y[i] = z * given.parameters[0][c] + given.parameters[1][c];
            }
        }
        y
    }
}
