//! Keys: under what name a result is kept, and what makes two results the same.
//!
//! | value | in the key | in the manifest | nowhere |
//! |---|---|---|---|
//! | kind, its `REVISION`, [`KEY_FORMAT`] | x | | |
//! | resolved configuration, defaults filled in, with its seed | x | | |
//! | logical digest of each input table, with the axis values under which it was collected | x | | |
//! | digest of each source file's bytes | x | | |
//! | device class, only where the kind's tolerance is not exact and it is not the CPU | x | | |
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
    /// The class of device, where results may differ from the CPU's.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> KeyParts {
        let digest = |text: &str| Digest::of_bytes(text.as_bytes());
        let input = |field: &str, labels: &str, of: &str| InputPart {
            field: field.to_owned(),
            labels: labels.to_owned(),
            digest: digest(of),
        };
        KeyParts {
            kind: "train".to_owned(),
            revision: 3,
            config: Tree::map([("lr", Tree::from(1e-3)), ("hidden", Tree::from(vec![300, 100]))]),
            inputs: vec![input("data", "", "images"), input("nets", "net=1", "one"), input("nets", "net=2", "two")],
            sources: vec![SourcePart { name: "train-images".to_owned(), digest: digest("file") }],
            device: None,
        }
    }

    #[test]
    fn keys_are_those_of_the_first_release() {
        assert_eq!(parts().key().to_string(), "102ade9d4bd0639157aba5077b199417e508fc737283b26a0b2419a36af06925");
        let part = part_key(&parts().key(), &Tree::map([("chunk", 1)]));
        assert_eq!(part.to_string(), "16507176290b56b4976c98c1b060f761986c14057e5b395a7ed3c9feb8a062e0");
    }

    #[test]
    fn every_part_is_in_the_key() {
        let changes: Vec<fn(&mut KeyParts)> = vec![
            |parts| parts.kind = "prune".to_owned(),
            |parts| parts.revision = 4,
            |parts| parts.config = Tree::Null,
            |parts| parts.inputs[0].field = "images".to_owned(),
            |parts| parts.inputs[1].labels = "net=3".to_owned(),
            |parts| parts.inputs[0].digest = Digest::of_bytes(b"other"),
            |parts| parts.inputs.swap(1, 2),
            |parts| drop(parts.inputs.pop()),
            |parts| parts.sources[0].name = "test-images".to_owned(),
            |parts| parts.sources[0].digest = Digest::of_bytes(b"other"),
            |parts| drop(parts.sources.pop()),
            |parts| parts.device = Some("cuda".to_owned()),
        ];
        let mut keys = vec![parts().key()];
        for change in changes {
            let mut changed = parts();
            change(&mut changed);
            assert!(!keys.contains(&changed.key()), "{changed:?}");
            keys.push(changed.key());
        }
    }

    #[test]
    fn parts_read_back_from_json_with_their_key() {
        let json = serde_json::to_string(&parts()).unwrap();
        let read: KeyParts = serde_json::from_str(&json).unwrap();
        assert_eq!(read.key(), parts().key());
    }

    #[test]
    fn differences_name_each_part_with_its_old_and_new_value() {
        let mut newer = parts();
        newer.revision = 4;
        newer.config = Tree::map([("lr", Tree::from(1e-2)), ("hidden", Tree::from(vec![300])), ("seed", 1.into())]);
        newer.inputs[2].digest = Digest::of_bytes(b"three");
        newer.sources.clear();
        newer.device = Some("cuda".to_owned());
        let shown: Vec<_> = parts()
            .differences(&newer)
            .into_iter()
            .map(|it| format!("{}: {} -> {}", it.part, it.old.unwrap_or_default(), it.new.unwrap_or_default()))
            .collect();
        let short = |text: &str| Digest::of_bytes(text.as_bytes()).short();
        assert_eq!(
            shown,
            [
                "revision: 3 -> 4".to_owned(),
                "hidden[1]: 100 -> ".to_owned(),
                "lr: 0.001 -> 0.01".to_owned(),
                "seed:  -> 1".to_owned(),
                format!("input nets[net=2]: {} -> {}", short("two"), short("three")),
                format!("source train-images: {} -> ", short("file")),
                "device:  -> cuda".to_owned(),
            ]
        );
        assert_eq!(parts().differences(&parts()), []);
    }

    #[test]
    fn a_part_has_its_own_key_for_every_whole_and_chunk() {
        let (one, two) = (parts().key(), Key::new(Digest::of_bytes(b"two")));
        let (a, b) = (Tree::from(1), Tree::from(2));
        let keys = [part_key(&one, &a), part_key(&one, &b), part_key(&two, &a), one, two];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key));
        }
    }
}
