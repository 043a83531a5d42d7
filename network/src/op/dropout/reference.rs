//! The definition of dropout.

use super::Dropout;
use crate::op::arithmetic::{Given, Reference};

impl Reference for Dropout {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        self.masked().reference(given)
    }
}
