//! `[model.X]`: an architecture by name and parameters, or a list of layers. The shapes of its input and output come from
//! the data.

mod arch;
mod init;
mod layers;
mod padding;
mod sequence;

pub use arch::Arch;
pub use init::Init;
pub use layers::{Layer, Layers};
pub use padding::Padding;
pub use sequence::{Nonlinearity, Pooling, TransformerKeys};

use duress_engine::spec::{Count, Fault, FromSpec, HasSection, NonNegative, Positive};
use duress_engine::stage::{Definition, InferContext};
use duress_engine::{choice, config};
use duress_network::Node;
use duress_network::arch::recurrent::Recurrent;
use duress_network::arch::transformer::Transformer;
use duress_network::arch::{LayersError, mlp as arch_mlp};
use duress_network::graph::GraphError;
use duress_network::op::Normalise;

use super::data::MeanStd;
use crate::nn;
use crate::nn::examples::picture;

config! {
    /// A network's architecture; the shapes of its input and output come from the data.
    #[derive(Clone)]
    pub struct Model {
        /// The family of architectures.
        arch: Arch = Arch::MLP,
        /// Widths of the hidden layers of an `mlp`, `rnn` or `lstm`, first to last; `[]` is a linear model.
        [unit = "units"]
        hidden: Option<Vec<Count>>,
        /// The layers of a `cnn`, first to last, such as `[{ conv = { channels = 8 } }, "relu", "flatten", "output"]`.
        layers: Layers = Layers::default(),
        /// The settings of a `transformer-encoder`.
        transformer: Option<TransformerKeys>,
        /// The function of the hidden layers of an `mlp`, by default `"relu"`; its output layer is linear.
        activation: Option<Activation>,
        /// The function of the states of an `rnn`, by default `"tanh"`.
        nonlinearity: Option<Nonlinearity>,
        /// What of a sequence is classified: by default the last state of an `rnn` or `lstm`, and the mean over the steps of
        /// a `transformer-encoder`.
        pooling: Option<Pooling>,
        /// Whether layers of an `mlp`, `rnn` or `lstm` add a bias.
        bias: bool = true,
        /// Mean and standard deviation, of all values or by channel, that the network takes off its input: `eps` of an
        /// attack stays in the units of the data.
        normalise: Option<MeanStd>,
        /// How weights are drawn before training; by default as the architecture's authors do, and `glorot-uniform` for an
        /// `mlp`.
        init: Option<Init>,
        /// How biases are drawn before training; by default as the architecture's authors do, and `zeros` for an `mlp`.
        bias_init: Option<Init>,
    }
}

impl HasSection for Model {
    const SECTION: &'static str = "model";
}

/// The section's entry in the registry.
pub const DEFINITION: Definition = Definition {
    section: Model::SECTION,
    summary: "A network: an architecture and its parameters",
    schema: <Model as FromSpec>::schema,
};

choice! {
    /// The function of a hidden layer.
    #[derive(Clone, Copy, PartialEq)]
    pub enum Activation {
        /// The sum itself.
        "identity" => Identity,
        /// `max(0, slope z)`.
        "relu" => Relu(Slope),
        /// `z`, and `slope z` where `z` is negative.
        "leaky-relu" => LeakyRelu(NegativeSlope),
        /// `1 / (1 + exp(-gain z))`; its Lipschitz constant is `gain / 4`.
        "sigmoid" => Sigmoid(Gain),
        /// `tanh z`.
        "tanh" => Tanh,
        /// `ln(1 + exp z)`.
        "softplus" => Softplus,
        /// `z`, and `exp z - 1` where `z` is negative (Clevert et al. 2015).
        "elu" => Elu,
        /// `z` times the normal distribution function of `z` (Hendrycks and Gimpel 2016).
        "gelu" => Gelu,
        /// `min(6, max(0, z))`.
        "relu6" => Relu6,
        /// `max(0, z)^power`.
        "rectified-power" => RectifiedPower(Power),
    }
}

config! {
    /// A rectifier's parameter.
    #[derive(Clone, Copy, PartialEq)]
    pub struct Slope {
        /// Slope on the positive side.
        slope: Positive = Positive(1.0),
    }
}

config! {
    /// A leaky rectifier's parameter.
    #[derive(Clone, Copy, PartialEq)]
    pub struct NegativeSlope {
        /// Slope on the negative side.
        slope: NonNegative = NonNegative(0.01),
    }
}

config! {
    /// A rectified power's parameter.
    #[derive(Clone, Copy, PartialEq)]
    pub struct Power {
        /// The exponent.
        power: Positive = Positive(2.0),
    }
}

config! {
    /// A logistic function's parameter.
    #[derive(Clone, Copy, PartialEq)]
    pub struct Gain {
        /// Steepness.
        gain: Positive = Positive(1.0),
    }
}

