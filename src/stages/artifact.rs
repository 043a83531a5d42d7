//! The types of artifacts that stages hand each other, and what is known of them at plan time.

use std::sync::Arc;

use duress_engine::input::{ArtifactType, Input};
use duress_engine::run::RunContext;
use duress_engine::spec::Fault;
use duress_engine::stage::{Column, Fact, InferContext, InputFacts, StageError};

use crate::nn::bound::Unfollowed;
use crate::nn::weights_table::weights_from_table;
use crate::nn::{self, Network, Sequence};

macro_rules! artifact_types {
    ($($(#[doc = $doc:expr])* $name:ident: $accepts:expr;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub struct $name;

        impl ArtifactType for $name {
            const ACCEPTS: &'static [&'static str] = &$accepts;
        }
    )*};
}

artifact_types! {
    /// Trained or initial weights, with their network.
    Weights: ["weights"];
    /// Which weights are kept.
    Mask: ["mask"];
    /// Training and validation data together.
    Dataset: ["dataset", "split"];
    /// One split of a data set, or samples that another stage made.
    Split: ["split"];
    /// Measured output errors under crashes.
    CrashErrors: ["crash-errors"];
}

/// Rows and features of the data that `slot` holds, as far as the plan knows them; else `rows` of 1 000 features.
pub(crate) fn rows_and_features(inputs: &InputFacts, slot: usize, rows: usize) -> (usize, usize) {
    let data = inputs.slot(slot).and_then(|fact| fact.detail::<DataFact>());
    data.map_or((rows, 1_000), |data| (data.rows.unwrap_or(rows), data.features.unwrap_or(1_000)))
}

/// What is known of a data set or a split without reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataFact {
    /// Features of a sample.
    pub features: Option<usize>,
    /// The shape of a sample, where it has one beyond its features: `[height, width]` or `[channels, height, width]`.
    pub shape: Option<Vec<usize>>,
    /// Classes that labels come from; `None` for regression and where the data must be read to know.
    pub classes: Option<usize>,
    /// Whether the samples have numbers to fit instead of labels.
    pub regression: bool,
    /// Samples.
    pub rows: Option<usize>,
    /// Whether there are validation rows beside the training rows.
    pub validation: bool,
}

impl DataFact {
    /// The fact of a split of these data, a table of samples.
    #[must_use]
    pub fn split(self) -> Fact {
        Fact { artifact: "split", columns: Vec::new(), metrics: Vec::new(), known: Some(Arc::new(self)) }
    }
}

/// The fact of a plain table with these columns: name, and whether its values are numbers.
pub(crate) fn table_fact(artifact: &'static str, columns: &[(&str, bool)]) -> Fact {
    let columns =
        columns.iter().map(|(name, numeric)| Column { name: (*name).to_owned(), numeric: *numeric }).collect();
    Fact { artifact, columns, metrics: Vec::new(), known: None }
}

/// The network of the weights in `slot`, where it is known.
pub(crate) fn network<'a>(cx: &InferContext<'a>, weights: &Input<Weights>) -> Option<&'a Network> {
    network_in(cx, weights.slot)
}

/// What is known of the samples in `slot`.
pub(crate) fn data<'a>(cx: &InferContext<'a>, split: &Input<Split>) -> Option<&'a DataFact> {
    cx.inputs.slot(split.slot)?.detail::<DataFact>()
}

/// Reports, at the key `data`, samples that the network cannot read or labels that it has no output for.
pub(crate) fn check_fit(cx: &mut InferContext<'_>, weights: &Input<Weights>, split: &Input<Split>) {
    check_fit_slot(cx, weights.slot, split);
}

/// The network of the weights in a slot, where it is known.
pub(crate) fn network_in<'a>(cx: &InferContext<'a>, slot: usize) -> Option<&'a Network> {
    cx.inputs.slot(slot)?.detail::<Network>()
}

/// As [`check_fit`], for the weights in a slot.
pub(crate) fn check_fit_slot(cx: &mut InferContext<'_>, slot: usize, split: &Input<Split>) {
    check_present(cx, split);
    let (Some(network), Some(data)) = (network_in(cx, slot), data(cx, split)) else { return };
    let span = cx.span_of("data");
    if let Some(features) = data.features.filter(|features| *features != network.input_len()) {
        let message =
            format!("`data` has {features} features but the network of `weights` reads {}", network.input_len());
        let fault = Fault::new("shape-mismatch", span, message, format!("{features} features"));
        cx.faults.push(fault.help("use the data that the network was trained on, or train one on these"));
    }
    if let Some(classes) = data.classes.filter(|classes| *classes > network.output_len()) {
        let message =
            format!("`data` has {classes} classes but the network of `weights` tells {} apart", network.output_len());
        let fault = Fault::new("shape-mismatch", span, message, format!("{classes} classes"));
        cx.faults.push(fault.help("use the data that the network was trained on, or train one on these"));
    }
}

/// The network of `weights` as a sequence of layers, as `read` finds them; reports, at the key `weights`, what does not fit in.
pub(crate) fn sequence(
    cx: &mut InferContext<'_>,
    weights: &Input<Weights>,
    what: &str,
    read: impl Fn(&Network) -> Result<Sequence, Unfollowed>,
) -> Option<Sequence> {
    match read(network(cx, weights)?) {
        Ok(sequence) => Some(sequence),
        Err(Unfollowed { node, problem, fix }) => {
            let message = format!("{what} cannot follow the network of `weights` through `{node}`, which {problem}");
            let fault = Fault::new("wrong-network", cx.span_of("weights"), message, format!("has `{node}`"));
            cx.faults.push(fault.help(fix));
            None
        }
    }
}

/// The weights of an input.
///
/// # Errors
/// Where the table holds none.
pub(crate) fn weights(cx: &RunContext<'_>, input: &Input<Weights>) -> Result<nn::Weights, StageError> {
    weights_from_table(&cx.table(input)?).map_err(StageError::failed)
}

/// Reports, at the key `data`, samples without labels where labels are needed.
pub(crate) fn check_labelled(cx: &mut InferContext<'_>, split: &Input<Split>, kind: &str) {
    if data(cx, split).is_some_and(|data| data.regression) {
        let message = format!("`{kind}` needs labels, and `data` has numbers to fit instead");
        let fault = Fault::new("shape-mismatch", cx.span_of("data"), message, "regression data");
        cx.faults.push(fault.help("use data with classes"));
    }
}

/// Reports, at the key `data`, a split that its data set does not have. An instance whose inputs have faults of their own is
/// not asked at all, so that an unknown input is one that nobody makes.
fn check_present(cx: &mut InferContext<'_>, split: &Input<Split>) {
    if cx.inputs.slot(split.slot).is_none() {
        let fault =
            Fault::new("no-such-split", cx.span_of("data"), "`data` names a split that there is not", "not made");
        cx.faults.push(fault.help(
            "hold rows back for it in the data section, as in `validation = { share = 0.1 }`, or use the `train` or `test` split",
        ));
    }
}
