//! The tables of `perturb`: parts, and what is made of them.

use arrow_array::Array;
use duress_cache::{Artifact, Cell, ColumnSpec, Table, TableBuilder, TableError};

use crate::nn::Examples;
use crate::nn::attack::Sweep;
use crate::nn::statistics::{Cluster, Moments, clustered_rate};
use crate::stages::examples::split_table;
use crate::stages::tidy::{Dimension, Layout, Measure, Metric, Values};

/// Columns of the table of samples, and whether they are numbers.
pub(super) const SAMPLES: &[(&str, bool)] = &[
    ("sample", true),
    ("eps", true),
    ("draw", true),
    ("label", true),
    ("clean_prediction", true),
    ("prediction", true),
    ("clean_correct", false),
    ("success", false),
    ("attacked", false),
    ("linf", true),
    ("l2", true),
    ("loss_before", true),
    ("loss_after", true),
    ("critical_eps", true),
];

/// What `results` looks like.
pub(super) const RESULTS: Layout = Layout {
    metrics: &[
        Metric { name: "clean_accuracy", doc: "share of all samples that are classified right without perturbation" },
        Metric { name: "robust_accuracy", doc: "share of all samples that are classified right when perturbed" },
        Metric {
            name: "attack_success_rate",
            doc: "share of the samples classified right when clean that are classified as another class when perturbed",
        },
        Metric { name: "changed_rate", doc: "share of all samples whose predicted class the perturbation changes" },
        Metric { name: "mean_linf", doc: "mean over all samples of the largest change of a feature, as measured" },
        Metric { name: "max_linf", doc: "largest change of a feature of any sample, as measured" },
        Metric { name: "mean_l2", doc: "mean over all samples of the Euclidean norm of the change, as measured" },
        Metric { name: "mean_loss", doc: "mean over all samples of the cross-entropy of the attacked class" },
        Metric {
            name: "median_critical_eps",
            doc: "smallest tested epsilon at which half of all samples are fooled; null where fewer ever are",
        },
    ],
    dimensions: &[Dimension {
        name: "eps",
        values: Values::Float,
        unit: "units of the data",
        doc: "size of the perturbation; null for what is about all sizes",
    }],
    network: true,
};

fn samples_table() -> TableBuilder {
    TableBuilder::new()
        .column(ColumnSpec::integer("sample").doc("position in the split, from 0"))
        .column(ColumnSpec::float("eps").unit("units of the data").doc("size of the perturbation"))
        .column(ColumnSpec::integer("draw").doc("which draw of a noise, from 0"))
        .integer("label")
        .integer("clean_prediction")
        .integer("prediction")
        .column(ColumnSpec::boolean("clean_correct").doc("the clean sample is predicted as its label"))
        .column(
            ColumnSpec::boolean("success")
                .doc("the perturbed sample is predicted as another class than the attacked one"),
        )
        .column(
            ColumnSpec::boolean("attacked").doc("false where a smaller size had fooled it; then that result stands"),
        )
        .column(ColumnSpec::float("linf").unit("units of the data").doc("largest change of a feature, as measured"))
        .column(ColumnSpec::float("l2").unit("units of the data").doc("Euclidean norm of the change, as measured"))
        .column(ColumnSpec::float("loss_before").nullable().doc("cross-entropy of the attacked class, clean"))
        .column(ColumnSpec::float("loss_after").nullable().doc("cross-entropy of the attacked class, perturbed"))
        .column(
            ColumnSpec::float("critical_eps").nullable().unit("units of the data").doc(
                "smallest tested size that fools it in this draw; 0 where it is wrong when clean; null if none does",
            ),
        )
}

/// The table of one part: the samples, and on the row of each sample's largest size in the first draw its perturbed features.
pub(super) fn part(ids: &[u64], labels: &[u32], sizes: &[f64], draws: &[Sweep]) -> Result<Table, TableError> {
    let mut table = samples_table().floats("x");
    for (r, (id, label)) in ids.iter().zip(labels).enumerate() {
        for (draw, sweep) in draws.iter().enumerate() {
            let sample = &sweep.samples[r];
            for (k, (eps, at)) in sizes.iter().zip(&sample.at).enumerate() {
                let features = sweep.x.len() / ids.len();
                let last = draw == 0 && k + 1 == sizes.len();
                let x = if last { &sweep.x[r * features..(r + 1) * features] } else { &[] };
                let finite = |loss: f32| Cell::from(loss.is_finite().then_some(f64::from(loss)));
                table.push([
                    (*id).into(),
                    (*eps).into(),
                    draw.into(),
                    (*label).into(),
                    at.clean_prediction.into(),
                    at.prediction.into(),
                    at.clean_correct.into(),
                    at.success.into(),
                    sample.attacked[k].into(),
                    at.linf.into(),
                    at.l2.into(),
                    finite(at.loss_before),
                    finite(at.loss_after),
                    sample.critical_eps.into(),
                    x.into(),
                ])?;
            }
        }
    }
    table.finish()
}

