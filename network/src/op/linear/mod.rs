//! A fully connected layer, `y = W x + b`, over the last index of its input.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, ParameterSpec, Role, Shape, positive};

/// `y = W x + b` with `W` of shape `[outputs, features]`; a sequence is mapped step by step.
///
/// A masked linear layer is this one with zeros in its weight: masks belong to training, not to the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Linear {
    /// Features that it gives.
    pub outputs: usize,
    /// Whether it adds a bias.
    pub bias: bool,
}

impl Linear {
    /// A layer of `outputs` features with a bias.
    #[must_use]
    pub const fn new(outputs: usize) -> Self {
        Self { outputs, bias: true }
    }

    /// The same layer with or without a bias.
    #[must_use]
    pub const fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }
}

impl Operation for Linear {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        positive("outputs", self.outputs)?;
        match *inputs[0] {
            [_] => Ok(vec![self.outputs]),
            [steps, _] => Ok(vec![steps, self.outputs]),
            _ => Err(OpError::Rank { wanted: "[features] or [time, features]", found: inputs[0].to_vec() }),
        }
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let features = inputs[0].last().copied().unwrap_or(0);
        let weight = ParameterSpec::new("weight", vec![self.outputs, features], Role::Weight, features, self.outputs);
        let bias = ParameterSpec::new("bias", vec![self.outputs], Role::Bias, features, self.outputs);
        if self.bias { vec![weight, bias] } else { vec![weight] }
    }

    fn macs(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        (inputs[0].iter().product::<usize>() as u64).saturating_mul(self.outputs as u64)
    }
}
