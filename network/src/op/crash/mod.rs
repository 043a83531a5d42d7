//! Neurons that crash during training, so that a network learns to do without them.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, Shape};

/// In training, each value becomes zero with probability `rate` and nothing is rescaled, as when a neuron stops sending;
/// nothing in inference, where faults are injected from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Crash {
    /// The probability that a value becomes zero.
    pub rate: f64,
}

impl Operation for Crash {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(OpError::Setting { key: "rate", value: self.rate.to_string(), fix: "use a probability" });
        }
        Ok(inputs[0].to_vec())
    }
}
