//! The definition of an elementwise function is its value in double precision, which has tests of its own.

use crate::activation::Activation;
use crate::op::arithmetic::{Given, Reference};

impl Reference for Activation {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        given.x[0].iter().map(|z| self.value(*z)).collect()
    }
}