/// The stage's tables from those of its parts.
pub(super) fn artifact(parts: &[Table], density: f64, data: &Examples) -> Result<Artifact, TableError> {
    let all = Table::concat(parts)?;
    let perturbed: Vec<f32> = all.f32_lists("x")?.iter().flat_map(|x| x.values().iter().copied()).collect();
    let perturbed = Examples { x: perturbed, ..data.clone() };
    let batch = all.one_batch()?;
    let keep: Vec<usize> = (0..SAMPLES.len()).collect();
    let samples = Table::from_batch(batch.project(&keep)?)?;
    let results = results(&samples, density, data.rows() as u64)?;
    Ok(Artifact::new([("results", results), ("samples", samples), ("perturbed", split_table(&perturbed)?)]))
}

/// Sums over the rows of one size.
#[derive(Default)]
struct AtSize {
    /// By sample: rows, and those with the outcome.
    robust: Vec<Cluster>,
    fooled: Vec<Cluster>,
    changed: Vec<Cluster>,
    clean: Vec<bool>,
    linf: Moments,
    l2: Moments,
    loss: Moments,
}

fn results(samples: &Table, density: f64, rows: u64) -> Result<Table, TableError> {
    let (sizes, per_size) = sums(samples, rows)?;
    let mut tidy = RESULTS.start(Some(density));
    for (eps, at) in sizes.iter().zip(&per_size) {
        let mut push = |metric, measure| tidy.push(metric, [(*eps).into()], measure);
        // With one draw the samples are independent trials; with several they are clusters of them.
        let rate = |clusters: &[Cluster]| match clusters.iter().map(|c| c.trials).max() {
            Some(2..) => Measure::clustered(clustered_rate(clusters, None)),
            _ => Measure::rate(clusters.iter().map(|c| c.successes).sum(), clusters.iter().map(|c| c.trials).sum()),
        };
        let right = at.clean.iter().filter(|c| **c).count() as u64;
        push("clean_accuracy", Measure::rate(right, rows))?;
        push("robust_accuracy", rate(&at.robust))?;
        push("attack_success_rate", rate(&at.fooled))?;
        push("changed_rate", rate(&at.changed))?;
        push("mean_linf", Measure::mean(&at.linf))?;
        push("max_linf", Measure::number(at.linf.max_abs(), at.linf.count()))?;
        push("mean_l2", Measure::mean(&at.l2))?;
        push("mean_loss", Measure::mean(&at.loss))?;
    }
    tidy.push("median_critical_eps", [Cell::Null], median_critical(samples)?)?;
    tidy.finish()
}

/// The sizes in ascending order, and what happened at each.
fn sums(samples: &Table, rows: u64) -> Result<(Vec<f64>, Vec<AtSize>), TableError> {
    let (ids, eps) = (samples.i64s("sample")?, samples.f64s("eps")?);
    let (labels, clean, prediction) =
        (samples.i64s("label")?, samples.i64s("clean_prediction")?, samples.i64s("prediction")?);
    let success = samples.bools("success")?;
    let (linf, l2, loss) = (samples.f64s("linf")?, samples.f64s("l2")?, samples.f64s("loss_after")?);
    let mut sizes: Vec<f64> = eps.values().to_vec();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let empty = vec![Cluster { successes: 0, trials: 0 }; rows as usize];
    let mut all: Vec<AtSize> = sizes
        .iter()
        .map(|_| AtSize {
            robust: empty.clone(),
            fooled: empty.clone(),
            changed: empty.clone(),
            clean: vec![false; rows as usize],
            ..AtSize::default()
        })
        .collect();
    for row in 0..samples.rows() {
        let at = &mut all[sizes.partition_point(|size| *size < eps.value(row))];
        let id = ids.value(row) as usize;
        let right = clean.value(row) == labels.value(row);
        at.clean[id] = right;
        count(&mut at.robust[id], prediction.value(row) == labels.value(row));
        count(&mut at.changed[id], prediction.value(row) != clean.value(row));
        if right {
            count(&mut at.fooled[id], success.value(row));
        }
        at.linf.push(linf.value(row));
        at.l2.push(l2.value(row));
        if !loss.is_null(row) {
            at.loss.push(loss.value(row));
        }
    }
    Ok((sizes, all))
}

fn count(cluster: &mut Cluster, success: bool) {
    cluster.trials += 1;
    cluster.successes += u64::from(success);
}

