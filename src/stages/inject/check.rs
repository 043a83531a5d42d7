//! What can be known to be wrong with an `inject` stage before it runs, and how many faults it will run.

use std::collections::BTreeSet;

use duress_engine::spec::{Fault, Span, Value};
use duress_engine::stage::{InferContext, InputFacts};
use duress_network::memory::Format;

use super::config::{Inject, Method, Model, Sampling, Target};
use crate::nn::fault::design::{self, is_published_space, planned};
use crate::nn::fault::precision::margin_of;
use crate::nn::fault::space::{FaultSpace, SpaceError, Targets, layer_names};
use crate::nn::fault::{FaultModel, WORD_BITS, matches};
use crate::nn::statistics::normal_quantile;
use crate::nn::{Network, fault};
use crate::stages::artifact::{self, DataFact};
use crate::units::spaced;

impl Inject {
    /// Reports what can be known to be wrong.
    pub(super) fn check(&self, cx: &mut InferContext<'_>) {
        let neuron = self.target.0.contains(&Target::Neuron);
        let alone = self.target.0.len() == 1 && self.model.0.len() == 1;
        if neuron != self.is_crash() || (neuron && !alone) {
            let (message, help) = if self.is_crash() {
                ("`crash` happens to neurons, alone", "write `target = \"neuron\"` and no other target or model")
            } else {
                (
                    "neurons crash together, and nothing else happens to them",
                    "write `model = \"crash\"`, or `target = \"activation\"` for single faults",
                )
            };
            report(cx, "wrong-combination", "target", message, "does not fit `model`", help);
            return;
        }
        if self.is_crash() {
            if self.crash.is_none() {
                let help = "write `crash = { \"hidden.1\" = 0.02 }`, or `crash = 0.02` for all hidden layers";
                report(cx, "missing-key", "model", "`crash` is missing", "needs to know how often", help);
            }
            return;
        }
        self.check_models(cx);
        self.check_combinations(cx);
        self.check_screening(cx);
        self.check_images(cx);
        self.check_protections(cx);
        if let Some(network) = artifact::network(cx, &self.weights) {
            self.check_places(cx, network);
        }
    }

    fn check_models(&self, cx: &mut InferContext<'_>) {
        for model in &self.model.0 {
            match model {
                Model::MultiBit(count) if count.0 > u64::from(WORD_BITS) => {
                    let message = format!("a number has {WORD_BITS} bits, not {}", count.0);
                    report(cx, "out-of-range", "model", message, "too many bits", "invert 1 to 32 bits");
                }
                Model::Random(range) | Model::Byzantine(range) if range.low > range.high => {
                    let message = format!("nothing lies between {} and {}", range.low, range.high);
                    report(cx, "out-of-range", "model", message, "empty", "let `low` be at most `high`");
                }
                _ => {}
            }
        }
        let width = self.format().bits();
        for bit in self.bits().into_iter().filter(|bit| *bit >= width) {
            let message = format!("there is no bit {bit} in a {width}-bit word");
            let help = format!("give bits from 0 (least significant) to {} (sign)", width - 1);
            report(cx, "out-of-range", "bits", message, "no such bit", &help);
        }
    }

    fn check_combinations(&self, cx: &mut InferContext<'_>) {
        let endless = self.model.0.iter().any(|model| matches!(model, Model::BitErrorRate(_)));
        let drawn = matches!(self.sampling, Sampling::Random(_) | Sampling::Margin(_));
        if endless && !drawn && self.list().is_none() {
            let message = "there is no end of bit errors, so that neither all of them nor shares of layers can be run";
            report(cx, "wrong-combination", "sampling", message, "needs an end", "write `sampling = { random = 100 }`");
        }
        if self.stop.is_some() && !drawn && !matches!(self.sampling, Sampling::Stratified(_)) {
            let message = "a campaign can stop early where faults are drawn uniformly or in rounds";
            let help =
                "write `sampling = { random = ... }`, `{ margin = ... }` or `{ stratified = ... }`, or drop `stop`";
            report(cx, "wrong-combination", "stop", message, "does not fit `sampling`", help);
        }
        if self.list().is_some() {
            for key in ["target", "model", "channels", "positions", "stop"] {
                if is_written(cx, key) {
                    let message = format!("`{key}` has no effect on a list, which says what is hit and how");
                    report(cx, "unused-key", key, message, "the list decides", "drop it");
                }
            }
        }
    }

