//! Crashing neurons.

use std::sync::Arc;

use duress_cache::{Artifact, Cell, ColumnSpec, Table, TableBuilder, TableError, Tree};
use duress_engine::run::RunContext;
use duress_engine::stage::{Fact, InferContext, OutputFact, StageError};

use super::{Inject, PART_WORK};
use crate::device;
use crate::nn::bound::Unfollowed;
use crate::nn::fault::{CrashCampaign, CrashRow, SequenceExecutor, crash_rows};
use crate::nn::statistics::{Cluster, Moments, clustered_rate};
use crate::nn::{Examples, Mask, Network, Sequence, Weights};
use crate::stages::artifact;
use crate::stages::crash_errors::{self, CrashFact};
use crate::stages::tidy::{Layout, Measure, Metric};

const RESULTS: Layout = Layout {
    metrics: &[
        Metric { name: "crash_accuracy", doc: "share of all (sample, crash pattern) pairs that are classified right" },
        Metric { name: "clean_accuracy", doc: "share of all samples that are classified right without crashes" },
        Metric {
            name: "critical_rate",
            doc: "share of all (sample, crash pattern) pairs in which the predicted class changes",
        },
        Metric {
            name: "mean_abs_error",
            doc: "mean over samples, outputs and patterns of the absolute change of an output",
        },
        Metric {
            name: "mean_std",
            doc: "mean over samples and outputs of the standard deviation of an output's change",
        },
        Metric { name: "mean_variance", doc: "mean over samples and outputs of the variance of an output's change" },
        Metric { name: "max_abs_error", doc: "largest absolute change of an output that was seen" },
    ],
    dimensions: &[],
    network: true,
};

pub(super) fn infer(stage: &Inject, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
    let rates = artifact::sequence(cx, &stage.weights, "a crash campaign", layers)
        .and_then(|network| stage.crash.as_ref().and_then(|crash| crash.infer(cx, &network)));
    let known = rates.map(|rates| Arc::new(CrashFact { rates }) as Arc<dyn std::any::Any + Send + Sync>);
    let errors = artifact::table_fact("crash-errors", crash_errors::COLUMNS);
    vec![
        OutputFact { name: "results", fact: RESULTS.fact() },
        OutputFact { name: "errors", fact: Fact { known, ..errors } },
    ]
}

/// The layers whose neurons crash.
fn layers(network: &Network) -> Result<Sequence, Unfollowed> {
    Ok(Sequence::of(network)?)
}

pub(super) fn run(
    stage: &Inject,
    cx: &RunContext<'_>,
    weights: &Weights,
    data: &Examples,
) -> Result<Artifact, StageError> {
    let unknown = |names: Vec<String>| {
        StageError::failed(format!("let neurons of `{}` crash: no such layer", names.join("`, `")))
    };
    let sequence = layers(weights.network()).map_err(StageError::failed)?;
    let crash = stage.crash.as_ref().ok_or_else(|| StageError::failed("let neurons crash: `crash` is missing"))?;
    let rates = crash.rates(&sequence).map_err(unknown)?;
    let campaign = CrashCampaign { rates, repetitions: stage.repetitions.size(), seed: stage.seed.0 };
    let processor = device::of_run(cx)?;
    let executor = SequenceExecutor::new(&processor, weights, &sequence);
    let per_sample = weights.network().macs().saturating_mul(campaign.repetitions as u64).max(1);
    let block = usize::try_from(PART_WORK / per_sample).unwrap_or(usize::MAX).clamp(16, 1 << 16);
    let starts: Vec<usize> = (0..data.rows().max(1)).step_by(block).collect();
    let part = |first: &usize| -> Result<Table, StageError> {
        let end = (first + block).min(data.rows());
        let rows = data.select(&(*first..end).collect::<Vec<_>>());
        let rows = cx.install(|| crash_rows(&executor, &rows, *first, &campaign)).map_err(StageError::failed)?;
        cx.progress(end as u64, data.rows() as u64);
        part_table(*first, &rows).map_err(StageError::failed)
    };
    let identity = |first: &usize| Tree::map([("first", *first as i64), ("count", block as i64)]);
    let parts = cx.parts(&starts, identity, part)?;
    artifact_of(&parts, Mask::density_of(weights), &campaign).map_err(StageError::failed)
}

/// One row per sample and output: delta's moments, and on the first output's row the counts of the sample.
fn part_table(first: usize, rows: &[CrashRow]) -> Result<Table, TableError> {
    let mut table = crash_errors::columns(TableBuilder::new())
        .column(ColumnSpec::integer("correct").nullable())
        .column(ColumnSpec::integer("unchanged").nullable())
        .column(ColumnSpec::boolean("clean_correct").nullable());
    for (sample, row) in (first..).zip(rows) {
        for (output, delta) in row.delta.iter().enumerate() {
            let mut cells = crash_errors::cells(sample, output, delta);
            let first = output == 0;
            cells.push(row.correct.filter(|_| first).into());
            cells.push(Some(row.unchanged).filter(|_| first).into());
            cells.push(row.clean_correct.filter(|_| first).into());
            table.push(cells)?;
        }
    }
    table.finish()
}

