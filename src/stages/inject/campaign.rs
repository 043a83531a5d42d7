//! Single faults: which, in which order, and their outcomes, part by part.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use duress_cache::{Artifact, Table, Tree};
use duress_engine::run::RunContext;
use duress_engine::spec::Count;
use duress_engine::stage::{Location, OutputFact, StageError};
use duress_network::campaign::{self, Fault, Outcome, Run, Screening};
use duress_network::chosen::ChosenCampaign;

use super::config::{Method, Sampling, Stop, Stratified, UNSEEN};
use super::faults::{self, Done, Row};
use super::paired::{self, PROTECTIONS, Repeated, Unprotected};
use super::rates::{RESULTS, Rates};
use super::{Inject, PART_WORK};
use crate::device;
use crate::nn::fault::design::{Chosen, choose, images_of};
use crate::nn::fault::list::{Counts, Listed, Order, read_list, read_names};
use crate::nn::fault::matches;
use crate::nn::fault::protect::{Protected, Scheme};
use crate::nn::fault::rounds::{Plan, Rounds};
use crate::nn::fault::space::{Cells, FaultSite, FaultSpace};
use crate::nn::statistics::{Cluster, ConfidenceSequence, Drawn, Interval, Survey, level_of_look};
use crate::nn::{Examples, Mask, Weights};
use crate::stages::artifact::table_fact;

/// Faults of a part at least: the fault-free values of a part are computed once for all of its faults. More where what they share
/// costs more beside them: what a screening predicts from, and all of it on a GPU, which has done with faults soon.
const LEAST_FAULTS: usize = 256;
const LEAST_SHARED: usize = 4096;
/// Faults before the first look of a campaign that stops by itself, and the factor from look to look.
const FIRST_LOOK: u64 = 256;
const NEXT_LOOK: f64 = 1.5;
/// The names of the sources in the key.
pub(super) const LIST: &str = "faults";
pub(super) const NAMES: &str = "names";

pub(super) fn infer(stage: &Inject) -> Vec<OutputFact> {
    let mut outputs = vec![
        OutputFact { name: "results", fact: RESULTS.fact() },
        OutputFact { name: "strata", fact: RESULTS.fact() },
        OutputFact { name: "faults", fact: table_fact("table", faults::COLUMNS) },
    ];
    if !stage.protections().is_empty() {
        outputs.push(OutputFact { name: "protections", fact: PROTECTIONS.fact() });
        outputs.push(OutputFact { name: "paired", fact: table_fact("table", paired::COLUMNS) });
    }
    outputs
}

pub(super) fn run(
    stage: &Inject,
    cx: &RunContext<'_>,
    weights: &Weights,
    data: &Examples,
) -> Result<Artifact, StageError> {
    let format = stage.format();
    let plain = Protected::new(weights, format, &Scheme::Nothing, stage.seed.0).map_err(StageError::failed)?;
    let given = weights;
    let weights = plain.weights();
    let source = Source::of(stage, cx, weights)?;
    let examples = campaign::Examples { x: &data.x, labels: (!data.labels.is_empty()).then_some(&data.labels[..]) };
    let options = options(stage, weights, &source);
    let processor = device::of_run(cx)?;
    let engine = cx
        .install(|| ChosenCampaign::on(&processor, weights, examples, options.clone()))
        .map_err(StageError::failed)?;
    let mut progress = Progress {
        stage,
        cx,
        weights,
        plain: &plain,
        engine: &engine,
        source: &source,
        tables: Vec::new(),
        rows: Vec::new(),
        chosen: Vec::new(),
    };
    let (design, sequential) = match &stage.sampling {
        Sampling::List(_) => {
            progress.extend(&source.listed(), true)?;
            (vec![None], None)
        }
        Sampling::Stratified(keys) => progress.rounds(keys)?,
        _ => progress.plain()?,
    };
    let repeated = if stage.protections().is_empty() { Vec::new() } else { progress.repeated()? };
    let block = progress.block();
    let (tables, rows) = (progress.tables, progress.rows);
    let all = Table::concat(&tables).map_err(StageError::failed)?;
    let samples = engine.examples() as u64;
    let survey = Survey { populations: design, trials: Some(samples), unseen: unseen(stage) };
    let cells = source.space().and_then(|space| Cells::of(space, weights));
    let layers: Vec<String> = weights.network().nodes().iter().map(|node| node.name.clone()).collect();
    let rates = Rates {
        rows: &rows,
        survey: &survey,
        cells: cells.as_ref(),
        layers: &layers,
        density: Mask::density_of(weights),
        golden: (samples, engine.correct().map(u64::from)),
        sequential,
    };
    let results = rates.results().map_err(StageError::failed)?;
    let strata = rates.strata().map_err(StageError::failed)?;
    let mut outputs = vec![("results", results), ("strata", strata), ("faults", all)];
    if !repeated.is_empty() {
        let unprotected = Unprotected {
            given,
            plain: &plain,
            engine: &engine,
            processor: &processor,
            examples,
            options: &options,
            rows: &rows,
            faults: &repeated,
            survey: &survey,
            block,
        };
        outputs.extend(unprotected.compare(stage, cx)?);
    }
    Ok(Artifact::new(outputs))
}

