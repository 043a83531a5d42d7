//! `evaluate`: accuracy, loss and calibration of a network, class by class; and the activations of a layer as samples.
//!
//! Several networks collected along an axis are judged as one: the mean of their softmax outputs (a deep ensemble,
//! Lakshminarayanan, Pritzel and Blundell 2017). Calibration is the expected calibration error over bins of equal width
//! (Guo, Pleiss, Sun and Weinberger 2017, equation 5).

mod tables;

use duress_cache::{Artifact, Tree};
use duress_engine::config;
use duress_engine::input::{Input, Inputs};
use duress_engine::run::RunContext;
use duress_engine::spec::{Count, Fault, FromSpec, nearest};
use duress_engine::stage::{InferContext, InputFacts, OutputDoc, OutputFact, Stage, StageError, StageKind, Tolerance};
use duress_network::chosen::{ChosenExecutor, Processor};
use duress_network::executor::{ExecutorError, Options};

use super::artifact::{self, DataFact, Split, Weights, rows_and_features};
use super::examples::examples;
use crate::device;
use crate::nn::gradient::softmax_in_place;
use crate::nn::weights_table::weights_from_table;
use crate::nn::{self, Examples};

config! {
    /// Accuracy, loss and calibration of a network, or of several as one; activations of a layer as samples.
    pub struct Evaluate {
        /// The network, or several collected along an axis (`"train[seed=*]"`) whose softmax outputs are averaged.
        weights: Inputs<Weights>,
        /// The samples.
        data: Input<Split>,
        /// The layer whose activations come out as samples, such as `"hidden.1"` or `"layer2.0"`; by default the output,
        /// before the softmax. Those of several networks stand side by side.
        layer: Option<String>,
        /// Only the first so many samples.
        samples: Option<Count>,
        /// Bins of equal width over the confidence, for the calibration error.
        bins: Count = Count(15),
        /// Samples that go through the network together; of no effect on any result.
        batch: Count = Count(1024),
    }
}

impl StageKind for Evaluate {
    const KIND: &'static str = "evaluate";
    const REVISION: u32 = 2;
    const TOLERANCE: Tolerance = Tolerance::Relative(device::TOLERANCE);
    const SUMMARY: &'static str = "Accuracy, loss and calibration; activations of a layer";
    const EXAMPLE: &'static str = include_str!("example.toml");
    const OUTPUTS: &'static [OutputDoc] = &[
        OutputDoc { name: "results", artifact: "table", doc: "Accuracy, loss, calibration, accuracy by class" },
        OutputDoc { name: "predictions", artifact: "table", doc: "Every sample: label, prediction, confidence, loss" },
        OutputDoc { name: "activations", artifact: "split", doc: "The samples as the layer sees them, with labels" },
    ];
}

impl Stage for Evaluate {
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        for &slot in &self.weights.slots {
            artifact::check_fit_slot(cx, slot, &self.data);
            self.check_layer(cx, slot);
        }
        artifact::check_labelled(cx, &self.data, Self::KIND);
        self.check_ensemble(cx);
        let data = artifact::data(cx, &self.data).cloned().unwrap_or_default();
        let rows = data.rows.map(|rows| self.samples.map_or(rows, |limit| rows.min(limit.size())));
        let widths = self.weights.slots.iter().map(|&slot| self.width(artifact::network_in(cx, slot)?));
        let features = widths.sum::<Option<usize>>();
        vec![
            OutputFact { name: "results", fact: tables::RESULTS.fact() },
            OutputFact { name: "predictions", fact: artifact::table_fact("table", tables::PREDICTIONS) },
            OutputFact { name: "activations", fact: DataFact { features, shape: None, rows, ..data }.split() },
        ]
    }

    fn config(&self) -> Tree {
        let mut tree = self.to_tree().unwrap_or_default();
        if let Tree::Map(keys) = &mut tree {
            keys.remove("batch");
        }
        tree
    }

    fn memory(&self, inputs: &InputFacts) -> u64 {
        let (rows, features) = rows_and_features(inputs, self.data.slot, 10_000);
        (rows * (features * 8 + 400 * self.weights.slots.len())) as u64 + (16 << 20)
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let data = examples(cx, &self.data, self.samples)?;
        let mut networks = Vec::new();
        for labelled in cx.tables(&self.weights)? {
            networks.push(weights_from_table(&labelled.table).map_err(StageError::failed)?);
        }
        let processor = device::of_run(cx)?;
        let mut views = Vec::new();
        for (done, weights) in networks.iter().enumerate() {
            cx.check()?;
            views.push(cx.install(|| self.view(&processor, weights, &data)).map_err(StageError::failed)?);
            cx.progress(done as u64 + 1, networks.len() as u64);
        }
        let judged = tables::judge(&views, &data.labels);
        tables::artifact(&judged, &views, &networks, &data, self.bins.size()).map_err(StageError::failed)
    }
}

