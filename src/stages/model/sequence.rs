//! The settings of networks that read sequences.

use duress_engine::spec::{Count, Fraction, Positive};
use duress_engine::{choice, config};
use duress_network::arch::transformer::{self, Transformer};
use duress_network::op;

use super::{Activation, Slope};

choice! {
    /// What of a sequence is classified.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Pooling {
        /// The mean over its steps.
        "mean" => Mean,
        /// Its first step.
        "first" => First,
        /// Its last step.
        "last" => Last,
    }
}

choice! {
    /// The function of a plain recurrent layer.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Nonlinearity {
        /// `tanh z`.
        "tanh" => Tanh,
        /// `max(0, z)`.
        "relu" => Relu,
    }
}

config! {
    /// The settings of a transformer's encoder (Vaswani et al. 2017).
    #[derive(Clone, Copy, PartialEq)]
    pub struct TransformerKeys {
        /// Features of each step.
        width: Count = Count(64),
        /// Heads of attention; they divide the width.
        heads: Count = Count(4),
        /// Encoder layers.
        depth: Count = Count(2),
        /// Features of the hidden layer after attention.
        feedforward: Count = Count(128),
        /// Share of values dropped in training after attention and in the hidden layer.
        dropout: Fraction = Fraction(0.1),
        /// Rows and columns of the squares that an image is cut into.
        [unit = "pixels"]
        patch: Count = Count(4),
        /// The function of the hidden layer.
        activation: Activation = Activation::Relu(Slope { slope: Positive(1.0) }),
        /// Whether steps are normalised before attention and hidden layer, not after their sums.
        norm_first: bool = false,
    }
}

impl Pooling {
    /// The same in the network's terms.
    pub(super) fn steps(self) -> transformer::Pooling {
        match self {
            Self::Mean => transformer::Pooling::Mean,
            Self::First => transformer::Pooling::First,
            Self::Last => transformer::Pooling::Last,
        }
    }
}

impl Nonlinearity {
    /// The same in the network's terms.
    pub(super) fn function(self) -> op::Nonlinearity {
        match self {
            Self::Tanh => op::Nonlinearity::Tanh,
            Self::Relu => op::Nonlinearity::Relu,
        }
    }
}

impl Default for TransformerKeys {
    fn default() -> Self {
        Self {
            width: Count(64),
            heads: Count(4),
            depth: Count(2),
            feedforward: Count(128),
            dropout: Fraction(0.1),
            patch: Count(4),
            activation: Activation::Relu(Slope { slope: Positive(1.0) }),
            norm_first: false,
        }
    }
}

impl TransformerKeys {
    /// The encoder with the usual pooling.
    pub(super) fn encoder(self) -> Transformer {
        Transformer {
            width: self.width.size(),
            heads: self.heads.size(),
            depth: self.depth.size(),
            feedforward: self.feedforward.size(),
            dropout: self.dropout.0,
            patch: self.patch.size(),
            activation: self.activation.function(),
            norm_first: self.norm_first,
            ..Transformer::default()
        }
    }
}
