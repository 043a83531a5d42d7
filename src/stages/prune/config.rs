//! The keys of `prune`.

use std::collections::BTreeMap;

use duress_cache::Tree;
use duress_engine::input::Input;
use duress_engine::spec::{Count, Defined, Fraction, FromSpec, Seed};
use duress_engine::{choice, config};

use crate::nn::Mask as KeptWeights;
use crate::nn::prune::{self as nn, Amount};
use crate::stages::artifact::{Dataset, Mask, Weights};
use crate::stages::model::Model;

/// Rounds of `synflow` unless told otherwise, as its authors do.
const FLOW_ROUNDS: u64 = 100;

config! {
    /// Removes weights and says which are left.
    ///
    /// How many go is said by exactly one of `rate`, `rates`, `sparsity` and `like`. A rate is a share of the weights that are
    /// still kept: with `mask` set to the previous round's mask, rounds build on each other. A sparsity is a share of all weights.
    /// Without `mask` the weights that are exactly 0 count as removed already, so weights that were trained under a mask need
    /// not be told about it. Biases are never removed.
    pub struct Prune {
        /// The weights that are ranked.
        weights: Input<Weights>,
        /// The weights that are kept so far; by default those that are not 0.
        mask: Option<Input<Mask>>,
        /// By what weights are ranked; the lowest go first.
        criterion: Criterion = Criterion::Magnitude,
        /// The rows that `snip` and `grasp` take the gradient of the loss on: training rows of a data set, or a split.
        data: Option<Input<Dataset>>,
        /// So many of those rows of each class, drawn at random, all in one batch.
        [unit = "rows"]
        per_class: Count = Count(10),
        /// Share of the kept weights to remove.
        rate: Option<Fraction>,
        /// Shares of the kept weights to remove by layer, such as `{ "hidden.*" = 0.2, output = 0.1 }`; of several patterns the
        /// longest counts, and a layer that fits none keeps all.
        rates: Option<BTreeMap<String, Fraction>>,
        /// Share of all weights that is to be removed in the end.
        sparsity: Option<Fraction>,
        /// A mask of the same network: each layer is to keep as many weights as there, whichever they are.
        like: Option<Input<Mask>>,
        /// Whether weights are ranked within their layer or over all layers; with `rates` and `like` always within. By default
        /// `"global"` for `snip`, `grasp` and `synflow`, as their authors do, and else `"layer"`.
        scope: Option<Scope>,
        /// What is removed as a whole; shares are of those. Where filters go the last layer keeps all, its rows are the classes.
        unit: Unit = Unit::Weight,
        /// Layers that keep all their weights, such as `["hidden.1", "*downsample*"]`; shares of all layers do not count them.
        protect: Vec<String> = vec![],
        /// Rounds in which weights go; scores are computed anew in each. By default 100 for `synflow`, and else 1.
        [unit = "rounds"]
        rounds: Option<Count>,
        /// How many weights are left after each round.
        schedule: Schedule = Schedule::Exponential,
        /// Do this round alone, from 0: for a study that trains between the rounds of a `sparsity`. Round 0 removes nothing, and
        /// the last one is number `rounds`.
        round: Option<u64>,
        /// How a share becomes a number of weights.
        rule: Rule = Rule::Exact,
        /// A control, to see whether it matters which weights go.
        ablation: Option<Ablation>,
        /// How the ablation `reinitialise` draws weights.
        model: Option<Defined<Model>>,
        /// Seed of the criterion `random`, of the rows of `data`, and of ablations.
        seed: Seed,
    }
}

choice! {
    /// By what weights are ranked.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Criterion {
        /// Their absolute value.
        "magnitude" => Magnitude,
        /// A random order.
        "random" => Random,
        /// Weight times gradient of the loss, absolute (Lee, Ajanthan and Torr 2019).
        "snip" => Snip,
        /// How much of the gradient's norm goes with them (Wang, Zhang and Grosse 2020).
        "grasp" => Grasp,
        /// What of a constant flows through them with all signs taken off (Tanaka, Kunin, Yamins and Ganguli 2020).
        "synflow" => SynFlow,
    }
}

choice! {
    /// What weights are ranked against.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Scope {
        /// The weights of their layer.
        "layer" => Layer,
        /// The weights of all layers.
        "global" => Global,
    }
}

choice! {
    /// What is removed as a whole.
    #[derive(Clone, Copy, PartialEq)]
    pub enum Unit {
        /// Each weight alone.
        "weight" => Weight,
        /// The weights of a filter of a convolution, or those into a neuron, by a norm of their scores.
        "filter" => Filter(Filter),
    }
}

config! {
    /// How filters are ranked.
    #[derive(Clone, Copy, PartialEq)]
    pub struct Filter {
        /// How the scores of a filter's weights become one.
        norm: Norm = Norm::L2,
    }
}

choice! {
    /// How the scores of a filter's weights become one; over its length, so that filters of all layers compare.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Norm {
        /// Their mean (for magnitudes, Li et al. 2017).
        "l1" => L1,
        /// Their root mean square.
        "l2" => L2,
    }
}

choice! {
    /// How many weights are left after each round.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Schedule {
        /// Fewer by the same factor each round.
        "exponential" => Exponential,
        /// Fewer by the same number each round.
        "linear" => Linear,
        /// Many go at first, few in the end (Zhu and Gupta 2017).
        "cubic" => Cubic,
    }
}

