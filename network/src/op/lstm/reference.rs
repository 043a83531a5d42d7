//! The definition of long short-term memory.

use super::Lstm;
use crate::op::arithmetic::{Given, Reference};

impl Reference for Lstm {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        self.stack().reference(given)
    }
}
