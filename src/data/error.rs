//! Why data cannot be had.

use std::path::{Path, PathBuf};

use duress_cache::Digest;

/// Why a source, a split or a recipe cannot be read. Every message completes "failed to" and ends in a fix.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file of the source is nowhere.
    #[error("find the file `{file}` of {data}: looked for {}; {fix}", paths(.looked))]
    Missing {
        /// The source.
        data: String,
        /// The file's logical name, such as `train-images`.
        file: String,
        /// Every path that was tried.
        looked: Vec<PathBuf>,
        /// How to get it.
        fix: String,
    },
    /// The operating system's objection.
    #[error("read `{file}` from {}: {cause}; check that it is a file which you may read", path.display())]
    Unreadable {
        /// The file's logical name.
        file: String,
        /// Where it is.
        path: PathBuf,
        /// What the operating system says.
        cause: std::io::Error,
    },
    /// A file that is not what it should be: truncated, garbled, or of another format.
    #[error("decode `{file}`: {problem}; {fix}")]
    Malformed {
        /// The file's logical name.
        file: String,
        /// What is wrong, and where.
        problem: String,
        /// What to do about it.
        fix: String,
    },
    /// A file that is no longer the one whose digest was taken.
    #[error("read `{file}`: it changed from {} to {} since the run began; leave data alone while a study runs, then run again", expected.short(), found.short())]
    Changed {
        /// The file's logical name.
        file: String,
        /// The digest in the recipe.
        expected: Digest,
        /// The digest of the bytes that were read.
        found: Digest,
    },
    /// A recipe that names a file which this run does not know.
    #[error("find the bytes of `{file}` with digest {}: no data section of this study reads such a file; restore the file, or run the data section again", digest.short())]
    Unknown {
        /// The file's logical name.
        file: String,
        /// Its digest.
        digest: Digest,
    },
    /// A setting that does not fit the source, as far as only its rows can tell.
    #[error("prepare the data: `{key}` {problem}; {fix}")]
    Setting {
        /// The key of the data section.
        key: &'static str,
        /// What is wrong with its value.
        problem: String,
        /// What to write instead.
        fix: String,
    },
    /// A text that is no recipe.
    #[error("read a recipe of data: {0}; it was written by another version, so run the data section again")]
    Recipe(#[from] serde_json::Error),
}

impl DataError {
    /// A file that is not what it should be, with the usual fix.
    pub(super) fn malformed(file: &str, problem: impl Into<String>) -> Self {
        Self::malformed_with(file, problem, "put an intact copy in its place")
    }

    /// A file that is not what it should be, with a fix of its own.
    pub(super) fn malformed_with(file: &str, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Malformed { file: file.to_owned(), problem: problem.into(), fix: fix.into() }
    }

    /// The operating system's objection to reading `path`.
    pub(super) fn unreadable(file: &str, path: &Path, cause: std::io::Error) -> Self {
        Self::Unreadable { file: file.to_owned(), path: path.to_owned(), cause }
    }

    /// A setting that does not fit.
    pub(super) fn setting(key: &'static str, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Setting { key, problem: problem.into(), fix: fix.into() }
    }
}

fn paths(looked: &[PathBuf]) -> String {
    if looked.is_empty() {
        return "it in no folder at all".to_owned();
    }
    looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