    fn check_screening(&self, cx: &mut InferContext<'_>) {
        if let Method::Screened(keys) = self.method
            && keys.safety.0 < 1.0
        {
            let message = "a safety below 1 would skip what is predicted to be critical";
            report(cx, "out-of-range", "method", message, "too small", "write a `safety` of at least 1");
        }
    }

    fn check_protections(&self, cx: &mut InferContext<'_>) {
        let (format, network) = (self.format(), artifact::network(cx, &self.weights));
        if format != Format::Fp32 {
            let words = matches!(self.sampling, Sampling::DataAware(_))
                || self.model.0.iter().any(|model| matches!(model, Model::MultiBit(_)));
            if words {
                let message = "`multi-bit` and `data_aware` are about words of 32 bits";
                let help = "drop `format`, or choose another model or sampling";
                report(cx, "wrong-combination", "format", message, "narrower words", help);
            }
            if self.target.0.iter().any(|target| matches!(target, Target::Activation | Target::Channel)) {
                let message = "`format` is about stored parameters, and activations are in single precision";
                report(cx, "wrong-combination", "format", message, "not of activations", "drop it, or target weights");
            }
        }
        let mut labels = BTreeSet::from(["none"]);
        for protect in self.protections() {
            protect.check(cx, format, network);
            if !labels.insert(protect.label()) {
                let message = format!("two protections are called `{}`", protect.label());
                let help = "give each a `label` of its own, other than `none`";
                report(cx, "duplicate-name", "protect", message, "ambiguous", help);
            }
        }
    }

    fn check_images(&self, cx: &mut InferContext<'_>) {
        let rows = artifact::data(cx, &self.data).and_then(|data| data.rows);
        let rows = rows.map(|rows| self.samples.map_or(rows, |limit| rows.min(limit.size())));
        if let (Some(images), Some(rows)) = (self.images, rows)
            && images.size() > rows
        {
            let message = format!("{} images cannot be drawn from {rows} samples", images.0);
            report(cx, "out-of-range", "images", message, "more than there are", "draw fewer, or leave `images` out");
        }
    }

    /// Reports layers and the like that the network does not have.
    fn check_places(&self, cx: &mut InferContext<'_>, network: &Network) {
        let before = cx.faults.len();
        let targets = self.targets();
        let names = layer_names(network, &targets);
        for pattern in &self.layers.0 {
            let one = Targets {
                layers: vec![pattern.clone()],
                bits: vec![0],
                models: vec![FaultModel::Zero],
                ..targets.clone()
            };
            if let Err(SpaceError::NoSuchLayer { .. }) = FaultSpace::new(network, &one, 0) {
                let message = format!("there is no layer `{pattern}` with such numbers");
                let help = format!("the layers are {}", names.join(", "));
                report(cx, "unknown-layer", "layers", message, "no such layer", &help);
            }
        }
        for pattern in &self.tf32 {
            let known: Vec<&str> = multiplying(network).map(|node| network.nodes()[node - 1].name.as_str()).collect();
            if !known.iter().any(|name| matches(pattern, name)) {
                let message = format!("there is no convolution and no linear layer `{pattern}`");
                let help = format!("those there are: {}", known.join(", "));
                report(cx, "unknown-layer", "tf32", message, "no such layer", &help);
            }
        }
        if cx.faults.len() > before || !self.bits().iter().all(|bit| *bit < WORD_BITS) {
            return;
        }
        match FaultSpace::new(network, &targets, self.seed.0) {
            Err(error) => report_space(cx, &error),
            Ok(space) if matches!(self.sampling, Sampling::Published(_)) && !is_published_space(&space) => {
                let message = "the published generator draws bit flips in all bits of weights, and nothing else";
                let help = "drop `target`, `model` and `bits`, or choose another `sampling`";
                report(cx, "wrong-combination", "sampling", message, "does not fit", help);
            }
            Ok(_) => {}
        }
    }

