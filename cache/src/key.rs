//! Keys: under what name a result is kept, and what makes two results the same.
//!
//! | value | in the key | in the manifest | nowhere |
//! |---|---|---|---|
//! | kind, its `REVISION`, [`KEY_FORMAT`] | x | | |
//! | resolved configuration, defaults filled in, with its seed | x | | |
//! | logical digest of each input table, with the axis values under which it was collected | x | | |
//! | digest of each source file's bytes | x | | |
//! | device class, only where the kind's tolerance is not exact | x | | |
//! | host, start, duration, program version, cpu features, device name | | x | |
//! | stage names, spec path, comments, key order, thread count | | | x |
//!
//! The program's version is not in the key: a kind's `REVISION` is the contract.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::content_hash::{ContentHash, Digest, DigestError, Hasher};
use crate::tree::Tree;

/// Version of the way in which parts are fed to the hash; raising it leaves every cached result behind.
pub const KEY_FORMAT: u32 = 1;

/// The name under which a result is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Digest);

impl Key {
    /// The key with this digest.
    #[must_use]
    pub const fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// Its digest.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.0
    }

    /// The first twelve hexadecimal digits.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Key {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(Self)
    }
}

/// An input table in a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputPart {
    /// The key of the configuration that refers to it, such as `weights`.
    pub field: String,
    /// Where several are collected under one field, which one this is, such as `net=3`; empty otherwise.
    pub labels: String,
    /// The table's logical digest.
    pub digest: Digest,
}

/// A source file in a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePart {
    /// Its name, the same on every machine.
    pub name: String,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// Everything that a key is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyParts {
    /// The kind of stage.
    pub kind: String,
    /// The kind's revision.
    pub revision: u32,
    /// The configuration, resolved and normalised.
    pub config: Tree,
    /// The input tables, in the order the stage sees them.
    pub inputs: Vec<InputPart>,
    /// The source files, in the order the stage sees them.
    pub sources: Vec<SourcePart>,
    /// The class of device, where results depend on it.
    pub device: Option<String>,
}

impl ContentHash for KeyParts {
    fn feed(&self, hasher: &mut Hasher) {
        let Self { kind, revision, config, inputs, sources, device } = self;
        kind.feed(hasher);
        revision.feed(hasher);
        config.feed(hasher);
        hasher.length(inputs.len());
        for InputPart { field, labels, digest } in inputs {
            field.feed(hasher);
            labels.feed(hasher);
            digest.feed(hasher);
        }
        hasher.length(sources.len());
        for SourcePart { name, digest } in sources {
            name.feed(hasher);
            digest.feed(hasher);
        }
        device.feed(hasher);
    }
}

/// One part that two sets of parts do not share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs: `lr`, `hidden[0]`, `input weights`, `source train-images`, `revision`, ...
    pub part: String,
    /// The value it had, if it had one.
    pub old: Option<String>,
    /// The value it has, if it has one.
    pub new: Option<String>,
}

impl KeyParts {
    /// The key of a result that is made of these.
    #[must_use]
    pub fn key(&self) -> Key {
        let mut hasher = Hasher::new();
        hasher.variant("duress stage key");
        KEY_FORMAT.feed(&mut hasher);
        self.feed(&mut hasher);
        Key(hasher.finish())
    }

    /// What is not the same in `self`, the older, and in `newer`; in the order kind, revision, configuration, inputs,
    /// sources, device. Tables and files are named by the first twelve digits of their digests.
    #[must_use]
    pub fn differences(&self, newer: &Self) -> Vec<Difference> {
        let new: BTreeMap<_, _> = newer.named().into_iter().collect();
        let old: BTreeMap<_, _> = self.named().into_iter().collect();
        let mut parts: Vec<_> = old.keys().chain(new.keys()).collect();
        parts.sort();
        parts.dedup();
        parts
            .into_iter()
            .filter(|part| old.get(*part) != new.get(*part))
            .map(|part| Difference { part: part.1.clone(), old: old.get(part).cloned(), new: new.get(part).cloned() })
            .collect()
    }

    /// Every part by (rank, name) with its printed value.
    fn named(&self) -> Vec<((u8, String), String)> {
        let mut parts =
            vec![((0, "kind".to_owned()), self.kind.clone()), ((1, "revision".to_owned()), self.revision.to_string())];
        for (path, value) in self.config.leaves() {
            parts.push(((2, if path.is_empty() { "config".to_owned() } else { path }), value));
        }
        // Several inputs of one field without labels are told apart by their place.
        let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for InputPart { field, labels, digest } in &self.inputs {
            let place = places.entry((field, labels)).and_modify(|place| *place += 1).or_default();
            let labels = if labels.is_empty() { String::new() } else { format!("[{labels}]") };
            let place = if *place > 0 { format!(" #{}", *place + 1) } else { String::new() };
            parts.push(((3, format!("input {field}{labels}{place}")), digest.short()));
        }
        for SourcePart { name, digest } in &self.sources {
            parts.push(((4, format!("source {name}")), digest.short()));
        }
        if let Some(device) = &self.device {
            parts.push(((5, "device".to_owned()), device.clone()));
        }
        parts
    }
}

/// The key of one part (a chunk of faults, a block of samples) of the result `whole`.
#[must_use]
pub fn part_key(whole: &Key, part: &Tree) -> Key {
    let mut hasher = Hasher::new();
    hasher.variant("duress part key");
    KEY_FORMAT.feed(&mut hasher);
    whole.0.feed(&mut hasher);
    part.feed(&mut hasher);
    Key(hasher.finish())
}
