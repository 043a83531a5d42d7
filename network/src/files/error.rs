//! What can go wrong with a file of weights, each message naming the file and ending in a fix.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::Format;
use super::mismatch::Mismatch;

/// Why weights were not read or written.
#[derive(Debug, Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("{action} `{}`: {source}; check the path and its permissions", path.display())]
    Io {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The content is in none of the formats that are read.
    #[error("`{}` is in no known format ({problem}); {}", path.display(), Format::WANTED)]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        problem: String,
    },
    /// The content contradicts its own format.
    #[error("`{}` is damaged as {format}: {problem}; fetch or save it again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The format that it starts like.
        format: Format,
        /// The contradiction.
        problem: String,
    },
    /// The content is sound, but uses what is not read here.
    #[error("`{}` ({format}) {problem}; {fix}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: Format,
        /// What is not read.
        problem: String,
        /// What to do.
        fix: &'static str,
    },
    /// A graph made of more than the operations of this program: everything that is missing, at once.
    #[error("`{}` ({format}) cannot be made into a network:{}", path.display(), Lines(problems))]
    Graph {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: Format,
        /// One line each, naming the node and ending in a fix.
        problems: Vec<String>,
    },
    /// The tensors of the file are not those of the network.
    #[error("`{}` does not fit the network: {mismatch}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Every difference.
        mismatch: Box<Mismatch>,
    },
    /// A name map that cannot be followed.
    #[error("the name map {0}")]
    Map(String),
    /// A network that the format cannot express.
    #[error("the network cannot be written as {format}:{}", Lines(problems))]
    Inexpressible {
        /// The wanted format.
        format: Format,
        /// One line each.
        problems: Vec<String>,
    },
}

impl FileError {
    /// Whether the file's content, rather than the system or the request, is at fault.
    #[must_use]
    pub fn blames_the_file(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Map(_) | Self::Inexpressible { .. })
    }
}

/// Items on indented lines of their own.
pub(super) struct Lines<'a, T>(pub(super) &'a [T]);

impl<T: fmt::Display> fmt::Display for Lines<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0 {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

/// Why a reader gave up, before it is known which file that was.
#[derive(Debug)]
pub(super) enum Fault {
    /// See [`FileError::Malformed`].
    Malformed(String),
    /// See [`FileError::Unsupported`].
    Unsupported(String, &'static str),
    /// See [`FileError::Graph`].
    Graph(Vec<String>),
}

impl Fault {
    pub(super) fn malformed(problem: impl fmt::Display) -> Self {
        Self::Malformed(problem.to_string())
    }

    /// The whole error.
    pub(super) fn of(self, path: &std::path::Path, format: Format) -> FileError {
        let path = path.to_owned();
        match self {
            Self::Malformed(problem) => FileError::Malformed { path, format, problem },
            Self::Unsupported(problem, fix) => FileError::Unsupported { path, format, problem, fix },
            Self::Graph(problems) => FileError::Graph { path, format, problems },
        }
    }
}
