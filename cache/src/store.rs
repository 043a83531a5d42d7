//! [`Store`]: where artifacts are kept, whatever holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, Entry, Provenance, TableRef};
use crate::content_hash::Digest;
use crate::key::{Key, KeyParts};
use crate::table::{Table, TableError};

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

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder that cannot be read or written.
    #[error("{action} `{}`: {source}; {}", .path.display(), advice(.source))]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// There is no room.
    #[error("write `{}`: no space is left ({source}); free some with `cache gc`, or use another `--cache` folder", .path.display())]
    Full {
        /// What was being written.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A table whose bytes are not what was written.
    #[error("read table `{table}` of {}: object {} is damaged ({reason}); compute it again", .key.short(), .object.short())]
    Corrupt {
        /// Whose table it is.
        key: Key,
        /// The table's name.
        table: Box<str>,
        /// The object that is damaged.
        object: Digest,
        /// Where the damaged file is now, if it could be moved.
        aside: Option<Box<Path>>,
        /// How it was seen.
        reason: Box<str>,
    },
    /// A table that is gone.
    #[error("read table `{table}` of {}: its object is gone; compute it again", .key.short())]
    Gone {
        /// Whose table it is.
        key: Key,
        /// The table's name.
        table: String,
    },
    /// A table that the entry never had.
    #[error("read table `{table}` of {}: it has {}", .key.short(), .present.join(", "))]
    NoTable {
        /// The entry's key.
        key: Key,
        /// The name asked for.
        table: String,
        /// The names it has.
        present: Vec<String>,
    },
    /// The cache is being used, and what was asked needs it alone.
    #[error("clean `{}`: {holder} uses it; wait until that ends", .path.display())]
    InUse {
        /// The cache.
        path: PathBuf,
        /// By whom, as far as known.
        holder: String,
    },
    /// A folder that is no cache, or one of another program's.
    #[error("use `{}` as a cache: {reason}; choose another folder", .path.display())]
    NotACache {
        /// The folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A result that is not there.
    #[error("find {key}: the cache does not hold it whole; run the study first")]
    NoEntry {
        /// Its key.
        key: Key,
    },
    /// A bundle that cannot be made, trusted or understood.
    #[error("use bundle `{}`: {reason}", .path.display())]
    Bundle {
        /// The bundle.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A table that cannot be written.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl StoreError {
    /// An error of the file system, told apart from a full disk.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, source },
            _ => Self::Io { action, path, source },
        }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "give yourself permission, or use another `--cache` folder",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only: use another `--cache` folder",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "a file is in the way: use another folder",
        _ => "see that the disk is there and sound",
    }
}

/// Something amiss that a store found and dealt with; not an error, but worth a warning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A table's file was damaged and was set aside.
    CorruptObject {
        /// Whose table it was.
        key: Key,
        /// The file's digest as it should have been.
        object: Digest,
        /// Where it is now, if it could be moved.
        aside: Option<PathBuf>,
    },
    /// A table's file is gone or has another size, so that its entry counts no more.
    MissingObject {
        /// Whose table it was.
        key: Key,
        /// The file's digest.
        object: Digest,
    },
    /// An entry or a record was damaged and was set aside.
    CorruptFile {
        /// Where it was.
        path: PathBuf,
        /// Where it is now, if it could be moved.
        aside: Option<PathBuf>,
        /// How it was seen.
        reason: String,
    },
    /// A process ended without giving back a lock; the lock was taken over.
    StaleLock {
        /// The key it was for.
        key: Key,
        /// Who had held it, as far as known.
        holder: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let put = |aside: &Option<PathBuf>| match aside {
            Some(path) => format!("set aside as `{}`", path.display()),
            None => "could not be set aside".to_owned(),
        };
        match self {
            Self::CorruptObject { key, object, aside } => {
                write!(f, "object {object} of {} is damaged and was {}", key.short(), put(aside))
            }
            Self::MissingObject { key, object } => {
                write!(f, "object {object} of {} is missing or cut short; the result counts no more", key.short())
            }
            Self::CorruptFile { path, aside, reason } => {
                write!(f, "`{}` is damaged ({reason}) and was {}", path.display(), put(aside))
            }
            Self::StaleLock { key, holder } => {
                write!(f, "{holder} ended without finishing {}; its lock was taken over", key.short())
            }
        }
    }
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
