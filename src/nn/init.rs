//! What weights are before training.

use serde::{Deserialize, Serialize};

use super::network::{Network, Role};
use super::random::Stream;
use super::weights::Weights;

/// A rule for the first values of weights; fan-in and fan-out are a layer's numbers of inputs and outputs.
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
    /// Uniform on `[-l, l]`, `l = sqrt(3 / fan_in)` (`LeCun` et al. 1998).
    LecunUniform,
    /// Normal of variance `1 / fan_in` (`LeCun` et al. 1998).
    LecunNormal,
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

impl Init {
    /// Fills a tensor of a layer with `fan_in` inputs and `fan_out` outputs.
    fn fill(self, values: &mut [f32], fan_in: usize, fan_out: usize, stream: &mut Stream) {
        let (fan_in, fan_out) = (fan_in as f64, fan_out as f64);
        let uniform = |limit: f64, values: &mut [f32], stream: &mut Stream| stream.fill_uniform(values, -limit, limit);
        match self {
            Self::GlorotUniform => uniform((6.0 / (fan_in + fan_out)).sqrt(), values, stream),
            Self::GlorotNormal => stream.fill_normal(values, 0.0, (2.0 / (fan_in + fan_out)).sqrt()),
            Self::HeUniform => uniform((6.0 / fan_in).sqrt(), values, stream),
            Self::HeNormal => stream.fill_normal(values, 0.0, (2.0 / fan_in).sqrt()),
            Self::LecunUniform => uniform((3.0 / fan_in).sqrt(), values, stream),
            Self::LecunNormal => stream.fill_normal(values, 0.0, (1.0 / fan_in).sqrt()),
            Self::Normal { std } => stream.fill_normal(values, 0.0, std),
            Self::Uniform { limit } => uniform(limit, values, stream),
            Self::Zeros => values.fill(0.0),
        }
    }
}

impl Network {
    /// Fresh weights drawn by `weight`, and biases by `bias` (usually [`Init::Zeros`]).
    ///
    /// Every tensor has a stream of its own, named by `seed` and the tensor's name.
    #[must_use]
    pub fn initialize(&self, weight: Init, bias: Init, seed: u64) -> Weights {
        let mut weights = Weights::zeros(self);
        for (tensor, parameter) in weights.tensors.iter_mut().zip(self.parameters()) {
            let layer = &self.layers[parameter.layer - 1];
            let rule = if parameter.role == Role::Weight { weight } else { bias };
            let mut stream = Stream::new(seed, &format!("initialize/{}", parameter.name), &[]);
            rule.fill(&mut tensor.values, layer.inputs, layer.outputs, &mut stream);
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::activation::Activation;

    #[test]
    fn glorot_limits_are_the_published_ones() {
        let net = Network::mlp(784, &[300, 100], 10, Activation::relu(), false);
        let weights = net.initialize(Init::GlorotUniform, Init::Zeros, 1);
        for (layer, limit) in [(1, 0.07440), (2, 0.12247), (3, 0.23355)] {
            let largest = weights.weight(layer).iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            assert!(largest < limit + 1e-5 && largest > 0.98 * limit, "{layer} {largest}");
        }
    }

    #[test]
    fn variances_are_those_of_the_rules() {
        let net = Network::mlp(200, &[], 100, Activation::relu(), true);
        for (rule, variance) in [
            (Init::GlorotNormal, 2.0 / 300.0),
            (Init::GlorotUniform, 2.0 / 300.0),
            (Init::HeNormal, 0.01),
            (Init::HeUniform, 0.01),
            (Init::LecunNormal, 0.005),
            (Init::LecunUniform, 0.005),
            (Init::Normal { std: 0.3 }, 0.09),
            (Init::Uniform { limit: 0.3 }, 0.03),
        ] {
            let weights = net.initialize(rule, Init::Zeros, 2);
            let w = weights.weight(1);
            let found = w.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / w.len() as f64;
            assert!((found / variance - 1.0).abs() < 0.05, "{rule:?} {found}");
            assert!(weights.bias(1).unwrap().iter().all(|b| *b == 0.0));
        }
    }

    #[test]
    fn a_layer_is_drawn_alike_whatever_follows_it() {
        let short = Network::mlp(8, &[5], 3, Activation::relu(), false).initialize(Init::HeNormal, Init::Zeros, 7);
        let long = Network::mlp(8, &[5, 4], 3, Activation::relu(), false).initialize(Init::HeNormal, Init::Zeros, 7);
        assert_eq!(short.weight(1), long.weight(1));
    }
}
