//! The tables of `bound`, and the check of certified bounds against measurements.

use std::collections::BTreeMap;

use duress_cache::{Artifact, ColumnSpec, Table, TableBuilder, TableError};

use super::Which;
use crate::nn::bound::{CrashBounds, CrashForm, Guarantee, Norm, Spread};
use crate::nn::statistics::{Moments, normal_quantile};
use crate::stages::crash_errors::Measured;
use crate::stages::tidy::{Dimension, Layout, Measure, Metric, Values};

/// Columns of the table of bounds, and whether they are numbers.
pub(super) const BOUNDS: &[(&str, bool)] = &[
    ("sample", true),
    ("output", true),
    ("bound", false),
    ("certainty", false),
    ("mean", true),
    ("std", true),
    ("measured_mean", true),
    ("measured_std", true),
    ("suspect", false),
];

/// What `results` looks like.
pub(super) const RESULTS: Layout = Layout {
    metrics: &[
        Metric { name: "mean", doc: "mean over samples and outputs of the bound's absolute mean" },
        Metric { name: "std", doc: "mean over samples and outputs of the bound's standard deviation" },
        Metric {
            name: "measured_mean",
            doc: "the same of what was measured: of b1 and b2 the mean absolute error, of b3 and b4 the absolute mean error",
        },
        Metric { name: "measured_std", doc: "mean over samples and outputs of the measured standard deviation" },
        Metric { name: "mean_ratio", doc: "`mean` over `measured_mean`" },
        Metric { name: "std_ratio", doc: "`std` over `measured_std`" },
        Metric {
            name: "suspect_rate",
            doc: "share of all (sample, output) pairs at which b3 and b4 differ by more than a quarter",
        },
    ],
    dimensions: &[
        Dimension { name: "bound", values: Values::Text, unit: "", doc: "which bound" },
        Dimension { name: "certainty", values: Values::Text, unit: "", doc: "certified or estimate" },
    ],
    network: true,
};

/// One bound of one sample, and of one output where it is about one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    sample: usize,
    output: Option<usize>,
    bound: &'static str,
    guarantee: Guarantee,
    mean: f64,
    std: Option<f64>,
    measured_mean: Option<f64>,
    measured_std: Option<f64>,
    /// Standard error of the measured mean.
    error: Option<f64>,
    suspect: bool,
    /// What rounding in single precision may add to a measurement.
    rounding: f64,
}

/// All bounds, sample by sample.
pub(super) fn lines(
    rows: &[CrashBounds],
    which: &[Which],
    form: CrashForm,
    measured: Option<&[Measured]>,
) -> Vec<Line> {
    let measured: BTreeMap<(usize, usize), &Measured> =
        measured.unwrap_or_default().iter().map(|m| ((m.sample, m.output), m)).collect();
    let mut all = Vec::new();
    for (sample, row) in rows.iter().enumerate() {
        let of_sample: Vec<Option<&Measured>> =
            (0..row.output.len()).map(|k| measured.get(&(sample, k)).copied()).collect();
        let scale = row.output.iter().fold(1.0, |m, y| f64::max(m, y.abs()));
        let start = Line {
            sample,
            output: None,
            bound: "",
            guarantee: Guarantee::Estimate,
            mean: 0.0,
            std: None,
            measured_mean: None,
            measured_std: None,
            error: None,
            suspect: false,
            rounding: 1e-5 * scale,
        };
        if which.contains(&Which::B1) {
            all.extend(norm_lines(row, form, &of_sample, start));
        }
        for (name, w, spreads) in [("b2", Which::B2, &row.b2), ("b3", Which::B3, &row.b3), ("b4", Which::B4, &row.b4)] {
            if which.contains(&w) {
                all.extend((0..spreads.len()).map(|k| {
                    let suspect = w == Which::B3 && row.taylor_fails[k];
                    spread_line(name, spreads[k], of_sample[k], Line { output: Some(k), suspect, ..start })
                }));
            }
        }
    }
    all
}

/// b1 in its three norms, beside the same norm of the measured absolute errors.
fn norm_lines(row: &CrashBounds, form: CrashForm, measured: &[Option<&Measured>], start: Line) -> Vec<Line> {
    let absolute: Option<Vec<&Measured>> = measured.iter().copied().collect();
    let line = |(norm, mean): (Norm, f64)| {
        let name = match norm {
            Norm::One => "b1-1",
            Norm::Two => "b1-2",
            Norm::Infinity => "b1-inf",
        };
        let errors: Option<Vec<f64>> = absolute.as_ref().and_then(|all| all.iter().map(|m| m.abs_mean_se).collect());
        let measured_mean =
            absolute.as_ref().map(|all| norm.of_vector(&all.iter().map(|m| m.abs_mean).collect::<Vec<_>>()));
        Line {
            bound: name,
            guarantee: CrashBounds::b1_guarantee(norm, form),
            mean,
            measured_mean,
            // The norm of the errors is the most that they can add up to.
            error: errors.map(|errors| norm.of_vector(&errors)),
            rounding: start.rounding * row.output.len() as f64,
            ..start
        }
    };
    Norm::ALL.into_iter().zip(row.b1.iter().copied()).map(line).collect()
}

