//! Runs a plan against a cache.
//!
//! | step | file |
//! |---|---|
//! | find and hash the files that stages read | `sources.rs` |
//! | look up what is there already | `resolve.rs` |
//! | take the rest through the workers | `scheduler.rs`, its state `board.rs`, what is next `queue.rs`, one computation per key `once.rs` |
//! | run one stage body | `execute.rs`, in a [`RunContext`] (`context.rs`, `parts.rs`, `chain.rs`, `tables.rs`) |
//! | say why something must run | `why.rs` |
//! | gather a stage over its axes | `collect.rs` |
//! | judge the study's expectations | `expect.rs` |
//! | add it all up | `outcome.rs` |
//!
//! [`run`] puts them in order. All that happens leaves as [`Event`]s; [`Outcome`] is their sum.

mod board;
mod cancel;
mod chain;
mod collect;
mod context;
mod event;
mod execute;
mod expect;
mod host;
mod once;
mod outcome;
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

use duress_cache::{Store, StoreError, StudyRecord};

pub use cancel::CancelToken;
pub use chain::Chain;
pub use collect::{CollectError, Collected, collect, collect_output};
pub use context::{Labelled, RunContext};
pub use event::{Event, EventSink};
pub use expect::Verdict;
pub use host::Host;
pub use outcome::{InstanceState, Outcome, RunOptions};
pub use resolve::{KeyState, resolve};
pub use sources::Sources;
pub use why::{Explanation, why};

use crate::plan::Plan;
use crate::spec::Expect;
use board::Settled;
use scheduler::Scheduler;
use session::Session;
use tables::TableCache;
use why::Past;

/// The share of the memory for stages that decoded tables may take beside it.
const TABLES_SHARE: u64 = 4;
/// How often expectations are judged anew because results turned out to be damaged.
const JUDGEMENTS: u32 = 3;

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
    let seconds = host.elapsed_seconds() - start;
    let outcome = Outcome::of(settled, verdicts, cancel.requested(), seconds);
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

fn finish(events: &dyn EventSink, outcome: &Outcome) {
    let Outcome { hits, computed, failed, unmet, saved, seconds, .. } = *outcome;
    events.emit(Event::RunFinished { hits, computed, failed, unmet, saved, seconds });
}
