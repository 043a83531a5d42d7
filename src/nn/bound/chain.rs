//! A feed-forward chain in double precision: what the crash bounds look at.
//!
//! Bounds need more than an executor gives (absolute and squared weights, Jacobians at every layer, values to 1e-10), so they
//! work on their own copy of the network: layers of linear operations, each followed by an element-wise activation.

use super::map::{Map, Matrix};
use crate::nn::activation::Activation;

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

/// `activation` of what linear operations give, one after the other.
///
/// Each operation counts as a matrix of its own where a formula takes absolute values or squares of weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// At least one.
    pub maps: Vec<Map>,
    /// Applied to every output.
    pub activation: Activation,
}

/// Layers in sequence. Layer numbers count from 1; 0 is the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    layers: Vec<Layer>,
}

/// What makes a list of layers no chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// There is nothing to bound.
    #[error("bound a network without linear layers: give it at least one")]
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

impl From<DenseLayer> for Layer {
    fn from(DenseLayer { weight, bias, activation }: DenseLayer) -> Self {
        Self { maps: vec![Map::Dense { weight, bias }], activation }
    }
}

impl Layer {
    /// How many values it reads.
    fn inputs(&self) -> usize {
        self.maps.first().map_or(0, Map::inputs)
    }

    /// How many values it gives.
    fn outputs(&self) -> usize {
        self.maps.last().map_or(0, Map::outputs)
    }

    /// What the activation is applied to.
    fn before_activation(&self, h: &[f64]) -> Vec<f64> {
        self.maps.iter().fold(h.to_vec(), |h, map| map.forward(&h))
    }

    /// How much more the activation is applied to where number `index` of what the layer reads has `value` more.
    pub(super) fn change(&self, index: usize, value: f64) -> Vec<f64> {
        let Some((first, rest)) = self.maps.split_first() else { return Vec::new() };
        rest.iter().fold(first.column(index, value), |d, map| map.apply(&d, |w| w))
    }

    /// `f(W_n) ... f(W_1) x`, the function applied to each weight of each operation.
    pub(super) fn apply(&self, x: Vec<f64>, f: impl Fn(f64) -> f64) -> Vec<f64> {
        self.maps.iter().fold(x, |x, map| map.apply(&x, &f))
    }

    /// `v^T W_n ... W_1`.
    fn apply_transposed(&self, v: Vec<f64>) -> Vec<f64> {
        self.maps.iter().rev().fold(v, |v, map| map.apply_transposed(&v, |w| w))
    }
}

impl Chain {
    /// Checks that the layers fit together.
    ///
    /// # Errors
    /// [`ChainError`] for no layers, widths that differ between neighbours, and biases of another length than the outputs.
    pub fn new(layers: Vec<Layer>) -> Result<Self, ChainError> {
        let mut before = layers.first().filter(|layer| !layer.maps.is_empty()).ok_or(ChainError::Empty)?.inputs();
        for (layer, l) in (1..).zip(&layers) {
            if l.maps.is_empty() {
                return Err(ChainError::Empty);
            }
            for map in &l.maps {
                if map.inputs() != before {
                    return Err(ChainError::Width { layer, outputs: before, inputs: map.inputs() });
                }
                before = map.outputs();
                if let Map::Dense { bias, weight } = map
                    && !bias.is_empty()
                    && bias.len() != weight.rows()
                {
                    return Err(ChainError::Bias { layer, got: bias.len(), want: weight.rows() });
                }
            }
        }
        Ok(Self { layers })
    }

    /// The chain of these dense layers.
    ///
    /// # Errors
    /// As [`Chain::new`].
    pub fn dense(layers: Vec<DenseLayer>) -> Result<Self, ChainError> {
        Self::new(layers.into_iter().map(Layer::from).collect())
    }

    /// The layers, first to last.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
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
        if l == 0 { self.layers[0].inputs() } else { self.layers[l - 1].outputs() }
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
                let scaled = row.iter().zip(&trace.z[l]).map(|(g, z)| g * layer.activation.derivative(*z)).collect();
                layer.apply_transposed(scaled)
            };
            let below = above.iter().map(through).collect();
            all.push(std::mem::replace(&mut above, below));
        }
        all.push(above);
        all.reverse();
        all
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
        assert_eq!(Chain::dense(vec![]), Err(ChainError::Empty));
        let widths = Chain::dense(vec![layer(3, 2, 0), layer(1, 4, 0)]);
        assert_eq!(widths, Err(ChainError::Width { layer: 2, outputs: 3, inputs: 4 }));
        assert_eq!(Chain::dense(vec![layer(3, 2, 1)]), Err(ChainError::Bias { layer: 1, got: 1, want: 3 }));
        assert_eq!(Matrix::new(2, 2, vec![0.0; 3]), None);
    }
}
