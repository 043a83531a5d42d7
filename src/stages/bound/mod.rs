//! `bound`: what theory says of crashing neurons, sample by sample, beside what was measured.
//!
//! Bounds are certified (proven; a measurement beyond one is a bug, and fails the stage) or estimates (predictions to first
//! order). See [`crate::nn::bound`] for the formulas.

mod tables;

use duress_cache::{Artifact, Tree};
use duress_engine::input::Input;
use duress_engine::run::RunContext;
use duress_engine::spec::{Count, Fault, FromSpec, OneOrMany};
use duress_engine::stage::{InferContext, InputFacts, OutputDoc, OutputFact, Stage, StageError, StageKind};
use duress_engine::{choice, config};

use duress_network::{Node, Op};

use super::artifact::{self, CrashErrors, Split, Weights};
use super::crash::Crash;
use super::crash_errors::{self, CrashFact};
use super::examples::examples;
use crate::nn::Mask;
use crate::nn::bound::{CrashForm, NormOf, Variance, Without, check_chain, crash_bounds, read_chain};

config! {
    /// Bounds the output errors of crashing neurons.
    ///
    /// The network is one layer after the other: linear layers and convolutions, with batch normalisation and activations behind
    /// them, average pooling and flattening between. A layer is named as its linear layer or convolution; its neurons are what comes
    /// out behind the activation, at every place.
    pub struct Bound {
        /// The network.
        weights: Input<Weights>,
        /// The samples.
        data: Input<Split>,
        /// The probability that a neuron crashes, for all hidden layers or by layer (`{ "hidden.1" = 0.02 }`).
        crash: Crash,
        /// Which bounds are reported.
        bounds: OneOrMany<Which> = OneOrMany(vec![Which::B1, Which::B2, Which::B3, Which::B4]),
        /// The variance of one neuron's crash.
        variance: VarianceForm = VarianceForm::Published,
        /// The vector whose norm `b1` multiplies.
        norm_of: NormForm = NormForm::CrashedLayer,
        /// Errors that `inject` measured on the same network, samples and crashes.
        measured: Option<Input<CrashErrors>>,
        /// Take only the first so many samples; all by default.
        samples: Option<Count>,
    }
}

choice! {
    /// A bound on output errors.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Which {
        /// Products of norms, in three norms; certified but for the 2-norm.
        "b1" => B1,
        /// Absolute values propagated; its mean is certified.
        "b2" => B2,
        /// First-order Taylor expansion; an estimate.
        "b3" => B3,
        /// Every single crash carried out; an estimate to first order in the probability.
        "b4" => B4,
    }
}

choice! {
    /// The variance of one neuron's crash.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum VarianceForm {
        /// `p`, as published.
        "published" => Published,
        /// `p (1 - p)`, exact for a linear network.
        "binomial" => Binomial,
    }
}

choice! {
    /// The vector whose norm `b1` multiplies.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum NormForm {
        /// The crashing layer's values.
        "crashed-layer" => CrashedLayer,
        /// The network's input, as in the authors' program; no bound.
        "input" => Input,
    }
}

impl StageKind for Bound {
    const KIND: &'static str = "bound";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Bound the damage of crashing neurons, beside what was measured";
    const EXAMPLE: &'static str = include_str!("example.toml");
    const OUTPUTS: &'static [OutputDoc] = &[
        OutputDoc { name: "results", artifact: "table", doc: "Bounds and measurements over all samples and outputs" },
        OutputDoc { name: "bounds", artifact: "table", doc: "Every bound of every sample and output" },
    ];
}

