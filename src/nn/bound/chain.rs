//! A feed-forward chain in double precision: what the crash bounds look at.
//!
//! Bounds need more than an executor gives (absolute and squared weights, Jacobians at every layer, values to 1e-10), and they
//! are cheap, so they work on their own copy of the network: dense layers, each followed by an element-wise activation.

use crate::nn::activation::Activation;
use crate::nn::mlp_weights::MlpWeights;

/// A dense matrix, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix from its values, `rows * columns` of them, row after row; `None` if the count differs or either side is empty.
    #[must_use]
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Option<Self> {
        (rows > 0 && columns > 0 && values.len() == rows * columns).then_some(Self { rows, columns, values })
    }

    /// Number of rows (a layer's outputs).
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns (a layer's inputs).
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The rows in order, each of [`Matrix::columns`] values.
    pub fn row_slices(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.columns)
    }

    /// All values, row after row.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// `f(W) x`, the function applied to each weight.
    pub(super) fn apply(&self, x: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
        self.row_slices().map(|row| row.iter().zip(x).map(|(w, x)| f(*w) * x).sum()).collect()
    }

    /// `v^T W`.
    pub(super) fn apply_transposed(&self, v: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.columns];
        for (row, v) in self.row_slices().zip(v) {
            out.iter_mut().zip(row).for_each(|(o, w)| *o += w * v);
        }
        out
    }
}

/// One dense layer: `activation(weight * input + bias)`.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseLayer {
    /// Out by in.
    pub weight: Matrix,
    /// One per output; empty for none.
    pub bias: Vec<f64>,
    /// Applied to every output.
    pub activation: Activation,
}

/// Dense layers in sequence. Layer numbers count from 1; 0 is the input.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseChain {
    layers: Vec<DenseLayer>,
}

/// What makes a list of layers no chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// There is nothing to bound.
    #[error("bound a network without dense layers: give it at least one")]
    Empty,
    /// Two neighbours do not fit.
    #[error("feed {outputs} outputs into layer {layer}, which takes {inputs}: make the widths equal")]
    Width {
        /// Number of the layer that does not fit, from 1.
        layer: usize,
        /// Width of the layer before it.
        outputs: usize,
        /// Width that it takes.
        inputs: usize,
    },
    /// A bias is not one number per output.
    #[error("add {got} biases to the {want} outputs of layer {layer}: give one per output, or none")]
    Bias {
        /// Number of the layer, from 1.
        layer: usize,
        /// Biases given.
        got: usize,
        /// Outputs it has.
        want: usize,
    },
}

/// The values of one forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainTrace {
    /// `h[0]` is the input, `h[l]` the output of layer `l`, `h[L]` the network's output.
    pub h: Vec<Vec<f64>>,
    /// `z[l - 1]` is what the activation of layer `l` was applied to.
    pub z: Vec<Vec<f64>>,
}

impl DenseChain {
    /// Checks that the layers fit together.
    ///
    /// # Errors
    /// [`ChainError`] for no layers, widths that differ between neighbours, and biases of another length than the outputs.
    pub fn new(layers: Vec<DenseLayer>) -> Result<Self, ChainError> {
        let mut before = layers.first().ok_or(ChainError::Empty)?.weight.columns;
        for (layer, l) in (1..).zip(&layers) {
            let (want, inputs) = (l.weight.rows, l.weight.columns);
            if inputs != before {
                return Err(ChainError::Width { layer, outputs: before, inputs });
            }
            if !l.bias.is_empty() && l.bias.len() != want {
                return Err(ChainError::Bias { layer, got: l.bias.len(), want });
            }
            before = want;
        }
        Ok(Self { layers })
    }

