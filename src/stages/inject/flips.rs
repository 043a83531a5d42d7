//! Faults in stored weights and biases.

use arrow::array::Array;
use duress_cache::{Artifact, Cell, ColumnSpec, Table, TableBuilder, TableError, Tree};
use duress_engine::run::RunContext;
use duress_engine::stage::{OutputFact, StageError};

use super::{Inject, PART_WORK, Sampling};
use crate::nn::fault::{
    self, FaultOutcome, FaultSite, FaultSpace, Golden, evaluate_faults, sample_layers, sample_sites, sample_size,
};
use crate::nn::statistics::{Cluster, clustered_rate};
use crate::nn::{Examples, Mask, Mlp, MlpWeights, Weights};
use crate::stages::artifact::{self, table_fact};
use crate::stages::tidy::{Dimension, Layout, Measure, Metric, Values};

const METRICS: &[Metric] = &[
    Metric { name: "masked_rate", doc: "share of all (fault, sample) pairs in which no output changes" },
    Metric {
        name: "non_critical_rate",
        doc: "share of all (fault, sample) pairs in which an output changes and the class does not",
    },
    Metric {
        name: "critical_rate",
        doc: "share of all (fault, sample) pairs in which the predicted class changes (SDC-1)",
    },
    Metric { name: "non_finite_rate", doc: "share of all (fault, sample) pairs in which an output is NaN or infinite" },
    Metric { name: "critical_fault_rate", doc: "share of all faults that change the class of at least one sample" },
    Metric { name: "accuracy", doc: "share of all (fault, sample) pairs that are classified right" },
    Metric { name: "golden_accuracy", doc: "share of all samples that are classified right without faults" },
    Metric { name: "faults", doc: "faults that were run; `n` says how many there are" },
];

const DIMENSIONS: &[Dimension] = &[
    Dimension { name: "layer", values: Values::Text, unit: "", doc: "layer that is hit; null for all" },
    Dimension { name: "bit", values: Values::Integer, unit: "", doc: "bit that is hit, 31 the sign; null for all" },
];

/// What `results` and `strata` look like.
const RESULTS: Layout = Layout { metrics: METRICS, dimensions: DIMENSIONS, network: true };

const FAULTS: &[(&str, bool)] = &[
    ("fault", true),
    ("layer", false),
    ("tensor", false),
    ("index", false),
    ("bit", true),
    ("model", false),
    ("stored", true),
    ("faulty", true),
    ("masked", true),
    ("non_critical", true),
    ("critical", true),
    ("non_finite", true),
    ("correct", true),
];

pub(super) fn infer() -> Vec<OutputFact> {
    vec![
        OutputFact { name: "results", fact: RESULTS.fact() },
        OutputFact { name: "strata", fact: RESULTS.fact() },
        OutputFact { name: "faults", fact: table_fact("table", FAULTS) },
    ]
}

pub(super) fn run(
    stage: &Inject,
    cx: &RunContext<'_>,
    weights: &Weights,
    data: &Examples,
) -> Result<Artifact, StageError> {
    let density = Mask::density_of(weights);
    let weights = &artifact::mlp_weights(weights)?;
    let space = FaultSpace::new(weights, &stage.targets()).map_err(StageError::failed)?;
    let numbers = chosen(&space, &stage.sampling, stage.seed.0);
    let golden = cx.install(|| Golden::new(weights, data)).map_err(StageError::failed)?;
    let per_fault = (weights.network.macs() * data.rows()).max(1) as u64;
    let block = usize::try_from(PART_WORK / per_fault).unwrap_or(usize::MAX).clamp(64, 1 << 16);
    let parts: Vec<std::ops::Range<usize>> =
        (0..numbers.len()).step_by(block).map(|first| first..(first + block).min(numbers.len())).collect();
    let part = |range: &std::ops::Range<usize>| -> Result<Table, StageError> {
        let faults = sites(&space, &numbers[range.clone()]);
        let outcomes = cx.install(|| evaluate_faults(&golden, &faults)).map_err(StageError::failed)?;
        cx.progress(range.end as u64, numbers.len() as u64);
        fault_table(weights, range.start, &faults, &outcomes).map_err(StageError::failed)
    };
    let identity =
        |range: &std::ops::Range<usize>| Tree::map([("first", range.start as i64), ("end", range.end as i64)]);
    let tables = cx.parts(&parts, identity, part)?;
    let faults = Table::concat(&tables).map_err(StageError::failed)?;
    campaign_tables(faults, (&weights.network, density), &golden, &space).map_err(StageError::failed)
}

