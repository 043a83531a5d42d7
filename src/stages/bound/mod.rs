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

use super::artifact::{self, CrashErrors, Split, Weights};
use super::crash::Crash;
use super::crash_errors::{self, CrashFact};
use super::examples::examples;
use crate::nn::Mask;
use crate::nn::bound::{CrashForm, DenseChain, NormOf, Variance, crash_bounds};

config! {
    /// Bounds the output errors of crashing neurons.
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
        if let Some(network) = artifact::mlp(cx, &self.weights, "`bound`") {
            let rates = self.crash.infer(cx, &network);
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
        // The network in double precision, and a few rows per sample and output.
        network.map_or(0, |n| n.parameter_count() as u64 * 8) + (64 << 20)
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let weights = artifact::weights(cx, &self.weights)?;
        let layers = artifact::mlp_weights(&weights)?;
        let data = examples(cx, &self.data, self.samples)?;
        let unknown = |names: Vec<String>| {
            StageError::failed(format!("bound crashes of `{}`: no such layer", names.join("`, `")))
        };
        let rates = self.crash.rates(&layers.network).map_err(unknown)?;
        let chain = DenseChain::of_weights(&layers).map_err(StageError::failed)?;
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
    use crate::stages::testing::{infer, key};

    const INPUTS: &str = "weights = 'train'\ndata = 'digits.test'\n";

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
}
