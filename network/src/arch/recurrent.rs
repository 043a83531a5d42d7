//! Recurrent networks: a stack of recurrent layers and a classifier of their last state.

use crate::graph::{Builder, GraphError, Network, Value};
use crate::op::{Linear, Lstm, Nonlinearity, Op, Reshape, Rnn, Select, Step};

/// The settings of a recurrent network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recurrent {
    /// Units of the hidden state.
    pub hidden: usize,
    /// Layers on top of one another.
    pub layers: usize,
}

impl Default for Recurrent {
    fn default() -> Self {
        Self { hidden: 128, layers: 1 }
    }
}

impl Recurrent {
    /// A plain recurrent network: `rnn`, then `linear` on the last state.
    ///
    /// An image of shape `[channels, height, width]` is read row by row: `channels * height` steps of `width` features.
    ///
    /// # Errors
    /// Where `input` is a vector, or a width is zero.
    pub fn rnn(&self, nonlinearity: Nonlinearity, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
        let rnn = Rnn { hidden: self.hidden, layers: self.layers, nonlinearity, bias: true };
        last_state("rnn", rnn.into(), input, outputs)
    }

    /// A network of long short-term memory: `lstm`, then `linear` on the last state; images as in [`Recurrent::rnn`].
    ///
    /// # Errors
    /// Where `input` is a vector, or a width is zero.
    pub fn lstm(&self, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
        last_state("lstm", Lstm { hidden: self.hidden, layers: self.layers, bias: true }.into(), input, outputs)
    }
}

fn last_state(name: &str, op: Op, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
    let mut builder = Builder::new(input);
    let mut x = Value::INPUT;
    if let [channels, height, width] = *input {
        x = builder.then("rows", Reshape { shape: vec![channels.saturating_mul(height), width] }, x);
    }
    let x = builder.then(name, op, x);
    let x = builder.then("last", Select { step: Step::Last }, x);
    builder.then("linear", Linear::new(outputs), x);
    builder.finish()
}
