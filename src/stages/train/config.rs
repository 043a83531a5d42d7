//! The keys of `train`.

use duress_cache::Tree;
use duress_engine::input::Input;
use duress_engine::spec::{Count, Defined, Fraction, FromSpec, NonNegative, Seed};
use duress_engine::{choice, config};

use super::disturb::{Adversarial, Augment, BitErrors};
use super::optimizer::{Adam, Optimizer, Schedule};
use crate::nn::train as nn;
use crate::stages::artifact::{Dataset, Mask, Weights};
use crate::stages::crash::Crash;
use crate::stages::model::Model;

config! {
    /// Trains a network by gradient descent.
    ///
    /// Rows are shuffled anew for every epoch and the last, shorter batch is kept, so an update is an update. A given number
    /// of updates or epochs is made, or fewer with `early_stopping`. Weights that `mask` drops stay exactly 0.
    pub struct Train {
        /// The network.
        model: Defined<Model>,
        /// What it learns, and is validated on where the data hold validation rows back.
        data: Input<Dataset>,
        /// The weights to start from; by default they are drawn as the model says.
        start: Option<Input<Weights>>,
        /// The weights that take part; by default all.
        mask: Option<Input<Mask>>,
        /// Passes over the training rows; give this or `steps`.
        epochs: Option<Count>,
        /// Updates of the weights; give this or `epochs`.
        steps: Option<Count>,
        /// Rows per update.
        [unit = "rows"]
        batch: Count = Count(64),
        /// The rule that turns gradients into updates.
        optimizer: Optimizer = Optimizer::Adam(Adam::usual()),
        /// How the learning rate changes, after the warmup.
        schedule: Schedule = Schedule::Constant,
        /// Updates over which the learning rate rises linearly to its full height.
        [unit = "updates"]
        warmup: u64 = 0,
        /// What is made small; data for regression want `mse`.
        loss: Loss = Loss::CrossEntropy,
        /// Share of the target that is spread evenly over the classes.
        label_smoothing: Fraction = Fraction(0.0),
        /// Adds so much times the sum of absolute weights to the loss.
        l1: NonNegative = NonNegative(0.0),
        /// Adds so much times the sum of squared weights to the loss.
        l2: NonNegative = NonNegative(0.0),
        /// Change pictures at random before each update.
        augment: Option<Augment>,
        /// Train on perturbed rows too.
        adversarial: Option<Adversarial>,
        /// Probability that a unit crashes to 0 in an update, for all hidden layers or by layer (`{ "hidden.1" = 0.1 }`); the
        /// others are not scaled up.
        crash: Option<Crash>,
        /// Train with random errors in the bits of the weights.
        bit_errors: Option<BitErrors>,
        /// Updates between two points of the curve; by default an epoch.
        [unit = "updates"]
        evaluate_every: Option<Count>,
        /// Stop where the validation loss no longer falls, and take the weights of its smallest value; wants validation rows.
        early_stopping: Option<EarlyStopping>,
        /// Updates after which the weights are put out as `snapshot`; 0 for those that training started from.
        [unit = "updates"]
        snapshot: u64 = 0,
        /// What later rounds go back to, put out as `rewind`; with `start` it is always what training started from.
        rewind: Rewind = Rewind::Snapshot,
        /// Which draw of the first weights: under the same seed, another number draws others. No use with `start`.
        draw: u64 = 0,
        /// Seed of first weights, shuffling, crashes, bit errors and attacks.
        seed: Seed,
    }
}

choice! {
    /// What training makes small.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Loss {
        /// The cross-entropy of the softmax of the outputs.
        "cross-entropy" => CrossEntropy,
        /// The mean squared error; classes are fitted as 1 and 0.
        "mse" => MeanSquare,
    }
}

choice! {
    /// Weights that later rounds go back to.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Rewind {
        /// Those put out as `snapshot`.
        "snapshot" => Snapshot,
        /// The trained ones.
        "weights" => Weights,
    }
}

