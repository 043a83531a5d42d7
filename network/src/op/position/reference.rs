//! The definition of an array with an offset of every element.

use super::Position;
use crate::op::arithmetic::{Given, Reference};

impl Reference for Position {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        given.x[0].iter().zip(given.parameters[0].iter().cycle()).map(|(x, w)| x + w).collect()
    }
}
