//! `GoogLeNet` (Szegedy et al. 2014) with batch normalisation for small images, in the two variants that are in use.

use crate::graph::{Builder, GraphError, Network, Value};
use crate::op::{BatchNorm, Conv2d, Dropout, Linear, MaxPool, Op};

/// Channels of an inception block: 1x1; 3x3 after a reduction; "5x5" after a reduction; 1x1 after pooling.
type Inception = (&'static str, [usize; 6]);

/// The blocks of the paper's table 1, named `3a` to `5b`.
const BLOCKS: [Inception; 9] = [
    ("3a", [64, 96, 128, 16, 32, 32]),
    ("3b", [128, 128, 192, 32, 96, 64]),
    ("4a", [192, 96, 208, 16, 48, 64]),
    ("4b", [160, 112, 224, 24, 64, 64]),
    ("4c", [128, 128, 256, 24, 64, 64]),
    ("4d", [112, 144, 288, 32, 64, 64]),
    ("4e", [256, 160, 320, 32, 128, 128]),
    ("5a", [256, 160, 320, 32, 128, 128]),
    ("5b", [384, 192, 384, 48, 128, 128]),
];

/// Images are halved after the blocks that end in these.
const HALVED_AFTER: [&str; 2] = ["3b", "4e"];

/// How one convolution of a variant is built.
struct Style {
    bias: bool,
    eps: f64,
}

impl Style {
    /// A convolution that keeps the size of its image, batch normalisation and a rectifier.
    fn conv(&self, b: &mut Builder, names: [String; 2], channels: usize, kernel: usize, input: Value) -> Value {
        let op = Conv2d::new(channels, kernel).padding(kernel / 2).bias(self.bias);
        let [conv, norm] = names;
        let x = b.then(conv, op, input);
        let relu = format!("{norm}.relu");
        let x = b.then(norm, BatchNorm { eps: self.eps, ..BatchNorm::default() }, x);
        b.relu(relu, x)
    }
}

/// Torchvision's network with one 3 x 3 convolution of 192 channels as its stem, and 3 x 3 in place of 5 x 5
/// (huyvnphan, CIFAR-10).
///
/// # Errors
/// Where `input` is no image, or `outputs` is zero.
pub fn torchvision(input: &[usize], outputs: usize) -> Result<Network, GraphError> {
    let style = Style { bias: false, eps: 1e-3 };
    let basic = |name: &str| [format!("{name}.conv"), format!("{name}.bn")];
    let mut builder = Builder::new(input);
    let b = &mut builder;
    let mut x = style.conv(b, basic("conv1"), 192, 3, Value::INPUT);
    for (block, [c1, reduce3, c3, reduce5, c5, pool]) in BLOCKS {
        let path = |part: &str| format!("inception{block}.{part}");
        let first = style.conv(b, basic(&path("branch1")), c1, 1, x);
        let second = style.conv(b, basic(&path("branch2.0")), reduce3, 1, x);
        let second = style.conv(b, basic(&path("branch2.1")), c3, 3, second);
        let third = style.conv(b, basic(&path("branch3.0")), reduce5, 1, x);
        let third = style.conv(b, basic(&path("branch3.1")), c5, 3, third);
        let fourth = b.then(path("branch4.0"), MaxPool::new(3).stride(1).padding(1), x);
        let fourth = style.conv(b, basic(&path("branch4.1")), pool, 1, fourth);
        x = b.join(path("concat"), Op::Concat, &[first, second, third, fourth]);
        if HALVED_AFTER.contains(&block) {
            x = b.then(format!("maxpool{block}"), MaxPool::new(3).stride(2).padding(1), x);
        }
    }
    let x = b.then("avgpool", Op::GlobalAvgPool, x);
    let x = b.then("dropout", Dropout { rate: 0.2 }, x);
    b.then("fc", Linear::new(outputs), x);
    builder.finish()
}

/// The network with a stem of three 3 x 3 convolutions and a pooling, and two 3 x 3 in place of one 5 x 5
/// (weiaicunzai, CIFAR-100).
///
/// # Errors
/// Where `input` is no image, or `outputs` is zero.
pub fn stacked(input: &[usize], outputs: usize) -> Result<Network, GraphError> {
    let stem = Style { bias: false, eps: 1e-5 };
    let style = Style { bias: true, eps: 1e-5 };
    let pair = |name: &str, index: usize| [format!("{name}.{index}"), format!("{name}.{}", index + 1)];
    let mut builder = Builder::new(input);
    let b = &mut builder;
    let mut x = stem.conv(b, pair("prelayer", 0), 64, 3, Value::INPUT);
    x = stem.conv(b, pair("prelayer", 3), 64, 3, x);
    x = stem.conv(b, pair("prelayer", 6), 192, 3, x);
    x = b.then("maxpool", MaxPool::new(3).stride(2).padding(1), x);
    for (block, [c1, reduce3, c3, reduce5, c5, pool]) in BLOCKS {
        // `3a` is called `a3` here.
        let name = format!("{}{}", &block[1..], &block[..1]);
        let path = |part: &str| format!("{name}.{part}");
        // The published module passes the channels of this normalisation a second time, where `eps` stands.
        let odd = Style { eps: c5 as f64, ..style };
        let first = style.conv(b, pair(&path("b1"), 0), c1, 1, x);
        let second = style.conv(b, pair(&path("b2"), 0), reduce3, 1, x);
        let second = style.conv(b, pair(&path("b2"), 3), c3, 3, second);
        let third = style.conv(b, pair(&path("b3"), 0), reduce5, 1, x);
        let third = odd.conv(b, pair(&path("b3"), 3), c5, 3, third);
        let third = style.conv(b, pair(&path("b3"), 6), c5, 3, third);
        let fourth = b.then(path("b4.0"), MaxPool::new(3).stride(1).padding(1), x);
        let fourth = style.conv(b, pair(&path("b4"), 1), pool, 1, fourth);
        x = b.join(path("concat"), Op::Concat, &[first, second, third, fourth]);
        if HALVED_AFTER.contains(&block) {
            x = b.then(format!("{name}.maxpool"), MaxPool::new(3).stride(2).padding(1), x);
        }
    }
    let x = b.then("avgpool", Op::GlobalAvgPool, x);
    let x = b.then("dropout", Dropout { rate: 0.4 }, x);
    b.then("linear", Linear::new(outputs), x);
    builder.finish()
}
