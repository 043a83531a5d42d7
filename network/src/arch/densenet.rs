//! DenseNet-BC (Huang, Liu, van der Maaten and Weinberger 2016) for small images, in the two variants that are in use.

use super::norm_relu_conv;
use crate::graph::{Builder, GraphError, Network, Value};
use crate::op::{AvgPool, BatchNorm, Conv2d, Linear, MaxPool, Op};

/// Growth rate and layers of each block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Growth 32, blocks of 6, 12, 24 and 16.
    DenseNet121,
    /// Growth 48, blocks of 6, 12, 36 and 24.
    DenseNet161,
}

impl Depth {
    const fn growth(self) -> usize {
        match self {
            Self::DenseNet121 => 32,
            Self::DenseNet161 => 48,
        }
    }

    const fn blocks(self) -> [usize; 4] {
        match self {
            Self::DenseNet121 => [6, 12, 24, 16],
            Self::DenseNet161 => [6, 12, 36, 24],
        }
    }
}

/// Torchvision's network with a 3 x 3 convolution at stride 1 as its stem and the max pooling after it kept, so that the
/// blocks see 16 x 16, 8 x 8, 4 x 4 and 2 x 2 of an image of 32 x 32 (huyvnphan, CIFAR-10).
///
/// # Errors
/// Where `input` is no image of at least 16 x 16, or `outputs` is zero.
pub fn pooled(depth: Depth, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
    let growth = depth.growth();
    let mut builder = Builder::new(input);
    let b = &mut builder;
    let mut channels = 2 * growth;
    let x = b.then("features.conv0", Conv2d::new(channels, 3).padding(1), Value::INPUT);
    let x = b.then("features.norm0", BatchNorm::default(), x);
    let x = b.relu("features.relu0", x);
    let mut x = b.then("features.pool0", MaxPool::new(3).stride(2).padding(1), x);
    for (index, layers) in depth.blocks().into_iter().enumerate() {
        for layer in 1..=layers {
            let name = format!("features.denseblock{}.denselayer{layer}", index + 1);
            x = dense(b, &name, ["norm1", "conv1", "norm2", "conv2"], growth, x);
        }
        channels += layers * growth;
        if index < 3 {
            channels /= 2;
            let path = |part: &str| format!("features.transition{}.{part}", index + 1);
            x = norm_relu_conv(b, &path("norm"), &path("conv"), Conv2d::new(channels, 1), x);
            x = b.then(path("pool"), AvgPool::new(2), x);
        }
    }
    let x = b.then("features.norm5", BatchNorm::default(), x);
    let x = b.relu("features.relu5", x);
    let x = b.then("pool", Op::GlobalAvgPool, x);
    b.then("classifier", Linear::new(outputs), x);
    builder.finish()
}

/// The network without pooling after its stem, so that the blocks see 32 x 32, 16 x 16, 8 x 8 and 4 x 4, and with
/// transitions that have no rectifier (weiaicunzai, CIFAR-100).
///
/// # Errors
/// Where `input` is no image of at least 8 x 8, or `outputs` is zero.
pub fn unpooled(depth: Depth, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
    let growth = depth.growth();
    let mut builder = Builder::new(input);
    let b = &mut builder;
    let mut channels = 2 * growth;
    let mut x = b.then("conv1", Conv2d::new(channels, 3).padding(1), Value::INPUT);
    for (index, layers) in depth.blocks().into_iter().enumerate() {
        let block = if index < 3 { format!("dense_block_layer_{index}") } else { format!("dense_block{index}") };
        for layer in 0..layers {
            let name = format!("features.{block}.bottle_neck_layer_{layer}.bottle_neck");
            x = dense(b, &name, ["0", "2", "3", "5"], growth, x);
        }
        channels += layers * growth;
        if index < 3 {
            channels /= 2;
            let path = |part: usize| format!("features.transition_layer_{index}.down_sample.{part}");
            x = b.then(path(0), BatchNorm::default(), x);
            x = b.then(path(1), Conv2d::new(channels, 1), x);
            x = b.then(path(2), AvgPool::new(2), x);
        }
    }
    let x = b.then("features.bn", BatchNorm::default(), x);
    let x = b.relu("features.relu", x);
    let x = b.then("pool", Op::GlobalAvgPool, x);
    b.then("linear", Linear::new(outputs), x);
    builder.finish()
}

/// A layer of a dense block: a bottleneck of four times the growth, then `growth` new channels beside the old ones.
fn dense(b: &mut Builder, name: &str, parts: [&str; 4], growth: usize, input: Value) -> Value {
    let [norm1, conv1, norm2, conv2] = parts.map(|part| format!("{name}.{part}"));
    let x = norm_relu_conv(b, &norm1, &conv1, Conv2d::new(4 * growth, 1), input);
    let x = norm_relu_conv(b, &norm2, &conv2, Conv2d::new(growth, 3).padding(1), x);
    b.join(format!("{name}.concat"), Op::Concat, &[input, x])
}
