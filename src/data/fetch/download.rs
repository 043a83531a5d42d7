//! One download: HTTP with ranges, into a `.part` file that a later attempt or a later process goes on with.
//!
//! Beside `NAME.part` stands `NAME.part.from`: the address and the validator (entity tag, else modification date) of what
//! has arrived, so that the rest is asked for only of the very same thing (RFC 9110, `Range` and `If-Range`).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::{Agent, Body};

use super::{Events, FetchEvent};

/// More than compression can add to a content.
const SLACK: u64 = 1 << 20;

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Its name on the mirror and here.
    pub(super) name: &'a str,
    /// About how many bytes it has.
    pub(super) bytes: u64,
    /// How many it cannot have more than, but for what compression adds.
    pub(super) most: u64,
}

/// How one attempt ended.
pub(super) enum Outcome {
    /// All bytes are there.
    Complete,
    /// It broke off, or the server has a problem: worth trying again.
    Broken(String),
    /// This mirror does not have it.
    Refused(String),
}

/// The bytes that have arrived so far.
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    from: PathBuf,
    resumed: bool,
}

impl Partial {
    /// Opens, or makes, what belongs to `target`, for this process alone.
    pub(super) fn open(target: &Path) -> Result<Self, TryLockError> {
        let beside = |end: &str| {
            let mut name = target.file_name().unwrap_or_default().to_owned();
            name.push(end);
            target.with_file_name(name)
        };
        let path = beside(".part");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(TryLockError::Error)?;
        file.try_lock()?;
        Ok(Self { file, path, from: beside(".part.from"), resumed: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the bytes came in more than one piece.
    pub(super) fn was_resumed(&self) -> bool {
        self.resumed
    }

    /// Throws away what has arrived.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.resumed = false;
        self.file.set_len(0)?;
        remove(&self.from)
    }

    /// Gives the file its own name. Returns its length in bytes.
    pub(super) fn finish(self, target: &Path) -> io::Result<u64> {
        self.file.sync_all()?;
        let bytes = self.file.metadata()?.len();
        fs::rename(&self.path, target)?;
        remove(&self.from)?;
        Ok(bytes)
    }

    /// Removes what has arrived, of which use was made.
    pub(super) fn discard(self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        remove(&self.from)
    }

    /// Leaves nothing behind where nothing has arrived.
    pub(super) fn abandon(self) {
        if self.file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            // Best effort: an empty file left over does no harm.
            let _ = fs::remove_file(&self.path);
            let _ = remove(&self.from);
        }
    }

    /// How many bytes have arrived from `url`, and the validator to ask for the rest with.
    fn arrived(&self, url: &str) -> io::Result<Option<(u64, String)>> {
        let bytes = self.file.metadata()?.len();
        let Ok(from) = fs::read_to_string(&self.from) else {
            return Ok(None);
        };
        Ok(match from.split_once('\n') {
            Some((address, validator)) if address == url && bytes > 0 => Some((bytes, validator.to_owned())),
            _ => None,
        })
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// An HTTP client.
pub(super) struct Client {
    agent: Agent,
}

impl Client {
    pub(super) fn new(timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // The file is wanted as it is, not as a transport would like to compress it.
            .accept_encoding("identity")
            .user_agent(concat!("duress/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(timeout))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout))
            .build();
        Self { agent: config.new_agent() }
    }

    /// Asks `url` for what is still missing, and takes it. Errors are those of writing.
    pub(super) fn get(
        &self,
        url: &str,
        partial: &mut Partial,
        wanted: Wanted<'_>,
        events: &mut Events<'_>,
    ) -> io::Result<Outcome> {
        let arrived = partial.arrived(url)?;
        let mut request = self.agent.get(url);
        if let Some((bytes, validator)) = &arrived {
            request = request.header(header::RANGE, format!("bytes={bytes}-")).header(header::IF_RANGE, validator);
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(error) => return Ok(Outcome::Broken(error.to_string())),
        };
        let offset = match (response.status(), arrived) {
            (StatusCode::PARTIAL_CONTENT, Some((bytes, _))) if starts_at(response.headers(), bytes) => {
                partial.resumed = true;
                bytes
            }
            (StatusCode::OK, _) => {
                partial.restart()?;
                if let Some(validator) = validator(response.headers()) {
                    fs::write(&partial.from, format!("{url}\n{validator}"))?;
                }
                0
            }
            // Nothing is missing: what was done with it was cut short.
            (StatusCode::RANGE_NOT_SATISFIABLE, Some((bytes, _))) if ends_at(response.headers(), bytes) => {
                partial.resumed = true;
                return Ok(Outcome::Complete);
            }
            (StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT, _) => {
                partial.restart()?;
                return Ok(Outcome::Broken("what had arrived is no longer what it has; starting over".to_owned()));
            }
            (status, _) if worth_another_try(status) => return Ok(Outcome::Broken(format!("it answers {status}"))),
            (status, _) => return Ok(Outcome::Refused(format!("it answers {status}"))),
        };
        receive(response, partial, offset, wanted, events)
    }
}

/// Appends the body at `offset`.
fn receive(
    response: Response<Body>,
    partial: &mut Partial,
    offset: u64,
    wanted: Wanted<'_>,
    events: &mut Events<'_>,
) -> io::Result<Outcome> {
    let total = response.body().content_length().map(|rest| offset + rest);
    let limit = wanted.most + SLACK;
    let mut body = response.into_body().into_reader();
    partial.file.seek(SeekFrom::Start(offset))?;
    let mut buffer = vec![0; 1 << 16];
    let mut done = offset;
    loop {
        events(FetchEvent::Progress { file: wanted.name, done, total: total.unwrap_or(wanted.bytes) });
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Outcome::Broken(format!("it broke off after {done} bytes ({error})"))),
        };
        partial.file.write_all(&buffer[..read])?;
        done += read as u64;
        if done > limit {
            partial.restart()?;
            return Ok(Outcome::Refused(format!("it sends more than the {} bytes of the file", wanted.bytes)));
        }
    }
    match total {
        Some(total) if done < total => Ok(Outcome::Broken(format!("it broke off after {done} of {total} bytes"))),
        _ => Ok(Outcome::Complete),
    }
}

/// What tells one version of a file from another. A weak entity tag does not promise equal bytes.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    text(header::ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| text(header::LAST_MODIFIED)).map(String::from)
}

/// Whether `Content-Range: bytes START-END/TOTAL` starts at `offset`.
fn starts_at(headers: &HeaderMap, offset: u64) -> bool {
    let range = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")).and_then(|range| range.split_once('-'));
    start.is_some_and(|(start, _)| start.trim().parse() == Ok(offset))
}

/// Whether `Content-Range: bytes */TOTAL` says that `bytes` are all.
fn ends_at(headers: &HeaderMap, bytes: u64) -> bool {
    let range = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let total = range.and_then(|range| range.strip_prefix("bytes */"));
    total.is_some_and(|total| total.trim().parse() == Ok(bytes))
}

fn worth_another_try(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}
