//! `prune`: weights removed, the lowest first; gives the mask, the weights that are left, and a count per layer.

mod config;

use duress_cache::{Artifact, Cell, ColumnSpec, Table, TableBuilder, TableError, Tree};
use duress_engine::run::RunContext;
use duress_engine::spec::Fault;
use duress_engine::stage::{Fact, InferContext, InputFacts, OutputDoc, OutputFact, Stage, StageError, StageKind};

pub use config::{Criterion, Prune, Rule, Scope};

use super::artifact::{self, network, table_fact};
use super::train::tensors;
use crate::nn::fault::matches;
use crate::nn::prune::{LayerCount, prune, weight_layers};
use crate::nn::weights_table::{mask_from_table, mask_to_table, weights_to_table};
use crate::nn::{Mask, Network};

/// The columns of the table of layers.
const LAYERS: &[(&str, bool)] = &[("metric", false), ("layer", false), ("value", true), ("n", true)];
/// Its metrics.
const METRICS: [&str; 4] = ["kept", "removed", "density", "sparsity"];

impl StageKind for Prune {
    const KIND: &'static str = "prune";
    const REVISION: u32 = 2;
    const SUMMARY: &'static str = "Remove weights by magnitude or at random";
    const EXAMPLE: &'static str = include_str!("example.toml");
    const OUTPUTS: &'static [OutputDoc] = &[
        OutputDoc { name: "mask", artifact: "mask", doc: "Which weights are kept" },
        OutputDoc { name: "weights", artifact: "weights", doc: "The weights, those removed being 0" },
        OutputDoc { name: "layers", artifact: "table", doc: "What each layer and the whole network kept" },
    ];
}

impl Stage for Prune {
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        self.check(cx);
        let network = network(cx, &self.weights).cloned();
        if let Some(network) = &network {
            self.check_layers(network, cx);
            self.check_mask(network, cx);
        }
        let metrics = METRICS.map(str::to_owned).to_vec();
        vec![
            OutputFact { name: "mask", fact: tensors("mask", network.as_ref()) },
            OutputFact { name: "weights", fact: tensors("weights", network.as_ref()) },
            OutputFact { name: "layers", fact: Fact { metrics, ..table_fact("table", LAYERS) } },
        ]
    }

    fn config(&self) -> Tree {
        self.tree()
    }

    fn memory(&self, inputs: &InputFacts) -> u64 {
        let network = inputs.slot(self.weights.slot).and_then(|fact| fact.detail::<Network>());
        // Of each weight its value twice, its score, its rank and its place.
        (network.map_or(1 << 20, Network::weight_count) * 40) as u64 + (4 << 20)
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        let mut weights = artifact::weights(cx, &self.weights)?;
        let previous = match &self.mask {
            Some(mask) => mask_from_table(&cx.table(mask)?).map_err(StageError::failed)?.0,
            None => Mask::of_nonzero(&weights),
        };
        let amount = self
            .amount()
            .ok_or_else(|| StageError::failed("no amount to remove; give `rate`, `rates` or `sparsity`"))?;
        let pruned = prune(&weights, Some(&previous), self.criterion(), &amount, self.cutoff());
        let (mask, counts) = pruned.map_err(StageError::failed)?;
        mask.apply(&mut weights).map_err(StageError::failed)?;
        Ok(Artifact::new([
            ("mask", mask_to_table(&mask, weights.network()).map_err(StageError::failed)?),
            ("weights", weights_to_table(&weights).map_err(StageError::failed)?),
            ("layers", layers(&counts).map_err(StageError::failed)?),
        ]))
    }
}

impl Prune {
    /// Reports patterns that fit no layer.
    fn check_layers(&self, network: &Network, cx: &mut InferContext<'_>) {
        let names = weight_layers(network);
        for pattern in self.rates.iter().flat_map(|rates| rates.keys()) {
            if !names.iter().any(|name| matches(pattern, name)) {
                let span = cx.span_of("rates");
                let fault =
                    Fault::new("unknown-layer", span, format!("there is no layer `{pattern}`"), "no such layer");
                cx.faults.push(fault.help(format!("the layers are {}", names.join(", "))));
            }
        }
    }

    /// Reports a mask of another network.
    fn check_mask(&self, network: &Network, cx: &mut InferContext<'_>) {
        let given =
            self.mask.as_ref().and_then(|mask| cx.inputs.slot(mask.slot)).and_then(|fact| fact.detail::<Network>());
        if given.is_some_and(|given| given != network) {
            let fault = Fault::new(
                "shape-mismatch",
                cx.span_of("mask"),
                "`mask` belongs to another network",
                "not of `weights`",
            );
            cx.faults.push(fault.help("use a mask of the network that `weights` belong to"));
        }
    }
}

/// A row per layer and metric, then those of all layers together, whose `layer` is null.
fn layers(counts: &[LayerCount]) -> Result<Table, TableError> {
    let mut table = TableBuilder::new()
        .metadata("metric.kept", "weights that are kept")
        .metadata("metric.removed", "weights removed by this stage")
        .metadata("metric.density", "share of all weights that is kept")
        .metadata("metric.sparsity", "share of all weights that is removed, by this stage or before")
        .column(ColumnSpec::text("metric").doc("what `value` is; see the metadata"))
        .column(ColumnSpec::text("layer").nullable().doc("null for the whole network"))
        .column(ColumnSpec::float("value"))
        .column(ColumnSpec::integer("n").unit("weights").doc("weights there are, kept or not"));
    let mut push = |layer: Option<&str>, weights: usize, kept: usize, removed: usize| {
        let density = kept as f64 / weights as f64;
        for (metric, value) in METRICS.into_iter().zip([kept as f64, removed as f64, density, 1.0 - density]) {
            table.push([metric.into(), Cell::from(layer), value.into(), weights.into()])?;
        }
        Ok::<(), TableError>(())
    };
    for count in counts {
        push(Some(&count.layer), count.weights, count.kept, count.removed_now)?;
    }
    let sum = |of: fn(&LayerCount) -> usize| counts.iter().map(of).sum();
    push(None, sum(|c| c.weights), sum(|c| c.kept), sum(|c| c.removed_now))?;
    table.finish()
}
