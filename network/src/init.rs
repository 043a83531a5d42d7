//! What weights are before training.

use serde::{Deserialize, Serialize};

use crate::graph::{Network, Parameter};
use crate::op::{Op, Role};
use crate::random::Stream;
use crate::weights::Weights;

/// A rule for the first values of a parameter.
///
/// Fan-in is the number of products in one sum, fan-out the number of sums that one input enters; for a convolution both
/// count the places of the kernel, and fan-in the channels of one group, as in `PyTorch`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// Uniform on `[-l, l]`, `l = sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010).
    GlorotUniform,
    /// Normal of variance `2 / (fan_in + fan_out)` (Glorot and Bengio 2010).
    GlorotNormal,
    /// Uniform on `[-l, l]`, `l = sqrt(6 / fan_in)` (He et al. 2015).
    HeUniform,
    /// Normal of variance `2 / fan_in` (He et al. 2015).
    HeNormal,
    /// Normal of variance `2 / fan_out` (He et al. 2015, for the backward pass).
    HeNormalFanOut,
    /// Uniform on `[-l, l]`, `l = sqrt(3 / fan_in)` (`LeCun` et al. 1998).
    LecunUniform,
    /// Normal of variance `1 / fan_in` (`LeCun` et al. 1998).
    LecunNormal,
    /// What `PyTorch` does unless told otherwise: uniform on `[-l, l]` with `l = 1 / sqrt(fan_in)` for weights and biases of
    /// linear layers and convolutions, `l = 1 / sqrt(hidden)` for recurrent layers, and for attention Glorot's uniform rule
    /// for the stacked projections with biases of zero.
    Pytorch,
    /// Normal with the given standard deviation.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Uniform on `[-limit, limit]`.
    Uniform {
        /// Half the width.
        limit: f64,
    },
    /// All zero.
    Zeros,
}

/// Which rule draws which parameters.
///
/// Scales of normalisations and running variances begin at one, their shifts and running means at zero, and position
/// embeddings as normal numbers of standard deviation 0.02 (Dosovitskiy et al. 2020), whatever the rules.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scheme {
    /// Weights of convolutions.
    pub convolution: Init,
    /// All other weights.
    pub linear: Init,
    /// Biases of convolutions.
    pub convolution_bias: Init,
    /// All other biases.
    pub linear_bias: Init,
}

impl Scheme {
    /// What `PyTorch` does unless told otherwise.
    pub const PYTORCH: Self = Self::new(Init::Pytorch, Init::Pytorch);

    /// One rule for all weights, and one for all biases (usually [`Init::Zeros`]).
    #[must_use]
    pub const fn new(weight: Init, bias: Init) -> Self {
        Self { convolution: weight, linear: weight, convolution_bias: bias, linear_bias: bias }
    }

    /// The rule for a parameter of role weight or bias.
    fn rule(&self, op: &Op, role: Role) -> Init {
        match (op, role) {
            (Op::Conv2d(_), Role::Weight) => self.convolution,
            (_, Role::Weight) => self.linear,
            (Op::Conv2d(_), _) => self.convolution_bias,
            _ => self.linear_bias,
        }
    }
}

impl Init {
    /// Fills the values of `parameter`, which belongs to `op`.
    fn fill(self, values: &mut [f32], parameter: &Parameter, op: &Op, stream: &mut Stream) {
        let (fan_in, fan_out) = (parameter.fan_in as f64, parameter.fan_out as f64);
        let mut uniform = |limit: f64| stream.fill_uniform(values, -limit, limit);
        match self {
            Self::GlorotUniform => uniform((6.0 / (fan_in + fan_out)).sqrt()),
            Self::HeUniform => uniform((6.0 / fan_in).sqrt()),
            Self::LecunUniform => uniform((3.0 / fan_in).sqrt()),
            Self::Uniform { limit } => uniform(limit),
            Self::Pytorch => match pytorch_limit(parameter, op) {
                Some(limit) => uniform(limit),
                None => values.fill(0.0),
            },
            Self::GlorotNormal => stream.fill_normal(values, 0.0, (2.0 / (fan_in + fan_out)).sqrt()),
            Self::HeNormal => stream.fill_normal(values, 0.0, (2.0 / fan_in).sqrt()),
            Self::HeNormalFanOut => stream.fill_normal(values, 0.0, (2.0 / fan_out).sqrt()),
            Self::LecunNormal => stream.fill_normal(values, 0.0, (1.0 / fan_in).sqrt()),
            Self::Normal { std } => stream.fill_normal(values, 0.0, std),
            Self::Zeros => values.fill(0.0),
        }
    }
}

/// Half the width of `PyTorch`'s default distribution, or `None` where it sets zeros.
fn pytorch_limit(parameter: &Parameter, op: &Op) -> Option<f64> {
    let (fan_in, fan_out) = (parameter.fan_in as f64, parameter.fan_out as f64);
    match op {
        Op::Rnn(rnn) => Some(1.0 / (rnn.hidden as f64).sqrt()),
        Op::Lstm(lstm) => Some(1.0 / (lstm.hidden as f64).sqrt()),
        Op::Attention(_) if parameter.role == Role::Bias => None,
        Op::Attention(_) if parameter.name.ends_with("in_proj_weight") => Some((6.0 / (fan_in + fan_out)).sqrt()),
        _ => Some(1.0 / fan_in.sqrt()),
    }
}

