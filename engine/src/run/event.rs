//! What happens in a run, as values. Events are the only way out of the engine: progress bars, `--json` lines, summaries
//! and tests are all folds over them.

use duress_cache::{Digest, Key};
use serde::Serialize;

/// One thing that happened. `instance` is the label of a stage instance, such as `train[seed=1]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// The study's name.
        study: String,
        /// How many stage instances it has.
        instances: usize,
    },
    /// The cache holds the result already.
    Hit {
        /// The instance.
        instance: String,
        /// Its key.
        key: Key,
        /// How long it took when it was computed, in seconds.
        saved: f64,
    },
    /// The result must be computed.
    Miss {
        /// The instance.
        instance: String,
        /// Its key.
        key: Key,
        /// Why, in a sentence fragment that names the old and the new value of what changed.
        why: String,
    },
    /// The stage begins to run.
    Started {
        /// The instance.
        instance: String,
    },
    /// The stage got on.
    Progress {
        /// The instance.
        instance: String,
        /// Units of work done.
        done: u64,
        /// Units of work in all.
        total: u64,
    },
    /// A part of the stage is done.
    Part {
        /// The instance.
        instance: String,
        /// Which, from 0.
        index: usize,
        /// How many there are.
        parts: usize,
        /// Whether it came from the cache.
        cached: bool,
    },
    /// The instance waits for another process that computes the same key.
    Waiting {
        /// The instance.
        instance: String,
        /// Who holds the lock, as far as known.
        holder: String,
    },
    /// The result was computed and is in the cache.
    Computed {
        /// The instance.
        instance: String,
        /// Its key.
        key: Key,
        /// How long it took, in seconds.
        seconds: f64,
        /// The logical digest of each output table, by name.
        outputs: Vec<(String, Digest)>,
    },
    /// The stage failed.
    Failed {
        /// The instance.
        instance: String,
        /// Why, with causes, one line each.
        error: String,
    },
    /// The instance was not run, since something it needs failed or was stopped.
    Skipped {
        /// The instance.
        instance: String,
        /// The instance it would have needed; empty where the run was stopped before its turn.
        because: String,
    },
    /// The stage was stopped; its finished parts are kept.
    Cancelled {
        /// The instance.
        instance: String,
    },
    /// Something a user should know that is no failure.
    Warning {
        /// The instance it is about, empty for the run as a whole.
        instance: String,
        /// What.
        message: String,
    },
    /// An `[[expect]]` was looked at.
    Expectation {
        /// What it says.
        name: String,
        /// Whether it holds.
        passed: bool,
        /// The numbers behind it.
        detail: String,
    },
    /// The run is over; always the last event.
    RunFinished {
        /// Instances answered from the cache.
        hits: usize,
        /// Instances computed.
        computed: usize,
        /// Instances that failed, were skipped or stopped.
        failed: usize,
        /// Expectations that do not hold.
        unmet: usize,
        /// Time that the hits saved, in seconds.
        saved: f64,
        /// Wall-clock time, in seconds.
        seconds: f64,
    },
}

/// Where events go; called from many threads.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> EventSink for F {
    fn emit(&self, event: Event) {
        self(event);
    }
}