    /// How the faults of a space are chosen, where that does not depend on outcomes or files.
    pub(super) fn plain_sampling(&self) -> Option<design::Sampling> {
        Some(match &self.sampling {
            Sampling::Exhaustive => design::Sampling::Exhaustive,
            Sampling::Random(count) => design::Sampling::Random(count.0),
            Sampling::Layers(count) => design::Sampling::Layers(count.0),
            Sampling::Margin(confidence) => design::Sampling::Margin(confidence.precision()),
            Sampling::LayerMargin(confidence) => design::Sampling::LayerMargin(confidence.precision()),
            Sampling::BitMargin(confidence) => design::Sampling::BitMargin(confidence.precision()),
            Sampling::DataAware(confidence) => design::Sampling::DataAware(confidence.precision()),
            Sampling::Published(keys) => design::Sampling::Published(keys.seed, keys.precision()),
            Sampling::Stratified(_) | Sampling::List(_) => return None,
        })
    }

    /// What a plan says of the campaign: how many faults of how many, on how many images, and what that can tell.
    pub(super) fn announcement(&self, inputs: &InputFacts) -> Option<String> {
        if self.is_crash() {
            return None;
        }
        let rows = inputs.slot(self.data.slot).and_then(|fact| fact.detail::<DataFact>()).and_then(|data| data.rows);
        let rows = rows.map(|rows| self.samples.map_or(rows, |limit| rows.min(limit.size())));
        let on = match (self.images, rows) {
            (Some(images), Some(rows)) => format!(", each on {} of {} samples", spaced(images.0), spaced(rows as u64)),
            (Some(images), None) => format!(", each on {} samples", spaced(images.0)),
            (None, Some(rows)) => format!(", each on {} samples", spaced(rows as u64)),
            (None, None) => String::new(),
        };
        if let Some(list) = self.list() {
            return Some(format!("the faults of {}{on}", list.path.display()));
        }
        let network = inputs.slot(self.weights.slot)?.detail::<Network>()?;
        let space = FaultSpace::new(network, &self.targets(), self.seed.0).ok()?;
        let population = space.population();
        let of =
            population.map_or_else(|| "draws of the memory".to_owned(), |all| format!("of {} faults", spaced(all)));
        let count = match &self.sampling {
            Sampling::Stratified(keys) => Some(population.map_or(keys.faults.0, |all| keys.faults.0.min(all))),
            _ => planned(&space, self.plain_sampling()?),
        };
        let Some(count) = count else {
            return Some(format!("as many {of} as the stored bits call for{on}"));
        };
        let (confidence, rate) = self.confidence();
        let margin = margin_of(count, population, normal_quantile(f64::midpoint(1.0, confidence)), rate);
        let tells = match &self.sampling {
            Sampling::Exhaustive => "; exact".to_owned(),
            Sampling::Stratified(_) => "; where they tell most of the critical rate".to_owned(),
            _ => format!(
                "; margin {:.3} points at {} % confidence for a rate of {rate}",
                100.0 * margin,
                percent(confidence)
            ),
        };
        let stop = self.stop.map_or_else(String::new, |stop| {
            format!("; stops at {} points and {} % confidence", percent(stop.width.0), percent(stop.confidence.0))
        });
        Some(format!("{} {of}{on}{tells}{stop}", spaced(count)))
    }

    /// The confidence and the expected rate that the sampling speaks of.
    fn confidence(&self) -> (f64, f64) {
        match &self.sampling {
            Sampling::Margin(c) | Sampling::LayerMargin(c) | Sampling::BitMargin(c) | Sampling::DataAware(c) => {
                (c.confidence.0.min(1.0 - 1e-12), c.rate.0)
            }
            _ => (0.99, 0.5),
        }
    }
}

/// The nodes that multiply by stored weights and could do so in TF32.
pub(super) fn multiplying(network: &Network) -> impl Iterator<Item = usize> {
    let is = |node: &usize| {
        matches!(network.nodes()[node - 1].op, duress_network::Op::Conv2d(_) | duress_network::Op::Linear(_))
    };
    (1..=network.nodes().len()).filter(is)
}

fn report_space(cx: &mut InferContext<'_>, error: &fault::space::SpaceError) {
    let text = error.to_string();
    let (message, help) = text.split_once(": ").unwrap_or((&text, "choose another target"));
    let message = format!("cannot {message}");
    match error {
        SpaceError::NoSuchLayer { .. } => report(cx, "unknown-layer", "layers", message, "no such layer", help),
        SpaceError::NoSuchBit(_) => report(cx, "out-of-range", "bits", message, "no such bit", help),
        SpaceError::NoSuchChannel { .. } => report(cx, "out-of-range", "channels", message, "no such channel", help),
        SpaceError::NoSuchPosition(_) => report(cx, "out-of-range", "positions", message, "no such position", help),
        SpaceError::WrongModel { .. } => {
            report(cx, "wrong-combination", "model", message, "does not fit `target`", help);
        }
        SpaceError::Empty => report(cx, "nothing-to-hit", "target", message, "nothing to hit", help),
    }
}

