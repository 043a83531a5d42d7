//! What can go wrong with a store: errors, which end what was asked, and findings, which were dealt with.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::content_hash::Digest;
use crate::key::Key;
use crate::table::TableError;

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
