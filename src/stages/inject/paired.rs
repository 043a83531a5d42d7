//! Protections on the very faults of the unprotected campaign, and how they compare with none.

use std::collections::{BTreeMap, BTreeSet};

use duress_cache::{ColumnSpec, Table, TableBuilder, TableError, Tree};
use duress_engine::run::RunContext;
use duress_engine::stage::StageError;
use duress_network::campaign::{Examples, Fault, Options, Outcome, Run};
use duress_network::chosen::{ChosenCampaign, Processor};
use duress_network::memory::Size;

use super::Inject;
use super::faults::Row;
use super::protect::Protect;
use crate::nn::fault::compare::{Pair, compare};
use crate::nn::fault::plan::Protection;
use crate::nn::fault::protect::Protected;
use crate::nn::fault::space::FaultSite;
use crate::nn::statistics::{Cluster, Drawn, Survey};
use crate::nn::{Mask, Weights};
use crate::stages::tidy::{Dimension, LEVEL, Layout, Measure, Metric, Tidy, Values};

/// What `protections` looks like.
pub(super) const PROTECTIONS: Layout = Layout {
    metrics: &[
        Metric { name: "clean_accuracy", doc: "share of all samples that are classified right without faults" },
        Metric { name: "clean_accuracy_change", doc: "the same minus that without protection" },
        Metric { name: "memory_cost", doc: "bits of memory that it adds, for each bit of all parameters" },
        Metric {
            name: "critical_rate",
            doc: "share of all (fault, sample) pairs in which the class differs from the one without the fault, as this \
                  protection has it",
        },
        Metric { name: "critical_ratio", doc: "critical rate over that without protection, on the same faults" },
        Metric { name: "planned_rate", doc: "critical rate that the plan expected to be left" },
        Metric {
            name: "non_finite_rate",
            doc: "share of all (fault, sample) pairs in which an output is NaN or infinite",
        },
    ],
    dimensions: &[
        Dimension { name: "protection", values: Values::Text, unit: "", doc: "what protects; `none` for nothing" },
        Dimension { name: "bit", values: Values::Integer, unit: "", doc: "bit that is hit; null for all" },
    ],
    network: true,
};

/// Columns of the table of outcomes under protections, and whether they are numbers.
pub(super) const COLUMNS: &[(&str, bool)] = &[
    ("protection", false),
    ("fault", true),
    ("bit", true),
    ("images", true),
    ("masked", true),
    ("non_critical", true),
    ("critical", true),
    ("non_finite", true),
    ("critical_unprotected", true),
];

/// A fault of the unprotected campaign, to be run again.
pub(super) struct Repeated {
    pub(super) number: u64,
    pub(super) site: FaultSite,
    pub(super) images: Option<Vec<u32>>,
}

/// What a protection did.
struct Shielded {
    label: String,
    size: Size,
    planned: Option<Protection>,
    /// Samples that are right without faults, where labels are known.
    correct: Option<u32>,
    /// In the order of the faults.
    outcomes: Vec<Outcome>,
}

/// The unprotected campaign, which protections are compared with.
pub(super) struct Unprotected<'a> {
    /// The weights before they were stored.
    pub(super) given: &'a Weights,
    /// The network without protection.
    pub(super) plain: &'a Protected<'a>,
    pub(super) engine: &'a ChosenCampaign<'a>,
    pub(super) processor: &'a Processor,
    pub(super) examples: Examples<'a>,
    pub(super) options: &'a Options,
    /// Its outcomes.
    pub(super) rows: &'a [Row],
    /// Its faults, in the order of the outcomes.
    pub(super) faults: &'a [Repeated],
    pub(super) survey: &'a Survey,
    /// Faults of a part.
    pub(super) block: usize,
}

