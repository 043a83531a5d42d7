//! The keys of `inject`.

use duress_cache::Tree;
use duress_engine::input::Input;
use duress_engine::spec::{Count, Fault, Fraction, FromSpec, OneOrMany, Seed};
use duress_engine::stage::InferContext;
use duress_engine::{choice, config};

use crate::nn::fault::{self, BitModel, Precision, WORD_BITS};
use crate::nn::statistics::normal_quantile;
use crate::stages::artifact::{self, Split, Weights};
use crate::stages::crash::Crash;

config! {
    /// Injects faults and compares with the fault-free run.
    ///
    /// Faults in weights (`target = "weight"`, `"bias"` or both) hit one bit of one stored number each, alone, for all samples.
    /// Neurons (`target = "neuron"`, `model = "crash"`) crash at random: their output becomes 0, the others keep their value.
    pub struct Inject {
        /// The network.
        weights: Input<Weights>,
        /// The samples.
        data: Input<Split>,
        /// What is hit.
        target: OneOrMany<Target> = OneOrMany(vec![Target::Weight]),
        /// What happens to it.
        model: Model = Model::BitFlip,
        /// Of weight faults: the layers that can be hit, by name; `*` stands for any characters.
        layers: OneOrMany<String> = OneOrMany(vec!["*".to_owned()]),
        /// Of weight faults: the bits that can be hit, 0 (least significant of the mantissa) to 31 (sign); all by default.
        bits: Option<OneOrMany<u32>>,
        /// Of weight faults: which of them are run.
        sampling: Sampling = Sampling::Margin(Confidence { margin: Fraction(0.01), confidence: Fraction(0.99), rate: Fraction(0.5) }),
        /// Of crashes: the probability that a neuron crashes, for all hidden layers or by layer (`{ "hidden.1" = 0.02 }`).
        crash: Option<Crash>,
        /// Of crashes: patterns drawn per sample.
        repetitions: Count = Count(100),
        /// Take only the first so many samples; all by default.
        samples: Option<Count>,
        /// Seed of the choice of faults and of crash patterns.
        seed: Seed,
    }
}

choice! {
    /// What is hit.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Target {
        /// Stored weights.
        "weight" => Weight,
        /// Stored biases.
        "bias" => Bias,
        /// The outputs of neurons.
        "neuron" => Neuron,
    }
}

