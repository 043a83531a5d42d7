//! Downloads published data sets: `duress data fetch mnist`.
//!
//! Of plain files the SHA-256 of their *uncompressed* content is checked, since mirrors compress the same content differently;
//! of archives the publishers' digest, one that the user pins, and that they hold what they should (`unpack.rs`). A broken
//! download is resumed (`download.rs`), a corrupt one is thrown away and named, and files and folders appear under their own
//! names only when they are whole and right.

mod archive;
mod download;
mod job;
mod md5;
mod sets;
mod unpack;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use archive::{Content, Member, RemoteArchive};
use download::Client;
use job::Job;
pub use sets::{SETS, set};

/// A data set that can be downloaded.
#[derive(Clone, Copy, Debug)]
pub struct RemoteSet<'a> {
    /// The source's name, such as `mnist`.
    pub name: &'a str,
    /// Folders that hold the files, tried in order; each ends in `/`.
    pub mirrors: &'a [&'a str],
    /// Files that stay as they are.
    pub files: &'a [RemoteFile<'a>],
    /// Archives that are unpacked.
    pub archives: &'a [RemoteArchive<'a>],
}

/// A file of such a set.
#[derive(Clone, Copy, Debug)]
pub struct RemoteFile<'a> {
    /// Its name, on the mirror and here.
    pub name: &'a str,
    /// About how many bytes are downloaded.
    pub bytes: u64,
    /// How many bytes its content has when uncompressed.
    pub content_bytes: u64,
    /// SHA-256 of its uncompressed content, in hexadecimal digits.
    pub content_sha256: &'a str,
}

/// How to download.
#[derive(Clone, Copy, Debug)]
pub struct FetchOptions<'a> {
    /// How often one mirror is tried before the next.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each.
    pub backoff: Duration,
    /// How long a server may keep silent.
    pub timeout: Duration,
    /// Digests that archives must have, beside the publishers'.
    pub pins: &'a [Pin],
}

impl Default for FetchOptions<'_> {
    fn default() -> Self {
        Self { attempts: 4, backoff: Duration::from_secs(1), timeout: Duration::from_secs(60), pins: &[] }
    }
}

/// The digest that the user wants an archive to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The archive's name.
    pub archive: String,
    /// Its SHA-256, in 64 lower-case hexadecimal digits.
    pub sha256: String,
}

impl RemoteSet<'_> {
    /// Reads a pin: 64 hexadecimal digits for the set's only archive, or `NAME=DIGITS` for one of several.
    ///
    /// # Errors
    /// [`FetchError::Pin`] where it is no digest, or names no archive of the set.
    pub fn pin(&self, text: &str) -> Result<Pin, FetchError> {
        let bad = |problem: String| FetchError::Pin { pin: text.to_owned(), problem };
        let names = || self.archives.iter().map(|archive| archive.name).collect::<Vec<_>>().join(", ");
        let (name, digits) = match (text.split_once('='), self.archives) {
            (_, []) => {
                return Err(bad(format!(
                    "the files of {} are checked by digests that are known; leave it out",
                    self.name
                )));
            }
            (Some((name, digits)), _) => (name, digits),
            (None, [only]) => (only.name, text),
            (None, _) => return Err(bad(format!("write NAME=DIGITS with one of {}", names()))),
        };
        if !self.archives.iter().any(|archive| archive.name == name) {
            return Err(bad(format!(
                "{} has no archive of that name; write NAME=DIGITS with one of {}",
                self.name,
                names()
            )));
        }
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(bad("give the 64 hexadecimal digits that `sha256sum` prints".to_owned()));
        }
        Ok(Pin { archive: name.to_owned(), sha256: digits.to_lowercase() })
    }
}

/// What happens during a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchEvent<'a> {
    /// The file is there already, and right.
    Present {
        /// Its name.
        file: &'a str,
    },
    /// Bytes arrived.
    Progress {
        /// The file's name.
        file: &'a str,
        /// Bytes so far.
        done: u64,
        /// Bytes in all, as far as is known.
        total: u64,
    },
    /// Something went wrong that is tried again or elsewhere.
    Trouble {
        /// The file's name.
        file: &'a str,
        /// What, and what is done about it.
        problem: String,
    },
    /// The file is complete and right.
    Done {
        /// Its name.
        file: &'a str,
        /// Bytes of the file.
        bytes: u64,
    },
    /// The archive was right, and what it holds is in its place.
    Unpacked {
        /// Its name.
        archive: &'a str,
        /// Its SHA-256, to pin it by.
        sha256: &'a str,
        /// How many files it held.
        files: usize,
    },
}

/// Whoever is told what happens.
type Events<'a> = dyn FnMut(FetchEvent<'_>) + 'a;

/// Why a data set cannot be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No mirror gave the file.
    #[error("download `{file}`: {}; try again later (what has arrived is kept), or put the file into {} yourself", .troubles.join("; "), .folder.display())]
    Failed {
        /// The file.
        file: String,
        /// What each attempt ended in.
        troubles: Vec<String>,
        /// Where it belongs.
        folder: PathBuf,
    },
    /// Somebody else downloads it.
    #[error("download `{file}`: another process is downloading it to the same folder; wait for that one to end")]
    Busy {
        /// The file.
        file: String,
    },
    /// The folder cannot be written.
    #[error("write {}: {cause}; check the folder's permissions and the free space, or choose another with `--to`", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// Something else lies where an archive belongs.
    #[error("unpack `{archive}` to {}: what is there {problem}; move it away, or choose another folder with `--to`", .path.display())]
    InTheWay {
        /// The archive.
        archive: String,
        /// What is in the way.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A pin that is none.
    #[error("pin an archive by `{pin}`: {problem}")]
    Pin {
        /// What was given.
        pin: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
}

/// Downloads every file and archive of `set` that is not in `folder` yet; makes the folder.
///
/// # Errors
/// [`FetchError::Failed`] at the first that no mirror gives, and where the folder cannot be written.
pub fn fetch(
    set: &RemoteSet<'_>,
    folder: &Path,
    options: &FetchOptions<'_>,
    events: &mut dyn FnMut(FetchEvent<'_>),
) -> Result<(), FetchError> {
    fs::create_dir_all(folder).map_err(|cause| FetchError::Write { path: folder.to_owned(), cause })?;
    let client = Client::new(options.timeout);
    let job = Job { client: &client, mirrors: set.mirrors, folder, options };
    set.files.iter().try_for_each(|file| job.file(file, events))?;
    set.archives.iter().try_for_each(|archive| job.archive(archive, events))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
