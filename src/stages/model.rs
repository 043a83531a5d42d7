//! `[model.X]`: an architecture by name and parameters. How wide its input and output are, the data say.

use duress_engine::spec::{Choice as _, Count, Fault, FromSpec, HasSection, NonNegative, Positive};
use duress_engine::stage::{Definition, InferContext};
use duress_engine::{choice, config};
use duress_network::arch;
use duress_network::graph::GraphError;

use crate::nn;

config! {
    /// A network's architecture; the widths of its input and output come from the data.
    #[derive(Clone)]
    pub struct Model {
        /// The family of architectures.
        arch: Arch = Arch::Mlp,
        /// Widths of the hidden layers, first to last; `[]` is a linear model.
        [unit = "units"]
        hidden: Vec<Count>,
        /// The function of the hidden layers; the output layer is linear.
        activation: Activation = Activation::Relu(Slope { slope: Positive(1.0) }),
        /// Whether layers add a bias.
        bias: bool = true,
        /// How weights are drawn before training.
        init: Init = Init::GlorotUniform,
        /// How biases are drawn before training.
        bias_init: Init = Init::Zeros,
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
    /// A family of architectures.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Arch {
        /// A multilayer perceptron: fully connected layers.
        "mlp" => Mlp,
    }
}

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
    /// A logistic function's parameter.
    #[derive(Clone, Copy, PartialEq)]
    pub struct Gain {
        /// Steepness.
        gain: Positive = Positive(1.0),
    }
}

choice! {
    /// How parameters are drawn; fan-in and fan-out are a layer's numbers of inputs and outputs.
    #[derive(Clone, Copy, PartialEq)]
    pub enum Init {
        /// Uniform within `sqrt(6 / (fan_in + fan_out))` of 0 (Glorot and Bengio 2010).
        "glorot-uniform" => GlorotUniform,
        /// Normal of variance `2 / (fan_in + fan_out)` (Glorot and Bengio 2010).
        "glorot-normal" => GlorotNormal,
        /// Uniform within `sqrt(6 / fan_in)` of 0 (He et al. 2015).
        "he-uniform" => HeUniform,
        /// Normal of variance `2 / fan_in` (He et al. 2015).
        "he-normal" => HeNormal,
        /// Uniform within `sqrt(3 / fan_in)` of 0 (`LeCun` et al. 1998).
        "lecun-uniform" => LecunUniform,
        /// Normal of variance `1 / fan_in` (`LeCun` et al. 1998).
        "lecun-normal" => LecunNormal,
        /// Normal, written `{ normal = 0.1 }` with the standard deviation.
        "normal" => Normal(Positive),
        /// Uniform on both sides of 0, written `{ uniform = 0.1 }` with the limit.
        "uniform" => Uniform(Positive),
        /// All 0.
        "zeros" => Zeros,
    }
}

impl Model {
    /// The network for examples of shape `input`.
    ///
    /// # Errors
    /// Where its layers do not fit together.
    pub fn network(&self, input: &[usize], outputs: usize) -> Result<nn::Network, GraphError> {
        match self.arch {
            Arch::Mlp => arch::mlp::Mlp {
                hidden: self.hidden.iter().map(|width| width.size()).collect(),
                activation: self.activation.function(),
                bias: self.bias,
                batch_norm: false,
            }
            .network(input, outputs),
        }
    }

    /// The network at plan time; reports, at the key `model`, one that cannot be.
    pub(crate) fn infer(&self, input: &[usize], outputs: usize, cx: &mut InferContext<'_>) -> Option<nn::Network> {
        match self.network(input, outputs) {
            Ok(network) => Some(network),
            Err(error) => {
                let fault = Fault::new("wrong-network", cx.span_of("model"), error.to_string(), "makes no network");
                cx.faults.push(fault.help("change the model, or the data it is trained on"));
                None
            }
        }
    }

    /// Fresh weights of `network`.
    #[must_use]
    pub fn initialize(&self, network: &nn::Network, seed: u64) -> nn::Weights {
        network.initialize(&nn::Scheme::new(self.init.rule(), self.bias_init.rule()), seed)
    }

    /// The keys that say what the network is, without those that say how it is drawn.
    #[must_use]
    pub fn shape_tree(&self) -> duress_cache::Tree {
        let activation = if self.hidden.is_empty() { None } else { self.activation.to_tree() };
        let keys = [
            ("arch", Some(self.arch.word().into())),
            ("hidden", self.hidden.to_tree()),
            ("activation", activation),
            ("bias", self.bias.to_tree()),
        ];
        duress_cache::Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }

    /// The keys that say how it is drawn.
    #[must_use]
    pub fn init_tree(&self) -> duress_cache::Tree {
        let bias = if self.bias { self.bias_init.to_tree() } else { None };
        let keys = [("weight", self.init.to_tree()), ("bias", bias)];
        duress_cache::Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }
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
        }
    }
}

impl Init {
    fn rule(self) -> nn::Init {
        match self {
            Self::GlorotUniform => nn::Init::GlorotUniform,
            Self::GlorotNormal => nn::Init::GlorotNormal,
            Self::HeUniform => nn::Init::HeUniform,
            Self::HeNormal => nn::Init::HeNormal,
            Self::LecunUniform => nn::Init::LecunUniform,
            Self::LecunNormal => nn::Init::LecunNormal,
            Self::Normal(std) => nn::Init::Normal { std: std.0 },
            Self::Uniform(limit) => nn::Init::Uniform { limit: limit.0 },
            Self::Zeros => nn::Init::Zeros,
        }
    }
}