impl Unprotected<'_> {
    /// Runs all faults again under each protection of `stage`: the tables `protections` and `paired`.
    pub(super) fn compare(
        &self,
        stage: &Inject,
        cx: &RunContext<'_>,
    ) -> Result<[(&'static str, Table); 2], StageError> {
        let shield = |protect: &Protect| self.shield(stage, protect, cx);
        let shielded = stage.protections().iter().map(shield).collect::<Result<Vec<_>, _>>()?;
        let comparison = Comparison { unprotected: self, shielded: &shielded };
        let protections = comparison.protections().map_err(StageError::failed)?;
        let paired = comparison.paired().map_err(StageError::failed)?;
        Ok([("protections", protections), ("paired", paired)])
    }

    fn shield(&self, stage: &Inject, protect: &Protect, cx: &RunContext<'_>) -> Result<Shielded, StageError> {
        let format = stage.format();
        let (scheme, planned) = protect.scheme(cx, self.plain.weights(), format)?;
        let protected = Protected::new(self.given, format, &scheme, stage.seed.0).map_err(StageError::failed)?;
        let options = self.renumbered(&protected);
        let engine = cx.install(|| ChosenCampaign::on(self.processor, protected.weights(), self.examples, options));
        let engine = engine.map_err(StageError::failed)?;
        let (label, size, correct) = (protect.label().to_owned(), protected.size(), engine.correct());
        let outcomes = self.run(cx, &label, &protected, &engine)?;
        Ok(Shielded { label, size, planned, correct, outcomes })
    }

    /// Options of a protected run: those of the unprotected one, its nodes renumbered.
    fn renumbered(&self, protected: &Protected<'_>) -> Options {
        let of = |nodes: &BTreeSet<usize>| nodes.iter().map(|&node| protected.node(node)).collect();
        Options { exposed: of(&self.options.exposed), tf32: of(&self.options.tf32), ..self.options.clone() }
    }

    /// Runs all faults under a protection, part by part.
    fn run(
        &self,
        cx: &RunContext<'_>,
        label: &str,
        protected: &Protected<'_>,
        engine: &ChosenCampaign<'_>,
    ) -> Result<Vec<Outcome>, StageError> {
        let all = self.faults;
        let starts: Vec<usize> = (0..all.len()).step_by(self.block.max(1)).collect();
        let part = |first: &usize| -> Result<Table, StageError> {
            let some = &all[*first..all.len().min(first + self.block)];
            let made: Option<Vec<Fault>> = some.iter().map(|fault| protected.fault(&fault.site)).collect();
            let made = made.ok_or_else(super::campaign::missing)?;
            let runs: Vec<Run<'_>> =
                made.iter().zip(some).map(|(fault, of)| Run { fault, images: of.images.as_deref() }).collect();
            let outcomes = cx.install(|| engine.evaluate(&runs)).map_err(StageError::failed)?;
            cx.progress((first + some.len()) as u64, all.len() as u64);
            stored(&outcomes).map_err(StageError::failed)
        };
        let identity = |first: &usize| {
            Tree::map([("protection", Tree::String(label.to_owned())), ("first", Tree::Integer(*first as i64))])
        };
        let tables = match starts.as_slice() {
            [only] => vec![part(only)?],
            _ => cx.parts(&starts, identity, part)?,
        };
        let read = |table: &Table| outcomes(table).map_err(StageError::failed);
        Ok(tables.iter().map(read).collect::<Result<Vec<_>, _>>()?.concat())
    }
}

/// The counts that the comparison needs, as a part keeps them.
const KEPT: [&str; 5] = ["images", "masked", "non_critical", "critical", "non_finite"];

fn stored(outcomes: &[Outcome]) -> Result<Table, TableError> {
    let mut table = KEPT.iter().fold(TableBuilder::new(), |table, name| table.column(ColumnSpec::integer(name)));
    for o in outcomes {
        table.push([o.images, o.masked, o.non_critical, o.critical, o.non_finite].map(Into::into))?;
    }
    table.finish()
}

fn outcomes(table: &Table) -> Result<Vec<Outcome>, TableError> {
    let [images, masked, non_critical, critical, non_finite] = KEPT.map(|name| table.i64s(name));
    let (images, masked, non_critical) = (images?, masked?, non_critical?);
    let (critical, non_finite) = (critical?, non_finite?);
    let outcome = |row: usize| Outcome {
        images: images.value(row) as u32,
        masked: masked.value(row) as u32,
        non_critical: non_critical.value(row) as u32,
        critical: critical.value(row) as u32,
        non_finite: non_finite.value(row) as u32,
        ..Outcome::default()
    };
    Ok((0..table.rows()).map(outcome).collect())
}

/// What the comparison is made of.
struct Comparison<'a> {
    unprotected: &'a Unprotected<'a>,
    shielded: &'a [Shielded],
}

