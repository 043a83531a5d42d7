//! Long stages are made of parts: each is computed, kept in the cache at once, and found there by the next run.
//!
//! Parts of a stage are computed one after the other, each with all threads through [`RunContext::install`]: so a run
//! that is killed loses one part, and no more parts have to fit into memory than one.
//!
//! Several processes share the work. While a stage is at its parts it gives up the lock of its own key, so that another
//! process can enter the same stage; a part that another process is at is left out and come back to. Before the parts
//! are returned the lock is taken again, and if another process has finished the whole stage meanwhile, its result is
//! used.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use duress_cache::{Artifact, Entry, Key, KeyParts, LockGuard, Table, Tree, part_key};

use super::context::{RunContext, is_lost};
use super::event::Event;
use super::execute::internal;
use crate::stage::StageError;

/// The name of the one table of a part.
const TABLE: &str = "part";
/// The first and the longest pause while nothing but others' work is left.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

impl RunContext<'_> {
    /// The tables of `parts`, in their order: from the cache where they are there, else from `compute`. Two parts of one
    /// stage must differ in their `identity`, which must say all that `compute` depends on beside the stage itself.
    ///
    /// A single part is the whole stage, and not kept beside it. Who does not know yet how many parts there will be asks
    /// for [`RunContext::part`].
    ///
    /// # Errors
    /// [`StageError::Cancelled`] between two parts once the run was asked to stop, the errors of `compute`, and those of
    /// the cache.
    pub fn parts<P>(
        &self,
        parts: &[P],
        identity: impl Fn(&P) -> Tree,
        compute: impl Fn(&P) -> Result<Table, StageError> + Sync,
    ) -> Result<Vec<Table>, StageError> {
        if self.verifying || parts.len() <= 1 {
            return parts.iter().map(|part| self.check().and_then(|()| compute(part))).collect();
        }
        self.shared_parts(parts, identity, compute)
    }

    /// The table of one part of a stage that asks for parts until it has enough; as [`RunContext::parts`], and kept even if
    /// no other follows.
    ///
    /// # Errors
    /// Those of [`RunContext::parts`].
    pub fn part(
        &self,
        identity: Tree,
        compute: impl Fn() -> Result<Table, StageError> + Sync,
    ) -> Result<Table, StageError> {
        if self.verifying {
            return self.check().and_then(|()| compute());
        }
        let mut tables = self.shared_parts(&[identity], Tree::clone, |_| compute())?;
        tables.pop().ok_or_else(|| StageError::failed(internal("a part has no table")))
    }

    fn shared_parts<P>(
        &self,
        parts: &[P],
        identity: impl Fn(&P) -> Tree,
        compute: impl Fn(&P) -> Result<Table, StageError> + Sync,
    ) -> Result<Vec<Table>, StageError> {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut tables: Vec<Option<Table>> = vec![None; parts.len()];
        let mut pause = PAUSE.0;
        loop {
            let mut advanced = false;
            for (index, part) in parts.iter().enumerate() {
                if tables[index].is_none() {
                    self.check()?;
                    tables[index] = self.found_or_computed(index, parts.len(), &identity(part), || compute(part))?;
                    advanced |= tables[index].is_some();
                }
            }
            if tables.iter().all(Option::is_some) {
                break;
            }
            pause = if advanced { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
            wait(pause);
        }
        self.take_lock_again()?;
        Ok(tables.into_iter().flatten().collect())
    }

    /// One part, or none while another process is at it.
    fn found_or_computed(
        &self,
        index: usize,
        parts: usize,
        identity: &Tree,
        compute: impl FnOnce() -> Result<Table, StageError>,
    ) -> Result<Option<Table>, StageError> {
        let store = self.session.store;
        let key = part_key(&self.key, identity);
        let cached = || -> Result<Option<Table>, StageError> {
            let Some(entry) = store.entry(&key)? else { return Ok(None) };
            match store.table(&entry, TABLE) {
                Ok(table) => Ok(Some(table)),
                Err(error) if is_lost(&error) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let found = cached()?;
        let lock = if found.is_none() { store.try_lock(&key)? } else { None };
        let (table, was_cached) = match (found, lock) {
            (Some(table), _) => (table, true),
            (None, None) => return Ok(None),
            // Another process may have finished it between the look and the lock.
            (None, Some(_lock)) => match cached()? {
                Some(table) => (table, true),
                None => (self.compute_part(key, identity, compute)?, false),
            },
        };
        self.tell_part(index, parts, was_cached);
        Ok(Some(table))
    }

    fn compute_part(
        &self,
        key: Key,
        identity: &Tree,
        compute: impl FnOnce() -> Result<Table, StageError>,
    ) -> Result<Table, StageError> {
        let begun = self.session.now();
        let table = compute()?;
        self.put_part(&key, identity, &Artifact::new([(TABLE, table.clone())]), begun)?;
        Ok(table)
    }

    /// Keeps what came of a part that was begun when `Session::now` said so.
    pub(super) fn put_part(
        &self,
        key: &Key,
        identity: &Tree,
        artifact: &Artifact,
        (started_unix_ms, start): (u64, f64),
    ) -> Result<Entry, StageError> {
        let seconds = self.session.host.elapsed_seconds() - start;
        let mut provenance = self.session.provenance(started_unix_ms, seconds);
        provenance.part_of = Some(self.key);
        let kind = self.instance().kind;
        let own = KeyParts {
            kind: kind.name.to_owned(),
            revision: kind.revision,
            config: identity.clone(),
            inputs: Vec::new(),
            sources: Vec::new(),
            device: None,
        };
        Ok(self.session.store.put(own, key, artifact, provenance)?)
    }

    /// Tells that a part is done.
    pub(super) fn tell_part(&self, index: usize, parts: usize, cached: bool) {
        let instance = self.session.label(self.index);
        self.session.events.emit(Event::Part { instance, index, parts, cached });
    }

    fn take_lock_again(&self) -> Result<(), StageError> {
        let mut pause = PAUSE.0;
        let lock: LockGuard = loop {
            if let Some(lock) = self.session.store.try_lock(&self.key)? {
                break lock;
            }
            self.check()?;
            wait(pause);
            pause = (pause * 2).min(PAUSE.1);
        };
        if self.session.store.entry(&self.key)?.is_some() {
            self.superseded.store(true, Ordering::SeqCst);
            return Err(StageError::Cancelled);
        }
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "another process tells nobody when it is done")]
fn wait(pause: Duration) {
    std::thread::sleep(pause);
}
