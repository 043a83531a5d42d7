//! [`MemoryStore`]: a store for tests and for runs that keep nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::artifact::{Entry, TableRef};
use crate::content_hash::Digest;
use crate::error::{Finding, StoreError};
use crate::key::Key;
use crate::store::{Findings, Held, LockGuard, Store, StudyRecord};

/// Keeps everything in memory, as the bytes that would be files.
#[derive(Debug, Default)]
pub struct MemoryStore {
    shelf: Mutex<Shelf>,
    locks: Arc<Mutex<BTreeSet<Key>>>,
    findings: Findings,
}

#[derive(Debug, Default)]
struct Shelf {
    entries: BTreeMap<Key, Entry>,
    objects: BTreeMap<Digest, Bytes>,
    records: BTreeMap<String, StudyRecord>,
}

impl Shelf {
    fn has(&self, table: &TableRef) -> bool {
        self.objects.get(&table.object).is_some_and(|object| object.len() as u64 == table.bytes)
    }
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes the bytes of an object, as a failing disk would; for tests of what happens then.
    pub fn damage(&self, object: &Digest, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(bytes) = open(&self.shelf).objects.get_mut(object) {
            let mut damaged = bytes.to_vec();
            change(&mut damaged);
            *bytes = damaged.into();
        }
    }
}

impl Store for MemoryStore {
    fn entry(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let shelf = open(&self.shelf);
        let Some(entry) = shelf.entries.get(key) else { return Ok(None) };
        for table in entry.tables.values() {
            if !shelf.has(table) {
                self.findings.add(Finding::MissingObject { key: *key, object: table.object });
                return Ok(None);
            }
        }
        Ok(Some(entry.clone()))
    }

    fn object(&self, entry: &Entry, name: &str) -> Result<Bytes, StoreError> {
        let object = entry.reference(name)?.object;
        match open(&self.shelf).objects.get(&object).cloned() {
            Some(bytes) if Digest::of_bytes(&bytes) == object => return Ok(bytes),
            Some(_) => {}
            None => {
                self.findings.add(Finding::MissingObject { key: entry.key, object });
                return Err(StoreError::Gone { key: entry.key, table: name.to_owned() });
            }
        }
        Err(self.set_aside(entry, name, "its bytes have another digest"))
    }

    fn set_aside(&self, entry: &Entry, name: &str, reason: &str) -> StoreError {
        let object = match entry.reference(name) {
            Ok(table) => table.object,
            Err(error) => return error,
        };
        open(&self.shelf).objects.remove(&object);
        self.findings.add(Finding::CorruptObject { key: entry.key, object, aside: None });
        StoreError::Corrupt { key: entry.key, table: name.into(), object, aside: None, reason: reason.into() }
    }

    fn put_object(&self, bytes: &Bytes) -> Result<Digest, StoreError> {
        let object = Digest::of_bytes(bytes);
        open(&self.shelf).objects.insert(object, bytes.clone());
        Ok(object)
    }

    fn put_entry(&self, entry: &Entry) -> Result<(), StoreError> {
        let mut shelf = open(&self.shelf);
        if let Some((name, _)) = entry.tables.iter().find(|(_, table)| !shelf.has(table)) {
            return Err(StoreError::Gone { key: entry.key, table: name.clone() });
        }
        shelf.entries.insert(entry.key, entry.clone());
        Ok(())
    }

    fn remove(&self, entry: &Entry) -> Result<(), StoreError> {
        let mut shelf = open(&self.shelf);
        shelf.entries.remove(&entry.key);
        for table in entry.tables.values() {
            shelf.objects.remove(&table.object);
        }
        Ok(())
    }

    fn try_lock(&self, key: &Key) -> Result<Option<LockGuard>, StoreError> {
        let taken = open(&self.locks).insert(*key);
        Ok(taken.then(|| LockGuard::new(MemoryLock { locks: Arc::clone(&self.locks), key: *key })))
    }

    fn lock_holder(&self, key: &Key) -> Option<String> {
        open(&self.locks).contains(key).then(|| "this process".to_owned())
    }

    fn record(&self, study: &str) -> Result<Option<StudyRecord>, StoreError> {
        Ok(open(&self.shelf).records.get(study).cloned())
    }

    fn put_record(&self, record: &StudyRecord) -> Result<(), StoreError> {
        open(&self.shelf).records.insert(record.study.clone(), record.clone());
        Ok(())
    }

    fn take_findings(&self) -> Vec<Finding> {
        self.findings.take()
    }
}

#[derive(Debug)]
struct MemoryLock {
    locks: Arc<Mutex<BTreeSet<Key>>>,
    key: Key,
}

impl Held for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        open(&self.locks).remove(&self.key);
    }
}
