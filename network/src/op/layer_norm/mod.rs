//! Layer normalisation (Ba, Kiros and Hinton 2016).

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, ParameterSpec, Role, Shape, epsilon};

/// `y = (x - mean) / sqrt(var + eps) * weight + bias` over the last index, with the biased variance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LayerNorm {
    /// Added to the variance.
    pub eps: f64,
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self { eps: 1e-5 }
    }
}

impl Operation for LayerNorm {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        epsilon(self.eps)?;
        match inputs[0].len() {
            1 | 2 => Ok(inputs[0].to_vec()),
            _ => Err(OpError::Rank { wanted: "[features] or [time, features]", found: inputs[0].to_vec() }),
        }
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let features = inputs[0].last().copied().unwrap_or(0);
        vec![
            ParameterSpec::plain("weight", vec![features], Role::Scale),
            ParameterSpec::plain("bias", vec![features], Role::Shift),
        ]
    }
}
