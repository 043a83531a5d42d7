//! Residual networks (He, Zhang, Ren and Sun 2015) for small images.

use super::{conv_norm, conv_norm_relu};
use crate::graph::{Builder, GraphError, Network, Value};
use crate::op::{Conv2d, Linear, Op, ShortcutA};

/// The residual network of `6 n + 2` layers in the paper's section on CIFAR-10: three stages of `n` blocks with 16, 32 and 64 channels, and
/// shortcuts without parameters (option A).
///
/// Names are those of Yerlan Idelbayev's implementation, whose weights are widely used.
///
/// # Errors
/// Where `input` is no image, or `blocks` or `outputs` is zero.
pub fn option_a(blocks: usize, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
    let mut builder = Builder::new(input);
    let b = &mut builder;
    let mut x = conv_norm_relu(b, "conv1", "bn1", Conv2d::new(16, 3).padding(1), Value::INPUT);
    for (stage, channels) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = block_a(b, &format!("layer{}.{block}", stage + 1), channels, stride, x);
        }
    }
    let x = b.then("pool", Op::GlobalAvgPool, x);
    b.then("linear", Linear::new(outputs), x);
    builder.finish()
}

/// Two convolutions and a shortcut without parameters.
fn block_a(b: &mut Builder, name: &str, channels: usize, stride: usize, input: Value) -> Value {
    let first = Conv2d::new(channels, 3).padding(1).stride(stride);
    let x = conv_norm_relu(b, &format!("{name}.conv1"), &format!("{name}.bn1"), first, input);
    let second = Conv2d::new(channels, 3).padding(1);
    let x = conv_norm(b, &format!("{name}.conv2"), &format!("{name}.bn2"), second, x);
    let shortcut = match stride {
        1 => input,
        _ => b.then(format!("{name}.shortcut"), ShortcutA { channels, stride }, input),
    };
    let x = b.join(format!("{name}.add"), Op::Add, &[x, shortcut]);
    b.relu(format!("{name}.relu"), x)
}

/// ResNet-18 for images of 32 x 32: a 3 x 3 convolution at stride 1 in place of the stem, four stages of two blocks, and
/// projections where the shape changes (option B).
///
/// Names are those of weiaicunzai's implementation for CIFAR-100.
///
/// # Errors
/// Where `input` is no image, or `outputs` is zero.
pub fn resnet_18(input: &[usize], outputs: usize) -> Result<Network, GraphError> {
    let mut builder = Builder::new(input);
    let b = &mut builder;
    let mut x = conv_norm_relu(b, "conv1.0", "conv1.1", Conv2d::new(64, 3).padding(1), Value::INPUT);
    let mut channels = 64;
    for (stage, wider) in [64, 128, 256, 512].into_iter().enumerate() {
        for block in 0..2 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = block_b(b, &format!("conv{}_x.{block}", stage + 2), channels, wider, stride, x);
            channels = wider;
        }
    }
    let x = b.then("avg_pool", Op::GlobalAvgPool, x);
    b.then("fc", Linear::new(outputs), x);
    builder.finish()
}

/// Two convolutions and a shortcut that is projected where the shape changes.
fn block_b(b: &mut Builder, name: &str, channels: usize, wider: usize, stride: usize, input: Value) -> Value {
    let path = |index: usize| format!("{name}.residual_function.{index}");
    let first = Conv2d::new(wider, 3).padding(1).stride(stride);
    let x = conv_norm_relu(b, &path(0), &path(1), first, input);
    let x = conv_norm(b, &path(3), &path(4), Conv2d::new(wider, 3).padding(1), x);
    let mut shortcut = input;
    if stride != 1 || channels != wider {
        let projection = Conv2d::new(wider, 1).stride(stride);
        shortcut = conv_norm(b, &format!("{name}.shortcut.0"), &format!("{name}.shortcut.1"), projection, input);
    }
    let x = b.join(format!("{name}.add"), Op::Add, &[x, shortcut]);
    b.relu(format!("{name}.relu"), x)
}