pub(super) fn report(
    cx: &mut InferContext<'_>,
    code: &'static str,
    key: &str,
    message: impl Into<String>,
    label: &str,
    help: &str,
) {
    let span: Span = cx.span_of(key);
    cx.faults.push(Fault::new(code, span, message.into(), label.to_owned()).help(help.to_owned()));
}

fn is_written(cx: &InferContext<'_>, key: &str) -> bool {
    matches!(&cx.table.value, Value::Table(table) if table.get(key).is_some())
}

/// A share in percent, to four places at most.
fn percent(share: f64) -> f64 {
    (1e6 * share).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{fault_codes, output_names};

    fn faults(keys: &str) -> Vec<&'static str> {
        fault_codes::<Inject>(keys)
    }

    #[test]
    fn what_cannot_be_is_told_at_plan_time() {
        assert_eq!(faults("sampling = { random = 400 }\nmodel = 'stuck-at-1'"), [""; 0]);
        assert_eq!(faults("bits = 32"), ["out-of-range"]);
        assert_eq!(faults("layers = ['hidden.*', 'outptu']"), ["unknown-layer"]);
        assert_eq!(faults("target = 'bias'"), ["unknown-layer"]);
        assert_eq!(faults("target = 'neuron'"), ["wrong-combination"]);
        assert_eq!(faults("model = 'crash'\ncrash = 0.1"), ["wrong-combination"]);
        assert_eq!(faults("target = 'neuron'\nmodel = 'crash'"), ["missing-key"]);
        assert_eq!(faults("target = 'neuron'\nmodel = 'crash'\ncrash = { 'hidden.3' = 0.1 }"), ["unknown-layer"]);
        assert_eq!(faults("target = 'neuron'\nmodel = 'crash'\ncrash = { 'hidden.1' = 1.1 }"), ["out-of-range"]);
    }

    #[test]
    fn combinations_that_make_no_sense_are_told_at_plan_time() {
        assert_eq!(faults("model = { multi-bit = 33 }"), ["out-of-range"]);
        assert_eq!(faults("model = { random = { low = 1.0, high = 0.0 } }"), ["out-of-range"]);
        assert_eq!(faults("model = 'byzantine'"), ["wrong-combination"]);
        assert_eq!(faults("target = 'activation'\nmodel = 'byzantine'"), [""; 0]);
        assert_eq!(faults("model = { bit-error-rate = 1e-3 }\nsampling = { random = 5 }"), [""; 0]);
        assert_eq!(faults("model = { bit-error-rate = 1e-3 }\nsampling = 'exhaustive'"), ["wrong-combination"]);
        assert_eq!(faults("sampling = 'published'\nbits = 30"), ["wrong-combination"]);
        assert_eq!(faults("sampling = 'exhaustive'\nstop = { width = 0.01 }"), ["wrong-combination"]);
        assert_eq!(faults("sampling = { list = { path = 'a.csv' } }\nmodel = 'zero'\nchannels = 1"), ["unused-key"; 2]);
        assert_eq!(faults("images = 51"), ["out-of-range"]);
        assert_eq!(faults("tf32 = ['conv*']"), ["unknown-layer"]);
        assert_eq!(faults("method = { screened = { safety = 0.5 } }"), ["out-of-range"]);
        assert_eq!(faults("method = { screened = { audit = 0.01 } }"), [""; 0]);
        assert_eq!(faults("target = 'activation'\nmodel = 'zero'\nchannels = 5"), ["out-of-range"]);
        assert_eq!(
            faults("bits = [40]\nlayers = 'none'\nimages = 51"),
            ["out-of-range", "unknown-layer", "out-of-range"]
        );
    }

    #[test]
    fn only_what_a_campaign_makes_can_be_asked_for() {
        let outputs = output_names::<Inject>;
        assert_eq!(outputs(""), ["results", "strata", "faults"]);
        assert_eq!(outputs("target = 'neuron'\nmodel = 'crash'\ncrash = 0.1"), ["results", "errors"]);
    }
}