fn sites(space: &FaultSpace, numbers: &[u64]) -> Vec<FaultSite> {
    numbers.iter().filter_map(|number| space.site(*number)).collect()
}

/// The numbers of the faults to run.
fn chosen(space: &FaultSpace, sampling: &Sampling, seed: u64) -> Vec<u64> {
    let plan = match sampling {
        Sampling::Exhaustive => fault::Sampling::Exhaustive,
        Sampling::Random(count) => fault::Sampling::NetworkWise(count.0),
        Sampling::Layers(count) => fault::Sampling::LayerProportional(count.0),
        Sampling::Margin(c) => fault::Sampling::NetworkWise(sample_size(space.len(), c.precision())),
        Sampling::LayerMargin(c) => return sample_layers(space, seed, |sites| sample_size(sites, c.precision())),
    };
    sample_sites(space, plan, seed)
}

fn fault_table(
    weights: &MlpWeights,
    first: usize,
    faults: &[FaultSite],
    outcomes: &[FaultOutcome],
) -> Result<Table, TableError> {
    let mut table = TableBuilder::new()
        .column(ColumnSpec::integer("fault").doc("running number, from 0"))
        .text("layer")
        .text("tensor")
        .column(
            ColumnSpec::integers("index").doc("element of the tensor: [output, input] of a weight, [output] of a bias"),
        )
        .column(
            ColumnSpec::integer("bit").doc("0 the mantissa's least significant, 23 to 30 the exponent, 31 the sign"),
        )
        .text("model")
        .column(ColumnSpec::float("stored").nullable().doc("the number without the fault"))
        .column(ColumnSpec::float("faulty").nullable().doc("the number with the fault; null where it is not finite"))
        .column(ColumnSpec::integer("masked").unit("samples").doc("no output changes"))
        .column(ColumnSpec::integer("non_critical").unit("samples").doc("an output changes, the class does not"))
        .column(ColumnSpec::integer("critical").unit("samples").doc("the predicted class changes (SDC-1)"))
        .column(
            ColumnSpec::integer("non_finite").unit("samples").doc("an output is NaN or infinite; counted above too"),
        )
        .column(ColumnSpec::integer("correct").unit("samples").nullable().doc("the predicted class is the label"));
    let finite = |v: Option<f32>| Cell::from(v.filter(|v| v.is_finite()).map(f64::from));
    for (number, (site, outcome)) in (first..).zip(faults.iter().zip(outcomes)) {
        let tensor = &weights.tensors[site.tensor];
        let stored = site.offset(&tensor.shape).map(|at| tensor.values[at]);
        table.push([
            number.into(),
            weights.network.layers[site.layer - 1].name.as_str().into(),
            tensor.name.as_str().into(),
            site.index.iter().map(|i| *i as i64).collect::<Vec<_>>().into(),
            i64::from(site.bit).into(),
            site.model.name().into(),
            finite(stored),
            finite(site.faulty_value(weights)),
            outcome.masked.into(),
            outcome.non_critical.into(),
            outcome.critical.into(),
            outcome.non_finite.into(),
            outcome.correct.into(),
        ])?;
    }
    table.finish()
}

/// One fault as its row in the table of faults says.
struct Row {
    layer: String,
    bit: i64,
    outcome: FaultOutcome,
}

