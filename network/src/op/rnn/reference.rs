//! The definition of a plain recurrent layer.

use super::Rnn;
use crate::op::arithmetic::{Given, Reference};

impl Reference for Rnn {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        self.stack().reference(given)
    }
}
