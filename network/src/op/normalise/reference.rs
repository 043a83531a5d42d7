//! The definition of normalised data.

use super::Normalise;
use crate::op::arithmetic::{Given, Reference, places};

impl Reference for Normalise {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let [places, channels] = places(given.shapes[0]);
        let image = given.shapes[0].len() == 3;
        let channel = |i: usize| if image { i / places % channels } else { i % channels };
        let value = |(i, x): (usize, &f64)| {
            let (mean, std) = self.at(channel(i));
            (x - f64::from(mean)) / f64::from(std)
        };
        given.x[0].iter().enumerate().map(value).collect()
    }
}
