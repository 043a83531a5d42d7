//! How to train: length, optimiser, schedule, loss and regularisation.

use super::augment::Augment;
use super::bit_errors::BitErrors;

/// How long to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Passes over the training rows.
    Epochs(u64),
    /// Updates of the weights.
    Steps(u64),
}

/// Where Adam's `eps` stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EpsilonForm {
    /// `lr m^ / (sqrt(v^) + eps)` with both moments corrected for bias first (Kingma and Ba 2015, Algorithm 1; `PyTorch`).
    #[default]
    Corrected,
    /// `lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)` ("epsilon hat" of the same paper; `TensorFlow` and Keras).
    Hat,
}

/// The rule that turns gradients into updates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Adam (Kingma and Ba 2015), and `AdamW` (Loshchilov and Hutter 2019) where `weight_decay` is not 0.
    Adam {
        /// Learning rate.
        lr: f64,
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Keeps the denominator from zero.
        eps: f64,
        /// Where `eps` stands.
        form: EpsilonForm,
        /// Decoupled decay: each update also subtracts `lr * weight_decay * w`.
        weight_decay: f64,
    },
    /// Stochastic gradient descent: `v = momentum v + g`, `w -= lr v` (`PyTorch`'s form).
    Sgd {
        /// Learning rate.
        lr: f64,
        /// Momentum, 0 for none.
        momentum: f64,
        /// Whether to look ahead (Nesterov).
        nesterov: bool,
        /// Adds `weight_decay * w` to the gradient.
        weight_decay: f64,
    },
    /// `RMSprop` (Hinton's lecture 6e), with `eps` inside the root.
    RmsProp {
        /// Learning rate.
        lr: f64,
        /// Decay of the mean square.
        decay: f64,
        /// Keeps the denominator from zero.
        eps: f64,
        /// Momentum, 0 for none.
        momentum: f64,
        /// Whether to subtract the squared mean gradient.
        centered: bool,
    },
}

impl Optimizer {
    /// Adam with the usual moments.
    #[must_use]
    pub fn adam(lr: f64) -> Self {
        Self::Adam { lr, beta1: 0.9, beta2: 0.999, eps: 1e-8, form: EpsilonForm::Corrected, weight_decay: 0.0 }
    }

    /// Plain stochastic gradient descent.
    #[must_use]
    pub fn sgd(lr: f64, momentum: f64) -> Self {
        Self::Sgd { lr, momentum, nesterov: false, weight_decay: 0.0 }
    }

    /// The learning rate before any schedule.
    #[must_use]
    pub fn lr(&self) -> f64 {
        match *self {
            Self::Adam { lr, .. } | Self::Sgd { lr, .. } | Self::RmsProp { lr, .. } => lr,
        }
    }
}

/// How the learning rate changes over the updates.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Schedule {
    /// It does not.
    #[default]
    Constant,
    /// Multiplied by `factor` at each of `at`, given as shares of the whole training in [0, 1].
    Step {
        /// The factor.
        factor: f64,
        /// When.
        at: Vec<f64>,
    },
    /// From the full rate down to `floor` times it along half a cosine (Loshchilov and Hutter 2017, without restarts).
    Cosine {
        /// Share of the rate left at the end.
        floor: f64,
    },
}

impl Schedule {
    /// What the learning rate is multiplied by at update `step` (from 0) of `total`.
    #[must_use]
    pub fn factor(&self, step: u64, total: u64) -> f64 {
        let progress = step as f64 / total.max(1) as f64;
        match self {
            Self::Constant => 1.0,
            Self::Step { factor, at } => at.iter().filter(|&&when| progress >= when).map(|_| factor).product(),
            Self::Cosine { floor } => floor + (1.0 - floor) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress)),
        }
    }
}

/// What training makes small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// Mean over rows of the cross-entropy of the softmax of the outputs.
    #[default]
    CrossEntropy,
    /// Mean over rows and outputs of the squared error; labels are fitted as one-hot targets.
    MeanSquare,
}

