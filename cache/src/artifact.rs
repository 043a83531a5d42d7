//! Artifacts: what a stage makes; entries: what a store says of an artifact it keeps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::content_hash::Digest;
use crate::error::StoreError;
use crate::key::{Key, KeyParts};
use crate::table::Table;

/// A result: named tables.
#[derive(Clone, Debug, Default)]
pub struct Artifact {
    /// The tables by output name.
    pub tables: BTreeMap<String, Table>,
}

impl Artifact {
    /// An artifact of these tables.
    pub fn new<N: Into<String>>(tables: impl IntoIterator<Item = (N, Table)>) -> Self {
        Self { tables: tables.into_iter().map(|(name, table)| (name.into(), table)).collect() }
    }

    /// The table of that name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }
}

/// A table of an entry: what it is, and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRef {
    /// The logical digest: over schema and values.
    pub digest: Digest,
    /// The digest of the Parquet file's bytes, which is its name.
    pub object: Digest,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// How many rows the table has.
    pub rows: u64,
}

/// How a result came to be. Nothing of this is in the key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// When the computation began, in milliseconds since 1970 (UTC).
    pub started_unix_ms: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The name of the machine.
    pub host: String,
    /// The program and its version.
    pub program: String,
    /// The processor and the features that were used.
    pub cpu: String,
    /// The device.
    pub device: String,
    /// How many threads the stage was given.
    pub threads: u32,
    /// The result that this is a part of.
    pub part_of: Option<Key>,
}

/// What a store knows of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// What the key is made of; of a part, what it says of itself.
    pub parts: KeyParts,
    /// Its tables.
    pub tables: BTreeMap<String, TableRef>,
    /// How it came to be.
    pub provenance: Provenance,
}

impl Entry {
    /// How many bytes its tables take, shared or not.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tables.values().map(|table| table.bytes).sum()
    }

    /// The table of that name.
    pub(crate) fn reference(&self, name: &str) -> Result<&TableRef, StoreError> {
        self.tables.get(name).ok_or_else(|| StoreError::NoTable {
            key: self.key,
            table: name.to_owned(),
            present: self.tables.keys().cloned().collect(),
        })
    }
}
