//! The keys that say what is hit, and what happens to it.

use duress_engine::spec::{Count, Fraction};
use duress_engine::{choice, config};

use crate::nn::fault::space::Place;
use crate::nn::fault::{BitModel, FaultModel};

choice! {
    /// What is hit.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Target {
        /// Stored weights of convolutions, linear, recurrent and attention layers.
        "weight" => Weight,
        /// Stored biases.
        "bias" => Bias,
        /// Stored factors, offsets and statistics of normalisations.
        "normalisation" => Normalisation,
        /// Single numbers of a layer's output, each time it is computed.
        "activation" => Activation,
        /// Whole channels of a layer's output at once.
        "channel" => Channel,
        /// The outputs of neurons of a network that is one layer after the other, which crash together.
        "neuron" => Neuron,
    }
}

choice! {
    /// What happens to what is hit.
    #[derive(Clone, Copy, PartialEq)]
    pub enum Model {
        /// One bit is inverted.
        "bit-flip" => BitFlip,
        /// One bit reads 0.
        "stuck-at-0" => StuckAt0,
        /// One bit reads 1.
        "stuck-at-1" => StuckAt1,
        /// So many different bits of one number, drawn at random, are inverted.
        "multi-bit" => MultiBit(Count),
        /// The number becomes 0.
        "zero" => Zero,
        /// The number becomes this one.
        "value" => Value(f32),
        /// The number becomes one drawn uniformly.
        "random" => Random(Range),
        /// An activation becomes `v (max - min)` of its layer's output for the same sample, `v` drawn uniformly.
        "byzantine" => Byzantine(Range),
        /// Every bit of the memory is inverted with this probability; a fault is one draw of the whole memory.
        "bit-error-rate" => BitErrorRate(Fraction),
        /// Neurons' outputs become 0.
        "crash" => Crash,
    }
}

config! {
    /// What a number is drawn from.
    #[derive(Clone, Copy, PartialEq)]
    pub struct Range {
        /// The least number.
        low: f32 = -1.0,
        /// The number that all drawn ones are below.
        high: f32 = 1.0,
    }
}

impl Target {
    pub(super) fn place(self) -> Option<Place> {
        match self {
            Self::Weight => Some(Place::Weight),
            Self::Bias => Some(Place::Bias),
            Self::Normalisation => Some(Place::Normalisation),
            Self::Activation => Some(Place::Activation),
            Self::Channel => Some(Place::Channel),
            Self::Neuron => None,
        }
    }
}

impl Model {
    /// The model of single faults; crashes are not of them.
    pub(in crate::stages::inject) fn fault(self) -> Option<FaultModel> {
        Some(match self {
            Self::BitFlip => FaultModel::Bit(BitModel::BitFlip),
            Self::StuckAt0 => FaultModel::Bit(BitModel::StuckAt0),
            Self::StuckAt1 => FaultModel::Bit(BitModel::StuckAt1),
            Self::MultiBit(count) => FaultModel::MultiBit(u8::try_from(count.0).unwrap_or(u8::MAX)),
            Self::Zero => FaultModel::Zero,
            Self::Value(value) => FaultModel::Value(value),
            Self::Random(range) => FaultModel::Random { low: range.low, high: range.high },
            Self::Byzantine(range) => FaultModel::Byzantine { low: range.low, high: range.high },
            Self::BitErrorRate(rate) => FaultModel::BitErrorRate(rate.0),
            Self::Crash => return None,
        })
    }

    /// What the draws of this model are made of, where there are any.
    pub(super) fn draws(self) -> bool {
        matches!(self, Self::MultiBit(_) | Self::Random(_) | Self::Byzantine(_) | Self::BitErrorRate(_))
    }
}
