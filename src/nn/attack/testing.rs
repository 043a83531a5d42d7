//! A small convolutional network for tests of attacks, and gradients to compare with.

use duress_network::arch::{Layer, layers};
use duress_network::op::Op;
use duress_network::{Init, Scheme, Stream};

use crate::nn::classifier::Classifier;
use crate::nn::fault::Layered;
use crate::nn::plain::Plain;

/// A classifier of 5x5 images into 3 classes, and `rows` images.
pub(crate) fn small(rows: usize) -> (Classifier, Vec<f32>) {
    let layers = [Layer::conv(4, 3), Layer::batch_norm(), Layer::relu(), Layer::op(Op::Flatten), Layer::linear(3)];
    let network = layers::network(&[1, 5, 5], &layers).expect("sound layers");
    let weights = network.initialize(&Scheme::new(Init::HeNormal, Init::Normal { std: 0.2 }), 3);
    let mut x = vec![0.0; rows * 25];
    Stream::new(4, "x", &[]).fill_uniform(&mut x, 0.0, 1.0);
    (Classifier::new(weights), x)
}

/// The gradient of a scalar per row with respect to that row of `x`, `rows x inputs`, layer by layer in plain loops.
///
/// `dlogits(row, logits, out)` writes into `out` the derivative of row `row`'s scalar with respect to its `logits`.
pub(super) fn plain_gradient(
    executor: &Plain<f32>,
    x: &[f32],
    rows: usize,
    dlogits: impl Fn(usize, &[f32], &mut [f32]),
) -> Vec<f32> {
    let trace = executor.trace(x);
    let mut dh = vec![0.0; rows * executor.outputs()];
    let logits = trace.post[executor.depth()].chunks_exact(executor.outputs());
    for (row, (logits, d)) in logits.zip(dh.chunks_exact_mut(executor.outputs())).enumerate() {
        dlogits(row, logits, d);
    }
    for number in (1..=executor.depth()).rev() {
        let layer = executor.layer(number);
        let (inputs, outputs, weight) = (layer.inputs, layer.outputs, &layer.weight);
        for (d, z) in dh.iter_mut().zip(&trace.pre[number - 1]) {
            *d *= layer.activation.derivative(*z);
        }
        let below =
            |row: usize, i: usize| (0..outputs).map(|o| dh[row * outputs + o] * weight[o * inputs + i]).sum::<f32>();
        dh = (0..rows * inputs).map(|at| below(at / inputs, at % inputs)).collect();
    }
    dh
}
