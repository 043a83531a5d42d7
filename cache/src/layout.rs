//! Where things are in a cache folder.
//!
//! ```text
//! CACHE/
//!   CACHEDIR.TAG                    keeps backup programs out, and says whose folder this is
//!   objects-v1/ab/ab12...parquet    tables, named by the BLAKE3 digest of their bytes: equal tables are one file
//!   entries-v1/cd/cd34...json       results, named by their key: what it is made of, its tables, how it came to be
//!   records-v1/STUDY.json           which keys the last run of a study used
//!   locks-v1/cache.lock             held shared by whoever uses the cache, alone by whoever cleans it
//!   locks-v1/cd34...lock            held by whoever computes that key; says who
//!   quarantine-v1/                  damaged files, out of the way
//!   */.tmp-*                        files being written; what a killed process leaves of them, `gc` removes
//! ```
//!
//! A bucket's version is raised when the form of its files changes; programs of both versions then share a folder without
//! seeing each other's files. Entries and records carry a checksum of themselves. An object is written before
//! the entry that names it, so an entry that is there has its objects, unless something outside damaged them.

use std::path::{Path, PathBuf};

use crate::content_hash::Digest;
use crate::key::Key;

pub(crate) const OBJECTS: &str = "objects-v1";
pub(crate) const ENTRIES: &str = "entries-v1";
pub(crate) const RECORDS: &str = "records-v1";
pub(crate) const LOCKS: &str = "locks-v1";
pub(crate) const QUARANTINE: &str = "quarantine-v1";
pub(crate) const TAG: &str = "CACHEDIR.TAG";
pub(crate) const TEMPORARY: &str = ".tmp-";

/// The signature is that of <https://bford.info/cachedir/>; the second line tells our folders from others'.
pub(crate) const TAG_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # A duress cache. Everything in it can be computed again.\n";
pub(crate) const TAG_MARK: &str = "# A duress cache.";

/// What a path below a cache folder is the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Member {
    Entry(Key),
    Object(Digest),
}

impl Member {
    /// The path below the folder, with `/` on every system.
    pub(crate) fn path(&self) -> String {
        let (bucket, digest, ending) = match self {
            Self::Object(digest) => (OBJECTS, *digest, "parquet"),
            Self::Entry(key) => (ENTRIES, key.digest(), "json"),
        };
        let hex = digest.to_string();
        format!("{bucket}/{}/{hex}.{ending}", &hex[..2])
    }

    /// What `path` is the place of. Only the one spelling that [`Member::path`] writes is understood, so no path that
    /// leads anywhere else can pass.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let file = path.rsplit('/').next()?;
        let (hex, ending) = file.split_once('.')?;
        let digest = hex.parse().ok()?;
        let member = match ending {
            "parquet" => Self::Object(digest),
            "json" => Self::Entry(Key::new(digest)),
            _ => return None,
        };
        (member.path() == path).then_some(member)
    }
}

/// The paths of one cache folder.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn tag(&self) -> PathBuf {
        self.root.join(TAG)
    }

    pub(crate) fn bucket(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn object(&self, object: &Digest) -> PathBuf {
        self.root.join(Member::Object(*object).path())
    }

    pub(crate) fn entry(&self, key: &Key) -> PathBuf {
        self.root.join(Member::Entry(*key).path())
    }

    pub(crate) fn lock(&self, key: &Key) -> PathBuf {
        self.root.join(LOCKS).join(format!("{key}.lock"))
    }

    pub(crate) fn cache_lock(&self) -> PathBuf {
        self.root.join(LOCKS).join("cache.lock")
    }

    /// A study's record. Names that are no plain file name on every system are replaced by their digest.
    pub(crate) fn record(&self, study: &str) -> PathBuf {
        let plain = !study.is_empty()
            && study.len() <= 64
            && study.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        // The tilde keeps digests apart from studies that are named like one.
        let name = if plain { study.to_owned() } else { format!("{}~", Digest::of_bytes(study.as_bytes())) };
        self.root.join(RECORDS).join(format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_read_back_from_its_path_and_from_no_other_spelling() {
        let digest = Digest::of_bytes(b"table");
        let object = Member::Object(digest);
        let path = object.path();
        assert_eq!(Member::parse(&path), Some(object));
        let entry = Member::Entry(Key::new(digest));
        assert_eq!(Member::parse(&entry.path()), Some(entry));
        for wrong in [
            format!("../{path}"),
            format!("/{path}"),
            format!("./{path}"),
            path.replace("objects-v1/", "objects-v1//"),
            path.replace("objects-v1", "entries-v1"),
            path.replace("parquet", "json"),
            path.replace('/', "\\"),
            path.to_uppercase(),
            format!("{path}/"),
            format!("{path}\0"),
            String::new(),
        ] {
            assert_eq!(Member::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_study_of_any_name_has_a_record_inside_the_cache() {
        let layout = Layout::new("cache".into());
        assert_eq!(layout.record("quick-start"), Path::new("cache/records-v1/quick-start.json"));
        for name in ["../../etc/passwd", "", "A", "a/b", "con.", &"x".repeat(300)] {
            let path = layout.record(name);
            assert_eq!(path.parent(), Some(Path::new("cache/records-v1")), "{name}");
            assert!(path.file_name().is_some_and(|file| file.len() < 80), "{name}");
        }
    }
}
