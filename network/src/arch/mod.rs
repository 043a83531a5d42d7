//! The architectures that studies call by name, each as its authors published it, down to the names of the parameters.

pub mod catalogue;
pub mod densenet;
pub mod googlenet;
pub mod layers;
pub mod lenet;
pub mod mlp;
pub mod mobilenet;
pub mod recurrent;
pub mod resnet;
pub mod transformer;
pub mod vgg;

pub use catalogue::{Architecture, catalogue, find};
pub use layers::{Layer, LayerKind, LayersError};

use crate::graph::{Builder, Value};
use crate::op::{BatchNorm, Conv2d};

/// A convolution, its batch normalisation and a rectifier, named `CONV`, `NORM` and `NORM.relu`.
pub(crate) fn conv_norm_relu(builder: &mut Builder, conv: &str, norm: &str, op: Conv2d, input: Value) -> Value {
    let x = conv_norm(builder, conv, norm, op, input);
    builder.relu(format!("{norm}.relu"), x)
}

/// A convolution and its batch normalisation.
pub(crate) fn conv_norm(builder: &mut Builder, conv: &str, norm: &str, op: Conv2d, input: Value) -> Value {
    let x = builder.then(conv, op, input);
    builder.then(norm, BatchNorm::default(), x)
}

/// Batch normalisation, a rectifier, then a convolution: the order of dense blocks.
pub(crate) fn norm_relu_conv(builder: &mut Builder, norm: &str, conv: &str, op: Conv2d, input: Value) -> Value {
    let x = builder.then(norm, BatchNorm::default(), input);
    let x = builder.relu(format!("{norm}.relu"), x);
    builder.then(conv, op, x)
}
