//! Runs a plan against a cache.
//!
//! | step | file |
//! |---|---|
//! | find and hash the files that stages read | `sources.rs` |
//! | look up what is there already | `resolve.rs` |
//! | take the rest through the workers | `scheduler.rs`, its state `board.rs`, what is next `queue.rs`, one computation per key `once.rs` |
//! | run one stage body | `execute.rs`, in a [`RunContext`] (`context.rs`, `parts.rs`, `tables.rs`) |
//! | say why something must run | `why.rs` |
//! | gather a stage over its axes | `collect.rs` |
//! | judge the study's expectations | `expect.rs` |
//!
//! [`run`] puts them in order. All that happens leaves as [`Event`]s; [`Outcome`] is their sum.

mod board;
mod cancel;
mod collect;
mod context;
mod event;
mod execute;
mod expect;
mod host;
mod once;
mod parts;
mod queue;
mod resolve;
mod scheduler;
mod session;
mod sources;
mod tables;
#[cfg(test)]
mod tests;
mod why;

use std::collections::BTreeSet;
use std::sync::Arc;

use duress_cache::{Entry, Key, Store, StoreError, StudyRecord};

pub use cancel::CancelToken;
pub use collect::{CollectError, Collected, collect, collect_output};
pub use context::{Labelled, RunContext};
pub use event::{Event, EventSink};
pub use expect::Verdict;
pub use host::Host;
pub use resolve::{KeyState, resolve};
pub use sources::Sources;
pub use why::{Explanation, why};

use crate::plan::Plan;
use crate::spec::Expect;
use crate::stage::SourceRoots;
use board::Settled;
use scheduler::Scheduler;
use session::Session;
use tables::TableCache;
use why::Past;

/// The share of the memory for stages that decoded tables may take beside it.
const TABLES_SHARE: u64 = 4;
/// How often expectations are judged anew because results turned out to be damaged.
const JUDGEMENTS: u32 = 3;

/// How to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How many stages run at the same time; 0 for as many as `threads`.
    pub jobs: usize,
    /// How many threads work on data; 0 for one per core.
    pub threads: usize,
    /// How much memory the stages that run at the same time may declare together, in bytes.
    pub memory_bytes: u64,
    /// Whether a failure lets everything run that does not need it.
    pub keep_going: bool,
    /// Only these sections and what they need; all where none.
    pub only: Option<Vec<String>>,
    /// How many cached results to compute again and compare.
    pub verify: Option<usize>,
    /// The class of device, such as `cpu`.
    pub device: String,
    /// Where source files are looked for.
    pub roots: SourceRoots,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            jobs: 0,
            threads: 0,
            memory_bytes: 4 << 30,
            keep_going: false,
            only: None,
            verify: None,
            device: "cpu".to_owned(),
            roots: SourceRoots::default(),
        }
    }
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// The cache had its result.
    Hit {
        /// Its key.
        key: Key,
    },
    /// It was computed.
    Computed {
        /// Its key.
        key: Key,
    },
    /// It failed.
    Failed {
        /// Why.
        error: String,
    },
    /// It was not run.
    Skipped {
        /// What it would have needed; empty where the run was stopped first.
        because: String,
    },
    /// It was stopped while it ran.
    Cancelled,
    /// It was not asked for.
    NotSelected,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How each instance of the plan ended.
    pub states: Vec<InstanceState>,
    /// The result of each instance that has one.
    pub entries: Vec<Option<Arc<Entry>>>,
    /// Instances answered from the cache.
    pub hits: usize,
    /// Instances computed.
    pub computed: usize,
    /// Instances that failed, were skipped or stopped.
    pub failed: usize,
    /// What came of the expectations that were judged.
    pub verdicts: Vec<Verdict>,
    /// Expectations that do not hold.
    pub unmet: usize,
    /// Whether the run was asked to stop before it was done.
    pub cancelled: bool,
    /// Time that the hits saved, in seconds.
    pub saved: f64,
    /// Wall-clock time, in seconds.
    pub seconds: f64,
}

impl Outcome {
    /// Whether everything that was asked for has its result, and every expectation holds.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.unmet == 0 && !self.cancelled
    }
}

