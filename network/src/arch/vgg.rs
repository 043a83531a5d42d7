//! VGG (Simonyan and Zisserman 2014) with batch normalisation, for small images.

use super::conv_norm_relu;
use crate::graph::{Builder, GraphError, Network, Value};
use crate::op::{Conv2d, Dropout, Linear, MaxPool, Op};

/// The convolutions of each of the five stages, between which images are halved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Configuration A.
    Vgg11,
    /// Configuration B.
    Vgg13,
    /// Configuration D.
    Vgg16,
    /// Configuration E.
    Vgg19,
}

impl Depth {
    /// How many convolutions each stage has.
    const fn stages(self) -> [usize; 5] {
        match self {
            Self::Vgg11 => [1, 1, 2, 2, 2],
            Self::Vgg13 => [2, 2, 2, 2, 2],
            Self::Vgg16 => [2, 2, 3, 3, 3],
            Self::Vgg19 => [2, 2, 4, 4, 4],
        }
    }
}

/// A VGG whose convolutions have biases and are normalised, whose last images are averaged, and whose classifier has two
/// hidden layers of 4096; names are those of torchvision (`features.0`, `classifier.6`).
///
/// # Errors
/// Where `input` is no image of at least 32 x 32, or `outputs` is zero.
pub fn vgg_bn(depth: Depth, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
    let mut builder = Builder::new(input);
    let b = &mut builder;
    let mut x = Value::INPUT;
    // torchvision numbers convolutions, normalisations, rectifiers and poolings alike.
    let mut module = 0;
    for (convolutions, channels) in depth.stages().into_iter().zip([64, 128, 256, 512, 512]) {
        for _ in 0..convolutions {
            let [conv, norm] = [module, module + 1].map(|index| format!("features.{index}"));
            x = conv_norm_relu(b, &conv, &norm, Conv2d::new(channels, 3).padding(1).bias(true), x);
            module += 3;
        }
        x = b.then(format!("features.{module}"), MaxPool::new(2), x);
        module += 1;
    }
    x = b.then("avgpool", Op::GlobalAvgPool, x);
    for (linear, dropout) in [(0, 2), (3, 5)] {
        x = b.then(format!("classifier.{linear}"), Linear::new(4096), x);
        x = b.relu(format!("classifier.{}", linear + 1), x);
        x = b.then(format!("classifier.{dropout}"), Dropout { rate: 0.5 }, x);
    }
    b.then("classifier.6", Linear::new(outputs), x);
    builder.finish()
}
