//! `prune`: weights removed, the lowest first; gives the mask, the weights that are left, and a count per layer.

mod config;
mod facts;

use duress_cache::{Artifact, Cell, ColumnSpec, Table, TableBuilder, TableError, Tree};
use duress_engine::input::Input;
use duress_engine::run::RunContext;
use duress_engine::stage::{Fact, InferContext, InputFacts, OutputDoc, OutputFact, Stage, StageError, StageKind};

pub use config::{Ablation, Criterion, Filter, Norm, Prune, Rule, Schedule, Scope, Unit};

use super::artifact::{self, network, rows_and_features, table_fact};
use super::examples::dataset;
use super::train::tensors;
use crate::nn::prune::{self as nn, LayerCount, Sample, prune, rows_per_class, whole};
use crate::nn::weights_table::{mask_from_table, mask_to_table, weights_to_table};
use crate::nn::{Examples, Mask, Network, Weights};

/// The columns of the table of layers.
const LAYERS: &[(&str, bool)] = &[("metric", false), ("layer", false), ("value", true), ("n", true)];
/// Its metrics.
const METRICS: [&str; 8] = ["kept", "removed", "density", "sparsity", "compression", "macs", "mac_ratio", "collapsed"];

impl StageKind for Prune {
    const KIND: &'static str = "prune";
    const REVISION: u32 = 3;
    const SUMMARY: &'static str = "Remove weights by magnitude, gradient, flow or at random";
    const EXAMPLE: &'static str = include_str!("example.toml");
    const OUTPUTS: &'static [OutputDoc] = &[
        OutputDoc { name: "mask", artifact: "mask", doc: "Which weights are kept" },
        OutputDoc { name: "weights", artifact: "weights", doc: "The weights, those removed being 0" },
        OutputDoc { name: "layers", artifact: "table", doc: "What each layer and the whole network kept" },
    ];
}

impl Stage for Prune {
    fn infer(&self, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
        facts::check_keys(self, cx);
        let network = network(cx, &self.weights).cloned();
        if let Some(network) = &network {
            facts::check_network(self, network, cx);
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
        let weights = network.map_or(1 << 20, Network::weight_count);
        let rows = self.data.as_ref().filter(|_| self.criterion.needs_data()).map_or(0, |data| {
            let (rows, features) = rows_and_features(inputs, data.slot, 60_000);
            let values = network.map_or(0, |n| n.shapes().iter().map(|s| s.iter().product::<usize>()).sum());
            let batch = rows.min(self.per_class.size().saturating_mul(network.map_or(10, Network::output_len)));
            rows * features * 4 + batch * values * 8
        });
        // Of each weight its value, score, rank and place, and the copies that gradients take.
        (weights * 80 + rows) as u64 + (4 << 20)
    }

    fn run(&self, cx: &RunContext<'_>) -> Result<Artifact, StageError> {
        crate::device::on_cpu(cx, "`prune`");
        let mut weights = artifact::weights(cx, &self.weights)?;
        let previous = match &self.mask {
            Some(mask) => mask_of(cx, mask)?,
            None => Mask::of_nonzero(&weights),
        };
        let like = self.like.as_ref().map(|mask| mask_of(cx, mask)).transpose()?;
        let amount = self
            .amount(like)
            .ok_or_else(|| StageError::failed("no amount to remove; give `rate`, `rates`, `sparsity` or `like`"))?;
        let rows = self.rows(cx)?;
        let sample = Sample { rows: &rows, seed: self.seed.0 };
        let criterion = match self.criterion {
            Criterion::Magnitude => nn::Criterion::Magnitude,
            Criterion::Random => nn::Criterion::Random { seed: self.seed.0 },
            Criterion::Snip => nn::Criterion::Snip(sample),
            Criterion::Grasp => nn::Criterion::Grasp(sample),
            Criterion::SynFlow => nn::Criterion::SynFlow,
        };
        let recipe = self.recipe(criterion, amount);
        let pruned = cx.install(|| prune(&weights, Some(&previous), &recipe));
        let (mask, counts) = pruned.map_err(StageError::failed)?;
        self.reinitialise(&mut weights)?;
        mask.apply(&mut weights).map_err(StageError::failed)?;
        let table = layers(&counts, &whole(weights.network(), &counts)).map_err(StageError::failed)?;
        Ok(Artifact::new([
            ("mask", mask_to_table(&mask, weights.network()).map_err(StageError::failed)?),
            ("weights", weights_to_table(&weights).map_err(StageError::failed)?),
            ("layers", table),
        ]))
    }
}

impl Prune {
    /// The rows that gradients are taken on; none where no criterion asks for them.
    fn rows(&self, cx: &RunContext<'_>) -> Result<Examples, StageError> {
        let Some(data) = self.data.as_ref().filter(|_| self.criterion.needs_data()) else {
            return Ok(Examples::default());
        };
        let (train, _) = dataset(cx, data)?;
        Ok(train.select(&rows_per_class(&train.labels, train.classes, self.per_class.size(), self.seed.0)))
    }

