//! Identity and storage of artifacts.
//!
//! An artifact is a set of named tables. [`KeyParts`] say what it is made of, their [`Key`] is its name, and a [`Store`]
//! keeps it under that name: [`DiskStore`] in a folder that people and machines share, [`MemoryStore`] for a test.
//!
//! The crate knows nothing of stages, printing, clocks and environments: times and names of machines are passed in, and
//! what a user should hear of is returned as an error or as a [`Finding`].

mod artifact;
mod bundle;
mod claim;
mod content_hash;
mod contents;
mod disk;
mod error;
mod files;
mod gc;
mod key;
mod layout;
mod lock;
mod memory;
mod sealed;
mod store;
mod table;
mod tree;
mod verify;
mod walk;

pub use artifact::{Artifact, Entry, Provenance, TableRef};
pub use bundle::{ImportReport, export, import};
pub use content_hash::{ContentHash, Digest, DigestError, Hasher};
pub use contents::entries;
pub use disk::DiskStore;
pub use error::{Finding, StoreError};
pub use gc::{GcPolicy, GcReport, Reason, Removed, gc};
pub use key::{Difference, InputPart, KEY_FORMAT, Key, KeyParts, SourcePart, part_key};
pub use memory::MemoryStore;
pub use store::{LockGuard, Store, StudyRecord};
pub use table::{Cell, ColumnSpec, SCHEMA_VERSION, SCHEMA_VERSION_KEY, Table, TableBuilder, TableError};
pub use tree::Tree;
pub use verify::{DamagedObject, VerifyReport, verify};