/// A model that makes no network.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The operations do not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The layers do not fit together.
    #[error(transparent)]
    Layers(#[from] LayersError),
    /// A key that the architecture needs is missing.
    #[error("`{arch}` needs `{key}`; write {fix}")]
    Missing {
        /// The architecture.
        arch: &'static str,
        /// The key.
        key: &'static str,
        /// What to write.
        fix: &'static str,
    },
    /// A key that the architecture has no use for.
    #[error("`{arch}` has no use for `{key}`; leave it out")]
    Unused {
        /// The architecture.
        arch: &'static str,
        /// The key.
        key: &'static str,
    },
    /// Recurrent layers of several widths.
    #[error("recurrent layers are as wide as each other; write `hidden = [128, 128]` for two of 128 units")]
    Widths,
}

impl Model {
    /// The network for examples of shape `input`.
    ///
    /// # Errors
    /// Where its layers do not fit together, and where keys do not belong to the architecture.
    pub fn network(&self, input: &[usize], outputs: usize) -> Result<nn::Network, ModelError> {
        self.check_use()?;
        let network = match self.arch.name() {
            "mlp" => self.mlp()?.network(input, outputs)?,
            "cnn" => layers::network(&self.layers, input, outputs)?,
            "rnn" => {
                self.recurrent()?.rnn(self.nonlinearity.unwrap_or(Nonlinearity::Tanh).function(), input, outputs)?
            }
            "lstm" => self.recurrent()?.lstm(input, outputs)?,
            "transformer-encoder" => self.transformer().network(input, outputs)?,
            _ => self.arch.network(input, outputs)?,
        };
        match &self.normalise {
            Some(keys) => Ok(normalised(&network, keys)?),
            None => Ok(network),
        }
    }

    /// The shape of an example as the network reads it: a vector for an `mlp`, else a picture where the data are pictures.
    #[must_use]
    pub fn input(&self, features: usize, shape: &[usize]) -> Vec<usize> {
        match picture(shape) {
            Some(picture) if self.arch.name() != "mlp" => picture.to_vec(),
            None if shape.len() > 1 && self.arch.name() != "mlp" => shape.to_vec(),
            _ => vec![features],
        }
    }

    /// The network at plan time; reports, at the key `model`, one that cannot be.
    pub(crate) fn infer(&self, input: &[usize], outputs: usize, cx: &mut InferContext<'_>) -> Option<nn::Network> {
        match self.network(input, outputs) {
            Ok(network) => Some(network),
            Err(error) => {
                let fault = Fault::new("wrong-network", cx.span_of("model"), error.to_string(), "makes no network");
                cx.faults.push(fault.help("change the model, or the data that it reads"));
                None
            }
        }
    }

    /// Refuses keys that belong to other architectures.
    fn check_use(&self) -> Result<(), ModelError> {
        let arch = self.arch.name();
        let written = [
            ("hidden", self.hidden.is_some(), &["mlp", "rnn", "lstm"][..]),
            ("layers", !self.layers.0.is_empty(), &["cnn"]),
            ("transformer", self.transformer.is_some(), &["transformer-encoder"]),
            ("activation", self.activation.is_some(), &["mlp"]),
            ("nonlinearity", self.nonlinearity.is_some(), &["rnn"]),
            ("pooling", self.pooling.is_some(), &["rnn", "lstm", "transformer-encoder"]),
            ("bias", !self.bias, &["mlp", "rnn", "lstm"]),
        ];
        match written.into_iter().find(|(_, written, users)| *written && !users.contains(&arch)) {
            Some((key, ..)) => Err(ModelError::Unused { arch, key }),
            None if arch == "cnn" && self.layers.0.is_empty() => {
                Err(ModelError::Missing { arch, key: "layers", fix: "`layers = [..., \"output\"]`" })
            }
            None => Ok(()),
        }
    }

    fn hidden(&self) -> Result<Vec<usize>, ModelError> {
        let arch = self.arch.name();
        let fix = "`hidden = [300, 100]`, or `[]` for no hidden layer";
        let hidden = self.hidden.as_ref().ok_or(ModelError::Missing { arch, key: "hidden", fix })?;
        Ok(hidden.iter().map(|width| width.size()).collect())
    }

    fn mlp(&self) -> Result<arch_mlp::Mlp, ModelError> {
        let (activation, bias) = (self.activation().function(), self.bias);
        Ok(arch_mlp::Mlp { hidden: self.hidden()?, activation, bias, batch_norm: false })
    }

    fn activation(&self) -> Activation {
        self.activation.unwrap_or(Activation::Relu(Slope { slope: Positive(1.0) }))
    }

