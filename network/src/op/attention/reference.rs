//! The definition of self-attention.

use super::Attention;
use crate::op::arithmetic::{Given, Reference};
use crate::op::linear::reference::map;
use crate::op::softmax::reference::probabilities;

impl Reference for Attention {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let [steps, f] = [given.shapes[0][0], given.shapes[0][1]];
        let (p, width) = (given.parameters, f / self.heads);
        let image = |x: &[f64]| {
            let stacked = map(x, f, p[0], p[1]);
            let at = |part: usize, step: usize, feature: usize| stacked[step * 3 * f + part * f + feature];
            let mut heads = vec![0.0; steps * f];
            for (h, q) in (0..self.heads).flat_map(|h| (0..steps).map(move |q| (h, q))) {
                let score = |k: usize| {
                    let features = h * width..(h + 1) * width;
                    features.map(|i| at(0, q, i) * at(1, k, i)).sum::<f64>() / (width as f64).sqrt()
                };
                let shares = probabilities(&(0..steps).map(score).collect::<Vec<_>>());
                for i in h * width..(h + 1) * width {
                    heads[q * f + i] = (0..steps).map(|k| shares[k] * at(2, k, i)).sum();
                }
            }
            map(&heads, f, p[2], p[3])
        };
        given.x[0].chunks_exact(steps * f).flat_map(image).collect()
    }
}