/// Runs a plan: whatever `store` lacks is computed and kept there. Everything that happens is told to `events`, the last
/// being [`Event::RunFinished`]; a failure of a stage is an event and part of the outcome, not an error.
///
/// # Errors
/// Where the store cannot be read at all.
pub fn run(
    plan: &Plan,
    store: &dyn Store,
    host: &dyn Host,
    options: &RunOptions,
    events: &dyn EventSink,
    cancel: &CancelToken,
) -> Result<Outcome, StoreError> {
    let start = host.elapsed_seconds();
    let selected = selection(plan, options.only.as_deref());
    events.emit(Event::RunStarted { study: plan.study.name.clone(), instances: selected.len() });
    let sources = Sources::hash(plan, &options.roots, |index| selected.contains(&index));
    let threads = if options.threads > 0 { options.threads } else { cores() };
    let jobs = if options.jobs > 0 { options.jobs } else { threads };
    let session = Session {
        plan,
        store,
        host,
        events,
        cancel,
        sources: &sources,
        device: &options.device,
        threads,
        pool: std::sync::OnceLock::new(),
        tables: TableCache::new(options.memory_bytes / TABLES_SHARE),
        past: Past::of(plan, store)?,
    };
    let keys = resolve::resolve_some(plan, store, &sources, &options.device, |index| selected.contains(&index))?;
    session.report_findings();
    let verify = to_verify(&keys, &selected, options.verify.unwrap_or(0));
    let settled = settle_hits(&session, &keys, &selected, &verify);
    let settled = Scheduler::new(&session, options, verify, settled).run(jobs);
    let (settled, verdicts) = judge(&session, options, jobs, settled, &selected);
    remember(&session, &settled);
    let mut outcome = Outcome {
        states: settled.states.into_iter().map(|state| state.unwrap_or(InstanceState::NotSelected)).collect(),
        entries: settled.entries,
        hits: 0,
        computed: 0,
        failed: 0,
        unmet: verdicts.iter().filter(|verdict| !verdict.passed).count(),
        verdicts,
        cancelled: cancel.requested(),
        saved: 0.0,
        seconds: 0.0,
    };
    count(&mut outcome);
    outcome.seconds = host.elapsed_seconds() - start;
    finish(events, &outcome);
    Ok(outcome)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The instances that are asked for, and everything they need.
fn selection(plan: &Plan, only: Option<&[String]>) -> BTreeSet<usize> {
    let Some(only) = only else { return (0..plan.instances.len()).collect() };
    let mut selected = BTreeSet::new();
    // Inputs come first in a plan, so that walking backwards meets every reader before what it reads.
    for (index, instance) in plan.instances.iter().enumerate().rev() {
        if selected.contains(&index) || only.contains(&instance.section) {
            selected.insert(index);
            selected.extend(instance.slots.iter().map(|slot| slot.from));
        }
    }
    selected
}

/// Cached instances to compute again, evenly spread over the plan.
fn to_verify(keys: &[KeyState], selected: &BTreeSet<usize>, count: usize) -> BTreeSet<usize> {
    let hits: Vec<usize> = selected.iter().copied().filter(|&index| keys[index].entry().is_some()).collect();
    let count = count.min(hits.len());
    (0..count).map(|turn| hits[turn * hits.len() / count]).collect()
}

/// Hits are settled here, in plan order, with no worker woken for any of them.
fn settle_hits(
    session: &Session<'_>,
    keys: &[KeyState],
    selected: &BTreeSet<usize>,
    verify: &BTreeSet<usize>,
) -> Settled {
    let mut states = vec![None; keys.len()];
    let mut entries = vec![None; keys.len()];
    for (index, state) in keys.iter().enumerate() {
        if !selected.contains(&index) {
            states[index] = Some(InstanceState::NotSelected);
        } else if let Some(entry) = state.entry().filter(|_| !verify.contains(&index)) {
            scheduler::emit_hit(session, index, entry);
            states[index] = Some(InstanceState::Hit { key: entry.key });
            entries[index] = Some(Arc::clone(entry));
        }
    }
    Settled { states, entries }
}

/// Judges the expectations over what was asked for. Results that turn out to be damaged are computed again first.
fn judge(
    session: &Session<'_>,
    options: &RunOptions,
    jobs: usize,
    mut settled: Settled,
    selected: &BTreeSet<usize>,
) -> (Settled, Vec<Verdict>) {
    let plan = session.plan;
    let sections: BTreeSet<&str> = selected.iter().map(|&index| plan.instances[index].section.as_str()).collect();
    let wanted = |expect: &Expect| sections.contains(expect.table.section.as_str());
    let mut verdicts = Vec::new();
    for attempt in 1.. {
        if session.cancel.requested() {
            break;
        }
        let (judged, lost) = expect::judge(plan, session.store, &settled.entries, wanted);
        verdicts = judged;
        if lost.is_empty() || attempt == JUDGEMENTS {
            break;
        }
        session.report_findings();
        for &index in &lost {
            session.warn(index, "its cached result is damaged or lost and is computed again");
            (settled.states[index], settled.entries[index]) = (None, None);
        }
        settled = Scheduler::new(session, options, BTreeSet::new(), settled).run(jobs);
    }
    for Verdict { name, passed, detail } in verdicts.clone() {
        session.events.emit(Event::Expectation { name, passed, detail });
    }
    (settled, verdicts)
}

/// Writes down which key each instance had, for the next run to explain itself with. Instances that this run did not get
/// to keep the key they had.
fn remember(session: &Session<'_>, settled: &Settled) {
    let key_of = |index: usize, label: &str| {
        settled.entries[index].as_ref().map(|entry| entry.key).or_else(|| session.past.key_of(label))
    };
    let instances = session.plan.instances.iter().enumerate();
    let record = StudyRecord {
        study: session.plan.study.name.clone(),
        recorded_unix_ms: session.host.now_unix_ms(),
        instances: instances
            .filter_map(|(index, instance)| Some((instance.label.clone(), key_of(index, &instance.label)?)))
            .collect(),
    };
    if let Err(error) = session.store.put_record(&record) {
        let message =
            format!("this run cannot be compared with the next one, since it could not be written down: {error}");
        session.events.emit(Event::Warning { instance: String::new(), message });
    }
}

fn count(outcome: &mut Outcome) {
    for (state, entry) in outcome.states.iter().zip(&outcome.entries) {
        match state {
            InstanceState::Hit { .. } => {
                outcome.hits += 1;
                outcome.saved += entry.as_ref().map_or(0.0, |entry| entry.provenance.seconds);
            }
            InstanceState::Computed { .. } => outcome.computed += 1,
            InstanceState::NotSelected => {}
            InstanceState::Failed { .. } | InstanceState::Skipped { .. } | InstanceState::Cancelled => {
                outcome.failed += 1
            }
        }
    }
}

fn finish(events: &dyn EventSink, outcome: &Outcome) {
    let Outcome { hits, computed, failed, unmet, saved, seconds, .. } = *outcome;
    events.emit(Event::RunFinished { hits, computed, failed, unmet, saved, seconds });
}
