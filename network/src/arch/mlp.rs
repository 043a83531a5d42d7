//! Multilayer perceptrons.

use crate::graph::{Builder, GraphError, Network, Value};
use crate::op::{Activation, BatchNorm, Linear, Op};

/// The settings of a multilayer perceptron.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// Widths of the hidden layers, first to last; none makes a linear map.
    pub hidden: Vec<usize>,
    /// What follows every hidden layer.
    pub activation: Activation,
    /// Whether layers add biases.
    pub bias: bool,
    /// Whether each hidden layer is normalised over the batch before its activation.
    pub batch_norm: bool,
}

impl Default for Mlp {
    fn default() -> Self {
        Self { hidden: vec![300, 100], activation: Activation::relu(), bias: true, batch_norm: false }
    }
}

impl Mlp {
    /// Layers `hidden.1`, `hidden.2`, ... and `output`, on examples of shape `input`, which are flattened if need be.
    ///
    /// # Errors
    /// Where a width is zero.
    pub fn network(&self, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
        let mut builder = Builder::new(input);
        let mut x = Value::INPUT;
        if input.len() > 1 {
            x = builder.then("flatten", Op::Flatten, x);
        }
        for (index, &width) in self.hidden.iter().enumerate() {
            let name = format!("hidden.{}", index + 1);
            x = builder.then(name.as_str(), Linear::new(width).bias(self.bias), x);
            if self.batch_norm {
                x = builder.then(format!("{name}.norm"), BatchNorm::default(), x);
            }
            x = builder.then(format!("{name}.activation"), self.activation, x);
        }
        builder.then("output", Linear::new(outputs).bias(self.bias), x);
        builder.finish()
    }
}