/// When to stop before the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyStopping {
    /// Evaluations without a smaller validation loss that are put up with.
    pub patience: u64,
    /// By how much a loss must be smaller to count.
    pub min_delta: f64,
}

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// How long.
    pub length: Length,
    /// Rows per update; the last batch of an epoch keeps what is left over.
    pub batch: usize,
    /// The update rule.
    pub optimizer: Optimizer,
    /// Updates over which the learning rate rises linearly to its full height; the schedule begins after them.
    pub warmup: u64,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// What to make small.
    pub loss: Loss,
    /// Share `s` of the target spread evenly: `t = (1 - s) onehot + s / classes`.
    pub label_smoothing: f64,
    /// Adds `l1 * sum |w|` over the weights (not the biases) to the loss.
    pub l1: f64,
    /// Adds `l2 * sum w^2` over the weights (not the biases) to the loss.
    pub l2: f64,
    /// Seed of shuffling and crashes.
    pub seed: u64,
    /// Updates between two evaluations; `None` is once an epoch. The last update is always evaluated.
    pub evaluate_every: Option<u64>,
    /// Whether to stop once the validation loss does not improve; the weights kept are then the best ones.
    pub early_stopping: Option<EarlyStopping>,
    /// How rows that are pictures are changed at random before each update, and before they are attacked; `None` leaves
    /// them as they are.
    pub augment: Option<Augment>,
    /// Share of the perturbed examples in the loss: `(1 - share) loss(x) + share loss(x')`; 0 trains plainly.
    pub adversarial_share: f64,
    /// Probability that a unit of layer 0 (the input) to `depth` crashes to exactly 0, redrawn for each row and update,
    /// survivors not being rescaled; empty for none.
    pub crash: Vec<f64>,
    /// Random errors in the bits of the weights that gradients are taken at.
    pub bit_errors: Option<BitErrors>,
    /// Updates after which the weights are kept beside the last ones; 0 is before the first.
    pub snapshot: u64,
}

impl TrainConfig {
    /// What the learning rate is multiplied by at update `step` (from 0) of `total`.
    #[must_use]
    pub fn lr_factor(&self, step: u64, total: u64) -> f64 {
        if step < self.warmup {
            return (step + 1) as f64 / self.warmup as f64;
        }
        self.schedule.factor(step - self.warmup, total.saturating_sub(self.warmup))
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            length: Length::Epochs(1),
            batch: 64,
            optimizer: Optimizer::adam(1e-3),
            warmup: 0,
            schedule: Schedule::Constant,
            loss: Loss::CrossEntropy,
            label_smoothing: 0.0,
            l1: 0.0,
            l2: 0.0,
            seed: 0,
            evaluate_every: None,
            early_stopping: None,
            augment: None,
            adversarial_share: 0.0,
            crash: Vec::new(),
            bit_errors: None,
            snapshot: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_pass_through_their_fixed_points() {
        let step = Schedule::Step { factor: 0.1, at: vec![0.5, 0.75] };
        let factors: Vec<f64> = [0, 49, 50, 75, 99].iter().map(|&s| step.factor(s, 100)).collect();
        for (found, wanted) in factors.iter().zip([1.0, 1.0, 0.1, 0.01, 0.01]) {
            assert!((found - wanted).abs() < 1e-12);
        }
        let cosine = Schedule::Cosine { floor: 0.2 };
        assert!((cosine.factor(0, 10) - 1.0).abs() < 1e-12);
        assert!((cosine.factor(5, 10) - 0.6).abs() < 1e-12);
        assert!((cosine.factor(10, 10) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn the_rate_rises_linearly_and_then_follows_its_schedule() {
        let schedule = Schedule::Cosine { floor: 0.0 };
        let config = TrainConfig { warmup: 4, schedule: schedule.clone(), ..TrainConfig::default() };
        let factors: Vec<f64> = (0..14).map(|step| config.lr_factor(step, 14)).collect();
        assert_eq!(factors[..5], [0.25, 0.5, 0.75, 1.0, 1.0]);
        assert_eq!(factors[4..], (0..10).map(|step| schedule.factor(step, 10)).collect::<Vec<_>>());
        assert!((factors[9] - 0.5).abs() < 1e-12);
    }
}
