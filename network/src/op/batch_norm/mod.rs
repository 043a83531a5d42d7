//! Batch normalisation (Ioffe and Szegedy 2015): `y = (x - mean) / sqrt(var + eps) * weight + bias`, channel by channel.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, ParameterSpec, Role, Shape, epsilon};

/// Batch normalisation over the channels of an image or the features of a vector.
///
/// In training, mean and variance (biased) are those of the batch; the running ones, used in inference, move towards the
/// batch's mean and *unbiased* variance by `momentum`, as in `PyTorch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f64,
    /// Share of the batch's statistics in the new running statistics.
    pub momentum: f64,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self { eps: 1e-5, momentum: 0.1 }
    }
}

impl Operation for BatchNorm {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        epsilon(self.eps)?;
        if !(0.0..=1.0).contains(&self.momentum) {
            let value = self.momentum.to_string();
            return Err(OpError::Setting { key: "momentum", value, fix: "use a share between 0 and 1" });
        }
        match inputs[0].len() {
            1 | 3 => Ok(inputs[0].to_vec()),
            _ => Err(OpError::Rank { wanted: "[channels, height, width] or [features]", found: inputs[0].to_vec() }),
        }
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let channels = || vec![inputs[0][0]];
        vec![
            ParameterSpec::plain("weight", channels(), Role::Scale),
            ParameterSpec::plain("bias", channels(), Role::Shift),
            ParameterSpec::plain("running_mean", channels(), Role::Buffer),
            ParameterSpec::plain("running_var", channels(), Role::Buffer),
        ]
    }
}
