//! The rates of a campaign: over all faults, by layer, by bit, by sign, by model.
//!
//! Faults are the clusters, and not inferences: all samples under one fault share their cause. Where faults were drawn
//! unequally each counts for as many as it stands for.

use std::collections::BTreeSet;

use duress_cache::{Cell, Table, TableError};

use super::faults::Row;
use crate::nn::fault::space::Cells;
use crate::nn::statistics::{Cluster, ClusteredRate, Drawn, Interval, Moments, Survey};
use crate::stages::tidy::{Dimension, Layout, Measure, Metric, Tidy, Values};

const METRICS: &[Metric] = &[
    Metric {
        name: "masked_rate",
        doc: "share of all (fault, sample) pairs in which no output changes; at least so much where some were screened",
    },
    Metric {
        name: "non_critical_rate",
        doc: "share of all (fault, sample) pairs in which an output changes and the class does not",
    },
    Metric {
        name: "critical_rate",
        doc: "share of all (fault, sample) pairs in which the predicted class changes (SDC-1)",
    },
    Metric { name: "non_finite_rate", doc: "share of all (fault, sample) pairs in which an output is NaN or infinite" },
    Metric {
        name: "top5_lost_rate",
        doc: "share of all (fault, sample) pairs in which the fault-free class leaves the five largest outputs",
    },
    Metric { name: "critical_fault_rate", doc: "share of all faults that change the class of at least one sample run" },
    Metric { name: "accuracy", doc: "share of all (fault, sample) pairs that are classified right" },
    Metric {
        name: "accuracy_top5",
        doc: "share of all (fault, sample) pairs in which the label is among the five largest outputs",
    },
    Metric {
        name: "confidence_change",
        doc: "mean over faults and samples of the change of the probability of the fault-free class",
    },
    Metric { name: "golden_accuracy", doc: "share of all samples that are classified right without faults" },
    Metric { name: "faults", doc: "faults that were run; `n` says how many there are" },
    Metric { name: "screened_rate", doc: "share of all (fault, sample) pairs that were taken for non-critical unrun" },
    Metric {
        name: "audit_error_rate",
        doc: "share of the audited pairs, a random part of the screened, that are critical",
    },
    Metric { name: "listed_critical_rate", doc: "the critical rate of the same faults as their list says" },
    Metric {
        name: "listed_within_3",
        doc: "share of the faults whose critical samples are at most 3 more or fewer than their list says",
    },
    Metric {
        name: "listed_largest_difference",
        doc: "largest difference of critical samples from the list, of all faults",
    },
];

const DIMENSIONS: &[Dimension] = &[
    Dimension {
        name: "by",
        values: Values::Text,
        unit: "",
        doc: "what the row picks faults by: all, layer, bit, sign or model, or all four of a stratum",
    },
    Dimension { name: "model", values: Values::Text, unit: "", doc: "what happens; null for all models" },
    Dimension { name: "layer", values: Values::Text, unit: "", doc: "layer that is hit; null for all" },
    Dimension { name: "bit", values: Values::Integer, unit: "", doc: "bit that is hit, 31 the sign; null for all" },
    Dimension { name: "sign", values: Values::Text, unit: "", doc: "sign of the stored number; null for both" },
];

/// What `results` and `strata` look like.
pub(super) const RESULTS: Layout = Layout { metrics: METRICS, dimensions: DIMENSIONS, network: true };

/// What the rates are made of.
pub(super) struct Rates<'a> {
    pub(super) rows: &'a [Row],
    /// What there was to draw from.
    pub(super) survey: &'a Survey,
    /// How many faults there are of each sort; `None` of lists and where there is no end of them.
    pub(super) cells: Option<&'a Cells>,
    /// Names of the network's nodes.
    pub(super) layers: &'a [String],
    pub(super) density: f64,
    /// Samples, and those that are classified right without faults.
    pub(super) golden: (u64, Option<u64>),
    /// The interval of the critical rate of a campaign that stops by it.
    pub(super) sequential: Option<Interval>,
}

/// Which faults a row of the results is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Domain {
    model: Option<String>,
    layer: Option<String>,
    bit: Option<i64>,
    sign: Option<String>,
}

