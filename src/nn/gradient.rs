//! Derivatives with respect to inputs and activations, by our own backward pass over an [`Executor`].
//!
//! Each row's gradient is a fixed chain of operations, so its bits do not depend on the batch or the threads.

use rayon::prelude::*;

use super::dense::accumulate;
use super::executor::{BLOCK, Executor, Trace};
use super::real::Real;

/// The gradient of a scalar per row with respect to that row of `x`, `rows x inputs`.
///
/// `dlogits(row, logits, out)` writes into `out` the derivative of row `row`'s scalar with respect to its `logits`.
///
/// # Panics
/// If `x` is not `rows x inputs`.
#[must_use]
pub fn input_gradient<T: Real>(
    executor: &Executor<T>,
    x: &[T],
    rows: usize,
    dlogits: impl Fn(usize, &[T], &mut [T]) + Sync,
) -> Vec<T> {
    let (inputs, outputs) = (executor.inputs(), executor.outputs());
    assert_eq!(x.len(), rows * inputs, "x is rows x inputs");
    let mut gradient = vec![T::ZERO; x.len()];
    x.par_chunks(BLOCK * inputs).zip(gradient.par_chunks_mut(BLOCK * inputs)).enumerate().for_each(
        |(block, (x, out))| {
            let trace = executor.trace(x, x.len() / inputs);
            let mut dh = vec![T::ZERO; trace.rows * outputs];
            for (index, (logits, d)) in
                trace.logits().chunks_exact(outputs).zip(dh.chunks_exact_mut(outputs)).enumerate()
            {
                dlogits(block * BLOCK + index, logits, d);
            }
            out.copy_from_slice(&pull_back(executor, &trace, 0, dh));
        },
    );
    gradient
}

/// Takes `dh`, a derivative with respect to the outputs (`rows x outputs`), back to the activations of layer `layer`.
///
/// # Panics
/// If `dh` is not `rows x outputs`.
#[must_use]
pub fn pull_back<T: Real>(executor: &Executor<T>, trace: &Trace<T>, layer: usize, mut dh: Vec<T>) -> Vec<T> {
    for number in (layer + 1..=executor.depth()).rev() {
        let prepared = executor.layer(number);
        for (d, z) in dh.iter_mut().zip(&trace.pre[number - 1]) {
            *d = *d * prepared.activation.derivative(*z);
        }
        let mut below = vec![T::ZERO; trace.rows * prepared.inputs];
        accumulate(&dh, trace.rows, prepared.outputs, prepared.weight(), prepared.inputs, &mut below);
        dh = below;
    }
    dh
}

/// The Jacobian of the outputs of one example with respect to the activations of layer `layer` (0: the input),
/// `outputs x width(layer)`.
///
/// # Panics
/// If `x` is not one row, or there is no such layer.
#[must_use]
pub fn jacobian<T: Real>(executor: &Executor<T>, x: &[T], layer: usize) -> Vec<T> {
    let outputs = executor.outputs();
    let single = executor.trace(x, 1);
    // One copy of the example per output, each pulled back from its own unit vector.
    let repeat = |rows: &[Vec<T>]| rows.iter().map(|row| row.repeat(outputs)).collect::<Vec<_>>();
    let trace = Trace { rows: outputs, pre: repeat(&single.pre), post: Vec::new() };
    let mut unit = vec![T::ZERO; outputs * outputs];
    for k in 0..outputs {
        unit[k * outputs + k] = T::ONE;
    }
    pull_back(executor, &trace, layer, unit)
}

/// The softmax of one row of logits.
#[must_use]
pub fn softmax<T: Real>(logits: &[T]) -> Vec<T> {
    let mut out = logits.to_vec();
    softmax_in_place(&mut out);
    out
}

/// Replaces one row of logits by its softmax.
pub fn softmax_in_place<T: Real>(row: &mut [T]) {
    let largest = row.iter().copied().fold(None, |m: Option<T>, v| Some(m.map_or(v, |m| if v > m { v } else { m })));
    let Some(largest) = largest else { return };
    let mut sum = T::ZERO;
    for value in row.iter_mut() {
        *value = (*value - largest).exp();
        sum += *value;
    }
    for value in row.iter_mut() {
        *value = *value / sum;
    }
}