    fn recurrent(&self) -> Result<Recurrent, ModelError> {
        let pooling = self.pooling.unwrap_or(Pooling::Last).steps();
        match self.hidden()?[..] {
            [hidden, ref rest @ ..] if rest.iter().all(|&width| width == hidden) => {
                Ok(Recurrent { hidden, layers: rest.len() + 1, bias: self.bias, pooling })
            }
            _ => Err(ModelError::Widths),
        }
    }

    fn transformer(&self) -> Transformer {
        let keys = self.transformer.unwrap_or_default();
        Transformer { pooling: self.pooling.unwrap_or(Pooling::Mean).steps(), ..keys.encoder() }
    }

    /// How parameters are drawn.
    fn scheme(&self) -> nn::Scheme {
        let usual = self.arch.scheme();
        let weight = self.init.map(Init::rule);
        let bias = self.bias_init.map(Init::rule);
        nn::Scheme {
            convolution: weight.unwrap_or(usual.convolution),
            linear: weight.unwrap_or(usual.linear),
            convolution_bias: bias.unwrap_or(usual.convolution_bias),
            linear_bias: bias.unwrap_or(usual.linear_bias),
        }
    }

    /// Fresh weights of `network`.
    #[must_use]
    pub fn initialize(&self, network: &nn::Network, seed: u64) -> nn::Weights {
        network.initialize(&self.scheme(), seed)
    }

    /// The keys that say what the network is, without those that say how it is drawn; what is the architecture's default is
    /// not said.
    #[must_use]
    pub fn shape_tree(&self) -> duress_cache::Tree {
        let hidden = self.hidden.clone().unwrap_or_default();
        let arch = self.arch.name();
        let activation = (arch == "mlp" && !hidden.is_empty()).then(|| self.activation().to_tree()).flatten();
        let usual = if arch == "transformer-encoder" { Pooling::Mean } else { Pooling::Last };
        let keys = [
            ("arch", Some(arch.into())),
            ("hidden", self.hidden.to_tree()),
            ("layers", (!self.layers.0.is_empty()).then(|| self.layers.to_tree()).flatten()),
            ("transformer", self.transformer.filter(|keys| *keys != TransformerKeys::default()).to_tree()),
            ("activation", activation),
            ("nonlinearity", self.nonlinearity.filter(|function| *function != Nonlinearity::Tanh).to_tree()),
            ("pooling", self.pooling.filter(|pooling| *pooling != usual).to_tree()),
            ("bias", if arch == "mlp" || !self.bias { self.bias.to_tree() } else { None }),
            ("normalise", self.normalise.to_tree()),
        ];
        duress_cache::Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }

    /// The keys that say how it is drawn: what is the architecture's default is not said.
    #[must_use]
    pub fn init_tree(&self) -> duress_cache::Tree {
        let (usual, scheme) = (self.arch.scheme(), self.scheme());
        let weight = (scheme.linear, scheme.convolution) != (usual.linear, usual.convolution);
        let bias = (scheme.linear_bias, scheme.convolution_bias) != (usual.linear_bias, usual.convolution_bias);
        let keys = [
            ("weight", if weight { self.init.to_tree() } else { None }),
            ("bias", if bias && self.bias { self.bias_init.to_tree() } else { None }),
        ];
        duress_cache::Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }
}

/// `network` on inputs from which `keys` were taken off.
fn normalised(network: &nn::Network, keys: &MeanStd) -> Result<nn::Network, GraphError> {
    let normalise = Normalise { mean: keys.mean.0.clone(), std: keys.std.0.iter().map(|std| std.0).collect() };
    let mut nodes = vec![Node { name: "normalise".into(), op: normalise.into(), inputs: vec![0] }];
    nodes.extend(network.nodes().iter().map(|node| {
        let inputs = node.inputs.iter().map(|input| input + 1).collect();
        Node { name: node.name.clone(), op: node.op.clone(), inputs }
    }));
    nn::Network::new(network.input().to_vec(), nodes)
}

impl Activation {
    fn function(self) -> nn::Activation {
        match self {
            Self::Identity => nn::Activation::Identity,
            Self::Relu(keys) => nn::Activation::Relu { slope: keys.slope.0 },
            Self::LeakyRelu(keys) => nn::Activation::LeakyRelu { slope: keys.slope.0 },
            Self::Sigmoid(keys) => nn::Activation::Sigmoid { gain: keys.gain.0 },
            Self::Tanh => nn::Activation::Tanh,
            Self::Softplus => nn::Activation::Softplus,
            Self::Elu => nn::Activation::Elu { alpha: 1.0 },
            Self::Gelu => nn::Activation::Gelu,
            Self::Relu6 => nn::Activation::Clip { low: 0.0, high: 6.0 },
            Self::RectifiedPower(keys) => nn::Activation::RectifiedPower { power: keys.power.0 },
        }
    }
}

#[cfg(test)]
mod tests;
