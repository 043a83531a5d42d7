//! LeNet-5 (`LeCun`, Bottou, Bengio and Haffner 1998), with every map of the second convolution fed by every map before it.

use crate::graph::{Builder, GraphError, Network, Value};
use crate::op::{Activation, AvgPool, Conv2d, Linear, MaxPool, Op};

/// How `LeNet` halves its images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// The largest of four values, as is usual today.
    #[default]
    Max,
    /// The mean of four values, near to the original.
    Mean,
}

/// The settings of LeNet-5.
#[derive(Clone, Debug, PartialEq)]
pub struct LeNet {
    /// What follows every layer but the last.
    pub activation: Activation,
    /// How images are halved.
    pub pooling: Pooling,
}

impl Default for LeNet {
    fn default() -> Self {
        Self { activation: Activation::relu(), pooling: Pooling::Max }
    }
}

impl LeNet {
    /// Layers `conv1`, `conv2`, `fc1`, `fc2` and `fc3`.
    ///
    /// Images of 32 x 32 are read as they are, and those of 28 x 28 with a border of 2, so that both give the same number
    /// of parameters; other sizes are read as they are.
    ///
    /// # Errors
    /// Where `input` is no image, or too small a one.
    pub fn network(&self, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
        let padding = if input.len() == 3 && input[1] == 28 && input[2] == 28 { 2 } else { 0 };
        let mut builder = Builder::new(input);
        let mut x = Value::INPUT;
        for (index, (channels, padding)) in [(6, padding), (16, 0)].into_iter().enumerate() {
            let conv = Conv2d::new(channels, 5).padding(padding).bias(true);
            x = builder.then(format!("conv{}", index + 1), conv, x);
            x = builder.then(format!("conv{}.activation", index + 1), self.activation, x);
            let pool = match self.pooling {
                Pooling::Max => Op::from(MaxPool::new(2)),
                Pooling::Mean => Op::from(AvgPool::new(2)),
            };
            x = builder.then(format!("pool{}", index + 1), pool, x);
        }
        x = builder.then("flatten", Op::Flatten, x);
        for (name, width) in [("fc1", 120), ("fc2", 84)] {
            x = builder.then(name, Linear::new(width), x);
            x = builder.then(format!("{name}.activation"), self.activation, x);
        }
        builder.then("fc3", Linear::new(outputs), x);
        builder.finish()
    }
}
