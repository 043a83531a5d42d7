//! The keys of optimisers and of the learning rate over time.

use duress_engine::spec::{Fraction, NonNegative, Positive};
use duress_engine::{choice, config};

use crate::nn::train as nn;

choice! {
    /// The rule that turns gradients into updates.
    #[derive(Clone, Copy, PartialEq)]
    pub enum Optimizer {
        /// Adam (Kingma and Ba 2015).
        "adam" => Adam(Adam),
        /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
        "adamw" => AdamW(AdamW),
        /// Gradient descent with momentum.
        "sgd" => Sgd(Sgd),
        /// Gradients over their running root mean square (Hinton's lecture 6e).
        "rmsprop" => RmsProp(RmsProp),
    }
}

config! {
    /// Adam's parameters.
    #[derive(Clone, Copy, PartialEq)]
    pub struct Adam {
        /// Learning rate.
        lr: Positive = Positive(1e-3),
        /// Decay of the mean of gradients.
        beta1: Fraction = Fraction(0.9),
        /// Decay of the mean of squared gradients.
        beta2: Fraction = Fraction(0.999),
        /// Keeps the denominator from 0.
        eps: Positive = Positive(1e-8),
        /// Where `eps` stands.
        form: Form = Form::Corrected,
    }
}

config! {
    /// The parameters of Adam with decoupled weight decay.
    #[derive(Clone, Copy, PartialEq)]
    pub struct AdamW {
        /// Learning rate.
        lr: Positive = Positive(1e-3),
        /// Decay of the mean of gradients.
        beta1: Fraction = Fraction(0.9),
        /// Decay of the mean of squared gradients.
        beta2: Fraction = Fraction(0.999),
        /// Keeps the denominator from 0.
        eps: Positive = Positive(1e-8),
        /// Each update also subtracts `lr * weight_decay` times the weight.
        weight_decay: NonNegative = NonNegative(0.01),
    }
}

choice! {
    /// Where Adam's `eps` stands.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Form {
        /// Beside the bias-corrected root (the paper's Algorithm 1, `PyTorch`).
        "corrected" => Corrected,
        /// Beside the raw root (the paper's "epsilon hat", Keras).
        "hat" => Hat,
    }
}

config! {
    /// Gradient descent's parameters.
    #[derive(Clone, Copy, PartialEq)]
    pub struct Sgd {
        /// Learning rate.
        lr: Positive = Positive(1e-2),
        /// Share of the last update that is kept.
        momentum: Fraction = Fraction(0.0),
        /// Whether momentum looks ahead (Nesterov).
        nesterov: bool = false,
        /// Adds so much times the weight to its gradient.
        weight_decay: NonNegative = NonNegative(0.0),
    }
}

config! {
    /// The parameters of `RMSprop`.
    #[derive(Clone, Copy, PartialEq)]
    pub struct RmsProp {
        /// Learning rate.
        lr: Positive = Positive(1e-3),
        /// Decay of the mean of squared gradients.
        decay: Fraction = Fraction(0.9),
        /// Keeps the denominator from 0; inside the root.
        eps: Positive = Positive(1e-8),
        /// Share of the last update that is kept.
        momentum: Fraction = Fraction(0.0),
        /// Whether the squared mean gradient is subtracted.
        centered: bool = false,
    }
}

choice! {
    /// How the learning rate changes over the updates.
    #[derive(Clone, PartialEq)]
    pub enum Schedule {
        /// It does not.
        "constant" => Constant,
        /// It is multiplied by a factor at given shares of the training.
        "step" => Step(StepSchedule),
        /// It falls along half a cosine.
        "cosine" => Cosine(Cosine),
    }
}

config! {
    /// A stepwise schedule.
    #[derive(Clone, PartialEq)]
    pub struct StepSchedule {
        /// What the rate is multiplied by.
        factor: Positive = Positive(0.1),
        /// When, as shares of the whole training.
        at: Vec<Fraction> = vec![Fraction(0.5), Fraction(0.75)],
    }
}

config! {
    /// A schedule along half a cosine.
    #[derive(Clone, Copy, PartialEq)]
    pub struct Cosine {
        /// Share of the rate that is left at the end.
        floor: Fraction = Fraction(0.0),
    }
}

impl Adam {
    pub(super) fn usual() -> Self {
        Self {
            lr: Positive(1e-3),
            beta1: Fraction(0.9),
            beta2: Fraction(0.999),
            eps: Positive(1e-8),
            form: Form::Corrected,
        }
    }
}

impl Optimizer {
    pub(super) fn rule(self) -> nn::Optimizer {
        match self {
            Self::Adam(keys) => nn::Optimizer::Adam {
                lr: keys.lr.0,
                beta1: keys.beta1.0,
                beta2: keys.beta2.0,
                eps: keys.eps.0,
                form: if keys.form == Form::Hat { nn::EpsilonForm::Hat } else { nn::EpsilonForm::Corrected },
                weight_decay: 0.0,
            },
            Self::AdamW(keys) => nn::Optimizer::Adam {
                lr: keys.lr.0,
                beta1: keys.beta1.0,
                beta2: keys.beta2.0,
                eps: keys.eps.0,
                form: nn::EpsilonForm::Corrected,
                weight_decay: keys.weight_decay.0,
            },
            Self::Sgd(keys) => nn::Optimizer::Sgd {
                lr: keys.lr.0,
                momentum: keys.momentum.0,
                nesterov: keys.nesterov,
                weight_decay: keys.weight_decay.0,
            },
            Self::RmsProp(keys) => nn::Optimizer::RmsProp {
                lr: keys.lr.0,
                decay: keys.decay.0,
                eps: keys.eps.0,
                momentum: keys.momentum.0,
                centered: keys.centered,
            },
        }
    }
}

impl Schedule {
    pub(super) fn rule(&self) -> nn::Schedule {
        match self {
            Self::Constant => nn::Schedule::Constant,
            Self::Step(keys) => {
                nn::Schedule::Step { factor: keys.factor.0, at: keys.at.iter().map(|share| share.0).collect() }
            }
            Self::Cosine(keys) => nn::Schedule::Cosine { floor: keys.floor.0 },
        }
    }
}
