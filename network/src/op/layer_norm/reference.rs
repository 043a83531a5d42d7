//! The definition of a layer normalisation.

use super::LayerNorm;
use crate::op::arithmetic::{Given, Reference, places};

impl Reference for LayerNorm {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let features = places(given.shapes[0])[1];
        let row = |x: &[f64]| -> Vec<f64> {
            let n = features as f64;
            let mean = x.iter().sum::<f64>() / n;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            let z = x.iter().map(|x| (x - mean) / (variance + self.eps).sqrt());
            z.zip(given.parameters[0].iter().zip(given.parameters[1])).map(|(z, (w, b))| z * w + b).collect()
        };
        given.x[0].chunks_exact(features).flat_map(row).collect()
    }
}
