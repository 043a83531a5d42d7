//! `layers = [...]`: a network written out layer by layer.

use duress_engine::spec::{Count, Fraction};
use duress_engine::{choice, config};
use duress_network::arch::{self, LayersError};
use duress_network::op::{self, Op};

use super::Activation;
use crate::nn;

choice! {
    /// A layer of a `cnn`.
    #[derive(Clone, Copy, PartialEq)]
    pub enum Layer {
        /// A convolution.
        "conv" => Conv(ConvKeys),
        /// A fully connected layer; it reads vectors, so `flatten` images first.
        "linear" => Linear(LinearKeys),
        /// A fully connected layer with one output per class.
        "output" => Output,
        /// An image as a vector.
        "flatten" => Flatten,
        /// Batch normalisation (Ioffe and Szegedy 2015).
        "batch-norm" => BatchNorm,
        /// An elementwise function; `{ activation = "relu" }`.
        "activation" => Function(Activation),
        /// `max(0, z)`.
        "relu" => Relu,
        /// The largest value of each window.
        "max-pool" => MaxPool(PoolKeys),
        /// The mean of each window.
        "average-pool" => AveragePool(PoolKeys),
        /// The mean of each channel.
        "global-average-pool" => GlobalAveragePool,
        /// So large a share of values dropped in training, and the rest scaled up.
        "dropout" => Dropout(Fraction),
        /// So large a share of values dropped in training, and the rest left alone.
        "crash" => Crash(Fraction),
    }
}

config! {
    /// A square convolution.
    #[derive(Clone, Copy, PartialEq)]
    pub struct ConvKeys {
        /// Output channels.
        channels: Count,
        /// Rows and columns of the kernel.
        kernel: Count = Count(3),
        /// Step between windows.
        stride: Count = Count(1),
        /// Rows and columns of zeros on every side.
        padding: u32 = 0,
        /// Groups of channels that do not mix.
        groups: Count = Count(1),
        /// Whether a bias is added.
        bias: bool = true,
    }
}

config! {
    /// A fully connected layer.
    #[derive(Clone, Copy, PartialEq)]
    pub struct LinearKeys {
        /// Its width.
        units: Count,
        /// Whether a bias is added.
        bias: bool = true,
    }
}

config! {
    /// A pooling over squares.
    #[derive(Clone, Copy, PartialEq)]
    pub struct PoolKeys {
        /// Rows and columns of a window.
        kernel: Count = Count(2),
        /// Step between windows; by default they do not overlap.
        stride: Option<Count>,
        /// Rows and columns that are added on every side.
        padding: u32 = 0,
    }
}

/// The network of `layers` on examples of shape `input`.
///
/// # Errors
/// Where the layers do not fit together; the message names the layer.
pub(super) fn network(layers: &[Layer], input: &[usize], outputs: usize) -> Result<nn::Network, LayersError> {
    let layers: Vec<arch::Layer> = layers.iter().map(|layer| layer.entry(outputs)).collect();
    arch::layers::network(input, &layers)
}

impl Layer {
    fn entry(self, outputs: usize) -> arch::Layer {
        let op: Op = match self {
            Self::Conv(keys) => op::Conv2d::new(keys.channels.size(), keys.kernel.size())
                .stride(keys.stride.size())
                .padding(keys.padding as usize)
                .groups(keys.groups.size())
                .bias(keys.bias)
                .into(),
            Self::Linear(keys) => op::Linear::new(keys.units.size()).bias(keys.bias).into(),
            Self::Output => return arch::Layer::linear(outputs).named("output"),
            Self::Flatten => Op::Flatten,
            Self::BatchNorm => op::BatchNorm::default().into(),
            Self::Function(activation) => activation.function().into(),
            Self::Relu => nn::Activation::relu().into(),
            Self::MaxPool(keys) => {
                op::MaxPool::new(keys.kernel.size()).stride(keys.step()).padding(keys.padding as usize).into()
            }
            Self::AveragePool(keys) => {
                op::AvgPool::new(keys.kernel.size()).stride(keys.step()).padding(keys.padding as usize).into()
            }
            Self::GlobalAveragePool => Op::GlobalAvgPool,
            Self::Dropout(rate) => op::Dropout { rate: rate.0 }.into(),
            Self::Crash(rate) => op::Crash { rate: rate.0 }.into(),
        };
        op.into()
    }
}

impl PoolKeys {
    fn step(self) -> usize {
        self.stride.unwrap_or(self.kernel).size()
    }
}
