//! The definition of an image as a sequence: places first, channels last.

use super::Tokens;
use crate::op::arithmetic::{Given, Reference, places};

impl Reference for Tokens {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let [places, channels] = places(given.shapes[0]);
        let image = |x: &[f64]| -> Vec<f64> {
            (0..places * channels).map(|i| x[i % channels * places + i / channels]).collect()
        };
        given.x[0].chunks_exact(places * channels).flat_map(image).collect()
    }
}