impl Stage for Bound {
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        artifact::check_fit(cx, &self.weights, &self.data);
        if let Some(layers) = artifact::sequence(cx, &self.weights, "`bound`", check_chain) {
            self.check_slopes(cx);
            let rates = self.crash.infer(cx, &layers);
            self.check_measured(cx, rates);
        }
        vec![
            OutputFact { name: "results", fact: tables::RESULTS.fact() },
            OutputFact { name: "bounds", fact: artifact::table_fact("table", tables::BOUNDS) },
        ]
    }

    fn config(&self) -> Tree {
        let mut bounds = self.bounds.0.clone();
        bounds.sort();
        bounds.dedup();
        let mut keys = vec![
            ("crash", self.crash.to_tree()),
            ("bounds", bounds.to_tree()),
            ("variance", self.variance.to_tree()),
            ("samples", self.samples.to_tree()),
        ];
        if bounds.contains(&Which::B1) {
            keys.push(("norm_of", self.norm_of.to_tree()));
        }
        Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }

    fn memory(&self, inputs: &InputFacts) -> u64 {
        let network = inputs.slot(self.weights.slot).and_then(|fact| fact.detail::<crate::nn::Network>());
        let bytes = |network: &crate::nn::Network| {
            let values = network.shapes().iter().map(|shape| shape.iter().product::<usize>() as u64).sum::<u64>();
            // What the largest singular values of layers are found in.
            let basis = if self.wants(&[Which::B1]) { 300 } else { 0 };
            // The network in double precision, and for a few samples at once its values with their derivatives.
            let derivatives = values.saturating_mul(16 * (network.output_len() as u64 + 4) + basis);
            8 * (network.parameter_count() as u64).saturating_add(derivatives)
        };
        network.map_or(0, bytes) + (64 << 20)
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        crate::device::on_cpu(cx, "`bound`");
        let weights = artifact::weights(cx, &self.weights)?;
        let layers = check_chain(weights.network()).map_err(StageError::failed)?;
        let data = examples(cx, &self.data, self.samples)?;
        let unknown = |names: Vec<String>| {
            StageError::failed(format!("bound crashes of `{}`: no such layer", names.join("`, `")))
        };
        let rates = self.crash.rates(&layers).map_err(unknown)?;
        let chain = read_chain(&weights).map_err(StageError::failed)?;
        let inputs: Vec<f64> = data.x.iter().map(|v| f64::from(*v)).collect();
        let form = self.form();
        let rows = cx.install(|| crash_bounds(&chain, &inputs, &rates, form)).map_err(StageError::failed)?;
        let measured = self.measured(cx, &rates)?;
        let lines = tables::lines(&rows, &self.bounds.0, form, measured.as_deref());
        if let Some(violation) = tables::first_violation(&lines) {
            return Err(StageError::failed(violation));
        }
        tables::artifact(&lines, Mask::density_of(&weights)).map_err(StageError::failed)
    }
}

impl Bound {
    fn form(&self) -> CrashForm {
        CrashForm {
            variance: match self.variance {
                VarianceForm::Published => Variance::Published,
                VarianceForm::Binomial => Variance::Binomial,
            },
            norm_of: match self.norm_of {
                NormForm::CrashedLayer => NormOf::CrashedLayer,
                NormForm::Input => NormOf::Input,
            },
            // b3 tells where it is not to be trusted, which takes b4.
            without: Without { norms: !self.wants(&[Which::B1]), expansions: !self.wants(&[Which::B3, Which::B4]) },
        }
    }

    fn wants(&self, any: &[Which]) -> bool {
        self.bounds.0.iter().any(|which| any.contains(which))
    }

    /// Reports, at the key `weights`, activations without a greatest slope, which b1 and b2 multiply by.
    fn check_slopes(&self, cx: &mut InferContext<'_>) {
        let steep = |node: &&Node| matches!(node.op, Op::Activation(f) if f.lipschitz().is_infinite());
        let node = artifact::network(cx, &self.weights).and_then(|network| network.nodes().iter().find(steep));
        if let Some(Node { name, .. }) = node.filter(|_| self.wants(&[Which::B1, Which::B2])) {
            let message = format!("b1 and b2 take the greatest slope of an activation, and `{name}` has none");
            let fault = Fault::new("wrong-network", cx.span_of("weights"), message, format!("has `{name}`"));
            cx.faults.push(fault.help("write `bounds = [\"b3\", \"b4\"]`, or use an activation of bounded slope"));
        }
    }

    /// Reports, at the key `measured`, crashes other than those that are bounded.
    fn check_measured(&self, cx: &mut InferContext<'_>, rates: Option<Vec<f64>>) {
        let Some(measured) = &self.measured else { return };
        let Some(fact) = cx.inputs.slot(measured.slot) else {
            let message = "`measured` is a stage that measures no crashes";
            let fault = Fault::new("crash-mismatch", cx.span_of("measured"), message, "no crash errors");
            cx.faults.push(fault.help("name a stage with `target = \"neuron\"` and `model = \"crash\"`"));
            return;
        };
        let known = fact.detail::<CrashFact>();
        let (Some(rates), Some(known)) = (rates, known) else { return };
        if known.rates != rates {
            let message =
                format!("`measured` let neurons crash at {:?} but `crash` says {rates:?}, by layer", known.rates);
            let fault = Fault::new("crash-mismatch", cx.span_of("measured"), message, "other crashes");
            cx.faults.push(fault.help("give both stages the same `crash`"));
        }
    }

