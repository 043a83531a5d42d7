//! The keys of `train`.

use duress_cache::Tree;
use duress_engine::input::Input;
use duress_engine::spec::{Count, Defined, Fraction, FromSpec, NonNegative, Positive, Seed};
use duress_engine::{choice, config};

use crate::nn::attack::Attack;
use crate::nn::train as nn;
use crate::stages::artifact::{Dataset, Mask, Weights};
use crate::stages::crash::Crash;
use crate::stages::model::Model;
use crate::stages::perturb::{AttackKeys, Method, Target};

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
        /// How the learning rate changes.
        schedule: Schedule = Schedule::Constant,
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
        /// Updates between two points of the curve; by default an epoch.
        [unit = "updates"]
        evaluate_every: Option<Count>,
        /// Stop where the validation loss no longer falls, and take the weights of its smallest value.
        early_stopping: Option<EarlyStopping>,
        /// Seed of first weights, shuffling, crashes and attacks.
        seed: Seed,
    }
}

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

config! {
    /// Random changes of pictures, drawn anew for each row in each epoch.
    #[derive(Clone, Copy, PartialEq)]
    pub struct Augment {
        /// Zeros added on every side before a window of the old size is cut out at random.
        [unit = "pixels"]
        crop: u64 = 0,
        /// Whether half of the pictures are mirrored left to right.
        flip: bool = false,
    }
}

config! {
    /// Training on perturbed rows: `(1 - share) loss(x) + share loss(x')`, with `x'` made anew for every update against the
    /// current weights.
    #[derive(Clone)]
    pub struct Adversarial {
        /// How rows are perturbed.
        attack: Method,
        /// Largest change of a feature (for `gaussian`, the standard deviation).
        [unit = "units of the data"]
        eps: NonNegative,
        /// Share of the perturbed rows in the loss; 0 trains plainly.
        share: Fraction = Fraction(0.5),
        /// The class that `fgsm` and `pgd` drive away from.
        label: Target = Target::True,
        /// Gradient steps of `pgd`.
        steps: Count = Count(10),
        /// Length of a step of `pgd`; by default 2.5 eps / steps.
        [unit = "units of the data"]
        step: Option<Positive>,
        /// Whether `pgd` starts from a random point of the box.
        random_start: bool = true,
        /// Lowest and highest value that a feature may take; `[]` for data without a range.
        [unit = "units of the data"]
        clip: Vec<f32> = vec![0.0, 1.0],
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

impl Adam {
    fn usual() -> Self {
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
    fn rule(self) -> nn::Optimizer {
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

impl Adversarial {
    /// The attack, without its size.
    pub(super) fn plan(&self, seed: u64) -> Attack {
        let keys = AttackKeys {
            name: self.attack,
            steps: self.steps,
            step: self.step,
            random_start: self.random_start,
            restarts: 1,
            label: self.label,
            clip: &self.clip,
        };
        keys.attack(seed)
    }

    /// The keys that have an effect; nothing where the share is 0.
    fn tree(&self) -> Option<Tree> {
        if self.share.0 == 0.0 {
            return None;
        }
        let noise = matches!(self.attack, Method::Gaussian | Method::Uniform);
        let gradient = |tree: Option<Tree>| tree.filter(|_| !noise);
        let pgd = |tree: Option<Tree>| tree.filter(|_| self.attack == Method::Pgd);
        Some(present([
            ("attack", self.attack.to_tree()),
            ("eps", self.eps.to_tree()),
            ("share", self.share.to_tree()),
            ("clip", self.clip.to_tree()),
            ("label", gradient(self.label.to_tree())),
            ("steps", pgd(self.steps.to_tree())),
            ("step", pgd(self.step.to_tree())),
            ("random_start", pgd(self.random_start.to_tree())),
        ]))
    }
}

impl Augment {
    /// Whether it does anything.
    pub(super) fn changes(&self) -> bool {
        self.crop > 0 || self.flip
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
        let schedule = match &self.schedule {
            Schedule::Constant => nn::Schedule::Constant,
            Schedule::Step(keys) => {
                nn::Schedule::Step { factor: keys.factor.0, at: keys.at.iter().map(|share| share.0).collect() }
            }
            Schedule::Cosine(keys) => nn::Schedule::Cosine { floor: keys.floor.0 },
        };
        let stopping =
            |keys: EarlyStopping| nn::EarlyStopping { patience: keys.patience.0, min_delta: keys.min_delta.0 };
        nn::TrainConfig {
            length,
            batch: self.batch.size(),
            optimizer: self.optimizer.rule(),
            schedule,
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
            ("schedule", self.schedule.to_tree()),
            ("loss", self.loss.to_tree()),
            ("label_smoothing", self.label_smoothing.to_tree()),
            ("l1", self.l1.to_tree()),
            ("l2", self.l2.to_tree()),
            ("augment", self.augment.filter(Augment::changes).to_tree()),
            ("adversarial", self.adversarial.as_ref().and_then(Adversarial::tree)),
            ("crash", crash.and_then(Crash::to_tree)),
            ("evaluate_every", self.evaluate_every.to_tree()),
            ("early_stopping", self.early_stopping.to_tree()),
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
fn present<const N: usize>(keys: [(&str, Option<Tree>); N]) -> Tree {
    Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
}
