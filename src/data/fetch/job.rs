//! Getting one file: mirror after mirror, attempt after attempt, until one is right.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::download::{Client, Outcome, Partial, Wanted};
use super::{Events, FetchError, FetchEvent, FetchOptions, RemoteFile, hex};
use crate::data::inflate;

/// What the downloads of one set share.
pub(super) struct Job<'a> {
    pub(super) client: &'a Client,
    pub(super) mirrors: &'a [&'a str],
    pub(super) folder: &'a Path,
    pub(super) options: &'a FetchOptions<'a>,
}

/// Why something is not taken.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It is wrong; this completes "the file ...".
    Wrong(String),
    /// It may be right, but the disk does not take it.
    Write(PathBuf, io::Error),
}

/// Looks at what has arrived, and takes it or does not.
pub(super) type Accept<'a> = dyn FnMut(&Path) -> Result<(), Unfit> + 'a;

/// What is wrong with a mirror's answer, and whether asking again may mend it.
struct Trouble {
    problem: String,
    again: bool,
}

impl Job<'_> {
    /// Downloads `file`, unless it is there.
    pub(super) fn file(&self, file: &RemoteFile<'_>, events: &mut Events<'_>) -> Result<(), FetchError> {
        let target = self.folder.join(file.name);
        if target.exists() {
            match check(&target, file) {
                Ok(()) => {
                    events(FetchEvent::Present { file: file.name });
                    return Ok(());
                }
                Err(problem) => {
                    let problem = format!("the file in {} {problem}; it is replaced", self.folder.display());
                    events(FetchEvent::Trouble { file: file.name, problem });
                }
            }
        }
        let mut partial = self.open(file.name)?;
        let wanted = Wanted { name: file.name, bytes: file.bytes, most: file.content_bytes };
        let mut accept = |path: &Path| check(path, file).map_err(Unfit::Wrong);
        if let Err(error) = self.download(wanted, &mut partial, &mut accept, events) {
            partial.abandon();
            return Err(error);
        }
        let bytes = partial.finish(&target).map_err(|cause| FetchError::Write { path: target, cause })?;
        events(FetchEvent::Done { file: file.name, bytes });
        Ok(())
    }

    /// What has arrived of the file `name`, for this process alone.
    pub(super) fn open(&self, name: &str) -> Result<Partial, FetchError> {
        let target = self.folder.join(name);
        Partial::open(&target).map_err(|error| match error {
            TryLockError::WouldBlock => FetchError::Busy { file: name.to_owned() },
            TryLockError::Error(cause) => FetchError::Write { path: target, cause },
        })
    }

    /// Gets what is wanted into `partial` from the first mirror of which `accept` takes it.
    pub(super) fn download(
        &self,
        wanted: Wanted<'_>,
        partial: &mut Partial,
        accept: &mut Accept<'_>,
        events: &mut Events<'_>,
    ) -> Result<(), FetchError> {
        let mut troubles = Vec::new();
        for mirror in self.mirrors {
            let url = format!("{mirror}{}", wanted.name);
            for attempt in 0..self.options.attempts {
                if attempt > 0 {
                    pause(self.options.backoff * (1 << (attempt - 1).min(6)));
                }
                let Some(Trouble { problem, again }) = self.attempt(&url, wanted, partial, accept, events)? else {
                    return Ok(());
                };
                events(FetchEvent::Trouble { file: wanted.name, problem: problem.clone() });
                if !troubles.contains(&problem) {
                    troubles.push(problem);
                }
                if !again {
                    break;
                }
            }
        }
        Err(FetchError::Failed { file: wanted.name.to_owned(), troubles, folder: self.folder.to_owned() })
    }

    /// Asks `url` once; none where the file is there and right.
    fn attempt(
        &self,
        url: &str,
        wanted: Wanted<'_>,
        partial: &mut Partial,
        accept: &mut Accept<'_>,
        events: &mut Events<'_>,
    ) -> Result<Option<Trouble>, FetchError> {
        let write = |cause| FetchError::Write { path: self.folder.join(wanted.name), cause };
        let trouble = match self.client.get(url, partial, wanted, events).map_err(write)? {
            Outcome::Complete => match accept(partial.path()) {
                Ok(()) => return Ok(None),
                Err(Unfit::Write(path, cause)) => return Err(FetchError::Write { path, cause }),
                Err(Unfit::Wrong(problem)) => {
                    // What was resumed may be a mixture of two versions, which a fresh start mends; what arrived in one
                    // piece is what the mirror has.
                    let again = partial.was_resumed();
                    partial.restart().map_err(write)?;
                    Trouble { problem: format!("what {url} sent {problem} and was deleted"), again }
                }
            },
            Outcome::Broken(problem) => Trouble { problem: format!("{url}: {problem}"), again: true },
            Outcome::Refused(problem) => Trouble { problem: format!("{url}: {problem}"), again: false },
        };
        Ok(Some(trouble))
    }
}

/// Compares the uncompressed content with what was published; the error completes "the file ...".
pub(super) fn check(path: &Path, file: &RemoteFile<'_>) -> Result<(), String> {
    let hash = || -> io::Result<(u64, String)> {
        let mut content = inflate::open_file(File::open(path)?)?.take(file.content_bytes + 1);
        let mut hasher = Sha256::new();
        let bytes = each_chunk(&mut content, |chunk| hasher.update(chunk))?;
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

/// Calls `each` with all that `reader` gives, piece by piece; how many bytes that is.
pub(super) fn each_chunk(reader: &mut dyn Read, mut each: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(read) => {
                bytes += read as u64;
                each(&buffer[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a server in trouble is not asked again at once")]
fn pause(time: Duration) {
    thread::sleep(time);
}
