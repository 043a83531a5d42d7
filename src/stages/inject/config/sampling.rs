//! The keys that say which faults are run, and how many.

use std::path::PathBuf;

use duress_cache::Tree;
use duress_engine::spec::{Count, Fraction, FromSpec, Positive};
use duress_engine::{choice, config};

use crate::nn::fault::PUBLISHED_SEED;
use crate::nn::fault::design::{By, Fineness};
use crate::nn::fault::list::Order;
use crate::nn::fault::precision::Precision;
use crate::nn::statistics::normal_quantile;

/// How far the critical rate of a fault that was not drawn is taken to lie from the others of its stratum.
pub(in crate::stages::inject) const UNSEEN: f64 = 0.03;

choice! {
    /// Which of all possible faults are run.
    #[derive(Clone)]
    pub enum Sampling {
        /// All of them.
        "exhaustive" => Exhaustive,
        /// So many of the whole network, uniformly, each at most once.
        "random" => Random(Count),
        /// So many, shared out over the layers in proportion to their sites.
        "layers" => Layers(Count),
        /// As many of the whole network as a margin needs (Leveugle et al. 2009).
        "margin" => Margin(Confidence),
        /// As many of each layer as a margin needs, for statements about single layers.
        "layer_margin" => LayerMargin(Confidence),
        /// As many of each bit of each layer as a margin needs (Ruospo et al. 2023, data-unaware).
        "bit_margin" => BitMargin(Confidence),
        /// The same for the rate that the weights let expect of a bit, at most `rate` (Ruospo et al. 2023, data-aware).
        "data_aware" => DataAware(Confidence),
        /// So many where they tell most of the critical rate, by layer, bit and sign, in rounds (Neyman 1934).
        "stratified" => Stratified(Stratified),
        /// The very list of the published campaigns (dnn-benchmarks).
        "published" => Published(Published),
        /// Those of a file.
        "list" => List(ListKeys),
    }
}

config! {
    /// How sure a campaign wants to be of a rate.
    #[derive(Clone, Copy)]
    pub struct Confidence {
        /// Half-width of the interval.
        margin: Fraction = Fraction(0.01),
        /// Coverage of the interval.
        confidence: Fraction = Fraction(0.99),
        /// The rate expected; 0.5 is safe.
        rate: Fraction = Fraction(0.5),
    }
}

config! {
    /// How faults are put where they tell most.
    #[derive(Clone)]
    pub struct Stratified {
        /// Faults to run in all.
        faults: Count = Count(4_000),
        /// What tells strata apart; they are merged where there are not enough faults for a pilot of each.
        by: Vec<Stratum> = vec![Stratum::Layer, Stratum::Bit, Stratum::Sign],
        /// Faults of each stratum in the first round.
        pilot: Count = Count(8),
        /// Rounds after the first, each shared out by what all before it saw.
        rounds: Count = Count(4),
        /// How far the critical rate of one fault more than were seen is taken to lie from the others in every stratum, so that
        /// a stratum in which nothing happened is not taken for harmless.
        unseen: Positive = Positive(UNSEEN),
    }
}

choice! {
    /// What tells strata apart.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Stratum {
        /// The layer.
        "layer" => Layer,
        /// The bit.
        "bit" => Bit,
        /// The sign of the stored number.
        "sign" => Sign,
    }
}

config! {
    /// The published generator: CPython's random numbers, so that the list is the published one bit for bit.
    #[derive(Clone, Copy)]
    pub struct Published {
        /// The generator's seed.
        seed: u64 = PUBLISHED_SEED,
        /// Half-width of the interval.
        margin: Fraction = Fraction(0.01),
        /// Normal quantile of the confidence; 2.58 stands for 99 %.
        quantile: Positive = Positive(2.58),
    }
}

config! {
    /// A list of faults: CSV with the columns `Injection,Layer,TensorIndex,Bit`, and maybe `Model`, `Value` and the outcomes
    /// that were published. Only the faults of `layers` and `bits` are run.
    #[derive(Clone)]
    pub struct ListKeys {
        /// The file; relative paths start at the spec.
        path: PathBuf,
        /// In which order it indexes a weight.
        order: OrderKey = OrderKey::Pytorch,
        /// A map of layer names, CSV with the columns `PT` (the network's names) and `TF` (those of the list).
        names: Option<PathBuf>,
        /// Only each so-manyth of those faults, beginning with the first.
        every: Count = Count(1),
        /// Only the first so many of those.
        first: Option<Count>,
    }
}

choice! {
    /// In which order a list indexes a weight.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum OrderKey {
        /// `(output, input, row, column)`.
        "pytorch" => Pytorch,
        /// `(row, column, input, output)`.
        "keras" => Keras,
    }
}

config! {
    /// When a campaign knows enough. The interval is one that may be looked at again and again: a confidence sequence
    /// (Waudby-Smith and Ramdas 2024) of faults drawn uniformly, and of strata an interval in each round at a level that all
    /// rounds together keep.
    #[derive(Clone, Copy)]
    pub struct Stop {
        /// Half-width of the interval of the critical rate.
        width: Positive,
        /// Coverage of the interval.
        confidence: Fraction = Fraction(0.95),
    }
}

impl Confidence {
    pub(in crate::stages::inject) fn precision(self) -> Precision {
        let quantile = normal_quantile(f64::midpoint(1.0, self.confidence.0.min(1.0 - 1e-12)));
        Precision { margin: self.margin.0, quantile, rate: self.rate.0 }
    }
}

impl Default for Confidence {
    fn default() -> Self {
        Self { margin: Fraction(0.01), confidence: Fraction(0.99), rate: Fraction(0.5) }
    }
}

impl Published {
    pub(in crate::stages::inject) fn precision(self) -> Precision {
        Precision { margin: self.margin.0, quantile: self.quantile.0, rate: 0.5 }
    }
}

impl Stratified {
    pub(in crate::stages::inject) fn by(&self) -> By {
        By {
            layer: self.by.contains(&Stratum::Layer),
            bit: if self.by.contains(&Stratum::Bit) { Fineness::Each } else { Fineness::All },
            sign: self.by.contains(&Stratum::Sign),
        }
    }
}

impl ListKeys {
    /// What of the keys says which faults are run; the files' own digests say what is in them.
    pub(super) fn tree(&self) -> Tree {
        let order = if self.order == OrderKey::Pytorch { None } else { self.order.to_tree() };
        let every = if self.every.0 == 1 { None } else { self.every.to_tree() };
        let keys = [("first", self.first.to_tree()), ("every", every), ("order", order)];
        Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }
}

impl From<OrderKey> for Order {
    fn from(key: OrderKey) -> Self {
        match key {
            OrderKey::Pytorch => Self::Pytorch,
            OrderKey::Keras => Self::Keras,
        }
    }
}