fn spread_line(bound: &'static str, spread: Spread, measured: Option<&Measured>, start: Line) -> Line {
    let absolute = bound == "b2";
    Line {
        bound,
        guarantee: if absolute { Guarantee::Certified } else { Guarantee::Estimate },
        mean: spread.mean,
        std: Some(spread.std),
        measured_mean: measured.map(|m| if absolute { m.abs_mean } else { m.mean }),
        measured_std: measured.map(|m| m.std),
        error: measured.and_then(|m| if absolute { m.abs_mean_se } else { None }),
        ..start
    }
}

/// The first certified bound that a measurement is beyond, in words.
///
/// Beyond means by more than rounding and by more standard errors than chance explains: at least four, and so many more for
/// many comparisons that a sound study fails once in a million.
pub(super) fn first_violation(lines: &[Line]) -> Option<String> {
    let certified: Vec<&Line> = lines.iter().filter(|l| l.guarantee == Guarantee::Certified).collect();
    let quantile = normal_quantile(1.0 - 1e-6 / certified.len().max(1) as f64).max(4.0);
    let line = certified.into_iter().find(|line| {
        let (Some(measured), Some(error)) = (line.measured_mean, line.error) else { return false };
        measured > line.mean + quantile * error + line.rounding
    })?;
    let place = line.output.map_or_else(|| "all outputs".to_owned(), |k| format!("output {k}"));
    Some(format!(
        "certify {} of sample {}: {} bounds the mean absolute error by {:.6e} but {:.6e} was measured (standard error {:.1e}); \
         check that `measured` used the same weights and samples, and report a bug if it did",
        place,
        line.sample,
        line.bound,
        line.mean,
        line.measured_mean.unwrap_or_default(),
        line.error.unwrap_or_default(),
    ))
}

/// The stage's tables.
pub(super) fn artifact(lines: &[Line], density: f64) -> Result<Artifact, TableError> {
    Ok(Artifact::new([("results", results(lines, density)?), ("bounds", bounds(lines)?)]))
}

fn bounds(lines: &[Line]) -> Result<Table, TableError> {
    let mut table = TableBuilder::new()
        .column(ColumnSpec::integer("sample").doc("position in the split, from 0"))
        .column(ColumnSpec::integer("output").nullable().doc("output, from 0; null for a norm over all"))
        .column(ColumnSpec::text("bound").doc("b1 by its norm, b2, b3 or b4"))
        .column(ColumnSpec::text("certainty").doc("certified or estimate, of the mean; every std is an estimate"))
        .column(
            ColumnSpec::float("mean")
                .doc("of b1 and b2 a bound of the mean absolute error, of b3 and b4 the mean error"),
        )
        .column(ColumnSpec::float("std").nullable().doc("standard deviation of the error"))
        .column(ColumnSpec::float("measured_mean").nullable().doc("the measured counterpart of `mean`"))
        .column(ColumnSpec::float("measured_std").nullable().doc("the measured counterpart of `std`"))
        .column(
            ColumnSpec::boolean("suspect")
                .doc("b3 and b4 differ by more than a quarter, so that b3 is not to be trusted"),
        );
    for line in lines {
        table.push([
            line.sample.into(),
            line.output.into(),
            line.bound.into(),
            line.guarantee.name().into(),
            line.mean.into(),
            line.std.into(),
            line.measured_mean.into(),
            line.measured_std.into(),
            line.suspect.into(),
        ])?;
    }
    table.finish()
}

