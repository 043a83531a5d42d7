//! Long stages whose parts cannot be had in any order: each goes on from the state in which the one before it ended, as a
//! training does.
//!
//! The state after a part is kept in the cache, and the one before it, which nobody needs then, is removed. So a run that
//! is killed loses at most one part, and a stage takes the room of one state, for a moment of two. The last part ends in
//! the result itself and keeps none; the state before it is a part of a result that is whole, which cleaning removes.
//!
//! Processes cannot share such work. The stage keeps the lock of its key all along, and whoever holds that alone reads,
//! writes and removes its states.

use duress_cache::{Artifact, Entry, Table, Tree, part_key};

use super::context::{RunContext, is_lost};
use crate::stage::StageError;

/// Where in the metadata of a state's tables the key of its part is. It makes them differ from all other tables, so that
/// they can be removed.
const PART: &str = "duress.part";

/// Work in parts of which each goes on from the one before.
pub trait Chain {
    /// How many parts there are, at least 1.
    fn parts(&self) -> usize;

    /// What tells part `index` from the others of the stage, and from parts that were cut otherwise.
    fn identity(&self, index: usize) -> Tree;

    /// Computes part `index`, from where the chain is now.
    ///
    /// # Errors
    /// [`StageError::Cancelled`] to give the part up, and whatever goes wrong.
    fn advance(&mut self, index: usize) -> Result<(), StageError>;

    /// Whether the parts that are left have nothing to do.
    fn is_over(&self) -> bool {
        false
    }

    /// Where the chain is now.
    ///
    /// # Errors
    /// None that a sound chain can cause.
    fn state(&self) -> Result<Artifact, StageError>;

    /// Goes to where the chain was after part `index`. The very same results must follow as had it never stopped.
    ///
    /// # Errors
    /// Where `state` is none of this chain's, which is then as it was.
    fn resume(&mut self, index: usize, state: &Artifact) -> Result<(), StageError>;
}

impl RunContext<'_> {
    /// Takes `chain` through its parts, starting after the last one whose state is in the cache. A chain of one part keeps
    /// nothing.
    ///
    /// # Errors
    /// [`StageError::Cancelled`] between two parts once the run was asked to stop, the errors of the chain, and those of
    /// the cache.
    pub fn chain(&self, chain: &mut impl Chain) -> Result<(), StageError> {
        let parts = chain.parts();
        if self.verifying || parts <= 1 {
            for index in 0..parts {
                self.check()?;
                if !chain.is_over() {
                    chain.advance(index)?;
                }
            }
            return Ok(());
        }
        let mut kept = self.take_up(chain)?;
        let first = kept.as_ref().map_or(0, |(index, _)| index + 1);
        for index in first..parts {
            if chain.is_over() {
                break;
            }
            self.check()?;
            let begun = self.session.now();
            chain.advance(index)?;
            if index + 1 < parts && !chain.is_over() {
                let entry = self.keep_state(chain, index, begun)?;
                if let Some((_, before)) = kept.replace((index, entry)) {
                    self.session.store.remove(&before)?;
                }
            }
            self.tell_part(index, parts, false);
        }
        Ok(())
    }

    /// Lets the chain go on from the last state that is there.
    fn take_up(&self, chain: &mut impl Chain) -> Result<Option<(usize, Entry)>, StageError> {
        let parts = chain.parts();
        for index in (0..parts - 1).rev() {
            let Some(entry) = self.session.store.entry(&part_key(&self.key, &chain.identity(index)))? else { continue };
            let Some(state) = self.read_state(&entry)? else { continue };
            match chain.resume(index, &state) {
                Ok(()) => {
                    self.tell_part(index, parts, true);
                    return Ok(Some((index, entry)));
                }
                Err(error) => self.warn(format!("cannot go on after part {} of {parts}: {error}", index + 1)),
            }
        }
        Ok(None)
    }

    /// The tables of a state; nothing where they are damaged.
    fn read_state(&self, entry: &Entry) -> Result<Option<Artifact>, StageError> {
        let mut tables: Vec<(String, Table)> = Vec::new();
        for name in entry.tables.keys() {
            match self.session.store.table(entry, name) {
                Ok(table) => tables.push((name.clone(), table)),
                Err(error) if is_lost(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(Artifact { tables: tables.into_iter().collect() }))
    }

    fn keep_state(&self, chain: &impl Chain, index: usize, begun: (u64, f64)) -> Result<Entry, StageError> {
        let identity = chain.identity(index);
        let key = part_key(&self.key, &identity);
        let mut state = chain.state()?;
        for table in state.tables.values_mut() {
            *table = table.with_metadata(PART, key.to_string()).map_err(StageError::failed)?;
        }
        self.put_part(&key, &identity, &state, begun)
    }
}