fn campaign_tables(
    faults: Table,
    (network, density): (&Mlp, f64),
    golden: &Golden<'_>,
    space: &FaultSpace,
) -> Result<Artifact, TableError> {
    let rows = rows(&faults)?;
    let layers: Vec<String> = network.layers.iter().map(|layer| layer.name.clone()).collect();
    let mut results = RESULTS.start(Some(density));
    let mut strata = RESULTS.start(Some(density));
    let all = |f: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| f(row)).map(|row| row.outcome).collect::<Vec<_>>();
    let whole = Some(space.len());
    push(&mut results, (None, None), &all(&|_| true), whole, golden)?;
    for layer in &layers {
        let range = space.layers().into_iter().find(|(l, _)| layers[l - 1] == *layer).map(|(_, range)| range);
        let population = range.map(|range| range.end - range.start);
        push(&mut results, (Some(layer), None), &all(&|row| row.layer == *layer), population, golden)?;
        for bit in bits(&rows) {
            let some = all(&|row| row.layer == *layer && row.bit == bit);
            push(&mut strata, (Some(layer), Some(bit)), &some, population.map(|p| p / space.bits()), golden)?;
        }
    }
    for bit in bits(&rows) {
        push(&mut results, (None, Some(bit)), &all(&|row| row.bit == bit), whole.map(|p| p / space.bits()), golden)?;
    }
    Ok(Artifact::new([("results", results.finish()?), ("strata", strata.finish()?), ("faults", faults)]))
}

fn bits(rows: &[Row]) -> Vec<i64> {
    let mut bits: Vec<i64> = rows.iter().map(|row| row.bit).collect();
    bits.sort_unstable();
    bits.dedup();
    bits
}

fn rows(faults: &Table) -> Result<Vec<Row>, TableError> {
    let (layer, bit) = (faults.strings("layer")?, faults.i64s("bit")?);
    let [masked, non_critical, critical, non_finite, correct] =
        ["masked", "non_critical", "critical", "non_finite", "correct"].map(|name| faults.i64s(name));
    let (masked, non_critical, critical, non_finite, correct) =
        (masked?, non_critical?, critical?, non_finite?, correct?);
    let row = |r: usize| Row {
        layer: layer.value(r).to_owned(),
        bit: bit.value(r),
        outcome: FaultOutcome {
            masked: masked.value(r) as u32,
            non_critical: non_critical.value(r) as u32,
            critical: critical.value(r) as u32,
            non_finite: non_finite.value(r) as u32,
            correct: (!correct.is_null(r)).then(|| correct.value(r) as u32),
        },
    };
    Ok((0..faults.rows()).map(row).collect())
}

