//! Multi-head self-attention (Vaswani et al. 2017), with the parameters of `torch.nn.MultiheadAttention`.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, ParameterSpec, Role, Shape, positive, sequence};

/// Each step of a sequence looks at every step:
/// `softmax(Q K^T / sqrt(features / heads)) V` in each head, then a linear map of the heads side by side.
///
/// `in_proj_weight` holds the rows of Q, then K, then V.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Attention {
    /// Heads; they divide the features.
    pub heads: usize,
}

impl Operation for Attention {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        let [_, features] = sequence(inputs)?;
        if features % positive("heads", self.heads)? != 0 {
            let fix = "use a number of heads that divides the features";
            return Err(OpError::Fit { key: "heads", value: self.heads, input: inputs[0].to_vec(), fix });
        }
        Ok(inputs[0].to_vec())
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let f = inputs[0][1];
        let stacked = f.saturating_mul(3);
        vec![
            ParameterSpec::new("in_proj_weight", vec![stacked, f], Role::Weight, f, stacked),
            ParameterSpec::new("in_proj_bias", vec![stacked], Role::Bias, f, stacked),
            ParameterSpec::new("out_proj.weight", vec![f, f], Role::Weight, f, f),
            ParameterSpec::new("out_proj.bias", vec![f], Role::Bias, f, f),
        ]
    }

    /// The four projections, and the two products of activations (`Q K^T` and the weighted sum of `V`).
    fn macs(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        let (steps, features) = (inputs[0][0] as u64, inputs[0][1] as u64);
        let projections = steps.saturating_mul(features).saturating_mul(features).saturating_mul(4);
        projections.saturating_add(steps.saturating_mul(steps).saturating_mul(features).saturating_mul(2))
    }
}
