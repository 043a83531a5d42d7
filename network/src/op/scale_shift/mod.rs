//! A factor and an offset for each channel or feature: what a normalisation leaves when its statistics are fixed.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, ParameterSpec, Role, Shape};

/// `y = weight x + bias`, channel by channel (or feature by feature of a vector or sequence).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScaleShift {
    /// Whether it multiplies.
    pub scale: bool,
    /// Whether it adds.
    pub shift: bool,
}

impl Operation for ScaleShift {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        if self.scale || self.shift {
            return Ok(inputs[0].to_vec());
        }
        let fix = "let it scale, shift or both, or leave it out";
        Err(OpError::Setting { key: "scale", value: "false".into(), fix })
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let axis = if inputs[0].len() == 3 { 0 } else { inputs[0].len() - 1 };
        let channels = inputs[0][axis];
        let mut parameters = Vec::with_capacity(2);
        if self.scale {
            parameters.push(ParameterSpec::plain("weight", vec![channels], Role::Scale));
        }
        if self.shift {
            parameters.push(ParameterSpec::plain("bias", vec![channels], Role::Shift));
        }
        parameters
    }
}