/// Where the faults come from.
enum Source {
    Space(FaultSpace),
    List(Vec<Listed>),
}

impl Source {
    fn of(stage: &Inject, cx: &RunContext<'_>, weights: &Weights) -> Result<Self, StageError> {
        let Some(keys) = stage.list() else {
            let space = FaultSpace::new(weights.network(), &stage.targets(), stage.seed.0);
            return space.map(Self::Space).map_err(StageError::failed);
        };
        let names = match source(cx, NAMES) {
            Some(path) => read_names(&bytes(path)?).map_err(StageError::failed)?,
            None => BTreeMap::new(),
        };
        let path = source(cx, LIST)
            .ok_or_else(|| StageError::failed("find the file of the fault list: run the study again"))?;
        let order = Order::from(keys.order);
        let mut listed = read_list(&bytes(path)?, weights.network(), order, &names).map_err(StageError::failed)?;
        let bits = stage.bits();
        let wanted = |site: &FaultSite| {
            let node = site.node.map_or("", |node| weights.network().nodes()[node - 1].name.as_str());
            let parameter =
                site.parameter.map_or("", |parameter| weights.network().parameters()[parameter].name.as_str());
            stage.layers.0.iter().any(|pattern| matches(pattern, node) || matches(pattern, parameter))
                && site.bit.is_none_or(|bit| bits.contains(&bit))
        };
        listed.retain(|fault| wanted(&fault.site));
        let mut listed: Vec<Listed> = listed.into_iter().step_by(keys.every.size()).collect();
        listed.truncate(keys.first.map_or(usize::MAX, Count::size));
        if listed.is_empty() {
            return Err(StageError::failed(
                "run the faults of a list: none is in these `layers` and `bits`; name others",
            ));
        }
        Ok(Self::List(listed))
    }

    fn space(&self) -> Option<&FaultSpace> {
        match self {
            Self::Space(space) => Some(space),
            Self::List(_) => None,
        }
    }

    /// All faults of a list, in its order.
    fn listed(&self) -> Vec<Chosen> {
        match self {
            Self::Space(_) => Vec::new(),
            Self::List(listed) => (0..listed.len() as u64).map(|number| Chosen { stratum: 0, number }).collect(),
        }
    }

    /// A fault, the number it goes by, and what its list says of it.
    fn site(&self, at: usize, chosen: Chosen) -> Option<(u64, FaultSite, Option<Counts>)> {
        match self {
            Self::Space(space) => Some((at as u64, space.site(chosen.number)?, None)),
            Self::List(listed) => {
                let fault = listed.get(chosen.number as usize)?;
                Some((fault.site.number, fault.site.clone(), fault.counts))
            }
        }
    }

    /// The nodes whose outputs are hit.
    fn exposed(&self) -> BTreeSet<usize> {
        self.space().map_or_else(BTreeSet::new, FaultSpace::exposed)
    }
}

fn options(stage: &Inject, weights: &Weights, source: &Source) -> campaign::Options {
    let network = weights.network();
    let tf32 = super::check::multiplying(network)
        .filter(|node| stage.tf32.iter().any(|pattern| matches(pattern, &network.nodes()[node - 1].name)));
    campaign::Options {
        method: match stage.method {
            Method::Exact => campaign::Method::Exact,
            Method::Full => campaign::Method::Full,
            Method::Screened(keys) => campaign::Method::Screened(Screening {
                audit: keys.audit.0,
                safety: keys.safety.0,
                largest: keys.largest.0,
                seed: stage.seed.0,
            }),
        },
        exposed: source.exposed(),
        tf32: tf32.collect(),
        ..campaign::Options::default()
    }
}