/// The rates of some faults, of `population` such faults that there are; nothing where none was run.
fn push(
    tidy: &mut crate::stages::tidy::Tidy,
    (layer, bit): (Option<&String>, Option<i64>),
    outcomes: &[FaultOutcome],
    population: Option<u64>,
    golden: &Golden<'_>,
) -> Result<(), TableError> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let samples = golden.rows() as u64;
    let mut put = |metric, measure| tidy.push(metric, [layer.into(), bit.into()], measure);
    let rate = |count: &dyn Fn(&FaultOutcome) -> Option<u32>| {
        let cluster = |o: &FaultOutcome| Some(Cluster { successes: u64::from(count(o)?), trials: samples });
        let clusters: Option<Vec<Cluster>> = outcomes.iter().map(cluster).collect();
        Measure::clustered(clusters.and_then(|clusters| clustered_rate(&clusters, population)))
    };
    put("masked_rate", rate(&|o| Some(o.masked)))?;
    put("non_critical_rate", rate(&|o| Some(o.non_critical)))?;
    put("critical_rate", rate(&|o| Some(o.critical)))?;
    put("non_finite_rate", rate(&|o| Some(o.non_finite)))?;
    let critical = outcomes.iter().filter(|o| o.critical > 0).count() as u64;
    put("critical_fault_rate", Measure::rate(critical, outcomes.len() as u64))?;
    put("accuracy", rate(&|o| o.correct))?;
    if let Some(correct) = golden.correct() {
        put("golden_accuracy", Measure::rate(u64::from(correct), samples))?;
    }
    put("faults", Measure::number(outcomes.len() as f64, population.unwrap_or(outcomes.len() as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::fault::{BitModel, Targets};
    use crate::nn::{Activation, Init, Stream};

    fn setting() -> (MlpWeights, Examples) {
        let net = Mlp::new(4, &[5], 3, Activation::relu(), true);
        let weights = net.initialize(Init::HeNormal, Init::Zeros, 1);
        let mut x = vec![0.0; 80];
        Stream::new(1, "x", &[]).fill_uniform(&mut x, 0.0, 1.0);
        (
            weights,
            Examples {
                features: 4,
                classes: 3,
                x,
                labels: (0..20).map(|i| i % 3).collect(),
                targets: None,
                ..Examples::default()
            },
        )
    }

    fn made(numbers: &[u64], cut: usize) -> (Artifact, FaultSpace) {
        let (weights, data) = setting();
        let targets = Targets { bits: vec![22, 30], models: vec![BitModel::BitFlip], ..Targets::default() };
        let space = FaultSpace::new(&weights, &targets).expect("sites");
        let golden = Golden::new(&weights, &data).expect("fits");
        let parts: Vec<Table> = (0..numbers.len())
            .step_by(cut)
            .map(|first| {
                let faults = sites(&space, &numbers[first..(first + cut).min(numbers.len())]);
                let outcomes = evaluate_faults(&golden, &faults).expect("sites");
                fault_table(&weights, first, &faults, &outcomes).expect("sound")
            })
            .collect();
        let faults = Table::concat(&parts).expect("parts agree");
        (campaign_tables(faults, (&weights.network, 1.0), &golden, &space).expect("sound"), space)
    }

    #[test]
    fn rates_over_all_faults_are_the_means_of_the_rates_by_bit() {
        let (made, space) = made(&(0..70).collect::<Vec<_>>(), 70);
        assert_eq!(space.len(), 70);
        let results = made.table("results").expect("an output");
        let (metric, layer) = (results.strings("metric").expect("text"), results.strings("layer").expect("text"));
        let (bit, value) = (results.i64s("bit").expect("integers"), results.f64s("value").expect("floats"));
        let of = |wanted: Option<i64>| {
            let row = |r: &usize| {
                metric.value(*r) == "critical_rate"
                    && layer.is_null(*r)
                    && if let Some(b) = wanted { !bit.is_null(*r) && bit.value(*r) == b } else { bit.is_null(*r) }
            };
            value.value((0..results.rows()).find(row).expect("a row"))
        };
        assert!((of(None) - f64::midpoint(of(Some(22)), of(Some(30)))).abs() < 1e-12);
        assert!(of(Some(30)) > of(Some(22)));
        // An exhaustive campaign leaves nothing to chance.
        let (lower, upper) = (results.f64s("lower").expect("floats"), results.f64s("upper").expect("floats"));
        let first = (0..results.rows()).find(|r| metric.value(*r) == "critical_rate").expect("a row");
        assert!((upper.value(first) - lower.value(first)).abs() < 1e-15);
    }

    #[test]
    fn the_cut_into_parts_does_not_change_a_table() {
        let numbers: Vec<u64> = (0..70).rev().step_by(2).collect();
        let digests =
            |cut| ["results", "strata", "faults"].map(|name| made(&numbers, cut).0.table(name).map(Table::digest));
        assert_eq!(digests(35), digests(4));
        let (made, _) = made(&numbers, 35);
        let faults = made.table("faults").expect("an output");
        let names: Vec<&str> = FAULTS.iter().map(|(name, _)| *name).collect();
        assert_eq!(faults.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), names);
        assert_eq!(faults.rows(), 35);
    }

    #[test]
    fn a_margin_by_layer_samples_every_layer_for_itself() {
        let (weights, _) = setting();
        let space = FaultSpace::new(&weights, &Targets::default()).expect("sites");
        let numbers = chosen(
            &space,
            &Sampling::LayerMargin(super::super::Confidence {
                margin: duress_engine::spec::Fraction(0.1),
                confidence: duress_engine::spec::Fraction(0.95),
                rate: duress_engine::spec::Fraction(0.5),
            }),
            1,
        );
        // n = N / (1 + 0.01 (N - 1) / 0.9604) of 640 and 480 sites.
        assert_eq!(numbers.len(), 84 + 80);
    }
}
