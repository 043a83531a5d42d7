//! [`Store`]: where artifacts are kept, whatever holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, Entry, Provenance, TableRef};
use crate::content_hash::Digest;
use crate::error::{Finding, StoreError};
use crate::key::{Key, KeyParts};
use crate::table::Table;

/// Keeps artifacts under their keys. Called from many threads; a disk's also from many processes.
pub trait Store: Send + Sync {
    /// What is kept under `key`, if all of it is there: the entry is intact and every table has a file of its size.
    /// What the files hold is checked when they are read.
    ///
    /// # Errors
    /// Where the store cannot be read; a damaged entry is a [`Finding`] and no error.
    fn entry(&self, key: &Key) -> Result<Option<Entry>, StoreError>;

    /// Keeps `artifact` under `key`: `parts.key()`, or for a part what [`part_key`](crate::part_key) says. It appears
    /// whole or not at all, and takes the place of what was kept there.
    ///
    /// # Errors
    /// [`StoreError::Full`] and other failures to write; no half-written file is left behind.
    fn put(
        &self,
        parts: KeyParts,
        key: &Key,
        artifact: &Artifact,
        provenance: Provenance,
    ) -> Result<Entry, StoreError> {
        let mut tables = BTreeMap::new();
        for (name, table) in &artifact.tables {
            let bytes = Bytes::from(table.to_parquet()?);
            let reference = TableRef {
                digest: table.digest(),
                object: self.put_object(&bytes)?,
                bytes: bytes.len() as u64,
                rows: table.rows() as u64,
            };
            tables.insert(name.clone(), reference);
        }
        let entry = Entry { key: *key, parts, tables, provenance };
        self.put_entry(&entry)?;
        Ok(entry)
    }

    /// Reads one table of an entry and compares it with its digest.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where it does not match: it is set aside, and [`Store::entry`] knows it no more.
    /// [`StoreError::Gone`] where its file is no longer there, [`StoreError::NoTable`] where the entry never had it.
    fn table(&self, entry: &Entry, name: &str) -> Result<Table, StoreError> {
        let bytes = self.object(entry, name)?;
        Table::from_parquet(bytes).map_err(|error| self.set_aside(entry, name, &error.to_string()))
    }

    /// The Parquet file of one table of an entry, compared with its digest.
    ///
    /// # Errors
    /// Those of [`Store::table`].
    fn object(&self, entry: &Entry, name: &str) -> Result<Bytes, StoreError>;

    /// Moves a table of an entry out of the way and says so as [`StoreError::Corrupt`].
    fn set_aside(&self, entry: &Entry, name: &str, reason: &str) -> StoreError;

    /// Keeps the bytes of a Parquet file under their digest, for an entry to refer to.
    ///
    /// # Errors
    /// Those of [`Store::put`].
    fn put_object(&self, bytes: &Bytes) -> Result<Digest, StoreError>;

    /// Keeps an entry whose objects are there.
    ///
    /// # Errors
    /// Those of [`Store::put`], and [`StoreError::Gone`] where an object is missing.
    fn put_entry(&self, entry: &Entry) -> Result<(), StoreError>;

    /// Removes an entry together with its objects, to which no other entry may refer.
    ///
    /// # Errors
    /// Where a file cannot be removed; one that is not there is no error.
    fn remove(&self, entry: &Entry) -> Result<(), StoreError>;

    /// Asks to be the one who computes `key`; `None` while another thread or process holds the lock. The lock ends with
    /// the guard, or with the process.
    ///
    /// # Errors
    /// Where the lock cannot be made.
    fn try_lock(&self, key: &Key) -> Result<Option<LockGuard>, StoreError>;

    /// Who holds the lock of `key` now, as far as known.
    fn lock_holder(&self, key: &Key) -> Option<String>;

    /// What the last run of a study used.
    ///
    /// # Errors
    /// Where the store cannot be read; a damaged record is a [`Finding`] and no error.
    fn record(&self, study: &str) -> Result<Option<StudyRecord>, StoreError>;

    /// Remembers what a run of a study used, in place of the run before.
    ///
    /// # Errors
    /// Those of [`Store::put`].
    fn put_record(&self, record: &StudyRecord) -> Result<(), StoreError>;

    /// What was found amiss and dealt with since this was last asked; for a caller to report.
    fn take_findings(&self) -> Vec<Finding>;
}

/// Which keys the instances of a study had when it last ran: what a miss is explained with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyRecord {
    /// The study's name.
    pub study: String,
    /// When it ran, in milliseconds since 1970 (UTC).
    pub recorded_unix_ms: u64,
    /// The key of each instance by label, such as `train[seed=1]`.
    pub instances: BTreeMap<String, Key>,
}

/// Findings on their way to the caller, each told once.
#[derive(Debug, Default)]
pub(crate) struct Findings(Mutex<(BTreeSet<Finding>, Vec<Finding>)>);

impl Findings {
    pub(crate) fn add(&self, finding: Finding) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What was set aside as damaged is missing ever after; that is no news.
        let known = matches!(&finding, Finding::MissingObject { object: missing, .. } if inner.0.iter().any(
            |told| matches!(told, Finding::CorruptObject { object, .. } if object == missing),
        ));
        if !known && inner.0.insert(finding.clone()) {
            inner.1.push(finding);
        }
    }

    pub(crate) fn take(&self) -> Vec<Finding> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).1)
    }
}

/// The right to compute a key; given back when dropped.
#[must_use = "the lock is given back when the guard is dropped"]
pub struct LockGuard(#[expect(dead_code, reason = "held for its drop")] Box<dyn Held>);

/// What a guard holds; its drop gives the lock back.
pub(crate) trait Held: Send + Sync {}

impl LockGuard {
    pub(crate) fn new(held: impl Held + 'static) -> Self {
        Self(Box::new(held))
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockGuard")
    }
}
