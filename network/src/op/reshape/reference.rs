//! The definition of an array in another shape: row-major values stay as they are.

use super::Reshape;
use crate::op::arithmetic::{Given, Reference};

impl Reference for Reshape {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        given.x[0].to_vec()
    }
}