/// What one network makes of all samples.
struct View {
    /// Softmax outputs, `rows x classes`.
    probabilities: Vec<f64>,
    /// How many classes it tells apart.
    classes: usize,
    /// Activations of the layer that was asked for, `rows x width`.
    activations: Vec<f32>,
    /// The width of that layer.
    width: usize,
}

impl Evaluate {
    /// Sends all samples through one network, a batch at a time.
    fn view(&self, processor: &Processor, weights: &nn::Weights, data: &Examples) -> Result<View, ExecutorError> {
        let network = weights.network();
        let output = network.nodes().len();
        let value = self.value_of(network).unwrap_or(output);
        let executor = ChosenExecutor::on(processor, weights, &Options::exposing([value]));
        let (width, classes) = (network.shapes()[value].iter().product(), network.output_len());
        let mut view = View { probabilities: Vec::new(), classes, activations: Vec::new(), width };
        for x in data.x.chunks(self.batch.size() * data.features.max(1)) {
            let found = executor.trace(x, x.len() / data.features.max(1), &[value, output])?;
            let [activations, logits] = &found[..] else { continue };
            for row in logits.chunks_exact(classes) {
                let first = view.probabilities.len();
                view.probabilities.extend(row.iter().map(|logit| f64::from(*logit)));
                softmax_in_place(&mut view.probabilities[first..]);
            }
            view.activations.extend(activations);
        }
        Ok(view)
    }

    /// The value that comes out: what the last node gives whose name is that of `layer` or begins with it and a dot, as
    /// modules give what their last part gives (0 is the input).
    fn value_of(&self, network: &nn::Network) -> Option<usize> {
        let Some(name) = &self.layer else { return Some(network.nodes().len()) };
        let inside =
            |node: &str| node.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let last = network.nodes().iter().rposition(|node| inside(&node.name));
        last.map(|index| index + 1).or_else(|| network.find(name))
    }

    fn width(&self, network: &nn::Network) -> Option<usize> {
        Some(network.shapes()[self.value_of(network)?].iter().product())
    }

    fn check_layer(&self, cx: &mut InferContext<'_>, slot: usize) {
        let (Some(name), Some(network)) = (&self.layer, artifact::network_in(cx, slot)) else { return };
        if self.value_of(network).is_some() {
            return;
        }
        let names: Vec<&str> = network.nodes().iter().map(|node| node.name.as_str()).collect();
        let label = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "no such layer".to_owned(),
        };
        let fault = Fault::new("unknown-layer", cx.span_of("layer"), format!("there is no layer `{name}`"), label);
        cx.faults.push(fault.help(format!("the layers are {}", names.join(", "))));
    }

    /// Networks are judged together only where they tell the same classes apart.
    fn check_ensemble(&self, cx: &mut InferContext<'_>) {
        if self.weights.slots.is_empty() {
            let fault = Fault::new("no-network", cx.span_of("weights"), "there is no network to evaluate", "none");
            cx.faults.push(fault.help("name at least one stage that makes weights"));
        }
        let outputs: Vec<usize> = self
            .weights
            .slots
            .iter()
            .filter_map(|&slot| artifact::network_in(cx, slot))
            .map(nn::Network::output_len)
            .collect();
        if let Some(other) = outputs.iter().find(|&&count| count != outputs[0]) {
            let message = format!("these networks tell {} and {other} classes apart", outputs[0]);
            let fault = Fault::new("shape-mismatch", cx.span_of("weights"), message, "not of one shape");
            cx.faults.push(fault.help("collect networks that were trained on the same classes"));
        }
    }
}
