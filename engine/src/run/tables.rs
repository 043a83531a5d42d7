//! Tables that a run has decoded, kept as long as there is room, so that a hundred readers do not decode one table a
//! hundred times.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use duress_cache::{Digest, StoreError, Table};

/// Decoded tables by digest, the least recently used dropped first.
#[derive(Debug)]
pub(super) struct TableCache {
    /// How many bytes may be kept; a table that is larger is handed out and not kept.
    budget: u64,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    slots: BTreeMap<Digest, Slot>,
    bytes: u64,
    uses: u64,
}

#[derive(Debug, Default)]
struct Slot {
    /// Locked while the table is decoded, so that a second reader waits for it and not for the whole shelf.
    table: Arc<Mutex<Option<Table>>>,
    bytes: u64,
    used: u64,
}

impl TableCache {
    /// An empty cache of so many bytes.
    pub(super) fn new(budget: u64) -> Self {
        Self { budget, shelf: Mutex::default() }
    }

    /// The table with that digest, decoded by `read` unless it is there.
    pub(super) fn get(
        &self,
        digest: Digest,
        read: impl FnOnce() -> Result<Table, StoreError>,
    ) -> Result<Table, StoreError> {
        let slot = {
            let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
            shelf.uses += 1;
            let now = shelf.uses;
            let slot = shelf.slots.entry(digest).or_default();
            slot.used = now;
            Arc::clone(&slot.table)
        };
        let mut table = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = &*table {
            return Ok(table.clone());
        }
        let decoded = read();
        if let Ok(decoded) = &decoded {
            *table = Some(decoded.clone());
        }
        drop(table);
        // What could not be read takes no place.
        self.keep(digest, decoded.as_ref().map_or(u64::MAX, bytes));
        decoded
    }

    /// Notes the size of a table that was decoded and makes room for it; what is too large goes at once.
    fn keep(&self, digest: Digest, bytes: u64) {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes > self.budget {
            if let Some(slot) = shelf.slots.remove(&digest) {
                shelf.bytes -= slot.bytes;
            }
            return;
        }
        if let Some(slot) = shelf.slots.get_mut(&digest) {
            let before = std::mem::replace(&mut slot.bytes, bytes);
            shelf.bytes = shelf.bytes - before + bytes;
        }
        while shelf.bytes > self.budget {
            let oldest = shelf.slots.iter().filter(|(_, slot)| slot.bytes > 0).min_by_key(|(_, slot)| slot.used);
            let Some(digest) = oldest.map(|(digest, _)| *digest) else { return };
            if let Some(slot) = shelf.slots.remove(&digest) {
                shelf.bytes -= slot.bytes;
            }
        }
    }
}

fn bytes(table: &Table) -> u64 {
    // An empty table still takes its slot.
    1 + table.batches().iter().map(RecordBatch::get_array_memory_size).sum::<usize>() as u64
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use duress_cache::TableBuilder;

    use super::*;

    fn table(value: i64) -> Table {
        let mut builder = TableBuilder::new().integer("x");
        builder.push([value.into()]).expect("one cell for one column");
        builder.finish().expect("a sound table")
    }

    #[test]
    fn a_table_is_decoded_once_while_there_is_room() {
        let cache = TableCache::new(1 << 20);
        let decoded = Cell::new(0);
        for _ in 0..100 {
            let got = cache.get(table(1).digest(), || {
                decoded.set(decoded.get() + 1);
                Ok(table(1))
            });
            assert_eq!(got.expect("it decodes"), table(1));
        }
        assert_eq!(decoded.get(), 1);
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_budget_holds() {
        let cache = TableCache::new(2 * bytes(&table(0)));
        let read = |value: i64| {
            let decoded = Cell::new(false);
            cache
                .get(table(value).digest(), || {
                    decoded.set(true);
                    Ok(table(value))
                })
                .expect("it decodes");
            decoded.get()
        };
        assert!(read(1));
        assert!(read(2));
        assert!(!read(1));
        assert!(read(3), "and with it goes 2");
        assert!(!read(1));
        assert!(read(2));
    }

    #[test]
    fn a_table_that_could_not_be_read_is_tried_again() {
        let cache = TableCache::new(1 << 20);
        let gone = || StoreError::Gone { key: duress_cache::Key::new(table(1).digest()), table: "x".to_owned() };
        assert!(cache.get(table(1).digest(), || Err(gone())).is_err());
        assert!(cache.get(table(1).digest(), || Ok(table(1))).is_ok());
    }
}