/// The cross-entropy `-ln softmax(logits)[label]` of one row.
///
/// # Panics
/// If `label` is not below the number of logits.
#[must_use]
pub fn cross_entropy<T: Real>(logits: &[T], label: usize) -> T {
    let largest = logits.iter().copied().fold(logits[label], |m, v| if v > m { v } else { m });
    let mut sum = T::ZERO;
    for value in logits {
        sum += (*value - largest).exp();
    }
    sum.ln() - (logits[label] - largest)
}

/// Writes the derivative of [`cross_entropy`] with respect to `logits` into `out`: softmax less the one-hot label.
///
/// # Panics
/// If `label` is not below the number of logits, or `out` is of another length.
pub fn cross_entropy_gradient<T: Real>(logits: &[T], label: usize, out: &mut [T]) {
    out.copy_from_slice(logits);
    softmax_in_place(out);
    out[label] = out[label] - T::ONE;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Init;
    use crate::nn::activation::Activation;
    use crate::nn::mlp::Mlp;
    use crate::nn::random::Stream;

    const ACTIVATIONS: [Activation; 5] = [
        Activation::relu(),
        Activation::LeakyRelu { slope: 0.2 },
        Activation::Sigmoid { gain: 4.0 },
        Activation::Tanh,
        Activation::Softplus,
    ];

    fn executor(activation: Activation) -> Executor<f64> {
        let net = Mlp::new(6, &[9, 7], 4, activation, true);
        Executor::new(&net.initialize(Init::HeNormal, Init::Normal { std: 0.1 }, 3))
    }

    fn inputs(rows: usize) -> Vec<f64> {
        let mut x = vec![0.0; rows * 6];
        Stream::new(2, "x", &[]).fill_normal(&mut x, 0.0, 1.0);
        x
    }

    #[test]
    fn input_gradients_agree_with_finite_differences_for_every_activation() {
        for activation in ACTIVATIONS {
            let executor = executor(activation);
            let x = inputs(3);
            let gradient =
                input_gradient(&executor, &x, 3, |row, logits, out| cross_entropy_gradient(logits, row, out));
            for index in 0..x.len() {
                let loss = |shift: f64| {
                    let mut moved = x.clone();
                    moved[index] += shift;
                    let logits = executor.logits(&moved, 3);
                    (0..3).map(|r| cross_entropy(&logits[r * 4..(r + 1) * 4], r)).sum::<f64>()
                };
                let difference = (loss(1e-5) - loss(-1e-5)) / 2e-5;
                assert!((gradient[index] - difference).abs() < 1e-7, "{activation:?}");
            }
        }
    }

    #[test]
    fn jacobians_agree_with_finite_differences_at_every_layer() {
        for activation in ACTIVATIONS {
            let executor = executor(activation);
            let x = inputs(1);
            let trace = executor.trace(&x, 1);
            for layer in 0..=3 {
                let jacobian = jacobian(&executor, &x, layer);
                for i in 0..executor.width(layer) {
                    let at = |shift: f64| {
                        let mut h = trace.post[layer].clone();
                        h[i] += shift;
                        executor.logits_from(layer, &h, 1)
                    };
                    let (up, down) = (at(1e-5), at(-1e-5));
                    for k in 0..4 {
                        let difference = (up[k] - down[k]) / 2e-5;
                        assert!((jacobian[k * executor.width(layer) + i] - difference).abs() < 1e-7, "{activation:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_has_the_same_gradient_alone_and_in_a_crowd() {
        let executor = executor(Activation::Tanh);
        let x = inputs(200);
        let label = |row: usize, logits: &[f64], out: &mut [f64]| cross_entropy_gradient(logits, row % 4, out);
        let all = input_gradient(&executor, &x, 200, label);
        for row in [0, 63, 64, 199] {
            let alone =
                input_gradient(&executor, &x[row * 6..(row + 1) * 6], 1, |_, logits, out| label(row, logits, out));
            assert_eq!(alone, all[row * 6..(row + 1) * 6]);
        }
    }

    #[test]
    fn cross_entropy_survives_huge_logits() {
        assert!((cross_entropy(&[1000.0_f32, 0.0], 1) - 1000.0).abs() < 1e-3);
        assert!(cross_entropy(&[1000.0_f32, 0.0], 0).abs() < 1e-6);
        assert!((softmax(&[1.0_f64, 1.0, 1.0])[2] - 1.0 / 3.0).abs() < 1e-15);
    }
}
