//! A masked, fully connected layer with its activation and crashes as one operation on dfdx's tape.

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
pub(super) fn dense(layer: &Dense, h: Matrix<Tape>, survive: Option<Vec<f32>>) -> Matrix<Tape> {
    let (h, mut tape) = h.split_tape();
    let (rows, outputs) = (h.shape().0, layer.weight_t.shape().1);
    let (x, weight_t) = (values(&h), values(&layer.weight_t));
    let z = layer.sums(&x, &weight_t, rows);
    let forward = Forward { x, weight_t, z, survive };
    let mut out = forward.z.clone();
    layer.activation.apply(&mut out);
    if let Some(survive) = &forward.survive {
        multiply(&mut out, survive);
    }
    let out: Matrix = layer.weight_t.device().tensor_from_vec(out, (rows, outputs));

    let (h_ghost, weight_ghost, out_ghost) = (h.ghost(), layer.weight_t.ghost(), out.ghost());
    let bias_ghost = layer.bias.as_ref().map(Tensor::ghost);
    let (activation, first, keep) = (layer.activation, layer.first, layer.keep.clone());
    tape.add_backward_op(move |gradients| {
        // Nobody reads the gradient of an intermediate twice, so it is taken rather than copied.
        let dz = forward.before_activation(activation, std::mem::take(&mut **gradients.get_or_alloc_mut(&out_ghost)?));
        if let Some(bias_ghost) = &bias_ghost {
            add_columns(&dz, gradients.get_or_alloc_mut(bias_ghost)?);
        }
        forward.add_weight_gradient(&dz, rows, keep.as_deref(), gradients.get_or_alloc_mut(&weight_ghost)?);
        if !first {
            forward.add_input_gradient(&dz, rows, gradients.get_or_alloc_mut(&h_ghost)?);
        }
        Ok(())
    });
    out.put_tape(tape)
}

/// What the backward pass of a layer needs from its forward pass.
struct Forward {
    /// `rows x inputs`.
    x: Vec<f32>,
    /// `inputs x outputs`.
    weight_t: Vec<f32>,
    /// The sums, `rows x outputs`.
    z: Vec<f32>,
    survive: Option<Vec<f32>>,
}

impl Forward {
    /// The derivative with respect to the sums, from that with respect to the outputs.
    fn before_activation(&self, activation: Activation, mut d: Vec<f32>) -> Vec<f32> {
        for (d, z) in d.iter_mut().zip(&self.z) {
            *d *= activation.derivative(*z);
        }
        if let Some(survive) = &self.survive {
            multiply(&mut d, survive);
        }
        d
    }

    /// `dw += x^T dz`, with zeros where the mask drops.
    fn add_weight_gradient(&self, dz: &[f32], rows: usize, keep: Option<&[bool]>, dw: &mut [f32]) {
        let (inputs, outputs) = (self.x.len() / rows, dz.len() / rows);
        accumulate_parallel(&transpose(&self.x, rows, inputs), inputs, rows, dz, outputs, dw);
        for (d, _) in dw.iter_mut().zip(keep.unwrap_or_default()).filter(|(_, keep)| !**keep) {
            *d = 0.0;
        }
    }

    /// `dx += dz W`.
    fn add_input_gradient(&self, dz: &[f32], rows: usize, dx: &mut [f32]) {
        let (inputs, outputs) = (self.x.len() / rows, dz.len() / rows);
        accumulate_parallel(dz, rows, outputs, &transpose(&self.weight_t, inputs, outputs), inputs, dx);
    }
}

/// Adds every row of `rows` to `sums`.
fn add_columns(rows: &[f32], sums: &mut [f32]) {
    for row in rows.chunks_exact(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

impl Dense {
    /// `h W^T + b`, `rows x outputs`.
    fn sums(&self, x: &[f32], weight_t: &[f32], rows: usize) -> Vec<f32> {
        let (inputs, outputs) = *self.weight_t.shape();
        let mut z = match &self.bias {
            Some(bias) => values(bias).repeat(rows),
            None => vec![0.0; rows * outputs],
        };
        accumulate_parallel(x, rows, inputs, weight_t, outputs, &mut z);
        z
    }

    /// Adds the derivatives of `l1 * sum |w| + l2 * sum w^2` to the gradient of the weights.
    pub(super) fn penalize(&self, gradients: &mut Grads, l1: f32, l2: f32) -> Result<(), TapeError> {
        let weights = values(&self.weight_t);
        let dw = gradients.get_or_alloc_mut(&self.weight_t)?;
        for (d, w) in dw.iter_mut().zip(weights) {
            // A weight at zero, masked or not, is pulled nowhere.
            let pull = if w == 0.0 { 0.0 } else { l1.copysign(w) };
            *d += pull + 2.0 * l2 * w;
        }
        Ok(())
    }
}
