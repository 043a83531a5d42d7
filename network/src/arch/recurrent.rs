//! Recurrent networks: a stack of recurrent layers and a classifier of their last state, unless told otherwise.

use super::transformer::Pooling;
use crate::graph::{Builder, GraphError, Network, Value};
use crate::op::{Linear, Lstm, Nonlinearity, Op, Reshape, Rnn};

/// The settings of a recurrent network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recurrent {
    /// Units of the hidden state.
    pub hidden: usize,
    /// Layers on top of one another.
    pub layers: usize,
    /// Whether layers add biases.
    pub bias: bool,
    /// What of their states is classified.
    pub pooling: Pooling,
}

impl Default for Recurrent {
    fn default() -> Self {
        Self { hidden: 128, layers: 1, bias: true, pooling: Pooling::Last }
    }
}

impl Recurrent {
    /// A plain recurrent network: `rnn`, then `linear` on what `pooling` makes of its states.
    ///
    /// An image of shape `[channels, height, width]` is read row by row: `channels * height` steps of `width` features.
    ///
    /// # Errors
    /// Where `input` is a vector, or a width is zero.
    pub fn rnn(&self, nonlinearity: Nonlinearity, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
        let rnn = Rnn { hidden: self.hidden, layers: self.layers, nonlinearity, bias: self.bias };
        self.classified("rnn", rnn.into(), input, outputs)
    }

    /// A network of long short-term memory: `lstm`, then `linear` as in [`Recurrent::rnn`]; images too.
    ///
    /// # Errors
    /// Where `input` is a vector, or a width is zero.
    pub fn lstm(&self, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
        let lstm = Lstm { hidden: self.hidden, layers: self.layers, bias: self.bias };
        self.classified("lstm", lstm.into(), input, outputs)
    }

    fn classified(&self, name: &str, op: Op, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
        let mut builder = Builder::new(input);
        let mut x = Value::INPUT;
        if let [channels, height, width] = *input {
            x = builder.then("rows", Reshape { shape: vec![channels.saturating_mul(height), width] }, x);
        }
        let x = builder.then(name, op, x);
        let x = self.pooling.add(&mut builder, x);
        builder.then("linear", Linear::new(outputs), x);
        builder.finish()
    }
}
