//! The keys of `inject`.

mod model;
mod sampling;

use duress_cache::Tree;
use duress_engine::input::Input;
use duress_engine::spec::{Count, Fraction, FromSpec, NonNegative, OneOrMany, Positive, Seed};
use duress_engine::{choice, config};
use duress_network::memory::Format;

use super::protect::{FormatKey, Protect};
use crate::nn::fault::space::Targets;
use crate::stages::artifact::{Split, Weights};
use crate::stages::crash::Crash;
pub use model::{Model, Range, Target};
pub(super) use sampling::UNSEEN;
pub use sampling::{Confidence, ListKeys, Published, Sampling, Stop, Stratified};

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
    use crate::stages::testing::{INPUTS, key};

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
