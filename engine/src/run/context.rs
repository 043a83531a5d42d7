//! [`RunContext`]: what a stage runs in. Everything it reads, and everything it may ask of the run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use duress_cache::{Digest, Entry, Key, LockGuard, StoreError, Table};

use super::event::Event;
use super::session::Session;
use crate::input::{Input, Inputs};
use crate::plan::Instance;
use crate::stage::{HashedSource, Location, StageError};

/// In how many steps progress is told at most.
const PROGRESS_STEPS: u64 = 500;

/// What a stage runs in: its inputs, its threads, and a way to be stopped.
///
/// A stage's result must depend on nothing but its configuration, its inputs and its sources: not on the number of
/// threads, not on the clock, not on how its work was cut into parts.
pub struct RunContext<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) index: usize,
    pub(super) key: Key,
    /// The entries that hold the inputs, by slot.
    pub(super) inputs: Vec<Arc<Entry>>,
    /// Whether a cached result is being recomputed to be compared: then nothing is taken from the cache or put there.
    pub(super) verifying: bool,
    /// The right to compute this key, given up while parts are computed.
    pub(super) lock: Mutex<Option<LockGuard>>,
    /// Inputs, by instance, whose tables turned out to be lost.
    pub(super) lost: Mutex<Vec<usize>>,
    /// Whether another process finished this very stage meanwhile.
    pub(super) superseded: AtomicBool,
    progress: AtomicU64,
}

/// A table that was collected along axes.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Where on the collected axes it stands: axis and label; empty for an input that was named one by one.
    pub labels: Vec<(String, String)>,
    /// The table.
    pub table: Table,
}

impl<'a> RunContext<'a> {
    pub(super) fn new(
        session: &'a Session<'a>,
        index: usize,
        key: Key,
        inputs: Vec<Arc<Entry>>,
        lock: Option<LockGuard>,
    ) -> Self {
        Self {
            session,
            index,
            key,
            inputs,
            verifying: lock.is_none(),
            lock: Mutex::new(lock),
            lost: Mutex::default(),
            superseded: AtomicBool::new(false),
            progress: AtomicU64::new(u64::MAX),
        }
    }

    /// The table of an input.
    ///
    /// # Errors
    /// Where it cannot be read from the cache. If it was damaged, the run computes it again and then this stage anew.
    pub fn table<T>(&self, input: &Input<T>) -> Result<Table, StageError> {
        self.slot_table(input.slot)
    }

    /// The tables of a collected input, in the order of the axes' values.
    ///
    /// # Errors
    /// Those of [`RunContext::table`].
    pub fn tables<T>(&self, inputs: &Inputs<T>) -> Result<Vec<Labelled>, StageError> {
        let read = |&slot: &usize| {
            let table = self.slot_table(slot)?;
            Ok(Labelled { labels: self.instance().slots[slot].labels.clone(), table })
        };
        inputs.slots.iter().map(read).collect()
    }

    /// The digest of an input's table.
    ///
    /// # Errors
    /// Where the input has no such table, which is a mistake of the kind that made it.
    pub fn digest<T>(&self, input: &Input<T>) -> Result<Digest, StageError> {
        self.slot_digest(input.slot)
    }

    /// The stage's own sources, in the order [`Stage::sources`](crate::stage::Stage::sources) named them.
    #[must_use]
    pub fn sources(&self) -> &[HashedSource] {
        self.session.sources.of(self.index).unwrap_or_default()
    }

    /// Where the bytes with that digest are, if any source of the plan has it: for tables that are recipes over files.
    #[must_use]
    pub fn source(&self, digest: &Digest) -> Option<&Location> {
        self.session.sources.location(digest)
    }

    /// The key of the result that is being computed.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// The device to compute on, such as `cpu` or `cuda:0`.
    #[must_use]
    pub fn device(&self) -> &str {
        self.session.device
    }

    /// How many threads the run has; results must not depend on it.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.session.threads
    }

    /// Runs `work` in the run's pool of threads, where rayon's parallel iterators use all of them. Only for work on data
    /// that waits for nothing: no reading of inputs, no [`RunContext::parts`] inside.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match self.session.pool() {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// To be asked every second or so.
    ///
    /// # Errors
    /// [`StageError::Cancelled`] once the run was asked to stop; pass it on.
    pub fn check(&self) -> Result<(), StageError> {
        if self.session.cancel.requested() { Err(StageError::Cancelled) } else { Ok(()) }
    }

    /// Tells that `done` of `total` units of work are done. Cheap: most calls tell nobody.
    pub fn progress(&self, done: u64, total: u64) {
        let step =
            if total == 0 { 0 } else { (u128::from(done) * u128::from(PROGRESS_STEPS) / u128::from(total)) as u64 };
        if self.progress.swap(step, Ordering::Relaxed) != step {
            self.session.events.emit(Event::Progress { instance: self.session.label(self.index), done, total });
        }
    }

    /// Tells the user something that is no failure.
    pub fn warn(&self, message: impl Into<String>) {
        self.session.warn(self.index, message);
    }

    pub(super) fn instance(&self) -> &'a Instance {
        &self.session.plan.instances[self.index]
    }

    fn slot_digest(&self, slot: usize) -> Result<Digest, StageError> {
        let output = self.instance().slots[slot].output;
        let entry = &self.inputs[slot];
        super::resolve::table_digest(entry, output).ok_or_else(|| {
            let present = entry.tables.keys().cloned().collect();
            StoreError::NoTable { key: entry.key, table: output.to_owned(), present }.into()
        })
    }

    pub(super) fn slot_table(&self, slot: usize) -> Result<Table, StageError> {
        let digest = self.slot_digest(slot)?;
        let from = &self.instance().slots[slot];
        let read = || self.session.store.table(&self.inputs[slot], from.output);
        self.session.tables.get(digest, read).map_err(|error| {
            if is_lost(&error) {
                self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(from.from);
            }
            error.into()
        })
    }
}

/// Whether computing the table again would help.
pub(super) fn is_lost(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt { .. } | StoreError::Gone { .. })
}
