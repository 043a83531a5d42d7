//! Losses as operations on dfdx's tape.

use dfdx::prelude::{AsArray, Cpu, HasShape, PutTape, Shape, SplitTape, Tape as _, Tensor, TensorFrom};

use super::{Matrix, Tape};
use crate::nn::gradient::softmax_in_place;
use crate::nn::train::Loss;

type Scalar<T> = Tensor<(), f32, Cpu, T>;

/// The number that a loss is.
pub(super) fn value(loss: &Scalar<Tape>) -> f32 {
    loss.array()
}

/// The weighted loss of a batch and the outputs it came from.
pub(super) fn loss(
    kind: Loss,
    outputs: Matrix<Tape>,
    targets: &[f32],
    row_weights: &[f32],
) -> (Scalar<Tape>, Vec<f32>) {
    let device = outputs.device().clone();
    let (outputs, mut tape) = outputs.split_tape();
    let width = outputs.shape().1;
    let mut logits = vec![0.0; outputs.shape().num_elements()];
    outputs.copy_into(&mut logits);
    let (value, derivative) = evaluate(kind, &logits, targets, row_weights, width);
    let loss: Scalar<_> = device.tensor(value as f32);
    let (outputs_ghost, loss_ghost) = (outputs.ghost(), loss.ghost());
    tape.add_backward_op(move |gradients| {
        let seed = gradients.get_or_alloc_mut(&loss_ghost)?[0];
        for (d, own) in gradients.get_or_alloc_mut(&outputs_ghost)?.iter_mut().zip(&derivative) {
            *d += seed * own;
        }
        Ok(())
    });
    (loss.put_tape(tape), logits)
}

/// The weighted loss and its derivative with respect to the outputs.
pub(in crate::nn) fn evaluate(
    kind: Loss,
    logits: &[f32],
    targets: &[f32],
    row_weights: &[f32],
    width: usize,
) -> (f64, Vec<f32>) {
    let mut derivative = logits.to_vec();
    let mut total = 0.0_f64;
    let rows = derivative.chunks_exact_mut(width).zip(targets.chunks_exact(width)).zip(row_weights);
    for ((row, target), &weight) in rows {
        let own = match kind {
            Loss::CrossEntropy => cross_entropy_row(row, target),
            Loss::MeanSquare => mean_square_row(row, target),
        };
        total += f64::from(weight) * own;
        for d in row.iter_mut() {
            *d *= weight;
        }
    }
    (total, derivative)
}

/// `-sum t ln softmax(z)`; turns `z` into its derivative `softmax(z) - t` (for targets that sum to 1).
fn cross_entropy_row(z: &mut [f32], target: &[f32]) -> f64 {
    let largest = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let linear: f64 = z.iter().zip(target).map(|(z, t)| f64::from(*t) * f64::from(z - largest)).sum();
    let total: f64 = z.iter().map(|z| f64::from(libm::expf(z - largest))).sum();
    let mass: f64 = target.iter().map(|t| f64::from(*t)).sum();
    softmax_in_place(z);
    for (z, t) in z.iter_mut().zip(target) {
        *z -= t;
    }
    mass * libm::log(total) - linear
}

/// The mean of `(y - t)^2`; turns `y` into its derivative `2 (y - t) / outputs`.
fn mean_square_row(y: &mut [f32], target: &[f32]) -> f64 {
    let scale = 2.0 / y.len() as f32;
    let mut sum = 0.0;
    let outputs = y.len() as f64;
    for (y, t) in y.iter_mut().zip(target) {
        let error = *y - t;
        sum += f64::from(error) * f64::from(error);
        *y = scale * error;
    }
    sum / outputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_of_both_losses_agree_with_finite_differences() {
        let logits = [0.3_f32, -1.2, 0.8, 2.0, 0.1, -0.4];
        let targets = [0.9_f32, 0.05, 0.05, 0.0, 0.0, 1.0];
        for kind in [Loss::CrossEntropy, Loss::MeanSquare] {
            let (_, derivative) = evaluate(kind, &logits, &targets, &[0.25, 0.75], 3);
            for index in 0..6 {
                let at = |shift: f32| {
                    let mut moved = logits;
                    moved[index] += shift;
                    evaluate(kind, &moved, &targets, &[0.25, 0.75], 3).0
                };
                let difference = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!((f64::from(derivative[index]) - difference).abs() < 1e-4, "{kind:?}");
            }
        }
    }

    #[test]
    fn the_smallest_smoothed_loss_is_the_entropy_of_its_target() {
        // 0.91 and nine times 0.01: 0.5003 (arXiv 1912.02386 trains with this target).
        let mut target = [0.01_f32; 10];
        target[4] = 0.91;
        let logits = target.map(f32::ln);
        let (loss, _) = evaluate(Loss::CrossEntropy, &logits, &target, &[1.0], 10);
        assert!((loss - 0.5003).abs() < 1e-4, "{loss}");
    }
}
