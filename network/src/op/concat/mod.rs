//! Several arrays side by side along their channels.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use crate::op::operation::{Arity, OpError, Operation, Shape};

/// Images along their channels, or vectors along their features, first input first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concat;

impl Operation for Concat {
    fn arity(&self) -> Arity {
        Arity::Many
    }

    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        let first = inputs[0];
        if first.len() != 1 && first.len() != 3 {
            return Err(OpError::Rank { wanted: "images or vectors", found: first.to_vec() });
        }
        let mut output = first.to_vec();
        for other in &inputs[1..] {
            if other.len() != first.len() || other[1..] != first[1..] {
                let rule = "equal in all but their channels";
                return Err(OpError::Disagree { first: first.to_vec(), other: other.to_vec(), rule });
            }
            output[0] = output[0].saturating_add(other[0]);
        }
        Ok(output)
    }
}
