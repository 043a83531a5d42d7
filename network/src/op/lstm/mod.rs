//! Long short-term memory (Hochreiter and Schmidhuber 1997), with the parameters of `torch.nn.LSTM`.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, ParameterSpec, Shape};
use crate::op::recurrent;

/// Gates `i`, `f`, `g`, `o`, in this order in the rows of the weights; `c_t = f c_(t-1) + i g`, `h_t = o tanh(c_t)`, from
/// zeros; gives every `h_t` of the last layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lstm {
    /// Units of the hidden state.
    pub hidden: usize,
    /// Layers on top of one another, at most 64.
    pub layers: usize,
    /// Whether it adds biases (two vectors a layer, as `PyTorch` has it).
    pub bias: bool,
}

impl Lstm {
    /// Rows of gates for each hidden unit.
    pub const GATES: usize = 4;
}

impl Operation for Lstm {
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
