//! The results of `perturb`: rates by size, and what speaks against them.

use arrow_array::Array;
use duress_cache::{Cell, Table, TableError};

use super::checks::{Checks, Finding, Point};
use crate::nn::statistics::{Cluster, Moments, clustered_rate};
use crate::stages::tidy::{Dimension, Layout, Measure, Metric, Values};

/// What `results` looks like.
pub(super) const RESULTS: Layout = Layout {
    metrics: &[
        Metric {
            name: "clean_accuracy",
            doc: "share of all samples that are classified right when perturbed by nothing, through the same attack",
        },
        Metric { name: "robust_accuracy", doc: "share of all samples that are classified right when perturbed" },
        Metric {
            name: "attack_success_rate",
            doc: "share of the samples classified right when clean that are classified as another class when perturbed",
        },
        Metric { name: "changed_rate", doc: "share of all samples whose predicted class the perturbation changes" },
        Metric { name: "mean_linf", doc: "mean over all samples of the largest change of a feature, as measured" },
        Metric { name: "max_linf", doc: "largest change of a feature of any sample, as measured" },
        Metric { name: "mean_l2", doc: "mean over all samples of the Euclidean norm of the change, as measured" },
        Metric {
            name: "max_size",
            doc: "largest change of any sample in the norm that epsilon bounds, as measured: at most epsilon, or the stage fails",
        },
        Metric {
            name: "lowest_feature",
            doc: "lowest perturbed feature of any sample: within `clip`, or the stage fails",
        },
        Metric {
            name: "highest_feature",
            doc: "highest perturbed feature of any sample: within `clip`, or the stage fails",
        },
        Metric {
            name: "fooled_by",
            doc: "of several attacks, share of all samples, right when clean, that this one fools where those before failed",
        },
        Metric { name: "mean_loss", doc: "mean over all samples of the cross-entropy of the attacked class" },
        Metric {
            name: "median_critical_eps",
            doc: "smallest tested epsilon at which half of all samples are fooled; null where fewer ever are",
        },
        Metric {
            name: "larger_eps_gain",
            doc: "share of all samples that the largest epsilon fools beyond those that the smallest one above 0 fools",
        },
        Metric {
            name: "zero_gradient_rate",
            doc: "share of the survivors looked into at which the gradient that the attack follows is zero",
        },
        Metric {
            name: "rising_rate",
            doc: "share of the survivors looked into whose loss still rose in the last fifth of the steps, by over a tenth of it all",
        },
        Metric { name: "more_steps_rate", doc: "share of the survivors looked into that twice the steps fool" },
        Metric {
            name: "black_box_rate",
            doc: "share of the survivors looked into that Square fools; of a set, of those that gradient attacks left",
        },
        Metric {
            name: "unbounded_rate",
            doc: "share of the survivors looked into that stand where any change within `clip` is allowed",
        },
    ],
    dimensions: &[
        Dimension {
            name: "eps",
            values: Values::Float,
            unit: "units of the data",
            doc: "size of the perturbation; null for what is about all sizes",
        },
        Dimension {
            name: "by",
            values: Values::Text,
            unit: "",
            doc: "the attack that the row is about; null for the worst case over all",
        },
        Dimension {
            name: "warning",
            values: Values::Text,
            unit: "",
            doc: "why the robust accuracy may be too high; null where nothing speaks against it",
        },
    ],
    network: true,
};

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
    size: Moments,
    extremes: (f64, f64),
    loss: Moments,
    rise: Moments,
    /// By attack, the samples that it fooled.
    found: Vec<u64>,
}

impl AtSize {
    /// What the curve of sizes is at this one.
    fn point(&self, eps: f64) -> Point {
        let fooled = self.fooled.iter().map(|c| c.successes).sum();
        Point { eps, rows: self.clean.len() as u64, fooled, rise: self.rise.mean(), found: self.found.clone() }
    }
}

/// The table, and the warnings in it.
pub(super) fn results(
    samples: &Table,
    density: f64,
    names: &[String],
    checks: &Checks,
) -> Result<(Table, Vec<String>), TableError> {
    let (sizes, per_size) = sums(samples, names)?;
    let mut tidy = RESULTS.start(Some(density));
    for (eps, at) in sizes.iter().zip(&per_size) {
        let rows = at.clean.len() as u64;
        let mut push = |metric, by: Cell, measure| tidy.push(metric, [(*eps).into(), by, Cell::Null], measure);
        let right = at.clean.iter().filter(|c| **c).count() as u64;
        push("clean_accuracy", Cell::Null, Measure::rate(right, rows))?;
        push("robust_accuracy", Cell::Null, rate(&at.robust))?;
        push("attack_success_rate", Cell::Null, rate(&at.fooled))?;
        push("changed_rate", Cell::Null, rate(&at.changed))?;
        push("mean_linf", Cell::Null, Measure::mean(&at.linf))?;
        push("max_linf", Cell::Null, Measure::number(at.linf.max_abs(), at.linf.count()))?;
        push("mean_l2", Cell::Null, Measure::mean(&at.l2))?;
        if at.size.count() > 0 {
            push("max_size", Cell::Null, Measure::number(at.size.max_abs(), at.size.count()))?;
        }
        if rows > 0 {
            push("lowest_feature", Cell::Null, Measure::number(at.extremes.0, rows))?;
            push("highest_feature", Cell::Null, Measure::number(at.extremes.1, rows))?;
        }
        if names.len() > 1 {
            for (name, found) in names.iter().zip(&at.found) {
                push("fooled_by", name.into(), Measure::rate(*found, rows))?;
            }
        }
        push("mean_loss", Cell::Null, Measure::mean(&at.loss))?;
    }
    tidy.push("median_critical_eps", [Cell::Null, Cell::Null, Cell::Null], median_critical(samples)?)?;
    let curve: Vec<Point> = sizes.iter().zip(&per_size).map(|(eps, at)| at.point(*eps)).collect();
    let findings = checks.findings(&curve);
    for finding in &findings {
        let cells = [finding.eps.into(), finding.by.clone().into(), finding.warning.into()];
        tidy.push(finding.metric, cells, finding.measure())?;
    }
    Ok((tidy.finish()?, findings.iter().filter_map(Finding::said).collect()))
}