impl Domain {
    fn has(&self, row: &Row) -> bool {
        let fits = |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|w| Some(w) == found);
        fits(&self.model, Some(&row.model))
            && fits(&self.layer, row.layer.as_deref())
            && self.bit.is_none_or(|bit| row.bit == Some(bit))
            && fits(&self.sign, row.sign.as_deref())
    }

    fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// What it picks faults by.
    fn by(&self) -> &'static str {
        match (&self.model, &self.layer, self.bit, &self.sign) {
            (None, None, None, None) => "all",
            (None, Some(_), None, None) => "layer",
            (None, None, Some(_), None) => "bit",
            (None, None, None, Some(_)) => "sign",
            (Some(_), None, None, None) => "model",
            _ => "stratum",
        }
    }

    fn cells(&self) -> [Cell; 5] {
        [
            self.by().into(),
            self.model.as_deref().into(),
            self.layer.as_deref().into(),
            self.bit.into(),
            self.sign.as_deref().into(),
        ]
    }
}

impl Rates<'_> {
    /// Rates over all faults, and by one thing at a time.
    pub(super) fn results(&self) -> Result<Table, TableError> {
        let mut tidy = RESULTS.start(Some(self.density));
        self.push(&mut tidy, &Domain::default())?;
        for domain in self.margins() {
            self.push(&mut tidy, &domain)?;
        }
        tidy.finish()
    }

    /// Rates by model, layer, bit and sign together: a heatmap.
    pub(super) fn strata(&self) -> Result<Table, TableError> {
        let mut tidy = RESULTS.start(Some(self.density));
        let of = |row: &Row| Domain {
            model: Some(row.model.clone()),
            layer: row.layer.clone(),
            bit: row.bit,
            sign: row.sign.clone(),
        };
        let mut domains: BTreeSet<(usize, Domain)> = BTreeSet::new();
        for row in self.rows {
            let layer = row.layer.as_ref().and_then(|layer| self.layers.iter().position(|name| name == layer));
            domains.insert((layer.unwrap_or(0), of(row)));
        }
        for (_, domain) in domains {
            self.push(&mut tidy, &domain)?;
        }
        tidy.finish()
    }

    /// The domains that fix one thing: layers in the order of the network, then bits, signs, and models where there are several.
    fn margins(&self) -> Vec<Domain> {
        let seen: BTreeSet<&str> = self.rows.iter().filter_map(|row| row.layer.as_deref()).collect();
        let layers = self.layers.iter().filter(|layer| seen.contains(layer.as_str()));
        let mut domains: Vec<Domain> =
            layers.map(|layer| Domain { layer: Some(layer.clone()), ..Domain::default() }).collect();
        let bits: BTreeSet<i64> = self.rows.iter().filter_map(|row| row.bit).collect();
        domains.extend(bits.into_iter().map(|bit| Domain { bit: Some(bit), ..Domain::default() }));
        let signs: BTreeSet<&String> = self.rows.iter().filter_map(|row| row.sign.as_ref()).collect();
        domains.extend(signs.into_iter().map(|sign| Domain { sign: Some(sign.clone()), ..Domain::default() }));
        let models: BTreeSet<&String> = self.rows.iter().map(|row| &row.model).collect();
        if models.len() > 1 {
            domains.extend(models.into_iter().map(|model| Domain { model: Some(model.clone()), ..Domain::default() }));
        }
        domains
    }

    fn population(&self, domain: &Domain) -> Option<u64> {
        let cells = self.cells?;
        Some(cells.count(|cell| {
            domain.model.as_deref().is_none_or(|model| model == cell.model)
                && domain.layer.as_ref().is_none_or(|layer| self.layers.get(cell.node - 1) == Some(layer))
                && domain.bit.is_none_or(|bit| cell.bit.map(i64::from) == Some(bit))
                && domain
                    .sign
                    .as_deref()
                    .is_none_or(|sign| cell.negative.map(|n| if n { "-" } else { "+" }) == Some(sign))
        }))
    }

    /// The rates of one domain; nothing where none of its faults was run.
    fn push(&self, tidy: &mut Tidy, domain: &Domain) -> Result<(), TableError> {
        let belongs: Vec<bool> = self.rows.iter().map(|row| domain.has(row)).collect();
        let inside: Vec<&Row> = self.rows.iter().zip(&belongs).filter(|(_, b)| **b).map(|(row, _)| row).collect();
        if inside.is_empty() {
            return Ok(());
        }
        let population = self.population(domain);
        let mut put = |metric, measure| tidy.push(metric, domain.cells(), measure);
        let clustered = |count: fn(&Row) -> Option<u64>| self.clustered(&belongs, population, count);
        let rate = |count| Measure::clustered(clustered(count));
        put("masked_rate", rate(|row| Some(row.masked)))?;
        put("non_critical_rate", rate(|row| Some(row.non_critical)))?;
        put(
            "critical_rate",
            match self.sequential.filter(|_| domain.is_everything()) {
                Some(interval) => Measure::clustered(clustered(|row| Some(row.critical))).within(interval),
                None => rate(|row| Some(row.critical)),
            },
        )?;
        put("non_finite_rate", rate(|row| Some(row.non_finite)))?;
        put("top5_lost_rate", rate(|row| Some(row.top5_lost)))?;
        put("critical_fault_rate", self.critical_faults(&belongs, &inside, population))?;
        put("accuracy", rate(|row| row.correct))?;
        put("accuracy_top5", rate(|row| row.correct_top5))?;
        put("confidence_change", self.confidence_change(&inside))?;
        if let (samples, Some(correct)) = self.golden {
            put("golden_accuracy", Measure::rate(correct, samples))?;
        }
        put("faults", Measure::number(inside.len() as f64, population.unwrap_or(inside.len() as u64)))?;
        let sum = |count: fn(&Row) -> u64| inside.iter().map(|row| count(row)).sum::<u64>();
        if sum(|row| row.audited + row.screened) > 0 {
            put("screened_rate", rate(|row| Some(row.screened)))?;
            put("audit_error_rate", Measure::rate(sum(|row| row.audit_wrong), sum(|row| row.audited)))?;
        }
        push_listed(&inside, &mut put)
    }

    fn clustered(
        &self,
        belongs: &[bool],
        population: Option<u64>,
        count: fn(&Row) -> Option<u64>,
    ) -> Option<ClusteredRate> {
        let drawn = |row: &Row| {
            Some(Drawn { stratum: row.stratum, cluster: Cluster { successes: count(row)?, trials: row.images } })
        };
        let drawn: Option<Vec<Drawn>> = self.rows.iter().map(drawn).collect();
        self.survey.domain(&drawn?, |at| belongs[at], population)
    }

    fn critical_faults(&self, belongs: &[bool], inside: &[&Row], population: Option<u64>) -> Measure {
        if self.survey.populations.len() <= 1 {
            let critical = inside.iter().filter(|row| row.critical > 0).count() as u64;
            return Measure::rate(critical, inside.len() as u64);
        }
        let one = |row: &Row| {
            let cluster = Cluster { successes: u64::from(row.critical > 0), trials: 1 };
            Drawn { stratum: row.stratum, cluster }
        };
        let drawn: Vec<Drawn> = self.rows.iter().map(one).collect();
        let survey = Survey { trials: None, ..self.survey.clone() };
        Measure::clustered(survey.domain(&drawn, |at| belongs[at], population))
    }

    fn confidence_change(&self, inside: &[&Row]) -> Measure {
        if self.survey.populations.len() <= 1 {
            return Measure::mean(&inside.iter().map(|row| row.confidence_change).collect::<Moments>());
        }
        let mut drawn = vec![0u64; self.survey.populations.len()];
        self.rows.iter().for_each(|row| drawn[row.stratum] += 1);
        let weight = |row: &Row| {
            let n = drawn[row.stratum] as f64;
            self.survey.populations[row.stratum].map_or(1.0, |all| all as f64 / n)
        };
        let (sum, all) = inside
            .iter()
            .fold((0.0, 0.0), |(sum, all), row| (sum + weight(row) * row.confidence_change, all + weight(row)));
        Measure::number(sum / all, inside.len() as u64)
    }
}

