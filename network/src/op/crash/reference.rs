//! The definition of crashes.

use super::Crash;
use crate::op::arithmetic::{Given, Reference};

impl Reference for Crash {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        self.masked().reference(given)
    }
}