impl Comparison<'_> {
    /// Rates and costs of each protection, `none` first: over all faults, and by bit.
    fn protections(&self) -> Result<Table, TableError> {
        let mut tidy = PROTECTIONS.start(Some(Mask::density_of(self.unprotected.plain.weights())));
        self.push(&mut tidy, None)?;
        for shielded in self.shielded {
            self.push(&mut tidy, Some(shielded))?;
        }
        tidy.finish()
    }

    fn push(&self, tidy: &mut Tidy, shielded: Option<&Shielded>) -> Result<(), TableError> {
        let label = shielded.map_or("none", |shielded| shielded.label.as_str());
        let mut put = |metric, bit: Option<i64>, measure| tidy.push(metric, [label.into(), bit.into()], measure);
        let (samples, before) = (self.unprotected.engine.examples() as u64, self.unprotected.engine.correct());
        let right = shielded.map_or(before, |shielded| shielded.correct);
        if let (Some(right), Some(before)) = (right, before) {
            put("clean_accuracy", None, Measure::rate(right.into(), samples))?;
            let change = (f64::from(right) - f64::from(before)) / samples.max(1) as f64;
            put("clean_accuracy_change", None, Measure::number(change, samples))?;
        }
        let size = shielded.map_or_else(|| self.unprotected.plain.size(), |shielded| shielded.size);
        put("memory_cost", None, Measure::number(size.cost(), size.data))?;
        if let Some(planned) = shielded.and_then(|shielded| shielded.planned.as_ref()) {
            put("planned_rate", None, Measure::number(planned.left, self.unprotected.rows.len() as u64))?;
        }
        let mut bits: Vec<Option<i64>> = self.unprotected.rows.iter().map(|row| row.bit).collect();
        bits.push(None);
        bits.sort_unstable();
        bits.dedup();
        for bit in bits {
            let belongs: Vec<bool> = self.unprotected.rows.iter().map(|row| bit.is_none() || row.bit == bit).collect();
            let critical =
                |at: usize| shielded.map_or(self.unprotected.rows[at].critical, |s| s.outcomes[at].critical.into());
            put("critical_rate", bit, self.rate(&belongs, bit.is_none(), critical))?;
            let non_finite =
                |at: usize| shielded.map_or(self.unprotected.rows[at].non_finite, |s| s.outcomes[at].non_finite.into());
            put("non_finite_rate", bit, self.rate(&belongs, bit.is_none(), non_finite))?;
            if let Some(shielded) = shielded {
                put("critical_ratio", bit, self.ratio(&belongs, shielded))?;
            }
        }
        Ok(())
    }

    fn rate(&self, belongs: &[bool], all: bool, count: impl Fn(usize) -> u64) -> Measure {
        let drawn = |(at, row): (usize, &Row)| {
            let cluster = Cluster { successes: count(at), trials: row.images };
            Drawn { stratum: row.stratum, cluster }
        };
        let drawn: Vec<Drawn> = self.unprotected.rows.iter().enumerate().map(drawn).collect();
        let population = if all { self.unprotected.survey.population() } else { None };
        Measure::clustered(self.unprotected.survey.domain(&drawn, |at| belongs[at], population))
    }

    fn ratio(&self, belongs: &[bool], shielded: &Shielded) -> Measure {
        let mut drawn: BTreeMap<usize, u64> = BTreeMap::new();
        self.unprotected.rows.iter().for_each(|row| *drawn.entry(row.stratum).or_default() += 1);
        let weight = |stratum: usize| {
            let all = self.unprotected.survey.populations.get(stratum).copied().flatten();
            all.map_or(1.0, |all| all as f64 / drawn[&stratum] as f64)
        };
        let share = |critical: u64, images: u64| critical as f64 / images.max(1) as f64;
        let pair = |at: usize| {
            let (row, outcome) = (&self.unprotected.rows[at], &shielded.outcomes[at]);
            Pair {
                weight: weight(row.stratum),
                before: row.rate(),
                after: share(outcome.critical.into(), outcome.images.into()),
            }
        };
        let pairs: Vec<Pair> = (0..self.unprotected.rows.len()).filter(|at| belongs[*at]).map(pair).collect();
        let compared = compare(&pairs, LEVEL);
        let measure = match compared.ratio {
            Some(ratio) => Measure::number(ratio, pairs.len() as u64),
            None => Measure::undefined("nothing critical without protection"),
        };
        compared.interval.map_or(measure, |interval| measure.within(interval))
    }

    /// Every fault under every protection.
    fn paired(&self) -> Result<Table, TableError> {
        let count = |name: &str, doc: &str| ColumnSpec::integer(name).unit("samples").doc(doc);
        let mut table = TableBuilder::new()
            .column(ColumnSpec::text("protection").doc("what protects"))
            .column(ColumnSpec::integer("fault").doc("number of the fault in `faults`"))
            .column(ColumnSpec::integer("bit").nullable().doc("bit that is hit; null of whole numbers"))
            .column(count("images", "samples that it was run on"))
            .column(count("masked", "no output changes"))
            .column(count("non_critical", "an output changes, the class does not"))
            .column(count("critical", "the predicted class changes (SDC-1)"))
            .column(count("non_finite", "an output is NaN or infinite; counted above too"))
            .column(count("critical_unprotected", "the predicted class changes without protection"));
        for shielded in self.shielded {
            for ((fault, row), o) in self.unprotected.faults.iter().zip(self.unprotected.rows).zip(&shielded.outcomes) {
                table.push([
                    shielded.label.as_str().into(),
                    fault.number.into(),
                    row.bit.into(),
                    o.images.into(),
                    o.masked.into(),
                    o.non_critical.into(),
                    o.critical.into(),
                    o.non_finite.into(),
                    row.critical.into(),
                ])?;
            }
        }
        table.finish()
    }
}
