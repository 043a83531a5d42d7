//! The definition of arrays side by side: in row-major order, one after another.

use super::Concat;
use crate::op::arithmetic::{Given, Reference};

impl Reference for Concat {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let mut y = Vec::new();
        for n in 0..given.images {
            for (x, shape) in given.x.iter().zip(given.shapes) {
                let len: usize = shape.iter().product();
                y.extend_from_slice(&x[n * len..][..len]);
            }
        }
        y
    }
}