fn results(lines: &[Line], density: f64) -> Result<Table, TableError> {
    let mut tidy = RESULTS.start(Some(density));
    let mut names: Vec<&'static str> = lines.iter().map(|line| line.bound).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let of: Vec<&Line> = lines.iter().filter(|line| line.bound == name).collect();
        let certainty = of[0].guarantee.name();
        let mean_of = |value: &dyn Fn(&Line) -> Option<f64>| -> Option<Moments> {
            of.iter().map(|line| value(line)).collect::<Option<Moments>>()
        };
        let mean = mean_of(&|line| Some(line.mean.abs()));
        let std = mean_of(&|line| line.std);
        let measured_mean = mean_of(&|line| line.measured_mean.map(f64::abs));
        let measured_std = mean_of(&|line| line.std.and(line.measured_std));
        let mut push = |metric, measure| tidy.push(metric, [name.into(), certainty.into()], measure);
        let plain = |m: &Option<Moments>| {
            m.as_ref().map_or(Measure::undefined("not measured"), |m| Measure::number(m.mean(), m.count()))
        };
        let ratio = |a: &Option<Moments>, b: &Option<Moments>| match (a, b) {
            (Some(a), Some(b)) if b.mean() > 0.0 => Measure::number(a.mean() / b.mean(), b.count()),
            (Some(_), Some(_)) => Measure::undefined("nothing was measured to change"),
            _ => Measure::undefined("not measured"),
        };
        push("mean", plain(&mean))?;
        if std.is_some() {
            push("std", plain(&std))?;
        }
        push("measured_mean", plain(&measured_mean))?;
        push("mean_ratio", ratio(&mean, &measured_mean))?;
        if std.is_some() {
            push("measured_std", plain(&measured_std))?;
            push("std_ratio", ratio(&std, &measured_std))?;
        }
        if name == "b3" {
            let suspect = of.iter().filter(|line| line.suspect).count() as u64;
            push("suspect_rate", Measure::rate(suspect, of.len() as u64))?;
        }
    }
    tidy.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(mean: f64, measured: f64, error: f64) -> Line {
        Line {
            sample: 4,
            output: Some(1),
            bound: "b2",
            guarantee: Guarantee::Certified,
            mean,
            std: None,
            measured_mean: Some(measured),
            measured_std: None,
            error: Some(error),
            suspect: false,
            rounding: 1e-9,
        }
    }

    #[test]
    fn a_measurement_beyond_a_certified_bound_is_told_with_its_place() {
        assert_eq!(first_violation(&[line(1.0, 0.9, 0.01), line(1.0, 1.03, 0.01)]), None);
        let told = first_violation(&[line(1.0, 0.9, 0.01), line(1.0, 1.2, 0.01)]).expect("a violation");
        assert!(told.contains("output 1 of sample 4") && told.contains("b2"), "{told}");
        let estimate = Line { guarantee: Guarantee::Estimate, ..line(1.0, 9.0, 0.01) };
        assert_eq!(first_violation(&[estimate]), None);
    }

    #[test]
    fn measured_crashes_stand_beside_their_bounds() {
        use crate::nn::bound::{crash_bounds, read_chain};
        use crate::nn::fault::{CrashCampaign, crash_rows};
        use crate::nn::plain::Plain;
        use crate::nn::{Activation, Examples, Init, Mlp, Stream};
        use crate::stages::crash_errors;
        use crate::stages::testing::value_where;

        let net = Mlp::new(4, &[10, 6], 3, Activation::Sigmoid { gain: 4.0 }, true);
        let weights = net.initialize(Init::GlorotNormal, Init::Zeros, 1);
        let mut x = vec![0.0; 20];
        Stream::new(1, "x", &[]).fill_uniform(&mut x, 0.0, 1.0);
        let inputs: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
        let data = Examples { features: 4, classes: 3, x, labels: vec![0; 5], targets: None, ..Examples::default() };
        let rates = vec![0.0, 0.05, 0.0, 0.0];
        let executor = Plain::<f32>::new(&weights);
        let campaign = CrashCampaign { rates: rates.clone(), repetitions: 3000, seed: 1 };
        let mut table = crash_errors::columns(TableBuilder::new());
        for (sample, row) in crash_rows(&executor, &data, 0, &campaign).expect("valid").iter().enumerate() {
            for (k, delta) in row.delta.iter().enumerate() {
                table.push(crash_errors::cells(sample, k, delta)).expect("fits");
            }
        }
        let measured = crash_errors::measured(&table.finish().expect("sound")).expect("columns");
        let chain = read_chain(&weights.graph()).expect("a chain");
        let form = CrashForm::default();
        let rows = crash_bounds(&chain, &inputs, &rates, form).expect("valid");
        let all = lines(&rows, &[Which::B1, Which::B2, Which::B3, Which::B4], form, Some(&measured));
        assert_eq!(all.len(), 5 * (3 + 3 * 3));
        assert_eq!(first_violation(&all), None);
        let made = artifact(&all, 1.0).expect("sound");
        let results = made.table("results").expect("an output");
        let of = |metric: &str, bound: &str| value_where(results, &[("metric", metric), ("bound", bound)]);
        assert!((of("std_ratio", "b4") - 1.0).abs() < 0.1, "{}", of("std_ratio", "b4"));
        assert!(of("mean_ratio", "b2") >= 1.0 && of("mean_ratio", "b1-1") >= 1.0 && of("mean_ratio", "b1-inf") >= 1.0);
        let names: Vec<&str> = BOUNDS.iter().map(|(name, _)| *name).collect();
        let bounds = made.table("bounds").expect("an output");
        assert_eq!(bounds.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), names);
    }
}
