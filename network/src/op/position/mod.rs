//! A learned offset of every element: position embeddings, and constants that a file adds.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use crate::op::operation::{OpError, Operation, ParameterSpec, Role, Shape};

/// `y = x + weight`, with a weight of the shape of one example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position;

impl Operation for Position {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        Ok(inputs[0].to_vec())
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        vec![ParameterSpec::plain("weight", inputs[0].to_vec(), Role::Position)]
    }
}