fn artifact_of(parts: &[Table], density: f64, campaign: &CrashCampaign) -> Result<Artifact, TableError> {
    let all = Table::concat(parts)?;
    let keep: Vec<usize> = (0..crash_errors::COLUMNS.len()).collect();
    let errors = Table::from_batch(all.one_batch()?.project(&keep)?)?;
    let errors = crash_errors::with_rates(&errors, &campaign.rates)?;
    Ok(Artifact::new([("results", results(&all, density, campaign)?), ("errors", errors)]))
}

fn results(all: &Table, density: f64, campaign: &CrashCampaign) -> Result<Table, TableError> {
    let trials = campaign.repetitions as u64;
    let clusters = |name: &str, of: &dyn Fn(u64) -> u64| -> Result<Vec<Cluster>, TableError> {
        let cluster = |count: i64| Cluster { successes: of(count as u64), trials };
        Ok(all.i64s(name)?.iter().flatten().map(cluster).collect())
    };
    let clean: Vec<bool> = all.bools("clean_correct")?.iter().flatten().collect();
    let moments = |name: &str, of: &dyn Fn(f64) -> f64| -> Result<Moments, TableError> {
        Ok(all.f64s(name)?.iter().flatten().map(of).collect())
    };
    let mut tidy = RESULTS.start(Some(density));
    let mut push = |metric, measure| tidy.push(metric, Vec::<Cell>::new(), measure);
    let rate = |clusters: Vec<Cluster>| Measure::clustered(clustered_rate(&clusters, None));
    push("crash_accuracy", rate(clusters("correct", &|c| c)?))?;
    push("clean_accuracy", Measure::rate(clean.iter().filter(|c| **c).count() as u64, clean.len() as u64))?;
    push("critical_rate", rate(clusters("unchanged", &|c| trials - c)?))?;
    let plain = |m: &Moments| Measure::number(m.mean(), m.count());
    push("mean_abs_error", plain(&moments("abs_mean", &|v| v)?))?;
    push("mean_std", plain(&moments("std", &|v| v)?))?;
    push("mean_variance", plain(&moments("std", &|v| v * v)?))?;
    let largest = moments("max_abs", &|v| v)?;
    push("max_abs_error", Measure::number(largest.max_abs(), largest.count()))?;
    tidy.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::plain::Plain;
    use crate::nn::{Activation, Init, Mlp, Stream};
    use crate::stages::testing::value_where;

    #[test]
    fn parts_add_up_to_the_same_tables_and_accuracies_count_pairs() {
        let net = Mlp::new(4, &[8], 3, Activation::relu(), true);
        let weights = net.initialize(Init::HeNormal, Init::Zeros, 1);
        let mut x = vec![0.0; 40];
        Stream::new(1, "x", &[]).fill_uniform(&mut x, 0.0, 1.0);
        let data = Examples {
            features: 4,
            classes: 3,
            x,
            labels: (0..10).map(|i| i % 3).collect(),
            targets: None,
            ..Examples::default()
        };
        let executor = Plain::<f32>::new(&weights);
        let campaign = CrashCampaign { rates: vec![0.0, 0.4, 0.0], repetitions: 25, seed: 3 };
        let made = |cut: usize| {
            let part = |first: usize| {
                let rows = data.select(&(first..(first + cut).min(10)).collect::<Vec<_>>());
                part_table(first, &crash_rows(&executor, &rows, first, &campaign).expect("valid")).expect("sound")
            };
            let parts: Vec<Table> = (0..10).step_by(cut).map(part).collect();
            artifact_of(&parts, 1.0, &campaign).expect("sound")
        };
        let (whole, cut) = (made(10), made(3));
        for name in ["results", "errors"] {
            assert_eq!(whole.table(name).map(Table::digest), cut.table(name).map(Table::digest), "{name}");
        }
        let results = whole.table("results").expect("an output");
        let of = |metric: &str| value_where(results, &[("metric", metric)]);
        let rows = crash_rows(&executor, &data, 0, &campaign).expect("valid");
        let pairs = rows.iter().filter_map(|r| r.correct).sum::<u64>() as f64 / 250.0;
        assert!((of("crash_accuracy") - pairs).abs() < 1e-12);
        assert!(of("critical_rate") > 0.0 && of("mean_std") > 0.0 && of("max_abs_error") >= of("mean_abs_error"));
        let errors = whole.table("errors").expect("an output");
        assert_eq!(crash_errors::rates(errors), Some(campaign.rates.clone()));
        assert_eq!((errors.rows(), crash_errors::measured(errors).expect("columns").len()), (30, 30));
    }
}