impl Network {
    /// Fresh weights drawn by `scheme`.
    ///
    /// Every tensor has a stream of its own, named by `seed` and the tensor's name: what a layer is given depends neither
    /// on the layers around it nor on the order of drawing.
    #[must_use]
    pub fn initialize(&self, scheme: &Scheme, seed: u64) -> Weights {
        let mut weights = Weights::zeros(self);
        for (values, parameter) in weights.values_mut().zip(self.parameters()) {
            let op = &self.nodes()[parameter.node - 1].op;
            let mut stream = Stream::new(seed, &format!("initialize/{}", parameter.name), &[]);
            match parameter.role {
                Role::Weight | Role::Bias => {
                    scheme.rule(op, parameter.role).fill(values, parameter, op, &mut stream);
                }
                Role::Position => Init::Normal { std: 0.02 }.fill(values, parameter, op, &mut stream),
                Role::Scale => values.fill(1.0),
                Role::Shift => values.fill(0.0),
                Role::Buffer => values.fill(unmeasured(&parameter.name)),
            }
        }
        weights
    }
}

/// What a statistic or a bound is before any data were seen: that of normalised data, and the widest.
fn unmeasured(buffer: &str) -> f32 {
    match buffer.rsplit('.').next() {
        Some("running_var") => 1.0,
        Some("low") => f32::MIN,
        Some("high") => f32::MAX,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Builder, Value};
    use crate::op::{Attention, BatchNorm, Conv2d, Linear, Lstm};

    fn variance(values: &[f32]) -> f64 {
        values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64
    }

    fn linear(inputs: usize, outputs: usize) -> Network {
        let mut builder = Builder::new(&[inputs]);
        builder.then("hidden.1", Linear::new(outputs), Value::INPUT);
        builder.finish().unwrap()
    }

    #[test]
    fn glorot_limits_are_the_published_ones() {
        for (inputs, outputs, limit) in [(784, 300, 0.07440), (300, 100, 0.12247), (100, 10, 0.23355)] {
            let weights = linear(inputs, outputs).initialize(&Scheme::new(Init::GlorotUniform, Init::Zeros), 1);
            let largest = weights.tensors()[0].values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            assert!(largest < limit + 1e-5 && largest > 0.98 * limit, "{inputs} {largest}");
        }
    }

    #[test]
    fn variances_are_those_of_the_rules() {
        for (rule, wanted) in [
            (Init::GlorotNormal, 2.0 / 300.0),
            (Init::GlorotUniform, 2.0 / 300.0),
            (Init::HeNormal, 0.01),
            (Init::HeUniform, 0.01),
            (Init::HeNormalFanOut, 0.02),
            (Init::LecunNormal, 0.005),
            (Init::LecunUniform, 0.005),
            (Init::Pytorch, 1.0 / 600.0),
            (Init::Normal { std: 0.3 }, 0.09),
            (Init::Uniform { limit: 0.3 }, 0.03),
        ] {
            let weights = linear(200, 100).initialize(&Scheme::new(rule, Init::Zeros), 2);
            let found = variance(&weights.tensors()[0].values);
            assert!((found / wanted - 1.0).abs() < 0.05, "{rule:?} {found}");
            assert!(weights.tensors()[1].values.iter().all(|b| *b == 0.0));
        }
    }

    #[test]
    fn a_convolution_counts_the_places_of_its_kernel_and_the_channels_of_one_group() {
        let mut builder = Builder::new(&[32, 8, 8]);
        let x = builder.then("conv", Conv2d::new(64, 3).groups(4).bias(true), Value::INPUT);
        builder.then("bn", BatchNorm::default(), x);
        let network = builder.finish().unwrap();
        let weights = network.initialize(&Scheme::new(Init::HeNormal, Init::Pytorch), 3);
        let found = variance(&weights.get("conv.weight").unwrap().values);
        assert!((found * (8.0 * 9.0) / 2.0 - 1.0).abs() < 0.1, "{found}");
        let limit = 1.0 / 72.0_f32.sqrt();
        assert!(weights.get("conv.bias").unwrap().values.iter().all(|b| b.abs() <= limit && *b != 0.0));
        let first = |name: &str| weights.get(name).unwrap().values[0];
        let norms = ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"].map(first);
        assert_eq!(norms.map(f32::to_bits), [1.0_f32, 0.0, 0.0, 1.0].map(f32::to_bits));
    }

    #[test]
    fn recurrent_and_attention_layers_follow_pytorch() {
        let mut builder = Builder::new(&[5, 48]);
        let x = builder.then("lstm", Lstm { hidden: 64, layers: 1, bias: true }, Value::INPUT);
        builder.then("attention", Attention { heads: 4 }, x);
        let weights = builder.finish().unwrap().initialize(&Scheme::PYTORCH, 4);
        let largest = |name: &str| weights.get(name).unwrap().values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        for name in ["lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_ih_l0", "attention.out_proj.weight"] {
            assert!(largest(name) <= 0.125 && largest(name) > 0.11, "{name} {}", largest(name));
        }
        let limit = (6.0_f32 / 256.0).sqrt();
        assert!((largest("attention.in_proj_weight") - limit).abs() < 0.01);
        assert!(largest("attention.in_proj_bias") == 0.0 && largest("attention.out_proj.bias") == 0.0);
    }

    #[test]
    fn a_layer_is_drawn_alike_whatever_follows_it() {
        let mut builder = Builder::new(&[8]);
        let x = builder.then("hidden.1", Linear::new(5), Value::INPUT);
        builder.then("output", Linear::new(3), x);
        let long = builder.finish().unwrap().initialize(&Scheme::PYTORCH, 7);
        assert_eq!(linear(8, 5).initialize(&Scheme::PYTORCH, 7).tensors(), &long.tensors()[..2]);
    }
}