    /// The network with its trained values, exactly (every `f32` is an `f64`).
    ///
    /// # Errors
    /// [`ChainError`] where the weights do not fit their network, which [`MlpWeights::new`] rules out.
    pub fn of_weights(weights: &MlpWeights) -> Result<Self, ChainError> {
        let exact = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let layer = |(number, l): (usize, &crate::nn::mlp::Layer)| {
            let misfit =
                ChainError::Width { layer: number, outputs: weights.network.width(number - 1), inputs: l.inputs };
            Ok(DenseLayer {
                weight: Matrix::new(l.outputs, l.inputs, exact(weights.weight(number))).ok_or(misfit)?,
                bias: weights.bias(number).map(exact).unwrap_or_default(),
                activation: l.activation,
            })
        };
        Self::new((1..).zip(&weights.network.layers).map(layer).collect::<Result<_, _>>()?)
    }

    /// The layers, first to last.
    #[must_use]
    pub fn layers(&self) -> &[DenseLayer] {
        &self.layers
    }

    /// Number of layers `L`.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Width of layer `l`, `0..=L`.
    #[must_use]
    pub fn width(&self, l: usize) -> usize {
        if l == 0 { self.layers[0].weight.columns } else { self.layers[l - 1].weight.rows }
    }

    /// Every layer's values on one input of width `width(0)`.
    #[must_use]
    pub fn trace(&self, x: &[f64]) -> ChainTrace {
        let mut trace = ChainTrace { h: vec![x.to_vec()], z: Vec::with_capacity(self.depth()) };
        for (l, layer) in self.layers.iter().enumerate() {
            let z = layer.before_activation(&trace.h[l]);
            trace.h.push(z.iter().map(|z| layer.activation.value(*z)).collect());
            trace.z.push(z);
        }
        trace
    }

    /// The output from what the activation of layer `l` (1 to L) is applied to.
    #[must_use]
    pub fn output_from_preactivation(&self, l: usize, z: Vec<f64>) -> Vec<f64> {
        let mut h = z;
        for (number, layer) in (1..).zip(&self.layers).skip(l - 1) {
            if number > l {
                h = layer.before_activation(&h);
            }
            layer.activation.apply(&mut h);
        }
        h
    }

    /// The Jacobians of the outputs with respect to `h[from..=L]` at a trace: entry `l - from`, row `k`, holds `dy_k/dh_l`.
    #[must_use]
    pub fn jacobians(&self, trace: &ChainTrace, from: usize) -> Vec<Vec<Vec<f64>>> {
        let outputs = self.width(self.depth());
        let unit = |k| (0..outputs).map(|i| f64::from(u8::from(i == k))).collect::<Vec<_>>();
        let mut above = (0..outputs).map(unit).collect::<Vec<_>>();
        let mut all = Vec::with_capacity(self.depth() + 1 - from);
        for l in (from..self.depth()).rev() {
            let layer = &self.layers[l];
            let through = |row: &Vec<f64>| {
                let scaled: Vec<f64> =
                    row.iter().zip(&trace.z[l]).map(|(g, z)| g * layer.activation.derivative(*z)).collect();
                layer.weight.apply_transposed(&scaled)
            };
            let below = above.iter().map(through).collect();
            all.push(std::mem::replace(&mut above, below));
        }
        all.push(above);
        all.reverse();
        all
    }
}

impl DenseLayer {
    fn before_activation(&self, h: &[f64]) -> Vec<f64> {
        let mut z = self.weight.apply(h, |w| w);
        z.iter_mut().zip(&self.bias).for_each(|(z, b)| *z += b);
        z
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_and_biases_that_do_not_fit_are_refused() {
        let layer = |rows, columns, bias: usize| DenseLayer {
            weight: Matrix::new(rows, columns, vec![1.0; rows * columns]).expect("counts agree"),
            bias: vec![0.0; bias],
            activation: Activation::Identity,
        };
        assert_eq!(DenseChain::new(vec![]), Err(ChainError::Empty));
        let widths = DenseChain::new(vec![layer(3, 2, 0), layer(1, 4, 0)]);
        assert_eq!(widths, Err(ChainError::Width { layer: 2, outputs: 3, inputs: 4 }));
        assert_eq!(DenseChain::new(vec![layer(3, 2, 1)]), Err(ChainError::Bias { layer: 1, got: 1, want: 3 }));
        assert_eq!(Matrix::new(2, 2, vec![0.0; 3]), None);
    }
}
