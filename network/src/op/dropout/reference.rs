//! The definition of dropout: each value times its factor, which belongs to its place inside.

use super::Dropout;
use crate::op::arithmetic::{Given, Reference, places};

impl Reference for Dropout {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let Some(random) = given.random else { return given.x[0].to_vec() };
        let [places, channels] = places(given.shapes[0]);
        let (len, image) = (places * channels, given.shapes[0].len() == 3);
        let factors = self.factors(random, given.node, given.images, len);
        let inside = |i: usize| if image { i / len * len + i % places * channels + i % len / places } else { i };
        given.x[0].iter().enumerate().map(|(i, x)| x * f64::from(factors[inside(i)])).collect()
    }
}