    /// The measured errors, if any are given.
    fn measured(&self, cx: &RunContext<'_>, rates: &[f64]) -> Result<Option<Vec<crash_errors::Measured>>, StageError> {
        let Some(input) = &self.measured else { return Ok(None) };
        let table = cx.table(input)?;
        if crash_errors::rates(&table).as_deref() != Some(rates) {
            return Err(StageError::failed(
                "compare bounds with errors measured at other crash rates: give both the same `crash`",
            ));
        }
        crash_errors::measured(&table).map(Some).map_err(StageError::failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Activation, Network};
    use crate::stages::inject::Inject;
    use crate::stages::testing::{INPUTS, infer, infer_on, key};
    use duress_network::op::{AvgPool, BatchNorm, Conv2d, Linear, MaxPool};

    #[test]
    fn keys_without_effect_do_not_enter_the_key() {
        let tree = |keys: &str| key::<Bound>(&format!("{INPUTS}crash = 0.1\n{keys}"));
        assert_eq!(tree("bounds = ['b4', 'b2', 'b4']"), tree("bounds = ['b2', 'b4']"));
        assert_eq!(tree("bounds = 'b2'"), tree("bounds = 'b2'\nnorm_of = 'input'"));
        assert_ne!(tree("bounds = 'b1'"), tree("bounds = 'b1'\nnorm_of = 'input'"));
        assert_ne!(tree(""), tree("variance = 'binomial'"));
    }

    #[test]
    fn layers_that_there_are_not_are_faults() {
        let (facts, faults) = infer::<Bound>(&format!("{INPUTS}crash = {{ 'hidden.9' = 0.1 }}"), 4);
        assert_eq!(faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["unknown-layer"]);
        assert!(faults[0].help.as_ref().is_some_and(|help| help.contains("hidden.1, hidden.2, output")));
        assert_eq!(facts.len(), 2);
    }

    #[test]
    fn a_measurement_of_something_else_is_a_fault() {
        let (_, faults) = infer::<Bound>(&format!("{INPUTS}crash = 0.1\nmeasured = 'flipped'"), 4);
        assert_eq!(faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["crash-mismatch"]);
    }

    /// A convolution, `middle`, and an output layer.
    fn convolutional(middle: Vec<Op>) -> Network {
        let ends = [Op::Flatten, Op::Linear(Linear { outputs: 3, bias: true })];
        let ops = [Op::Conv2d(Conv2d::new(2, 3).padding(1))].into_iter().chain(middle).chain(ends);
        let node = |(index, op): (usize, Op)| Node { name: format!("{}{index}", op.name()), op, inputs: vec![index] };
        Network::new(vec![1, 4, 4], ops.enumerate().map(node).collect()).expect("fits")
    }

    #[test]
    fn networks_that_bounds_follow_are_taken_by_the_names_of_their_layers() {
        let middle = || vec![Op::BatchNorm(BatchNorm::default()), Op::Activation(Activation::relu())];
        let network = || convolutional([middle(), vec![Op::AvgPool(AvgPool::new(2))]].concat());
        let (_, faults) = infer_on::<Bound>(&format!("{INPUTS}crash = {{ conv2d0 = 0.1 }}"), 16, network());
        assert!(faults.is_empty(), "{faults:?}");
        let (_, faults) = infer_on::<Bound>(&format!("{INPUTS}crash = {{ avg-pool3 = 0.1 }}"), 16, network());
        assert!(faults[0].help.as_ref().is_some_and(|help| help.contains("input, conv2d0, linear5")), "{faults:?}");
    }

    #[test]
    fn what_bounds_cannot_follow_is_told_at_plan_time_by_name_and_with_a_fix() {
        let tell = |keys: &str, middle: Vec<Op>| {
            let (_, faults) = infer_on::<Bound>(&format!("{INPUTS}crash = 0.1\n{keys}"), 16, convolutional(middle));
            let told = |fault: &Fault| format!("{} {} {:?}", fault.code, fault.message, fault.help);
            faults.iter().map(told).collect::<Vec<_>>()
        };
        let told = tell("", vec![Op::MaxPool(MaxPool::new(2))]);
        assert_eq!(told.len(), 1);
        for word in ["wrong-network", "`max-pool1`", "maximum", "average pooling"] {
            assert!(told[0].contains(word), "{told:?}");
        }
        let power = || vec![Op::Activation(Activation::RectifiedPower { power: 2.0 })];
        let told = tell("", power());
        assert!(told[0].contains("`activation1` has none") && told[0].contains("b3"), "{told:?}");
        assert!(tell("bounds = ['b3', 'b4']", power()).is_empty());
    }

    #[test]
    fn crashes_are_measured_on_any_sequence_of_layers_and_on_nothing_else() {
        let keys = format!("{INPUTS}target = 'neuron'\nmodel = 'crash'\ncrash = {{ conv2d0 = 0.1 }}");
        let (_, faults) = infer_on::<Inject>(&keys, 16, convolutional(vec![Op::MaxPool(MaxPool::new(2))]));
        assert!(faults.is_empty(), "a maximum is no hindrance to measuring: {faults:?}");
        let (_, faults) = infer_on::<Inject>(&keys, 16, convolutional(vec![Op::Tokens, Op::Position]));
        assert!(faults[0].code == "wrong-network" && faults[0].message.contains("`position2`"), "{faults:?}");
    }
}
