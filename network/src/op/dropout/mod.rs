//! Dropout (Srivastava et al. 2014).

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, Shape, rate};

/// In training, each value becomes zero with probability `rate`, and what is left is divided by `1 - rate`; nothing in
/// inference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dropout {
    /// The probability that a value becomes zero.
    pub rate: f64,
}

impl Operation for Dropout {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        rate(self.rate)?;
        Ok(inputs[0].to_vec())
    }
}
