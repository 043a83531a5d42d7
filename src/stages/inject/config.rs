//! The keys of `inject`.

use std::path::PathBuf;

use duress_cache::Tree;
use duress_engine::input::Input;
use duress_engine::spec::{Count, Fraction, FromSpec, NonNegative, OneOrMany, Positive, Seed};
use duress_engine::{choice, config};
use duress_network::memory::Format;

use super::protect::{FormatKey, Protect};
use crate::nn::fault::design::{By, Fineness};
use crate::nn::fault::list::Order;
use crate::nn::fault::precision::Precision;
use crate::nn::fault::space::{Place, Targets};
use crate::nn::fault::{BitModel, FaultModel, PUBLISHED_SEED};
use crate::nn::statistics::normal_quantile;
use crate::stages::artifact::{Split, Weights};
use crate::stages::crash::Crash;

config! {
    /// Injects faults and compares with the fault-free run.
    ///
    /// Each fault hits one stored number (`target = "weight"`, `"bias"`, `"normalisation"`), one number of a layer's output
    /// (`"activation"`), or a whole channel of it (`"channel"`), alone, for all samples; a `bit-error-rate` hits the whole
    /// memory at once. Neurons (`target = "neuron"`, `model = "crash"`) crash at random together: their output becomes 0, the
    /// others keep their value.
    pub struct Inject {
        /// The network.
        weights: Input<Weights>,
        /// The samples.
        data: Input<Split>,
        /// What is hit.
        target: OneOrMany<Target> = OneOrMany(vec![Target::Weight]),
        /// What happens to it; of several models each is tried on each target.
        model: OneOrMany<Model> = OneOrMany(vec![Model::BitFlip]),
        /// The layers that can be hit, by the name of a layer or of a parameter; `*` stands for any characters. Of activations
        /// a name with `*` picks those behind nonlinearities, one without picks any layer.
        layers: OneOrMany<String> = OneOrMany(vec!["*".to_owned()]),
        /// The bits that can be hit, 0 (least significant) to 31 (sign), or fewer in a narrower format; all by default.
        bits: Option<OneOrMany<u32>>,
        /// Of activations: the channels (of images) or features that can be hit; all by default.
        channels: Option<OneOrMany<u32>>,
        /// Of activations: the positions that can be hit, `[row, column]` of an image and `[step]` of a sequence; all by
        /// default.
        positions: Option<Vec<Vec<u32>>>,
        /// Which of all faults are run.
        sampling: Sampling = Sampling::Margin(Confidence::default()),
        /// Run each fault on so many of the samples, drawn anew for every fault; on all by default.
        images: Option<Count>,
        /// Stop as soon as the critical rate is known well enough, and not when `sampling` is through.
        stop: Option<Stop>,
        /// How parameters are stored; the network without faults is the one that is read back.
        format: FormatKey = FormatKey::Fp32,
        /// Protections to compare with none, on the same faults.
        protect: Option<OneOrMany<Protect>>,
        /// How outcomes are found.
        method: Method = Method::Exact,
        /// Convolutions and linear layers that multiply in TF32, as GPUs do: by name, with `*` for any characters.
        tf32: Vec<String> = Vec::new(),
        /// Of crashes: the probability that a neuron crashes, for all hidden layers or by layer (`{ "hidden.1" = 0.02 }`).
        crash: Option<Crash>,
        /// Of crashes: patterns drawn per sample.
        repetitions: Count = Count(100),
        /// Take only the first so many samples; all by default.
        samples: Option<Count>,
        /// Seed of the choice of faults, of what is drawn for them, and of crash patterns.
        seed: Seed,
    }
}

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
        /// The outputs of neurons of a multilayer perceptron, which crash together.
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

choice! {
    /// How outcomes are found.
    #[derive(Clone, Copy, PartialEq)]
    pub enum Method {
        /// Only what a fault changes, as far as it changes it; the verdicts are those of `full`.
        "exact" => Exact,
        /// The whole network for every fault and sample.
        "full" => Full,
        /// As `exact`, without pairs whose class a first-order prediction holds out of reach; some are audited.
        "screened" => Screened(Screened),
    }
}