/// The median over samples (and draws) of the critical epsilon, those never fooled counting as beyond every size.
fn median_critical(samples: &Table) -> Result<Measure, TableError> {
    let (critical, eps, draw) = (samples.f64s("critical_eps")?, samples.f64s("eps")?, samples.i64s("draw")?);
    let largest = eps.values().iter().copied().fold(0.0, f64::max);
    let mut all: Vec<f64> = (0..samples.rows())
        .filter(|row| draw.value(*row) == 0 && eps.value(*row) >= largest)
        .map(|row| if critical.is_null(row) { f64::INFINITY } else { critical.value(row) })
        .collect();
    all.sort_by(f64::total_cmp);
    Ok(match all.get(all.len().saturating_sub(1) / 2) {
        Some(median) if median.is_finite() => Measure::number(*median, all.len() as u64),
        Some(_) => Measure::undefined("beyond the largest epsilon"),
        None => Measure::undefined("no samples"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::attack::{Attack, AttackedClass, Method, Samples, SweepOptions, sweep};
    use crate::nn::{Activation, Mlp, MlpWeights};

    /// Margins 0.1, 0.3 and 0.8, each undone by half of it; the fourth is wrong when clean.
    fn parts(method: Method, draws: u64, cut: usize) -> (Vec<Table>, Examples) {
        let net = Mlp::new(2, &[], 2, Activation::Identity, false);
        let mut weights = MlpWeights::zeros(&net);
        weights.tensors[0].values = vec![1.0, 0.0, 0.0, 1.0];
        let classifier = weights.classifier();
        let x = vec![0.5f32, 0.4, 0.5, 0.2, 0.9, 0.1, 0.1, 0.3];
        let data = Examples { features: 2, classes: 2, x, labels: vec![0; 4], targets: None, ..Examples::default() };
        let sizes = [0.02, 0.06, 0.2];
        let plan = Attack { method, class: AttackedClass::True, clip: Some((0.0, 1.0)), seed: 0 };
        let tables = (0..4).step_by(cut).map(|first| {
            let rows: Vec<usize> = (first..(first + cut).min(4)).collect();
            let ids: Vec<u64> = rows.iter().map(|r| *r as u64).collect();
            let part_of = data.select(&rows);
            let run = |draw| {
                let samples = Samples { x: &part_of.x, labels: &part_of.labels, ids: &ids, draw };
                sweep(&classifier, &samples, &plan, &sizes, SweepOptions::default()).expect("valid")
            };
            part(&ids, &part_of.labels, &sizes, &(0..draws).map(run).collect::<Vec<_>>()).expect("sound")
        });
        (tables.collect(), data)
    }

    fn value(results: &Table, metric: &str, eps: f64) -> Option<f64> {
        let (metrics, sizes) = (results.strings("metric").expect("text"), results.f64s("eps").expect("floats"));
        let values = results.f64s("value").expect("floats");
        let at = |r: &usize| {
            metrics.value(*r) == metric
                && if eps.is_nan() { sizes.is_null(*r) } else { (sizes.value(*r) - eps).abs() < 1e-12 }
        };
        (0..results.rows()).find(at).filter(|r| !values.is_null(*r)).map(|r| values.value(r))
    }

    #[test]
    fn rates_are_over_the_denominators_they_name() {
        let (parts, data) = parts(Method::Fgsm, 1, 4);
        let made = artifact(&parts, 1.0, &data).expect("sound");
        let results = made.table("results").expect("an output");
        assert_eq!(value(results, "clean_accuracy", 0.06), Some(0.75));
        assert_eq!(value(results, "robust_accuracy", 0.02), Some(0.75));
        assert_eq!(value(results, "robust_accuracy", 0.06), Some(0.5));
        assert_eq!(value(results, "robust_accuracy", 0.2), Some(0.25));
        assert!((value(results, "attack_success_rate", 0.2).expect("defined") - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(value(results, "median_critical_eps", f64::NAN), Some(0.06));
        let names: Vec<&str> = SAMPLES.iter().map(|(name, _)| *name).collect();
        let samples = made.table("samples").expect("an output");
        assert_eq!(samples.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), names);
        assert_eq!((samples.rows(), made.table("perturbed").map(Table::rows)), (12, Some(4)));
    }

    #[test]
    fn the_cut_into_parts_does_not_change_a_table() {
        for (method, draws) in [(Method::Fgsm, 1), (Method::Uniform, 3)] {
            let digests = |cut| {
                let (parts, data) = parts(method, draws, cut);
                let made = artifact(&parts, 1.0, &data).expect("sound");
                ["results", "samples", "perturbed"].map(|name| made.table(name).map(Table::digest))
            };
            assert_eq!(digests(4), digests(1));
            assert_eq!(digests(4), digests(3));
        }
    }
}