/// How the outcomes compare with those of the list, where it has any.
fn push_listed(
    inside: &[&Row],
    put: &mut impl FnMut(&'static str, Measure) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let listed: Option<Vec<(u64, u64)>> = inside.iter().map(|row| row.listed).collect();
    let Some(listed) = listed else { return Ok(()) };
    let cluster = |(trials, successes): &(u64, u64)| Cluster { successes: *successes, trials: *trials };
    let clusters: Vec<Cluster> = listed.iter().map(cluster).collect();
    put("listed_critical_rate", Measure::clustered(crate::nn::statistics::clustered_rate(&clusters, None)))?;
    // Counts over other samples than those of the list are not comparable.
    if inside.iter().zip(&listed).any(|(row, (images, _))| row.images != *images) {
        return Ok(());
    }
    let differences: Vec<u64> =
        inside.iter().zip(&listed).map(|(row, (_, critical))| row.critical.abs_diff(*critical)).collect();
    let near = differences.iter().filter(|difference| **difference <= 3).count() as u64;
    let faults = differences.len() as u64;
    put("listed_within_3", Measure::number(near as f64 / faults as f64, faults))?;
    put("listed_largest_difference", Measure::number(differences.iter().copied().max().unwrap_or(0) as f64, faults))
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use duress_network::campaign::{Campaign, Examples, Fault, Options, Run};

    use super::*;
    use crate::nn::fault::FaultModel;
    use crate::nn::fault::design::{By, Design, Fineness};
    use crate::nn::fault::protect::Protected;
    use crate::nn::fault::space::{FaultSpace, Targets};
    use crate::nn::mlp::Mlp;
    use crate::nn::{Activation, Init, Scheme, Stream, Weights};
    use crate::stages::inject::faults::{self, Done};

    struct Setting {
        weights: Weights,
        space: FaultSpace,
        x: Vec<f32>,
    }

    fn setting() -> Setting {
        let network = Mlp::new(4, &[5], 3, Activation::relu(), true).graph().expect("a network");
        let weights = network.initialize(&Scheme::new(Init::HeNormal, Init::Zeros), 1);
        let mut x = vec![0.0; 80];
        Stream::new(1, "x", &[]).fill_uniform(&mut x, 0.0, 1.0);
        let targets = Targets { bits: vec![22, 30], ..Targets::default() };
        let space = FaultSpace::new(&network, &targets, 1).expect("sites");
        Setting { weights, space, x }
    }

    /// Results and strata of the faults `chosen` (stratum, number) of strata of these populations.
    fn tables(setting: &Setting, chosen: &[(usize, u64)], populations: Vec<Option<u64>>) -> [Table; 3] {
        let labels: Vec<u32> = (0..20).map(|i| i % 3).collect();
        let examples = Examples { x: &setting.x, labels: Some(&labels) };
        let engine = Campaign::new(&setting.weights, examples, Options::default()).expect("fits");
        let sites: Vec<_> =
            chosen.iter().map(|(stratum, number)| (*stratum, setting.space.site(*number).expect("within"))).collect();
        let plain = Protected::plain(&setting.weights, 1);
        let faults: Vec<Fault> = sites.iter().map(|(_, site)| plain.fault(site).expect("stored")).collect();
        let outcomes = engine.evaluate(&faults.iter().map(Run::all).collect::<Vec<_>>()).expect("sites");
        let done: Vec<Done> = sites
            .into_iter()
            .zip(outcomes)
            .map(|((stratum, site), outcome)| {
                let number = site.number;
                Done { number, site, faulty: None, stratum, outcome, listed: None }
            })
            .collect();
        let table = faults::table(&setting.weights, &done).expect("sound");
        let rows = faults::rows(&table).expect("its own columns");
        let layers: Vec<String> = setting.weights.network().nodes().iter().map(|node| node.name.clone()).collect();
        let cells = Cells::of(&setting.space, &setting.weights);
        let rates = Rates {
            rows: &rows,
            survey: &Survey { populations, trials: Some(20), unseen: 0.0 },
            cells: cells.as_ref(),
            layers: &layers,
            density: 1.0,
            golden: (20, engine.correct().map(u64::from)),
            sequential: None,
        };
        [rates.results().expect("sound"), rates.strata().expect("sound"), table]
    }

    /// Value, ends and `n` of the row of `metric` over all, or of one bit.
    fn of(table: &Table, metric: &str, bit: Option<i64>) -> (f64, f64, f64, i64) {
        let (metrics, bits) = (table.strings("metric").expect("text"), table.i64s("bit").expect("integers"));
        let (layers, signs) = (table.strings("layer").expect("text"), table.strings("sign").expect("text"));
        let wanted = |r: &usize| {
            let same = if bits.is_null(*r) { bit.is_none() } else { bit == Some(bits.value(*r)) };
            metrics.value(*r) == metric && same && layers.is_null(*r) && signs.is_null(*r)
        };
        let row = (0..table.rows()).find(wanted).expect("a row");
        let float = |name: &str| table.f64s(name).expect("floats").value(row);
        (float("value"), float("lower"), float("upper"), table.i64s("n").expect("integers").value(row))
    }

    #[test]
    fn rates_over_all_faults_are_the_means_of_the_rates_by_bit() {
        let setting = setting();
        let all: Vec<(usize, u64)> = (0..70).map(|number| (0, number)).collect();
        let [results, strata, _] = tables(&setting, &all, vec![Some(70)]);
        let (whole, lower, upper, _) = of(&results, "critical_rate", None);
        let (low, high) = (of(&results, "critical_rate", Some(22)).0, of(&results, "critical_rate", Some(30)).0);
        assert!((whole - f64::midpoint(low, high)).abs() < 1e-12);
        assert!(high > low);
        // An exhaustive campaign leaves nothing to chance, in whole and in part.
        assert!((upper - lower).abs() < 1e-15);
        let (_, lower, upper, n) = of(&results, "critical_rate", Some(30));
        assert!((upper - lower).abs() < 1e-15 && n == 35 * 20);
        assert_eq!(of(&results, "faults", Some(30)).3, 35);
        // Two layers, two bits, two signs.
        let count =
            (0..strata.rows()).filter(|r| strata.strings("metric").expect("text").value(*r) == "faults").count();
        assert_eq!(count, 8);
    }

    #[test]
    fn faults_drawn_unequally_count_for_as_many_as_they_stand_for() {
        let setting = setting();
        let design = Design::by(&setting.space, None, By { layer: false, bit: Fineness::Each, sign: false });
        // All of bit 30 and four of bit 22, so that the plain mean would be far off.
        let mut chosen: Vec<(usize, u64)> =
            design.draw(1, 35, 1).into_iter().map(|chosen| (chosen.stratum, chosen.number)).collect();
        chosen.extend(design.draw(0, 4, 1).into_iter().map(|chosen| (chosen.stratum, chosen.number)));
        let [results, ..] = tables(&setting, &chosen, design.populations());
        let whole = of(&results, "critical_rate", None);
        let (low, high) = (of(&results, "critical_rate", Some(22)).0, of(&results, "critical_rate", Some(30)).0);
        assert!((whole.0 - f64::midpoint(low, high)).abs() < 1e-12, "{whole:?} {low} {high}");
        let all: Vec<(usize, u64)> = (0..70).map(|number| (0, number)).collect();
        let [census, ..] = tables(&setting, &all, vec![Some(70)]);
        assert!((high - of(&census, "critical_rate", Some(30)).0).abs() < 1e-12);
    }

    #[test]
    fn the_cut_into_parts_does_not_change_the_table_of_faults() {
        let setting = setting();
        let chosen: Vec<(usize, u64)> = (0..70).rev().step_by(2).map(|number| (0, number)).collect();
        let [_, _, whole] = tables(&setting, &chosen, vec![Some(70)]);
        let parts: Vec<Table> = chosen
            .chunks(4)
            .map(|part| {
                let [_, _, table] = tables(&setting, part, vec![Some(70)]);
                table
            })
            .collect();
        assert_eq!(Table::concat(&parts).expect("parts agree").digest(), whole.digest());
    }

    #[test]
    fn the_table_of_faults_says_what_was_hit() {
        let setting = setting();
        let [_, _, table] = tables(&setting, &[(0, 1), (0, 44)], vec![Some(70)]);
        let names: Vec<&str> = faults::COLUMNS.iter().map(|(name, _)| *name).collect();
        assert_eq!(table.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), names);
        let stored = setting.weights.tensors()[0].values[0];
        let sign = if stored.is_sign_negative() { "-" } else { "+" };
        assert_eq!(table.strings("sign").expect("text").value(0), sign);
        assert_eq!(table.strings("tensor").expect("text").value(1), "output.weight");
        assert_eq!(table.i64_lists("index").expect("lists")[1].values().to_vec(), [0, 2]);
        assert!((table.f64s("stored").expect("floats").value(0) - f64::from(stored)).abs() < 1e-12);
        let flipped = FaultModel::Bit(crate::nn::fault::BitModel::BitFlip);
        assert_eq!(table.strings("model").expect("text").value(0), flipped.name());
        let count = |name: &str| table.i64s(name).expect("integers").value(0);
        assert_eq!(count("masked") + count("non_critical") + count("critical"), 20);
    }
}
