//! How parameters are drawn before training.

use duress_engine::choice;
use duress_engine::spec::Positive;

use crate::nn;

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
        /// Normal of variance `2 / fan_out` (He et al. 2015).
        "he-normal-fan-out" => HeNormalFanOut,
        /// Uniform within `1 / sqrt(fan_in)` of 0, biases too, and what else `PyTorch` does unless told otherwise.
        "pytorch" => Pytorch,
        /// Normal, written `{ normal = 0.1 }` with the standard deviation.
        "normal" => Normal(Positive),
        /// Uniform on both sides of 0, written `{ uniform = 0.1 }` with the limit.
        "uniform" => Uniform(Positive),
        /// All 0.
        "zeros" => Zeros,
    }
}

impl Init {
    /// The rule that the word stands for.
    pub(super) fn rule(self) -> nn::Init {
        match self {
            Self::GlorotUniform => nn::Init::GlorotUniform,
            Self::GlorotNormal => nn::Init::GlorotNormal,
            Self::HeUniform => nn::Init::HeUniform,
            Self::HeNormal => nn::Init::HeNormal,
            Self::LecunUniform => nn::Init::LecunUniform,
            Self::LecunNormal => nn::Init::LecunNormal,
            Self::HeNormalFanOut => nn::Init::HeNormalFanOut,
            Self::Pytorch => nn::Init::Pytorch,
            Self::Normal(std) => nn::Init::Normal { std: std.0 },
            Self::Uniform(limit) => nn::Init::Uniform { limit: limit.0 },
            Self::Zeros => nn::Init::Zeros,
        }
    }
}