choice! {
    /// How a share becomes a number of weights.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Rule {
        /// The share times the weights, rounded, halves to even.
        "exact" => Exact,
        /// One more, and all whose score equals that of the last: as the program behind arXiv 1912.02386 counts.
        "published" => Published,
    }
}

choice! {
    /// Controls of pruning (Frankle, Dziugaite, Roy and Carbin 2021).
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Ablation {
        /// What went is moved to random places of the same layer.
        "shuffle" => Shuffle,
        /// The weights that are kept are drawn anew as `model` says.
        "reinitialise" => Reinitialise,
        /// The highest go instead of the lowest.
        "invert" => Invert,
    }
}

impl Criterion {
    /// Whether it looks at rows.
    pub(super) fn needs_data(self) -> bool {
        matches!(self, Self::Snip | Self::Grasp)
    }

    /// Whether scores change with what is gone.
    fn looks_at_mask(self) -> bool {
        !matches!(self, Self::Magnitude | Self::Random)
    }
}

impl Prune {
    /// How many weights go; none where the keys do not say it in one way. `like` is the mask of that key.
    pub(super) fn amount(&self, like: Option<KeptWeights>) -> Option<Amount> {
        match (self.rate, &self.rates, self.sparsity, like, self.scope()) {
            (Some(rate), None, None, None, Scope::Layer) => Some(Amount::EveryLayer(rate.0)),
            (Some(rate), None, None, None, Scope::Global) => Some(Amount::Global(rate.0)),
            (None, Some(rates), None, None, _) => {
                Some(Amount::PerLayer(rates.iter().map(|(layer, rate)| (layer.clone(), rate.0)).collect()))
            }
            (None, None, Some(share), None, Scope::Layer) => Some(Amount::SparsityEveryLayer(share.0)),
            (None, None, Some(share), None, Scope::Global) => Some(Amount::SparsityGlobal(share.0)),
            (None, None, None, Some(mask), _) => Some(Amount::Like(mask)),
            _ => None,
        }
    }

    /// What weights are ranked against.
    pub(super) fn scope(&self) -> Scope {
        let within = self.rates.is_some() || self.like.is_some() || !self.criterion.looks_at_mask();
        self.scope.unwrap_or(if within { Scope::Layer } else { Scope::Global })
    }

    /// In how many rounds weights go.
    pub(super) fn rounds(&self) -> u64 {
        let usual = if self.criterion == Criterion::SynFlow { FLOW_ROUNDS } else { 1 };
        self.rounds.map_or(usual, |rounds| rounds.0)
    }

    /// The keys as the ranking takes them, with the criterion that stands for `criterion`.
    pub(super) fn recipe<'a>(&self, criterion: nn::Criterion<'a>, amount: Amount) -> nn::Recipe<'a> {
        let shape = match self.schedule {
            Schedule::Exponential => nn::Shape::Exponential,
            Schedule::Linear => nn::Shape::Linear,
            Schedule::Cubic => nn::Shape::Cubic,
        };
        let structure = match self.unit {
            Unit::Weight => nn::Structure::Weights,
            Unit::Filter(Filter { norm: Norm::L1 }) => nn::Structure::Rows(nn::Norm::L1),
            Unit::Filter(Filter { norm: Norm::L2 }) => nn::Structure::Rows(nn::Norm::L2),
        };
        nn::Recipe {
            criterion,
            invert: self.ablation == Some(Ablation::Invert),
            amount,
            cutoff: if self.rule == Rule::Published { nn::Cutoff::Published } else { nn::Cutoff::Exact },
            structure,
            protect: self.protect.clone(),
            course: nn::Course { shape, rounds: self.rounds(), only: self.round },
            shuffle: (self.ablation == Some(Ablation::Shuffle)).then_some(self.seed.0),
        }
    }

    /// The configuration as it enters the key: what has no effect is not in it.
    pub(super) fn tree(&self) -> Tree {
        let drawn = matches!(self.ablation, Some(Ablation::Shuffle | Ablation::Reinitialise));
        let random = drawn || self.criterion == Criterion::Random || self.criterion.needs_data();
        // Rounds that score alike come to the same as one, and one round has no schedule.
        let turns = self.rounds() > 1 && (self.criterion.looks_at_mask() || self.round.is_some());
        let model = self.model.as_ref().filter(|_| self.ablation == Some(Ablation::Reinitialise));
        let model = model.map(|model| Tree::map([("init", model.init_tree()), ("shape", model.shape_tree())]));
        let protect = (!self.protect.is_empty()).then(|| self.protect.to_tree()).flatten();
        let keys = [
            ("criterion", self.criterion.to_tree()),
            ("per_class", self.per_class.to_tree().filter(|_| self.criterion.needs_data())),
            ("rate", self.rate.to_tree()),
            ("rates", self.rates.to_tree()),
            ("sparsity", self.sparsity.to_tree()),
            ("scope", self.scope().to_tree()),
            ("unit", (self.unit != Unit::Weight).then(|| self.unit.to_tree()).flatten()),
            ("protect", protect),
            ("rounds", turns.then(|| Count(self.rounds()).to_tree()).flatten()),
            ("schedule", turns.then(|| self.schedule.to_tree()).flatten()),
            ("round", self.round.to_tree()),
            ("rule", self.rule.to_tree()),
            ("ablation", self.ablation.to_tree()),
            ("model", model),
            ("seed", self.seed.to_tree().filter(|_| random)),
        ];
        Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }
}