config! {
    /// When to stop before the end.
    #[derive(Clone, Copy, PartialEq)]
    pub struct EarlyStopping {
        /// Points of the curve without a smaller validation loss that are put up with.
        patience: Count = Count(10),
        /// By how much a loss must be smaller to count.
        min_delta: NonNegative = NonNegative(0.0),
    }
}

impl Train {
    /// How pictures of `shape` are changed, where that is asked for and changes anything.
    pub(super) fn augmentation(&self, shape: [usize; 3]) -> Option<nn::Augment> {
        let keys = self.augment.filter(Augment::changes)?;
        Some(nn::Augment { shape, crop: keys.crop as usize, flip: keys.flip })
    }

    /// How to train; `crash` is by layer, the input first, or empty.
    pub(super) fn recipe(&self, crash: Vec<f64>, augment: Option<nn::Augment>) -> nn::TrainConfig {
        let length = match (self.epochs, self.steps) {
            (_, Some(steps)) => nn::Length::Steps(steps.0),
            (epochs, None) => nn::Length::Epochs(epochs.map_or(1, |epochs| epochs.0)),
        };
        let stopping =
            |keys: EarlyStopping| nn::EarlyStopping { patience: keys.patience.0, min_delta: keys.min_delta.0 };
        nn::TrainConfig {
            length,
            batch: self.batch.size(),
            optimizer: self.optimizer.rule(),
            warmup: self.warmup,
            schedule: self.schedule.rule(),
            loss: if self.loss == Loss::MeanSquare { nn::Loss::MeanSquare } else { nn::Loss::CrossEntropy },
            label_smoothing: self.label_smoothing.0,
            l1: self.l1.0,
            l2: self.l2.0,
            seed: self.seed.0,
            evaluate_every: self.evaluate_every.map(|every| every.0),
            early_stopping: self.early_stopping.map(stopping),
            augment,
            adversarial_share: self.adversarial.as_ref().map_or(0.0, |keys| keys.share.0),
            crash,
            bit_errors: self.bit_errors.as_ref().and_then(BitErrors::plan),
            snapshot: self.snapshot,
        }
    }

    /// The configuration as it enters the key: what has no effect is not in it.
    pub(super) fn tree(&self) -> Tree {
        let crash = self.crash.as_ref().filter(|crash| crashes(crash));
        present([
            ("model", Some(self.model.shape_tree())),
            ("init", self.start.is_none().then(|| self.model.init_tree())),
            ("epochs", self.epochs.to_tree()),
            ("steps", self.steps.to_tree()),
            ("batch", self.batch.to_tree()),
            ("optimizer", self.optimizer.to_tree()),
            ("warmup", (self.warmup > 0).then(|| self.warmup.to_tree()).flatten()),
            ("schedule", self.schedule.to_tree()),
            ("loss", self.loss.to_tree()),
            ("label_smoothing", self.label_smoothing.to_tree()),
            ("l1", self.l1.to_tree()),
            ("l2", self.l2.to_tree()),
            ("augment", self.augment.filter(Augment::changes).to_tree()),
            ("adversarial", self.adversarial.as_ref().and_then(Adversarial::tree)),
            ("crash", crash.and_then(Crash::to_tree)),
            ("bit_errors", self.bit_errors.as_ref().and_then(BitErrors::tree)),
            ("evaluate_every", self.evaluate_every.to_tree()),
            ("early_stopping", self.early_stopping.to_tree()),
            ("snapshot", (self.snapshot > 0).then(|| self.snapshot.to_tree()).flatten()),
            (
                "rewind",
                (self.start.is_none() && self.rewind != Rewind::Snapshot).then(|| self.rewind.to_tree()).flatten(),
            ),
            ("draw", (self.start.is_none() && self.draw > 0).then(|| self.draw.to_tree()).flatten()),
            ("seed", self.seed.to_tree()),
        ])
    }
}

/// Whether anything can crash at all.
fn crashes(crash: &Crash) -> bool {
    match crash {
        Crash::Hidden(p) => *p > 0.0,
        Crash::ByLayer(by_layer) => by_layer.values().any(|p| *p > 0.0),
    }
}

/// A map of the keys that are there.
pub(super) fn present<const N: usize>(keys: [(&str, Option<Tree>); N]) -> Tree {
    Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
}