choice! {
    /// What happens to what is hit.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Model {
        /// One bit is inverted.
        "bit-flip" => BitFlip,
        /// One bit reads 0.
        "stuck-at-0" => StuckAt0,
        /// One bit reads 1.
        "stuck-at-1" => StuckAt1,
        /// A neuron's output becomes 0.
        "crash" => Crash,
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

impl Confidence {
    pub(super) fn precision(self) -> Precision {
        let quantile = normal_quantile(f64::midpoint(1.0, self.confidence.0.min(1.0 - 1e-12)));
        Precision { margin: self.margin.0, quantile, rate: self.rate.0 }
    }
}

impl Inject {
    pub(super) fn is_crash(&self) -> bool {
        self.model == Model::Crash
    }

    /// The bits that can be hit.
    pub(super) fn bits(&self) -> Vec<u8> {
        match &self.bits {
            Some(bits) => bits.0.iter().map(|bit| u8::try_from(*bit).unwrap_or(u8::MAX)).collect(),
            None => (0..WORD_BITS).collect(),
        }
    }

    /// The targets of weight faults.
    pub(super) fn targets(&self) -> fault::Targets {
        let model = match self.model {
            Model::BitFlip | Model::Crash => BitModel::BitFlip,
            Model::StuckAt0 => BitModel::StuckAt0,
            Model::StuckAt1 => BitModel::StuckAt1,
        };
        fault::Targets {
            layers: self.layers.0.clone(),
            weights: self.target.0.contains(&Target::Weight),
            biases: self.target.0.contains(&Target::Bias),
            bits: self.bits(),
            models: vec![model],
        }
    }

    /// Reports what can be known to be wrong.
    pub(super) fn check(&self, cx: &mut InferContext<'_>) {
        let neuron = self.target.0.contains(&Target::Neuron);
        if neuron != self.is_crash() || (neuron && self.target.0.len() > 1) {
            let (message, help) = if self.is_crash() {
                ("`crash` happens to neurons alone", "write `target = \"neuron\"`")
            } else {
                ("neurons can crash, and nothing else yet", "write `model = \"crash\"`, or target weights or biases")
            };
            let fault = Fault::new("wrong-combination", cx.span_of("target"), message, "does not fit `model`");
            cx.faults.push(fault.help(help));
        }
        if self.is_crash() && self.crash.is_none() {
            let fault = Fault::new("missing-key", cx.span_of("model"), "`crash` is missing", "needs to know how often");
            cx.faults
                .push(fault.help("write `crash = { \"hidden.1\" = 0.02 }`, or `crash = 0.02` for all hidden layers"));
        }
        if !self.is_crash() {
            self.check_sites(cx);
        }
    }

    /// Reports layers and bits that there are not.
    fn check_sites(&self, cx: &mut InferContext<'_>) {
        for bit in self.bits().into_iter().filter(|bit| *bit >= WORD_BITS) {
            let message = format!("there is no bit {bit} in a 32-bit word");
            let fault = Fault::new("out-of-range", cx.span_of("bits"), message, "no such bit");
            cx.faults.push(fault.help("give bits from 0 (least significant) to 31 (sign)"));
        }
        let Some(network) = artifact::mlp(cx, &self.weights, "`inject`") else { return };
        let names: Vec<&str> = network.layers.iter().map(|layer| layer.name.as_str()).collect();
        for pattern in self.layers.0.iter().filter(|p| !names.iter().any(|name| fault::matches(p, name))) {
            let message = format!("there is no layer `{pattern}`");
            let fault = Fault::new("unknown-layer", cx.span_of("layers"), message, "no such layer");
            cx.faults.push(fault.help(format!("the layers are {}", names.join(", "))));
        }
        let hit = |layer: &&crate::nn::Layer| self.layers.0.iter().any(|p| fault::matches(p, &layer.name));
        let only_biases = !self.target.0.contains(&Target::Weight) && self.target.0.contains(&Target::Bias);
        if only_biases && !network.layers.iter().filter(hit).any(|layer| layer.bias) {
            let fault =
                Fault::new("nothing-to-hit", cx.span_of("target"), "these layers have no biases", "nothing to hit");
            cx.faults.push(fault.help("target weights, or train a model with `bias = true`"));
        }
    }

    /// The configuration as it enters the key: what has no effect is not in it.
    pub(super) fn tree(&self) -> Tree {
        let mut keys = vec![("model", self.model.to_tree()), ("samples", self.samples.to_tree())];
        if self.is_crash() {
            keys.push(("crash", self.crash.to_tree()));
            keys.push(("repetitions", self.repetitions.to_tree()));
            keys.push(("seed", self.seed.to_tree()));
        } else {
            let mut target = self.target.0.clone();
            target.sort();
            target.dedup();
            let mut bits = self.bits();
            bits.sort_unstable();
            bits.dedup();
            keys.push(("target", target.to_tree()));
            keys.push(("layers", self.layers.to_tree()));
            keys.push(("bits", Some(Tree::List(bits.into_iter().map(|b| Tree::Integer(b.into())).collect()))));
            keys.push(("sampling", self.sampling.to_tree()));
            if !matches!(self.sampling, Sampling::Exhaustive) {
                keys.push(("seed", self.seed.to_tree()));
            }
        }
        Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{infer, key};

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
        assert_eq!(tree(""), tree("sampling = 'margin'\nmodel = 'bit-flip'\nlayers = '*'"));
        let crash = "target = 'neuron'\nmodel = 'crash'\ncrash = 0.1\n";
        assert_eq!(tree(crash), tree(&format!("{crash}bits = 3\nsampling = {{ random = 5 }}\nlayers = 'output'")));
        assert_ne!(tree(crash), tree(&format!("{crash}repetitions = 7")));
    }

    #[test]
    fn what_cannot_be_is_told_at_plan_time() {
        let faults = |keys: &str| -> Vec<&'static str> {
            infer::<Inject>(&format!("{INPUTS}{keys}"), 4).1.iter().map(|fault| fault.code).collect()
        };
        assert_eq!(faults("sampling = { random = 400 }\nmodel = 'stuck-at-1'"), [""; 0]);
        assert_eq!(faults("bits = 32"), ["out-of-range"]);
        assert_eq!(faults("layers = ['hidden.*', 'outptu']"), ["unknown-layer"]);
        assert_eq!(faults("target = 'bias'"), ["nothing-to-hit"]);
        assert_eq!(faults("target = 'neuron'"), ["wrong-combination"]);
        assert_eq!(faults("model = 'crash'\ncrash = 0.1"), ["wrong-combination"]);
        assert_eq!(faults("target = 'neuron'\nmodel = 'crash'"), ["missing-key"]);
        assert_eq!(faults("target = 'neuron'\nmodel = 'crash'\ncrash = { 'hidden.3' = 0.1 }"), ["unknown-layer"]);
        assert_eq!(faults("target = 'neuron'\nmodel = 'crash'\ncrash = { 'hidden.1' = 1.1 }"), ["out-of-range"]);
    }

    #[test]
    fn only_what_a_campaign_makes_can_be_asked_for() {
        let outputs = |keys: &str| -> Vec<&'static str> {
            infer::<Inject>(&format!("{INPUTS}{keys}"), 4).0.iter().map(|output| output.name).collect()
        };
        assert_eq!(outputs(""), ["results", "strata", "faults"]);
        assert_eq!(outputs("target = 'neuron'\nmodel = 'crash'\ncrash = 0.1"), ["results", "errors"]);
    }
}