/// The path of a source of the stage.
fn source<'a>(cx: &'a RunContext<'_>, name: &str) -> Option<&'a Path> {
    cx.sources().iter().find(|source| source.name == name).and_then(|source| match &source.location {
        Location::File(path) => Some(path.as_path()),
        _ => None,
    })
}

fn bytes(path: &Path) -> Result<Vec<u8>, StageError> {
    std::fs::read(path).map_err(|cause| StageError::failed(format!("read {}: {cause}; mend `path`", path.display())))
}

/// What has been run so far.
struct Progress<'a> {
    stage: &'a Inject,
    cx: &'a RunContext<'a>,
    weights: &'a Weights,
    plain: &'a Protected<'a>,
    engine: &'a ChosenCampaign<'a>,
    source: &'a Source,
    tables: Vec<Table>,
    rows: Vec<Row>,
    /// What was run, in the order of the rows.
    chosen: Vec<Chosen>,
}

/// Populations of the strata, and the interval of a campaign that stops by it.
type Designed = (Vec<Option<u64>>, Option<Interval>);

impl Progress<'_> {
    /// Runs more faults; `whole` says that there will be no others.
    fn extend(&mut self, chosen: &[Chosen], whole: bool) -> Result<(), StageError> {
        if chosen.is_empty() {
            return Ok(());
        }
        let start = self.rows.len();
        let block = self.block();
        let parts: Vec<std::ops::Range<usize>> =
            (0..chosen.len()).step_by(block).map(|first| first..(first + block).min(chosen.len())).collect();
        let end = start + chosen.len();
        let part = |range: &std::ops::Range<usize>| -> Result<Table, StageError> {
            let table = self.part(start + range.start, &chosen[range.clone()])?;
            self.cx.progress((start + range.end) as u64, end as u64);
            Ok(table)
        };
        let identity = |range: &std::ops::Range<usize>| {
            Tree::map([("first", (start + range.start) as i64), ("end", (start + range.end) as i64)])
        };
        let tables = match parts.as_slice() {
            [only] if !whole => vec![self.cx.part(identity(only), || part(only))?],
            _ => self.cx.parts(&parts, identity, part)?,
        };
        for table in &tables {
            self.rows.extend(faults::rows(table).map_err(StageError::failed)?);
        }
        self.tables.extend(tables);
        self.chosen.extend(chosen);
        Ok(())
    }

    /// What was run, to be run again under protections.
    fn repeated(&self) -> Result<Vec<Repeated>, StageError> {
        let repeat = |(at, one): (usize, &Chosen)| {
            let (number, site, _) = self.source.site(at, *one)?;
            let images = self.images(site.number);
            Some(Repeated { number, site, images })
        };
        let all: Option<Vec<Repeated>> = self.chosen.iter().enumerate().map(repeat).collect();
        all.ok_or_else(missing)
    }

    /// The examples that a fault is run on; `None` for all.
    fn images(&self, number: u64) -> Option<Vec<u32>> {
        let drawn = |count: Count| images_of(number, count.size(), self.engine.examples(), self.stage.seed.0);
        self.stage.images.and_then(drawn)
    }

    /// How many faults make a part.
    fn block(&self) -> usize {
        let samples = self.stage.images.map_or(self.engine.examples(), Count::size);
        let shared = matches!(self.stage.method, Method::Screened(_)) || !matches!(self.engine, ChosenCampaign::Cpu(_));
        let least = if shared { LEAST_SHARED } else { LEAST_FAULTS };
        let per_fault = self.weights.network().macs().saturating_mul(samples as u64).max(1);
        usize::try_from(PART_WORK / per_fault).unwrap_or(usize::MAX).clamp(least, 1 << 16)
    }

    fn part(&self, first: usize, chosen: &[Chosen]) -> Result<Table, StageError> {
        let mut sites = Vec::with_capacity(chosen.len());
        let mut numbered: Vec<Fault> = Vec::with_capacity(chosen.len());
        let mut images: Vec<Option<Vec<u32>>> = Vec::with_capacity(chosen.len());
        for (at, one) in (first..).zip(chosen) {
            let (number, site, listed) = self.source.site(at, *one).ok_or_else(missing)?;
            numbered.push(self.plain.fault(&site).ok_or_else(missing)?);
            images.push(self.images(site.number));
            sites.push((number, site, one.stratum, listed));
        }
        let runs: Vec<Run<'_>> =
            numbered.iter().zip(&images).map(|(fault, images)| Run { fault, images: images.as_deref() }).collect();
        let outcomes: Vec<Outcome> = self.cx.install(|| self.engine.evaluate(&runs)).map_err(StageError::failed)?;
        let faulty = |fault: &Fault| match fault {
            Fault::Stored(stored) => stored.first().map(|stored| stored.value),
            Fault::Activation(_) => None,
        };
        let done = |(((number, site, stratum, listed), outcome), fault)| Done {
            number,
            site,
            faulty: faulty(fault),
            stratum,
            outcome,
            listed,
        };
        let done: Vec<Done> = sites.into_iter().zip(outcomes).zip(&numbered).map(done).collect();
        faults::table(self.weights, &done).map_err(StageError::failed)
    }

    /// Faults that are chosen at once, or one after the other until enough is known.
    fn plain(&mut self) -> Result<Designed, StageError> {
        let (Some(space), Some(sampling)) = (self.source.space(), self.stage.plain_sampling()) else {
            return Ok((vec![None], None));
        };
        let (design, chosen) = choose(space, self.weights, sampling, self.stage.seed.0);
        let Some(stop) = self.stage.stop else {
            self.extend(&chosen, true)?;
            return Ok((design.populations(), None));
        };
        let mut sequence = ConfidenceSequence::new(stop.confidence.0, design.populations()[0]);
        let mut look = FIRST_LOOK as usize;
        loop {
            let from = self.rows.len();
            self.extend(&chosen[from..look.min(chosen.len())], false)?;
            self.rows[from..].iter().for_each(|row| sequence.push(row.rate()));
            let interval = sequence.interval();
            if self.rows.len() >= chosen.len() || half(interval) <= stop.width.0 {
                return Ok((design.populations(), Some(interval)));
            }
            look = (look as f64 * NEXT_LOOK) as usize;
        }
    }

    /// A pilot of every stratum, then rounds that are shared out by what was seen so far.
    fn rounds(&mut self, keys: &Stratified) -> Result<Designed, StageError> {
        let Some(space) = self.source.space() else { return Ok((vec![None], None)) };
        let plan = Plan {
            by: keys.by(),
            faults: keys.faults.0,
            pilot: keys.pilot.0,
            rounds: keys.rounds.0,
            unseen: keys.unseen.0,
            seed: self.stage.seed.0,
        };
        let mut rounds = Rounds::new(space, self.weights, plan);
        let populations = rounds.design().populations();
        let mut interval = None;
        for look in 1.. {
            let seen: Vec<(usize, f64)> = self.rows.iter().map(|row| (row.stratum, row.rate())).collect();
            let chosen = rounds.next(seen.into_iter());
            if chosen.is_empty() {
                break;
            }
            self.extend(&chosen, false)?;
            if let Some(stop) = self.stage.stop {
                interval = self.look(stop, &populations, look);
                if interval.is_some_and(|interval| half(interval) <= stop.width.0) {
                    break;
                }
            }
        }
        Ok((populations, interval))
    }

    /// The interval of the critical rate after a round, at the level that all rounds together keep.
    fn look(&self, stop: Stop, populations: &[Option<u64>], look: u32) -> Option<Interval> {
        let drawn = |row: &Row| {
            let cluster = Cluster { successes: row.critical, trials: row.images };
            Drawn { stratum: row.stratum, cluster }
        };
        let survey = Survey {
            populations: populations.to_vec(),
            trials: Some(self.engine.examples() as u64),
            unseen: unseen(self.stage),
        };
        let drawn: Vec<Drawn> = self.rows.iter().map(drawn).collect();
        let level = level_of_look(stop.confidence.0, look);
        survey.rate(&drawn)?.interval(level).map(|interval| Interval { level: stop.confidence.0, ..interval })
    }
}

/// How far a fault that was not drawn is taken to be from the others of its stratum.
fn unseen(stage: &Inject) -> f64 {
    match &stage.sampling {
        Sampling::Stratified(keys) => keys.unseen.0,
        _ => UNSEEN,
    }
}

pub(super) fn missing() -> StageError {
    StageError::failed("run a fault that the weights do not have: list the faults anew")
}

fn half(interval: Interval) -> f64 {
    (interval.hi - interval.lo) / 2.0
}
