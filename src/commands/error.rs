//! What can go wrong in a command, with the exit code and the fix of each.

use std::io;
use std::path::PathBuf;

use duress_cache::StoreError;
use duress_engine::run::CollectError;
use duress_engine::spec::SpecErrors;

use crate::exit::{self, Exit};
use crate::report::figure::FigureError;
use crate::report::table::FilterError;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// The reader of standard output has gone; it has seen enough.
    #[error("standard output was closed")]
    Closed,
    /// Standard output takes no more.
    #[error("failed to print: {cause}")]
    Print { cause: io::Error },
    /// A file could not be read.
    #[error("failed to read {}: {cause}", .path.display())]
    Read { path: PathBuf, cause: io::Error },
    /// A file could not be written.
    #[error("failed to write {}: {cause}", .path.display())]
    Write { path: PathBuf, cause: io::Error },
    /// Specs are text.
    #[error("failed to read {}: it is not UTF-8 text (byte {at} is the first that is not)", .path.display())]
    NotText { path: PathBuf, at: usize },
    /// The spec has faults.
    #[error("the spec has faults")]
    Spec(#[from] Box<SpecErrors>),
    /// The cache failed.
    #[error("failed to use the cache: {0}")]
    Store(Box<StoreError>),
    /// What was asked for makes no sense.
    #[error("{message}")]
    Usage { message: String, help: String },
    /// Nothing of that name.
    #[error("there is no {what} `{name}`")]
    Unknown { what: &'static str, name: String, help: String },
    /// It must be run first.
    #[error("`{stage}` has not been computed yet: {missing} of {all} instances are not in the cache")]
    NotComputed { stage: String, missing: usize, all: usize, help: String },
    /// It is there already.
    #[error("failed to write {}: it exists", .path.display())]
    Exists { path: PathBuf },
    /// Rows could not be picked.
    #[error("failed to pick rows: {0}")]
    Filter(#[from] FilterError),
    /// A stage's tables could not be put together.
    #[error("failed to {0}")]
    Collect(Box<CollectError>),
    /// A figure could not be drawn.
    #[error("figure `{name}`: failed to {cause}")]
    Figure { name: String, cause: Box<FigureError> },
    /// Anything else that ends in a message.
    #[error("failed to {doing}: {cause}")]
    Failed { doing: String, cause: String },
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<CollectError> for CommandError {
    fn from(error: CollectError) -> Self {
        Self::Collect(Box::new(error))
    }
}

impl CommandError {
    /// How the program ends because of it.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Closed => exit::OK,
            Self::Spec(_) => exit::SPEC,
            Self::Store(_) => exit::CACHE,
            Self::Usage { .. } | Self::Unknown { .. } | Self::Filter(_) => exit::USAGE,
            Self::NotComputed { .. } => exit::NOT_COMPUTED,
            Self::Collect(error) => match **error {
                CollectError::Name { .. } => exit::USAGE,
                CollectError::Nothing { .. } => exit::NOT_COMPUTED,
                CollectError::Store { .. } => exit::CACHE,
                CollectError::Table { .. } => exit::FAILED,
            },
            Self::Print { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::NotText { .. }
            | Self::Exists { .. }
            | Self::Figure { .. }
            | Self::Failed { .. } => exit::FAILED,
        }
    }

    /// What to do about it.
    pub(super) fn help(&self) -> Option<String> {
        match self {
            Self::Usage { help, .. } | Self::Unknown { help, .. } | Self::NotComputed { help, .. } => {
                Some(help.clone())
            }
            Self::Read { cause, .. } if cause.kind() == io::ErrorKind::NotFound => {
                Some("check the path; `duress new FILE` writes a spec to start from".into())
            }
            Self::NotText { .. } => Some("save the file as UTF-8".into()),
            Self::Exists { .. } => Some("choose another name, or remove the file first".into()),
            Self::Store(_) => Some("`--cache DIR` uses another folder; `duress cache verify` checks this one".into()),
            _ => None,
        }
    }
}
