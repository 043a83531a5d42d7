//! A multilayer perceptron seen as layers, together with the values of its parameters.

use thiserror::Error;

use duress_network::Weights;

use super::mlp::{Mlp, MlpError};
use super::tensor::Tensor;

/// A network and one tensor for each of its parameters, in the order of [`Mlp::parameters`].
#[derive(Clone, Debug, PartialEq)]
pub struct MlpWeights {
    /// The network they belong to.
    pub network: Mlp,
    /// The parameters' values.
    pub tensors: Vec<Tensor>,
}

/// Weights or a mask that do not fit their network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MlpWeightsError {
    /// The network itself is wrong.
    #[error(transparent)]
    Mlp(#[from] MlpError),
    /// A parameter has no tensor.
    #[error("parameter `{0}` is missing; every parameter of the network needs a tensor")]
    Missing(String),
    /// A tensor is no parameter.
    #[error("tensor `{0}` is no parameter of the network; remove it or rename it")]
    Unexpected(String),
    /// A tensor has another shape than its parameter, or another number of values than its shape.
    #[error(
        "tensor `{name}` has shape {found:?} and {values} values but the network wants {wanted:?}; use weights of this network"
    )]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// How many values it holds.
        values: usize,
        /// The parameter's shape.
        wanted: Vec<usize>,
    },
}

impl MlpWeights {
    /// Weights of `network` made of `tensors`, which may come in any order.
    ///
    /// # Errors
    /// Where a parameter is missing, a tensor is no parameter, or a shape is wrong.
    pub fn new(network: Mlp, tensors: Vec<Tensor>) -> Result<Self, MlpWeightsError> {
        network.validate()?;
        let wanted: Vec<_> = network.parameters().into_iter().map(|p| (p.name, p.shape)).collect();
        let tensors = in_order(&wanted, tensors)?;
        Ok(Self { network, tensors })
    }

    /// These weights as layers, if their network is a multilayer perceptron (see [`Mlp::of`]).
    #[must_use]
    pub fn of(weights: &Weights) -> Option<Self> {
        // A chain has its parameters in the same order either way.
        Some(Self { network: Mlp::of(weights.network())?, tensors: weights.tensors().to_vec() })
    }

    /// The same network and numbers as a graph.
    #[cfg(test)]
    pub(crate) fn graph(&self) -> Weights {
        let graph = self.network.graph().expect("a sound perceptron");
        Weights::new(graph, self.tensors.clone()).expect("of this network")
    }

    /// The same network and numbers, ready for attacks.
    #[cfg(test)]
    pub(crate) fn classifier(&self) -> super::Classifier {
        super::Classifier::new(self.graph())
    }

    /// All parameters zero.
    #[must_use]
    pub fn zeros(network: &Mlp) -> Self {
        let tensors = network.parameters().into_iter().map(|p| Tensor::zeros(p.name, p.shape)).collect();
        Self { network: network.clone(), tensors }
    }

    /// The tensor named `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The tensor named `name`, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Tensor> {
        self.tensors.iter_mut().find(|tensor| tensor.name == name)
    }

    /// The weight matrix of layer `layer` (from 1), `outputs x inputs` row-major.
    ///
    /// # Panics
    /// If there is no such layer.
    #[must_use]
    pub fn weight(&self, layer: usize) -> &[f32] {
        &self.tensors[self.weight_index(layer)].values
    }

    /// The biases of layer `layer` (from 1), if it has any.
    ///
    /// # Panics
    /// If there is no such layer.
    #[must_use]
    pub fn bias(&self, layer: usize) -> Option<&[f32]> {
        self.network.layers[layer - 1].bias.then(|| self.tensors[self.weight_index(layer) + 1].values.as_slice())
    }

    /// The weight tensors (not the biases), first layer first.
    pub fn weight_tensors(&self) -> impl Iterator<Item = &Tensor> {
        (1..=self.network.depth()).map(|layer| &self.tensors[self.weight_index(layer)])
    }

    /// Where in `tensors` the weight of layer `layer` is.
    pub(crate) fn weight_index(&self, layer: usize) -> usize {
        self.network.layers[..layer - 1].iter().map(|before| 1 + usize::from(before.bias)).sum()
    }
}

/// `tensors` in the order of `wanted`, every one of the wanted shape and none left over.
fn in_order(wanted: &[(String, Vec<usize>)], mut tensors: Vec<Tensor>) -> Result<Vec<Tensor>, MlpWeightsError> {
    let mut ordered = Vec::with_capacity(wanted.len());
    for (name, shape) in wanted {
        let position =
            tensors.iter().position(|t| t.name == *name).ok_or_else(|| MlpWeightsError::Missing(name.clone()))?;
        let tensor = tensors.swap_remove(position);
        if tensor.shape != *shape || tensor.values.len() != tensor.expected_len() {
            return Err(MlpWeightsError::Shape {
                name: tensor.name,
                found: tensor.shape,
                values: tensor.values.len(),
                wanted: shape.clone(),
            });
        }
        ordered.push(tensor);
    }
    tensors.into_iter().next().map_or(Ok(ordered), |extra| Err(MlpWeightsError::Unexpected(extra.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::activation::Activation;

    fn net() -> Mlp {
        Mlp::new(3, &[2], 2, Activation::relu(), true)
    }

    #[test]
    fn tensors_are_put_in_the_order_of_the_network() {
        let mut tensors = MlpWeights::zeros(&net()).tensors;
        tensors.reverse();
        let weights = MlpWeights::new(net(), tensors).unwrap();
        let names: Vec<_> = weights.tensors.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["hidden.1.weight", "hidden.1.bias", "output.weight", "output.bias"]);
        assert_eq!(weights.weight(2).len(), 4);
        assert_eq!(weights.bias(2).unwrap().len(), 2);
        assert_eq!(weights.weight_tensors().map(|t| t.values.len()).sum::<usize>(), 10);
    }

    #[test]
    fn missing_unexpected_and_misshapen_tensors_are_named() {
        let mut tensors = MlpWeights::zeros(&net()).tensors;
        let last = tensors.pop().unwrap();
        assert_eq!(
            MlpWeights::new(net(), tensors.clone()).unwrap_err(),
            MlpWeightsError::Missing("output.bias".into())
        );
        tensors.push(last);
        tensors.push(Tensor::zeros("stray", vec![1]));
        assert_eq!(MlpWeights::new(net(), tensors.clone()).unwrap_err(), MlpWeightsError::Unexpected("stray".into()));
        tensors.pop();
        tensors[0].values.pop();
        assert!(matches!(MlpWeights::new(net(), tensors), Err(MlpWeightsError::Shape { .. })));
    }
}
