//! A multilayer perceptron seen as layers: the form in which the literature on crashing neurons states its results.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use duress_network::graph::GraphError;
use duress_network::{Network, Op, arch};

use super::activation::Activation;

/// A feed-forward network, layer after layer.
///
/// Layers are numbered as in the literature on faults: 0 is the input, `1..=depth()` are the layers in `layers`, so that
/// `layers[l - 1]` computes the activations of layer `l`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mlp {
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
pub enum MlpError {
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

impl Mlp {
    /// A multilayer perceptron: hidden layers with `activation`, then a linear output layer.
    #[must_use]
    pub fn new(inputs: usize, hidden: &[usize], outputs: usize, activation: Activation, bias: bool) -> Self {
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

    /// The layers of `network`, if it is a chain of linear nodes with biases or without, each followed by an activation or
    /// by none, on a vector or on an image flattened first.
    #[must_use]
    pub fn of(network: &Network) -> Option<Self> {
        let mut layers: Vec<Layer> = Vec::new();
        for (index, node) in network.nodes().iter().enumerate() {
            if node.inputs != [index] {
                return None;
            }
            match (&node.op, layers.last_mut()) {
                (Op::Flatten, None) => {}
                (Op::Linear(linear), _) => {
                    let [inputs] = network.shapes()[index][..] else { return None };
                    layers.push(Layer {
                        name: node.name.clone(),
                        inputs,
                        outputs: linear.outputs,
                        bias: linear.bias,
                        activation: Activation::Identity,
                    });
                }
                (Op::Activation(activation), Some(layer)) if layer.activation == Activation::Identity => {
                    layer.activation = *activation;
                }
                _ => return None,
            }
        }
        (!layers.is_empty()).then(|| Self { inputs: network.input_len(), layers })
    }

    /// The network of these layers on vectors.
    ///
    /// # Errors
    /// Where a width is zero, or hidden layers differ in more than their widths.
    pub fn graph(&self) -> Result<Network, GraphError> {
        let first = self.layers.first();
        let mlp = arch::mlp::Mlp {
            hidden: self.layers[..self.layers.len().saturating_sub(1)].iter().map(|layer| layer.outputs).collect(),
            activation: first.map_or(Activation::Identity, |layer| layer.activation),
            bias: first.is_some_and(|layer| layer.bias),
            batch_norm: false,
        };
        mlp.network(&[self.inputs], self.outputs())
    }

    /// Fresh weights, drawn as those of [`Mlp::graph`] are.
    #[cfg(test)]
    pub(crate) fn initialize(
        &self,
        weight: duress_network::Init,
        bias: duress_network::Init,
        seed: u64,
    ) -> super::MlpWeights {
        let graph = self.graph().expect("a sound perceptron");
        let weights = graph.initialize(&duress_network::Scheme::new(weight, bias), seed);
        super::MlpWeights::of(&weights).expect("a perceptron")
    }

    /// Whether the layers fit together.
    ///
    /// # Errors
    /// Where there is no layer, a width is zero, a name occurs twice, or a layer does not fit the one before it.
    pub fn validate(&self) -> Result<(), MlpError> {
        if self.layers.is_empty() {
            return Err(MlpError::Empty);
        }
        let mut width = self.inputs;
        for (index, layer) in self.layers.iter().enumerate() {
            if layer.inputs == 0 || layer.outputs == 0 {
                return Err(MlpError::ZeroWidth(layer.name.clone()));
            }
            if layer.inputs != width {
                return Err(MlpError::Mismatch { layer: layer.name.clone(), reads: layer.inputs, gives: width });
            }
            if self.layers[..index].iter().any(|other| other.name == layer.name) {
                return Err(MlpError::DuplicateName(layer.name.clone()));
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
        let net = Mlp::new(784, &[300, 100], 10, Activation::relu(), false);
        assert_eq!((net.weight_count(), net.parameter_count(), net.macs()), (266_200, 266_200, 266_200));
        let names: Vec<_> = net.parameters().into_iter().map(|p| (p.name, p.shape)).collect();
        assert_eq!(names[0], ("hidden.1.weight".to_owned(), vec![300, 784]));
        assert_eq!(names[2], ("output.weight".to_owned(), vec![10, 100]));
    }

    #[test]
    fn a_graph_and_its_layers_are_the_same_network() {
        let net = Mlp::new(4, &[3, 5], 2, Activation::Tanh, true);
        assert_eq!(Mlp::of(&net.graph().unwrap()), Some(net));
        let image = arch::mlp::Mlp { hidden: vec![3], ..arch::mlp::Mlp::default() };
        assert_eq!(Mlp::of(&image.network(&[1, 2, 2], 2).unwrap()).map(|mlp| mlp.inputs), Some(4));
        let norm = arch::mlp::Mlp { batch_norm: true, ..image };
        assert_eq!(Mlp::of(&norm.network(&[4], 2).unwrap()), None);
    }

    #[test]
    fn a_network_survives_json() {
        let net = Mlp::new(4, &[3], 2, Activation::Sigmoid { gain: 4.0 }, true);
        let text = serde_json::to_string(&net).unwrap();
        assert_eq!(serde_json::from_str::<Mlp>(&text).unwrap(), net);
        assert!(text.contains(r#"{"name":"sigmoid","gain":4.0}"#), "{text}");
    }

    #[test]
    fn a_layer_that_does_not_fit_is_named() {
        let mut net = Mlp::new(4, &[3], 2, Activation::Tanh, true);
        net.layers[1].inputs = 5;
        let error = net.validate().unwrap_err().to_string();
        assert!(error.contains("`output` reads 5 values but the layer before it gives 3"), "{error}");
        net.layers.clear();
        assert_eq!(net.validate(), Err(MlpError::Empty));
    }
}
