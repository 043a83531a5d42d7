//! Another shape for the same values, the last index varying fastest.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, Shape, value_count};

/// The values of one example in another shape, in row-major order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Reshape {
    /// The shape of one example afterwards.
    pub shape: Shape,
}

impl Operation for Reshape {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        if value_count(&self.shape).is_some() && value_count(&self.shape) == value_count(inputs[0]) {
            return Ok(self.shape.clone());
        }
        let rule = "hold equally many values";
        Err(OpError::Disagree { first: inputs[0].to_vec(), other: self.shape.clone(), rule })
    }
}
