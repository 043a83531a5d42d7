//! A masked, fully connected layer with its activation and crashes as one operation on dfdx's tape.

use std::rc::Rc;

use dfdx::prelude::{Cpu, Tape as _};
use dfdx::prelude::{HasShape, PutTape, Shape, SplitTape, Tensor, TensorFromVec};

use super::{Grads, Matrix, Tape, TapeError, Vector};
use crate::nn::activation::Activation;
use crate::nn::dense::{accumulate_parallel, transpose};

/// The parameters of a layer while they are trained.
pub(super) struct Dense {
    /// `inputs x outputs`; exactly zero where `keep` is false.
    pub(super) weight_t: Matrix,
    /// `outputs`.
    pub(super) bias: Option<Vector>,
    /// `inputs x outputs`, which weights take part.
    pub(super) keep: Option<Vec<bool>>,
    /// The function applied to the sums.
    pub(super) activation: Activation,
    /// Whether it reads the input, whose gradient nobody wants.
    pub(super) first: bool,
}

/// The numbers of a tensor, in one copy.
pub(super) fn values<S: Shape, T>(tensor: &Tensor<S, f32, Cpu, T>) -> Vec<f32> {
    let mut out = vec![0.0; tensor.shape().num_elements()];
    tensor.copy_into(&mut out);
    out
}

/// The extents of a matrix.
pub(super) fn shape_of<T>(matrix: &Matrix<T>) -> &(usize, usize) {
    matrix.shape()
}

/// `values *= factors`, one by one.
pub(super) fn multiply(values: &mut [f32], factors: &[f32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}

/// `survive * f(h W^T + b)`; the gradients of dropped weights are exactly zero.
pub(super) fn dense(layer: &Dense, h: Matrix<Tape>, survive: Option<Vec<f32>>) -> Result<Matrix<Tape>, TapeError> {
    let (h, mut tape) = h.split_tape();
    let (rows, inputs) = *h.shape();
    let outputs = layer.weight_t.shape().1;
    let (x, weight_t) = (values(&h), Rc::new(values(&layer.weight_t)));
    let mut z = match &layer.bias {
        Some(bias) => values(bias).repeat(rows),
        None => vec![0.0; rows * outputs],
    };
    accumulate_parallel(&x, rows, inputs, &weight_t, outputs, &mut z);
    let mut out = z.clone();
    layer.activation.apply(&mut out);
    if let Some(survive) = &survive {
        multiply(&mut out, survive);
    }
    let out: Matrix = layer.weight_t.device().tensor_from_vec(out, (rows, outputs));

    let (h_ghost, weight_ghost, out_ghost) = (h.ghost(), layer.weight_t.ghost(), out.ghost());
    let bias_ghost = layer.bias.as_ref().map(Tensor::ghost);
    let (activation, first, keep) = (layer.activation, layer.first, layer.keep.clone());
    tape.add_backward_op(move |gradients| {
        // Nobody reads the gradient of an intermediate twice, so it is taken rather than copied.
        let mut dz = std::mem::take(&mut **gradients.get_or_alloc_mut(&out_ghost)?);
        for (d, z) in dz.iter_mut().zip(&z) {
            *d *= activation.derivative(*z);
        }
        if let Some(survive) = &survive {
            multiply(&mut dz, survive);
        }
        if let Some(bias_ghost) = &bias_ghost {
            let db = gradients.get_or_alloc_mut(bias_ghost)?;
            for row in dz.chunks_exact(outputs) {
                for (b, d) in db.iter_mut().zip(row) {
                    *b += d;
                }
            }
        }
        let dw = gradients.get_or_alloc_mut(&weight_ghost)?;
        accumulate_parallel(&transpose(&x, rows, inputs), inputs, rows, &dz, outputs, dw);
        if let Some(keep) = &keep {
            for (d, &keep) in dw.iter_mut().zip(keep) {
                if !keep {
                    *d = 0.0;
                }
            }
        }
        if !first {
            let dh = gradients.get_or_alloc_mut(&h_ghost)?;
            accumulate_parallel(&dz, rows, outputs, &transpose(&weight_t, inputs, outputs), inputs, dh);
        }
        Ok(())
    });
    Ok(out.put_tape(tape))
}

impl Dense {
    /// Adds the derivatives of `l1 * sum |w| + l2 * sum w^2` to the gradient of the weights.
    pub(super) fn penalize(&self, gradients: &mut Grads, l1: f32, l2: f32) -> Result<(), TapeError> {
        let weights = values(&self.weight_t);
        let dw = gradients.get_or_alloc_mut(&self.weight_t)?;
        for (d, w) in dw.iter_mut().zip(weights) {
            // A weight at zero, masked or not, is pulled nowhere.
            let sign = if w > 0.0 { 1.0 } else { f32::from(i8::from(w < 0.0)) * -1.0 };
            *d += l1 * sign + 2.0 * l2 * w;
        }
        Ok(())
    }
}
