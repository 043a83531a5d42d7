//! Any array as a vector, the last index varying fastest.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use crate::op::operation::{OpError, Operation, Shape, value_count};

/// An array of any shape to `[features]`, in row-major order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flatten;

impl Operation for Flatten {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        value_count(inputs[0]).map(|count| vec![count]).ok_or_else(|| OpError::TooLarge(inputs[0].to_vec()))
    }
}
