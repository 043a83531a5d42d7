//! The keys of `prune`.

use std::collections::BTreeMap;

use duress_cache::Tree;
use duress_engine::input::Input;
use duress_engine::spec::{Fault, Fraction, FromSpec, Seed};
use duress_engine::stage::InferContext;
use duress_engine::{choice, config};

use crate::nn::prune::{self as nn, Amount};
use crate::stages::artifact::{Mask, Weights};

config! {
    /// Removes weights and says which are left.
    ///
    /// How many go is said by exactly one of `rate`, `rates` and `sparsity`. A rate is a share of the weights that are still
    /// kept: with `mask` set to the previous round's mask, rounds build on each other. A sparsity is a share of all weights.
    /// Without `mask` the weights that are exactly 0 count as removed already, so weights that were trained under a mask need
    /// not be told about it. Biases are never removed.
    pub struct Prune {
        /// The weights that are ranked.
        weights: Input<Weights>,
        /// The weights that are kept so far; by default those that are not 0.
        mask: Option<Input<Mask>>,
        /// By what weights are ranked; the lowest go first.
        criterion: Criterion = Criterion::Magnitude,
        /// Share of the kept weights to remove.
        rate: Option<Fraction>,
        /// Shares of the kept weights to remove by layer, such as `{ "hidden.*" = 0.2, output = 0.1 }`; of several patterns the
        /// longest counts, and a layer that fits none keeps all.
        rates: Option<BTreeMap<String, Fraction>>,
        /// Share of all weights that is to be removed in the end.
        sparsity: Option<Fraction>,
        /// Whether weights are ranked within their layer or over all layers; with `rates` always within.
        scope: Scope = Scope::Layer,
        /// How a share becomes a number of weights.
        rule: Rule = Rule::Exact,
        /// Seed of the criterion `random`.
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
    /// How a share becomes a number of weights.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Rule {
        /// The share times the weights, rounded, halves to even.
        "exact" => Exact,
        /// One more, as the program behind arXiv 1912.02386 counts.
        "published" => Published,
    }
}

impl Prune {
    /// How many weights go; none where the keys do not say it in one way.
    pub(super) fn amount(&self) -> Option<Amount> {
        match (self.rate, &self.rates, self.sparsity, self.scope) {
            (Some(rate), None, None, Scope::Layer) => Some(Amount::EveryLayer(rate.0)),
            (Some(rate), None, None, Scope::Global) => Some(Amount::Global(rate.0)),
            (None, Some(rates), None, _) => {
                Some(Amount::PerLayer(rates.iter().map(|(layer, rate)| (layer.clone(), rate.0)).collect()))
            }
            (None, None, Some(share), Scope::Layer) => Some(Amount::SparsityEveryLayer(share.0)),
            (None, None, Some(share), Scope::Global) => Some(Amount::SparsityGlobal(share.0)),
            _ => None,
        }
    }

    pub(super) fn criterion(&self) -> nn::Criterion {
        match self.criterion {
            Criterion::Magnitude => nn::Criterion::Magnitude,
            Criterion::Random => nn::Criterion::Random { seed: self.seed.0 },
        }
    }

    pub(super) fn cutoff(&self) -> nn::Cutoff {
        if self.rule == Rule::Published { nn::Cutoff::Published } else { nn::Cutoff::Exact }
    }

    /// Reports what can be known to be wrong.
    pub(super) fn check(&self, cx: &mut InferContext<'_>) {
        let written = [self.rate.is_some(), self.rates.is_some(), self.sparsity.is_some()];
        let count = written.iter().filter(|written| **written).count();
        if count != 1 {
            let label = if count == 0 { "says no amount" } else { "says more than one amount" };
            let fault = Fault::new("one-amount", cx.table.span, "`prune` needs one amount to remove", label);
            cx.faults.push(fault.help("write exactly one of `rate = 0.2`, `rates = { ... }` and `sparsity = 0.5`"));
        }
        if self.rates.is_some() && self.scope == Scope::Global {
            let span = cx.span_of("scope");
            let fault = Fault::new("conflict", span, "`rates` are by layer, `scope` is not", "contradicts `rates`");
            cx.faults.push(fault.help("drop `scope`, or give one `rate` for all layers"));
        }
    }

    /// The configuration as it enters the key: what has no effect is not in it.
    pub(super) fn tree(&self) -> Tree {
        let random = self.criterion == Criterion::Random;
        let keys = [
            ("criterion", self.criterion.to_tree()),
            ("rate", self.rate.to_tree()),
            ("rates", self.rates.to_tree()),
            ("sparsity", self.sparsity.to_tree()),
            ("scope", self.scope.to_tree()),
            ("rule", self.rule.to_tree()),
            ("seed", self.seed.to_tree().filter(|_| random)),
        ];
        Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }
}