config! {
    /// How pairs of a fault and a sample are skipped: they are taken for non-critical, and the results say how often that was
    /// wrong for those that were run all the same.
    #[derive(Clone, Copy, PartialEq)]
    pub struct Screened {
        /// Share of the pairs to be skipped that is run all the same.
        audit: Fraction = Fraction(0.001),
        /// By how much the predicted change may be too small.
        safety: Positive = Positive(2.0),
        /// The largest change that is predicted at all, as a multiple of the largest fault-free number.
        largest: NonNegative = NonNegative(1.0),
    }
}

/// How far the critical rate of a fault that was not drawn is taken to lie from the others of its stratum.
pub(super) const UNSEEN: f64 = 0.03;

impl Confidence {
    pub(super) fn precision(self) -> Precision {
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
    pub(super) fn precision(self) -> Precision {
        Precision { margin: self.margin.0, quantile: self.quantile.0, rate: 0.5 }
    }
}

impl Stratified {
    pub(super) fn by(&self) -> By {
        By {
            layer: self.by.contains(&Stratum::Layer),
            bit: if self.by.contains(&Stratum::Bit) { Fineness::Each } else { Fineness::All },
            sign: self.by.contains(&Stratum::Sign),
        }
    }
}

impl ListKeys {
    /// What of the keys says which faults are run; the files' own digests say what is in them.
    fn tree(&self) -> Tree {
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

impl Target {
    fn place(self) -> Option<Place> {
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
    pub(super) fn fault(self) -> Option<FaultModel> {
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
    fn draws(self) -> bool {
        matches!(self, Self::MultiBit(_) | Self::Random(_) | Self::Byzantine(_) | Self::BitErrorRate(_))
    }
}

impl Inject {
    pub(super) fn is_crash(&self) -> bool {
        self.model.0.contains(&Model::Crash)
    }

    /// The list that the faults come from, if they do.
    pub(super) fn list(&self) -> Option<&ListKeys> {
        match &self.sampling {
            Sampling::List(list) => Some(list),
            _ => None,
        }
    }

    /// The bits that can be hit.
    pub(super) fn bits(&self) -> Vec<u8> {
        match &self.bits {
            Some(bits) => bits.0.iter().map(|bit| u8::try_from(*bit).unwrap_or(u8::MAX)).collect(),
            None => (0..self.format().bits()).collect(),
        }
    }

    /// How parameters are stored.
    pub(super) fn format(&self) -> Format {
        self.format.into()
    }

    /// The protections that are compared.
    pub(super) fn protections(&self) -> &[Protect] {
        self.protect.as_ref().map_or(&[], |protect| &protect.0)
    }

    /// What single faults hit.
    pub(super) fn targets(&self) -> Targets {
        let sizes = |numbers: &[u32]| numbers.iter().map(|n| *n as usize).collect::<Vec<_>>();
        Targets {
            layers: self.layers.0.clone(),
            places: self.target.0.iter().filter_map(|target| target.place()).collect(),
            bits: self.bits(),
            models: self.model.0.iter().filter_map(|model| model.fault()).collect(),
            channels: self.channels.as_ref().map(|channels| sizes(&channels.0)),
            positions: self.positions.as_ref().map(|positions| positions.iter().map(|p| sizes(p)).collect()),
        }
    }

    /// The configuration as it enters the key: what has no effect is not in it.
    pub(super) fn tree(&self) -> Tree {
        let mut keys = vec![("samples", self.samples.to_tree())];
        if self.is_crash() {
            keys.push(("model", self.model.to_tree()));
            keys.push(("crash", self.crash.to_tree()));
            keys.push(("repetitions", self.repetitions.to_tree()));
            keys.push(("seed", self.seed.to_tree()));
        } else {
            self.campaign_keys(&mut keys);
        }
        Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }

    /// The keys that single faults depend on.
    fn campaign_keys(&self, keys: &mut Vec<(&'static str, Option<Tree>)>) {
        let integers = |numbers: &mut dyn Iterator<Item = u32>| {
            let mut numbers: Vec<u32> = numbers.collect();
            numbers.sort_unstable();
            numbers.dedup();
            Some(Tree::List(numbers.into_iter().map(|n| Tree::Integer(n.into())).collect()))
        };
        keys.push(("bits", integers(&mut self.bits().into_iter().map(u32::from))));
        keys.push(("layers", self.layers.to_tree()));
        keys.push(("images", self.images.to_tree()));
        // What was there before formats and protections keeps its key.
        keys.push(("format", if self.format == FormatKey::Fp32 { None } else { self.format.to_tree() }));
        let protect: Vec<Tree> = self.protections().iter().map(Protect::tree).collect();
        keys.push(("protect", if protect.is_empty() { None } else { Some(Tree::List(protect)) }));
        keys.push(("method", self.method.to_tree()));
        keys.push(("tf32", if self.tf32.is_empty() { None } else { self.tf32.to_tree() }));
        if let Sampling::List(list) = &self.sampling {
            keys.push(("list", Some(list.tree())));
        } else {
            let mut target = self.target.0.clone();
            target.sort();
            target.dedup();
            keys.push(("target", target.to_tree()));
            keys.push(("model", self.model.to_tree()));
            keys.push(("channels", self.channels.as_ref().and_then(|c| integers(&mut c.0.iter().copied()))));
            keys.push(("positions", self.positions.to_tree()));
            keys.push(("sampling", self.sampling.to_tree()));
            keys.push(("stop", self.stop.to_tree()));
        }
        if self.uses_seed() {
            keys.push(("seed", self.seed.to_tree()));
        }
    }

    /// Whether anything is drawn from the stage's own seed.
    fn uses_seed(&self) -> bool {
        let fixed = matches!(self.sampling, Sampling::Exhaustive | Sampling::Published(_) | Sampling::List(_));
        let drawn = !matches!(self.sampling, Sampling::List(_)) && self.model.0.iter().any(|model| model.draws());
        !fixed || drawn || self.images.is_some() || matches!(self.method, Method::Screened(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::key;

    const INPUTS: &str = "weights = 'train'\ndata = 'digits.test'\n";

    fn tree(keys: &str) -> Tree {
        key::<Inject>(&format!("{INPUTS}{keys}"))
    }

    #[test]
    fn keys_without_effect_do_not_enter_the_key() {
        let all = tree("sampling = 'exhaustive'");
        assert_eq!(all, tree("sampling = 'exhaustive'\nseed = 1\nrepetitions = 7\ntarget = ['weight', 'weight']"));
        assert_ne!(all, tree("sampling = 'exhaustive'\nbits = [30, 31]"));
        assert_eq!(tree("bits = [31, 30]"), tree("bits = [30, 31, 31]"));
        assert_ne!(tree("seed = 1"), tree("seed = 2"));
        assert_eq!(
            tree(""),
            tree("sampling = 'margin'\nmodel = 'bit-flip'\nlayers = '*'\nmethod = 'exact'\ntf32 = []")
        );
        let crash = "target = 'neuron'\nmodel = 'crash'\ncrash = 0.1\n";
        assert_eq!(tree(crash), tree(&format!("{crash}bits = 3\nsampling = {{ random = 5 }}\nlayers = 'output'")));
        assert_ne!(tree(crash), tree(&format!("{crash}repetitions = 7")));
    }

    #[test]
    fn a_seed_matters_where_something_is_drawn() {
        let differ = |keys: &str| tree(&format!("{keys}\nseed = 1")) != tree(&format!("{keys}\nseed = 2"));
        assert!(!differ("sampling = 'published'"));
        assert!(differ("sampling = 'published'\nimages = 8"));
        assert!(differ("sampling = 'published'\nmethod = 'screened'"));
        assert!(differ("sampling = 'exhaustive'\nmodel = { multi-bit = 2 }"));
        assert!(!differ("sampling = { list = { path = 'a.csv' } }"));
    }

    #[test]
    fn where_a_list_lies_does_not_enter_the_key() {
        let list = |path: &str, more: &str| tree(&format!("sampling = {{ list = {{ path = '{path}'{more} }} }}"));
        assert_eq!(list("a.csv", ""), list("b/c.csv", ", order = 'pytorch'"));
        assert_ne!(list("a.csv", ""), list("a.csv", ", first = 3"));
        assert_ne!(list("a.csv", ""), list("a.csv", ", order = 'keras'"));
        assert_ne!(list("a.csv", ""), list("a.csv", ", every = 2"));
        assert_eq!(list("a.csv", ""), list("a.csv", ", names = 'map.csv'"));
    }
}
