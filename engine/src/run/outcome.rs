//! What goes into a run and what comes out of it.

use std::sync::Arc;

use duress_cache::{Entry, Key};

use super::board::Settled;
use super::expect::Verdict;
use crate::stage::SourceRoots;

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
    /// The device, such as `cpu` or `cuda:0`: a class, and a number of that class. It is part of keys by its class, and only where
    /// results may differ from those of `cpu`.
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
    /// The sum of what happened.
    pub(super) fn of(settled: Settled, verdicts: Vec<Verdict>, cancelled: bool, seconds: f64) -> Self {
        let mut outcome = Self {
            states: settled.states.into_iter().map(|state| state.unwrap_or(InstanceState::NotSelected)).collect(),
            entries: settled.entries,
            hits: 0,
            computed: 0,
            failed: 0,
            unmet: verdicts.iter().filter(|verdict| !verdict.passed).count(),
            verdicts,
            cancelled,
            saved: 0.0,
            seconds,
        };
        for (state, entry) in outcome.states.iter().zip(&outcome.entries) {
            match state {
                InstanceState::Hit { .. } => {
                    outcome.hits += 1;
                    outcome.saved += entry.as_ref().map_or(0.0, |entry| entry.provenance.seconds);
                }
                InstanceState::Computed { .. } => outcome.computed += 1,
                InstanceState::NotSelected => {}
                InstanceState::Failed { .. } | InstanceState::Skipped { .. } | InstanceState::Cancelled => {
                    outcome.failed += 1;
                }
            }
        }
        outcome
    }

    /// Whether everything that was asked for has its result, and every expectation holds.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.unmet == 0 && !self.cancelled
    }
}
