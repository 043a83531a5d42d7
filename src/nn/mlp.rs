//! What a network is: its layers, their shapes, and the parameters they own; no numbers yet.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::activation::Activation;

/// A feed-forward network, layer after layer.
///
/// Layers are numbered as in the literature on faults: 0 is the input, `1..=depth()` are the layers in `layers`, so that
/// `layers[l - 1]` computes the activations of layer `l`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Features of an example.
    pub inputs: usize,
    /// The layers, first to last; at least one.
    pub layers: Vec<Layer>,
}

/// A fully connected layer, `h = f(W x + b)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// `hidden.1`, `hidden.2`, ... or `output`.
    pub name: String,
    /// Width of what it reads.
    pub inputs: usize,
    /// Width of what it gives.
    pub outputs: usize,
    /// Whether it adds a bias.
    pub bias: bool,
    /// The function applied to the sums.
    pub activation: Activation,
}

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A matrix of weights, `[outputs, inputs]`; the only parameters that are pruned.
    Weight,
    /// A vector of biases, `[outputs]`.
    Bias,
}

/// A parameter that a network expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, `LAYER.weight` or `LAYER.bias`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// The number of its layer, from 1.
    pub layer: usize,
}

/// A network that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// There is nothing between input and output.
    #[error("network has no layers; give it at least the output layer")]
    Empty,
    /// A layer of no width.
    #[error("layer `{0}` has a width of zero; give every layer at least one unit")]
    ZeroWidth(String),
    /// A layer does not fit the one before it.
    #[error("layer `{layer}` reads {reads} values but the layer before it gives {gives}; make the two widths equal")]
    Mismatch {
        /// The layer that reads.
        layer: String,
        /// What it reads.
        reads: usize,
        /// What it is given.
        gives: usize,
    },
    /// Two layers of one name.
    #[error("two layers are named `{0}`; name each layer differently")]
    DuplicateName(String),
}

impl Network {
    /// A multilayer perceptron: hidden layers with `activation`, then a linear output layer.
    #[must_use]
    pub fn mlp(inputs: usize, hidden: &[usize], outputs: usize, activation: Activation, bias: bool) -> Self {
        let mut layers = Vec::with_capacity(hidden.len() + 1);
        let mut width = inputs;
        for (index, &units) in hidden.iter().enumerate() {
            layers.push(Layer {
                name: format!("hidden.{}", index + 1),
                inputs: width,
                outputs: units,
                bias,
                activation,
            });
            width = units;
        }
        layers.push(Layer { name: "output".into(), inputs: width, outputs, bias, activation: Activation::Identity });
        Self { inputs, layers }
    }

    /// Whether the layers fit together.
    ///
    /// # Errors
    /// Where there is no layer, a width is zero, a name occurs twice, or a layer does not fit the one before it.
    pub fn validate(&self) -> Result<(), NetworkError> {
        if self.layers.is_empty() {
            return Err(NetworkError::Empty);
        }
        let mut width = self.inputs;
        for (index, layer) in self.layers.iter().enumerate() {
            if layer.inputs == 0 || layer.outputs == 0 {
                return Err(NetworkError::ZeroWidth(layer.name.clone()));
            }
            if layer.inputs != width {
                return Err(NetworkError::Mismatch { layer: layer.name.clone(), reads: layer.inputs, gives: width });
            }
            if self.layers[..index].iter().any(|other| other.name == layer.name) {
                return Err(NetworkError::DuplicateName(layer.name.clone()));
            }
            width = layer.outputs;
        }
        Ok(())
    }

    /// Outputs of an example: classes, or regression targets.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(self.inputs, |layer| layer.outputs)
    }

    /// The number of the output layer.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Activations of layer `layer`, 0 being the input.
    ///
    /// # Panics
    /// If `layer` exceeds `depth()`.
    #[must_use]
    pub fn width(&self, layer: usize) -> usize {
        if layer == 0 { self.inputs } else { self.layers[layer - 1].outputs }
    }

    /// The number of the layer named `name`; `input` is 0.
    #[must_use]
    pub fn layer_number(&self, name: &str) -> Option<usize> {
        if name == "input" {
            return Some(0);
        }
        self.layers.iter().position(|layer| layer.name == name).map(|index| index + 1)
    }

    /// Every parameter, in order: each layer's weight, then its bias.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Vec::with_capacity(2 * self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let mut push = |suffix: &str, shape, role| {
                parameters.push(Parameter { name: format!("{}.{suffix}", layer.name), shape, role, layer: index + 1 });
            };
            push("weight", vec![layer.outputs, layer.inputs], Role::Weight);
            if layer.bias {
                push("bias", vec![layer.outputs], Role::Bias);
            }
        }
        parameters
    }

    /// Numbers that training adjusts, weights and biases.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|p| p.shape.iter().product::<usize>()).sum()
    }

    /// Weights alone, without biases: what pruning counts.
    #[must_use]
    pub fn weight_count(&self) -> usize {
        self.layers.iter().map(|layer| layer.inputs * layer.outputs).sum()
    }

    /// Multiplications and additions for one example.
    #[must_use]
    pub fn macs(&self) -> usize {
        self.weight_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lottery_network_has_the_published_number_of_weights() {
        let net = Network::mlp(784, &[300, 100], 10, Activation::relu(), false);
        assert_eq!((net.weight_count(), net.parameter_count(), net.macs()), (266_200, 266_200, 266_200));
        let names: Vec<_> = net.parameters().into_iter().map(|p| (p.name, p.shape)).collect();
        assert_eq!(names[0], ("hidden.1.weight".to_owned(), vec![300, 784]));
        assert_eq!(names[2], ("output.weight".to_owned(), vec![10, 100]));
    }

    #[test]
    fn a_network_survives_json() {
        let net = Network::mlp(4, &[3], 2, Activation::Sigmoid { gain: 4.0 }, true);
        let text = serde_json::to_string(&net).unwrap();
        assert_eq!(serde_json::from_str::<Network>(&text).unwrap(), net);
        assert!(text.contains(r#"{"name":"sigmoid","gain":4.0}"#), "{text}");
    }

    #[test]
    fn a_layer_that_does_not_fit_is_named() {
        let mut net = Network::mlp(4, &[3], 2, Activation::Tanh, true);
        net.layers[1].inputs = 5;
        let error = net.validate().unwrap_err().to_string();
        assert!(error.contains("`output` reads 5 values but the layer before it gives 3"), "{error}");
        net.layers.clear();
        assert_eq!(net.validate(), Err(NetworkError::Empty));
    }
}
