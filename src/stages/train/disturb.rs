//! The keys of what a training disturbs on purpose: pictures, rows and stored weights.

use duress_cache::Tree;
use duress_engine::spec::{Count, Fraction, FromSpec, NonNegative, Positive};
use duress_engine::{choice, config};

use super::config::present;
use crate::nn::attack::Attack;
use crate::nn::train as nn;
use crate::stages::perturb::{AttackKeys, Method, Target};

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
    /// Random errors in the stored bits of weights: `(1 - share) loss(w) + share loss(w')`, with `w'` read back with errors drawn
    /// anew for every update (Stutz et al. 2021). Biases are not hit, nor are weights that `mask` drops.
    #[derive(Clone)]
    pub struct BitErrors {
        /// Probability that a bit is inverted; 0 trains plainly.
        rate: Fraction,
        /// How weights are stored.
        word: Word = Word::Int8,
        /// The bits that can be inverted, 0 for the least significant; `[]` for all of the word. In single precision those of the
        /// exponent, 23 to 30, soon end a training.
        bits: Vec<u64> = vec![],
        /// Share of the weights with errors in the loss; 0 trains plainly.
        share: Fraction = Fraction(0.5),
    }
}

choice! {
    /// How a weight is stored.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Word {
        /// In 8 bits with a step for each tensor: its largest absolute weight over 127.
        "int8" => Int8,
        /// In single precision.
        "fp32" => Fp32,
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

    /// About how many forward passes of the network an attack takes for each row.
    pub(super) fn passes(&self) -> u64 {
        match self.attack {
            Method::Fgsm => 3,
            Method::Pgd => self.steps.0.saturating_mul(2).saturating_add(1),
            Method::Gaussian | Method::Uniform => 0,
        }
    }

    /// The keys that have an effect; nothing where the share is 0.
    pub(super) fn tree(&self) -> Option<Tree> {
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

impl BitErrors {
    /// Bits of a word.
    pub(super) fn width(&self) -> u64 {
        if self.word == Word::Int8 { 8 } else { 32 }
    }

    /// The bits that can be inverted, ascending, each once.
    fn chosen(&self) -> Vec<u64> {
        let mut bits = if self.bits.is_empty() { (0..self.width()).collect() } else { self.bits.clone() };
        bits.sort_unstable();
        bits.dedup();
        bits
    }

    /// Whether it does anything.
    fn hits(&self) -> bool {
        self.rate.0 > 0.0 && self.share.0 > 0.0
    }

    /// The errors; nothing where there are none.
    pub(super) fn plan(&self) -> Option<nn::BitErrors> {
        self.hits().then(|| nn::BitErrors {
            rate: self.rate.0,
            word: if self.word == Word::Int8 { nn::Word::Int8 } else { nn::Word::Fp32 },
            bits: self.chosen().into_iter().map(|bit| bit as u8).collect(),
            share: self.share.0,
        })
    }

    /// The keys that have an effect; nothing where nothing is hit.
    pub(super) fn tree(&self) -> Option<Tree> {
        self.hits().then(|| {
            present([
                ("rate", self.rate.to_tree()),
                ("word", self.word.to_tree()),
                ("bits", self.chosen().to_tree()),
                ("share", self.share.to_tree()),
            ])
        })
    }
}