    /// Draws the weights anew where the control asks for it.
    fn reinitialise(&self, weights: &mut Weights) -> Result<(), StageError> {
        if self.ablation != Some(Ablation::Reinitialise) {
            return Ok(());
        }
        let model = self.model.as_ref().ok_or_else(|| StageError::failed("draw weights anew: give `model`"))?;
        *weights = model.initialize(weights.network(), self.seed.0);
        Ok(())
    }
}

fn mask_of(cx: &RunContext<'_>, mask: &Input<artifact::Mask>) -> Result<Mask, StageError> {
    Ok(mask_from_table(&cx.table(mask)?).map_err(StageError::failed)?.0)
}

/// A row per layer and metric, then those of all layers together, whose `layer` is null.
fn layers(counts: &[LayerCount], whole: &LayerCount) -> Result<Table, TableError> {
    let mut table = TableBuilder::new()
        .metadata("metric.kept", "weights that are kept")
        .metadata("metric.removed", "weights removed by this stage")
        .metadata("metric.density", "share of all weights that is kept")
        .metadata("metric.sparsity", "share of all weights that is removed, by this stage or before")
        .metadata("metric.compression", "all weights over those kept; null where none is")
        .metadata("metric.macs", "multiply-adds for one example by weights that are kept")
        .metadata("metric.mac_ratio", "multiply-adds of all weights over those by kept ones; null where none is")
        .metadata("metric.collapsed", "layers with weights of which none is kept")
        .column(ColumnSpec::text("metric").doc("what `value` is; see the metadata"))
        .column(ColumnSpec::text("layer").nullable().doc("null for the whole network"))
        .column(ColumnSpec::float("value").nullable())
        .column(ColumnSpec::integer("n").unit("weights").doc("weights there are, kept or not"));
    let collapsed = counts.iter().filter(|count| count.is_collapsed()).count();
    let own = counts.iter().map(|count| (Some(count.layer.as_str()), count, usize::from(count.is_collapsed())));
    for (layer, count, collapsed) in own.chain([(None, whole, collapsed)]) {
        let (weights, kept) = (count.weights as f64, count.kept as f64);
        let density = if count.weights == 0 { 1.0 } else { kept / weights };
        let ratio = |all: f64, left: f64| (left > 0.0).then(|| all / left);
        let values = [
            Some(kept),
            Some(count.removed_now as f64),
            Some(density),
            Some(1.0 - density),
            ratio(weights, kept),
            Some(count.macs_kept as f64),
            ratio(count.macs as f64, count.macs_kept as f64),
            Some(collapsed as f64),
        ];
        for (metric, value) in METRICS.into_iter().zip(values) {
            table.push([metric.into(), Cell::from(layer), Cell::from(value), count.weights.into()])?;
        }
    }
    table.finish()
}

#[cfg(test)]
mod tests;
