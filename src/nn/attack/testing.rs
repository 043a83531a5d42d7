//! A small convolutional network for tests of attacks.

use duress_network::arch::{Layer, layers};
use duress_network::op::Op;
use duress_network::{Init, Scheme, Stream};

use crate::nn::classifier::Classifier;

/// A classifier of 5x5 images into 3 classes, and `rows` images.
pub(crate) fn small(rows: usize) -> (Classifier, Vec<f32>) {
    let layers = [Layer::conv(4, 3), Layer::batch_norm(), Layer::relu(), Layer::op(Op::Flatten), Layer::linear(3)];
    let network = layers::network(&[1, 5, 5], &layers).expect("sound layers");
    let weights = network.initialize(&Scheme::new(Init::HeNormal, Init::Normal { std: 0.2 }), 3);
    let mut x = vec![0.0; rows * 25];
    Stream::new(4, "x", &[]).fill_uniform(&mut x, 0.0, 1.0);
    (Classifier::new(weights), x)
}
