//! `MobileNetV2` (Sandler et al. 2018) for small images.

use super::{conv_norm, conv_norm_relu};
use crate::graph::{Builder, GraphError, Network, Value};
use crate::op::{Conv2d, Linear, Op};

/// Expansion, channels, blocks and stride of each stage; the second has stride 1 instead of the paper's 2.
const STAGES: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

/// `MobileNetV2` as kuangliu wrote it for CIFAR-10, names included: rectifiers without a limit, and a projected shortcut
/// where a block at stride 1 changes its number of channels.
///
/// # Errors
/// Where `input` is no image, or `outputs` is zero.
pub fn mobilenet_v2(input: &[usize], outputs: usize) -> Result<Network, GraphError> {
    let mut builder = Builder::new(input);
    let b = &mut builder;
    let mut x = conv_norm_relu(b, "conv1", "bn1", Conv2d::new(32, 3).padding(1), Value::INPUT);
    let (mut channels, mut index) = (32, 0);
    for (expansion, wider, blocks, stride) in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            let shape = Block { channels, inner: expansion * channels, wider, stride };
            x = shape.add(b, &format!("layers.{index}"), x);
            (channels, index) = (wider, index + 1);
        }
    }
    let x = conv_norm_relu(b, "conv2", "bn2", Conv2d::new(1280, 1), x);
    let x = b.then("pool", Op::GlobalAvgPool, x);
    b.then("linear", Linear::new(outputs), x);
    builder.finish()
}

/// An inverted residual: wider, depthwise, narrow again.
struct Block {
    channels: usize,
    inner: usize,
    wider: usize,
    stride: usize,
}

impl Block {
    fn add(&self, b: &mut Builder, name: &str, input: Value) -> Value {
        let path = |part: &str| format!("{name}.{part}");
        let depthwise = Conv2d::new(self.inner, 3).padding(1).stride(self.stride).groups(self.inner);
        let x = conv_norm_relu(b, &path("conv1"), &path("bn1"), Conv2d::new(self.inner, 1), input);
        let x = conv_norm_relu(b, &path("conv2"), &path("bn2"), depthwise, x);
        let x = conv_norm(b, &path("conv3"), &path("bn3"), Conv2d::new(self.wider, 1), x);
        if self.stride != 1 {
            return x;
        }
        let mut shortcut = input;
        if self.channels != self.wider {
            let projection = Conv2d::new(self.wider, 1);
            shortcut = conv_norm(b, &path("shortcut.0"), &path("shortcut.1"), projection, input);
        }
        b.join(path("add"), Op::Add, &[x, shortcut])
    }
}
