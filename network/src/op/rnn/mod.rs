//! A plain recurrent layer (Elman 1990), with the parameters of `torch.nn.RNN`.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, ParameterSpec, Shape};
use crate::op::recurrent;

/// `h_t = f(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)` from `h_0 = 0`; gives every `h_t` of the last layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rnn {
    /// Units of the hidden state.
    pub hidden: usize,
    /// Layers on top of one another, at most 64.
    pub layers: usize,
    /// The function `f`.
    pub nonlinearity: Nonlinearity,
    /// Whether it adds biases (two vectors a layer, as `PyTorch` has it).
    pub bias: bool,
}

/// The function of a plain recurrent layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nonlinearity {
    /// Hyperbolic tangent.
    #[default]
    Tanh,
    /// Rectifier.
    Relu,
}

impl Rnn {
    /// Rows of gates for each hidden unit.
    pub const GATES: usize = 1;
}

impl Operation for Rnn {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        recurrent::output(inputs, self.hidden, self.layers)
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        recurrent::parameters(inputs[0][1], self.hidden, self.layers, Self::GATES, self.bias)
    }

    fn macs(&self, inputs: &[&[usize]], _output: &[usize]) -> u64 {
        recurrent::macs(inputs[0][0], inputs[0][1], self.hidden, self.layers, Self::GATES)
    }
}
