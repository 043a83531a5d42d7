//! The definition of a global average pooling.

use super::GlobalAvgPool;
use crate::op::arithmetic::{Given, Reference, places};

impl Reference for GlobalAvgPool {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let [places, channels] = places(given.shapes[0]);
        let image = given.shapes[0].len() == 3;
        let mean = |i: usize| {
            let (n, c) = (i / channels, i % channels);
            let at = |p: usize| n * places * channels + if image { c * places + p } else { p * channels + c };
            (0..places).map(|p| given.x[0][at(p)]).sum::<f64>() / places as f64
        };
        (0..given.images * channels).map(mean).collect()
    }
}
