//! The definition of a sum.

use super::Add;
use crate::op::arithmetic::{Given, Reference};

impl Reference for Add {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        (0..given.x[0].len()).map(|i| given.x.iter().map(|x| x[i]).sum()).collect()
    }
}
