//! Downloads published data sets: `duress data fetch mnist`.
//!
//! What is checked is the SHA-256 of each file's *uncompressed* content: mirrors compress the same content differently. A
//! broken download is resumed (`download.rs`), a corrupt one is thrown away and named, and a file appears under its own
//! name only when it is whole and right.

mod download;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::inflate;
use download::{Client, Outcome, Partial};

/// A data set that can be downloaded.
#[derive(Clone, Copy, Debug)]
pub struct RemoteSet<'a> {
    /// The source's name, such as `mnist`.
    pub name: &'a str,
    /// Folders that hold the files, tried in order; each ends in `/`.
    pub mirrors: &'a [&'a str],
    /// The files.
    pub files: &'a [RemoteFile<'a>],
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
pub struct FetchOptions {
    /// How often one mirror is tried before the next.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each.
    pub backoff: Duration,
    /// How long a server may keep silent.
    pub timeout: Duration,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self { attempts: 4, backoff: Duration::from_secs(1), timeout: Duration::from_secs(60) }
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
}

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
}

/// The sets that can be downloaded.
pub const SETS: [RemoteSet<'static>; 2] = [
    RemoteSet {
        name: "mnist",
        mirrors: &[
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ],
        files: &[
            RemoteFile {
                name: "train-images-idx3-ubyte.gz",
                bytes: 9_912_422,
                content_bytes: 47_040_016,
                content_sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            },
            RemoteFile {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 28_881,
                content_bytes: 60_008,
                content_sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            },
            RemoteFile {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 1_648_877,
                content_bytes: 7_840_016,
                content_sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            },
            RemoteFile {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 4_542,
                content_bytes: 10_008,
                content_sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            },
        ],
    },
    RemoteSet {
        name: "fashion-mnist",
        mirrors: &[
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ],
        files: &[
            RemoteFile {
                name: "train-images-idx3-ubyte.gz",
                bytes: 26_421_880,
                content_bytes: 47_040_016,
                content_sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            },
            RemoteFile {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 29_515,
                content_bytes: 60_008,
                content_sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            },
            RemoteFile {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 4_422_102,
                content_bytes: 7_840_016,
                content_sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            },
            RemoteFile {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 5_148,
                content_bytes: 10_008,
                content_sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            },
        ],
    },
];

/// The set called `name`.
#[must_use]
pub fn set(name: &str) -> Option<&'static RemoteSet<'static>> {
    SETS.iter().find(|set| set.name == name)
}

/// Downloads every file of `set` that is not in `folder` yet; makes the folder.
///
/// # Errors
/// [`FetchError::Failed`] at the first file that no mirror gives, and where the folder cannot be written.
pub fn fetch(
    set: &RemoteSet<'_>,
    folder: &Path,
    options: &FetchOptions,
    events: &mut dyn FnMut(FetchEvent<'_>),
) -> Result<(), FetchError> {
    fs::create_dir_all(folder).map_err(|cause| FetchError::Write { path: folder.to_owned(), cause })?;
    let client = Client::new(options.timeout);
    set.files.iter().try_for_each(|file| fetch_file(&client, set.mirrors, file, folder, options, events))
}

fn fetch_file(
    client: &Client,
    mirrors: &[&str],
    file: &RemoteFile<'_>,
    folder: &Path,
    options: &FetchOptions,
    events: &mut dyn FnMut(FetchEvent<'_>),
) -> Result<(), FetchError> {
    let target = folder.join(file.name);
    if target.exists() {
        match check(&target, file) {
            Ok(()) => {
                events(FetchEvent::Present { file: file.name });
                return Ok(());
            }
            Err(problem) => {
                let problem = format!("the file in {} {problem}; it is replaced", folder.display());
                events(FetchEvent::Trouble { file: file.name, problem });
            }
        }
    }
    let write = |cause| FetchError::Write { path: target.clone(), cause };
    let mut partial = Partial::open(&target).map_err(|error| match error {
        TryLockError::WouldBlock => FetchError::Busy { file: file.name.to_owned() },
        TryLockError::Error(cause) => write(cause),
    })?;
    let mut troubles = Vec::new();
    for mirror in mirrors {
        let url = format!("{mirror}{}", file.name);
        let mut attempt = 0;
        while attempt < options.attempts {
            if attempt > 0 {
                pause(options.backoff * (1 << (attempt - 1).min(6)));
            }
            attempt += 1;
            let trouble = match client.get(&url, &mut partial, file, events).map_err(write)? {
                Outcome::Complete => match check(partial.path(), file) {
                    Ok(()) => {
                        let bytes = partial.finish(&target).map_err(write)?;
                        events(FetchEvent::Done { file: file.name, bytes });
                        return Ok(());
                    }
                    Err(problem) => {
                        // What was resumed may be a mixture of two versions, which a fresh start mends; what arrived in
                        // one piece is what the mirror has.
                        attempt = if partial.was_resumed() { attempt } else { options.attempts };
                        partial.restart().map_err(write)?;
                        format!("what {url} sent {problem} and was deleted")
                    }
                },
                Outcome::Broken(problem) => format!("{url}: {problem}"),
                Outcome::Refused(problem) => {
                    attempt = options.attempts;
                    format!("{url}: {problem}")
                }
            };
            events(FetchEvent::Trouble { file: file.name, problem: trouble.clone() });
            if !troubles.contains(&trouble) {
                troubles.push(trouble);
            }
        }
    }
    partial.abandon();
    Err(FetchError::Failed { file: file.name.to_owned(), troubles, folder: folder.to_owned() })
}

/// Compares the uncompressed content with what was published; the error completes "the file ...".
fn check(path: &Path, file: &RemoteFile<'_>) -> Result<(), String> {
    let hash = || -> io::Result<(u64, String)> {
        let mut content = inflate::open_file(File::open(path)?)?.take(file.content_bytes + 1);
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        let mut bytes = 0;
        loop {
            let read = content.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            hasher.update(&buffer[..read]);
        }
        Ok((bytes, hex(&hasher.finalize())))
    };
    match hash() {
        Err(error) => Err(format!("does not unpack ({error})")),
        Ok((bytes, _)) if bytes != file.content_bytes => {
            let more = if bytes > file.content_bytes { "more" } else { "fewer" };
            Err(format!("has {more} than {} bytes of content", file.content_bytes))
        }
        Ok((_, digits)) if digits != file.content_sha256 => {
            Err(format!("has the checksum {digits} and not {}", file.content_sha256))
        }
        Ok(_) => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a server in trouble is not asked again at once")]
fn pause(time: Duration) {
    thread::sleep(time);
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests;