/// With one draw the samples are independent trials; with several they are clusters of them.
fn rate(clusters: &[Cluster]) -> Measure {
    match clusters.iter().map(|c| c.trials).max() {
        Some(2..) => Measure::clustered(clustered_rate(clusters, None)),
        _ => Measure::rate(clusters.iter().map(|c| c.successes).sum(), clusters.iter().map(|c| c.trials).sum()),
    }
}

/// The sizes in ascending order, and what happened at each.
fn sums(samples: &Table, names: &[String]) -> Result<(Vec<f64>, Vec<AtSize>), TableError> {
    let (ids, eps) = (samples.i64s("sample")?, samples.f64s("eps")?);
    let (labels, clean, prediction) =
        (samples.i64s("label")?, samples.i64s("clean_prediction")?, samples.i64s("prediction")?);
    let success = samples.bools("success")?;
    let (linf, l2, size) = (samples.f64s("linf")?, samples.f64s("l2")?, samples.f64s("size")?);
    let (lowest, highest) = (samples.f64s("lowest")?, samples.f64s("highest")?);
    let (before, after, by) = (samples.f64s("loss_before")?, samples.f64s("loss_after")?, samples.strings("by")?);
    let mut sizes: Vec<f64> = eps.values().to_vec();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let rows = ids.values().iter().max().map_or(0, |last| *last as usize + 1);
    let empty = vec![Cluster { successes: 0, trials: 0 }; rows];
    let mut all: Vec<AtSize> = sizes
        .iter()
        .map(|_| AtSize {
            robust: empty.clone(),
            fooled: empty.clone(),
            changed: empty.clone(),
            clean: vec![false; rows],
            extremes: (f64::INFINITY, f64::NEG_INFINITY),
            found: vec![0; names.len()],
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
        if !size.is_null(row) {
            at.size.push(size.value(row));
        }
        at.extremes = (at.extremes.0.min(lowest.value(row)), at.extremes.1.max(highest.value(row)));
        if !after.is_null(row) {
            at.loss.push(after.value(row));
            if !before.is_null(row) {
                at.rise.push(after.value(row) - before.value(row));
            }
        }
        let found = names.iter().position(|name| !by.is_null(row) && by.value(row) == name);
        if let Some(found) = found.filter(|_| right) {
            at.found[found] += 1;
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
    use crate::nn::{Activation, Examples, Mlp, MlpWeights};
    use crate::stages::perturb::tables::{SAMPLES, joined, part};

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
            let names = ["it".to_owned()];
            part(&ids, &part_of.labels, &sizes, &names, &(0..draws).map(run).collect::<Vec<_>>()).expect("sound")
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
        let (samples, perturbed) = joined(&parts, &data).expect("sound");
        let (results, warnings) = results(&samples, 1.0, &["it".to_owned()], &Checks::default()).expect("sound");
        let results = &results;
        assert_eq!(warnings, [""; 0]);
        assert_eq!(value(results, "clean_accuracy", 0.06), Some(0.75));
        assert_eq!(value(results, "robust_accuracy", 0.02), Some(0.75));
        assert_eq!(value(results, "robust_accuracy", 0.06), Some(0.5));
        assert_eq!(value(results, "robust_accuracy", 0.2), Some(0.25));
        assert!((value(results, "attack_success_rate", 0.2).expect("defined") - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(value(results, "median_critical_eps", f64::NAN), Some(0.06));
        let names: Vec<&str> = SAMPLES.iter().map(|(name, _)| *name).collect();
        assert_eq!(samples.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), names);
        assert_eq!((samples.rows(), perturbed.rows()), (12, 4));
        // The audit: what was measured of every point.
        let largest = value(results, "max_size", 0.2).expect("defined");
        assert!(largest <= 0.2 && largest > 0.19, "{largest}");
        assert_eq!(value(results, "lowest_feature", 0.2).map(|v| v >= 0.0), Some(true));
    }

    #[test]
    fn the_cut_into_parts_does_not_change_a_table() {
        for (method, draws) in [(Method::Fgsm, 1), (Method::Uniform, 3)] {
            let digests = |cut| {
                let (parts, data) = parts(method, draws, cut);
                let (samples, perturbed) = joined(&parts, &data).expect("sound");
                let (results, _) = results(&samples, 1.0, &["it".to_owned()], &Checks::default()).expect("sound");
                (results.digest(), samples.digest(), perturbed.x)
            };
            assert_eq!(digests(4), digests(1));
            assert_eq!(digests(4), digests(3));
        }
    }
}
