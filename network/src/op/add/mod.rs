//! The elementwise sum of two or more arrays.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use crate::op::operation::{Arity, OpError, Operation, Shape};

/// The sum of its inputs, added from first to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Add;

impl Operation for Add {
    fn arity(&self) -> Arity {
        Arity::Many
    }

    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        match inputs.iter().find(|other| **other != inputs[0]) {
            None => Ok(inputs[0].to_vec()),
            Some(other) => Err(OpError::Disagree {
                first: inputs[0].to_vec(),
                other: other.to_vec(),
                rule: "equal, with a convolution on the shorter way if need be",
            }),
        }
    }
}
