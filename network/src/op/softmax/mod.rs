//! Softmax over the last index: `exp(x_i) / sum_j exp(x_j)`, computed from differences to the largest.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use crate::op::operation::{OpError, Operation, Shape};

/// Softmax over the features of a vector, or of each step of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax;

impl Operation for Softmax {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        match inputs[0].len() {
            1 | 2 => Ok(inputs[0].to_vec()),
            _ => Err(OpError::Rank { wanted: "[features] or [time, features]", found: inputs[0].to_vec() }),
        }
    }
}
