//! Downloads from a server on this machine that misbehaves on request.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::super::idx::tests::gzip;
use super::*;

/// How the server answers one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Properly, with ranges.
    Whole,
    /// It promises everything and hangs up after so many bytes.
    CutAfter(usize),
    /// It sends everything whatever range is asked for.
    IgnoreRange,
    /// Another content, of the same entity tag.
    Corrupt,
    /// This status and nothing else.
    Status(u16),
}

/// A server and what it was asked for: the range, or "all".
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves `content` under any name, answering as `answers` say, in order, then `Whole`.
    fn start(content: Vec<u8>, answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let mut answers: VecDeque<Answer> = answers.iter().copied().collect();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let answer = answers.pop_front().unwrap_or(Answer::Whole);
                serve(stream.expect("a connection"), &content, answer, &log);
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn serve(mut stream: TcpStream, content: &[u8], answer: Answer, log: &Mutex<Vec<String>>) {
    let mut range = None;
    let mut condition = None;
    for line in BufReader::new(&stream).lines() {
        let line = line.expect("a request").to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("range: bytes=") {
            range = value.trim_end_matches('-').parse::<usize>().ok();
        }
        if let Some(value) = line.strip_prefix("if-range: ") {
            condition = Some(value.to_owned());
        }
    }
    // Before the answer, which lets the client look at the log.
    log.lock().expect("no panic").push(range.map_or("all".to_owned(), |start| format!("from {start}")));
    let tag = "\"v1\"";
    let mut body = content.to_vec();
    if answer == Answer::Corrupt {
        let middle = body.len() / 2;
        body[middle] ^= 1;
    }
    let start = range.filter(|_| condition.as_deref() == Some(tag) && answer != Answer::IgnoreRange);
    let (head, body) = match (answer, start) {
        (Answer::Status(status), _) => (format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n"), &body[..0]),
        (_, Some(start)) => {
            let (end, total) = (body.len() - 1, body.len());
            let rest = &body[start..];
            let head = format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{end}/{total}\r\n");
            (format!("{head}Content-Length: {}\r\n", rest.len()), rest)
        }
        _ => (format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len()), &body[..]),
    };
    let body = if let Answer::CutAfter(bytes) = answer { &body[..bytes.min(body.len())] } else { body };
    // A client that has seen enough may hang up.
    let _ = write!(stream, "{head}ETag: {tag}\r\nConnection: close\r\n\r\n").and_then(|()| stream.write_all(body));
}

/// Bytes that compression cannot shorten.
fn content() -> Vec<u8> {
    let mut stream = crate::nn::Stream::new(0, "a file to download", &[]);
    (0..200_000).map(|_| stream.next_u32() as u8).collect()
}

/// Downloads one file from `mirrors`; the events but progress, as words.
fn download(folder: &Path, mirrors: &[&str]) -> (Result<(), FetchError>, Vec<String>) {
    let plain = content();
    let digits = hex(&Sha256::digest(&plain));
    let file = RemoteFile {
        name: "some-file.gz",
        bytes: gzip(&plain).len() as u64,
        content_bytes: plain.len() as u64,
        content_sha256: &digits,
    };
    let set = RemoteSet { name: "some-set", mirrors, files: &[file] };
    let options = FetchOptions { attempts: 3, backoff: Duration::from_millis(1), timeout: Duration::from_secs(5) };
    let mut events = Vec::new();
    let outcome = fetch(&set, folder, &options, &mut |event| match event {
        FetchEvent::Progress { .. } => {}
        FetchEvent::Present { .. } => events.push("present".to_owned()),
        FetchEvent::Trouble { problem, .. } => events.push(problem),
        FetchEvent::Done { .. } => events.push("done".to_owned()),
    });
    (outcome, events)
}

fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("there")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_whole_download_appears_under_its_name_and_is_not_fetched_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(gzip(&content()), &[]);
    let inner = folder.path().join("new/mnist");
    let (outcome, events) = download(&inner, &[&server.url]);
    outcome.expect("works");
    assert_eq!(events, ["done"]);
    assert_eq!(files_in(&inner), ["some-file.gz"]);
    assert_eq!(fs::read(inner.join("some-file.gz")).expect("there"), gzip(&content()));
    assert_eq!(download(&inner, &[&server.url]).1, ["present"]);
    assert_eq!(server.asked(), ["all"]);
}

#[test]
fn a_cut_connection_is_resumed_where_it_broke_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(gzip(&content()), &[Answer::CutAfter(70_000), Answer::CutAfter(20_000)]);
    let (outcome, events) = download(folder.path(), &[&server.url]);
    outcome.expect("works");
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(server.asked(), ["all", "from 70000", "from 90000"]);
    assert_eq!(files_in(folder.path()), ["some-file.gz"]);
}

#[test]
fn a_later_process_goes_on_with_what_has_arrived() {
    let folder = tempfile::tempdir().expect("a folder");
    let cut = [Answer::CutAfter(50_000), Answer::CutAfter(0), Answer::CutAfter(0)];
    let server = Server::start(gzip(&content()), &cut);
    let (outcome, _) = download(folder.path(), &[&server.url]);
    let error = outcome.expect_err("cut three times").to_string();
    assert!(error.starts_with("download `some-file.gz`: ") && error.contains("what has arrived is kept"), "{error}");
    assert_eq!(files_in(folder.path()), ["some-file.gz.part", "some-file.gz.part.from"]);
    download(folder.path(), &[&server.url]).0.expect("works");
    assert_eq!(server.asked().last().map(String::as_str), Some("from 50000"));
    assert_eq!(files_in(folder.path()), ["some-file.gz"]);
}

#[test]
fn a_server_that_ignores_ranges_is_asked_once_more_and_sends_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(gzip(&content()), &[Answer::CutAfter(50_000), Answer::IgnoreRange]);
    download(folder.path(), &[&server.url]).0.expect("works");
    assert_eq!(server.asked(), ["all", "from 50000"]);
}

#[test]
fn a_wrong_checksum_is_refused_and_the_next_mirror_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = Server::start(gzip(&content()), &[Answer::Corrupt]);
    let good = Server::start(gzip(&content()), &[]);
    let (outcome, events) = download(folder.path(), &[&bad.url, &good.url]);
    outcome.expect("works");
    assert!(events[0].contains("was deleted") && events[0].contains(&bad.url), "{events:?}");
    assert_eq!((bad.asked().len(), good.asked()), (1, vec!["all".to_owned()]));
}

#[test]
fn a_corrupt_download_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = content();
    let other = Server::start(gzip(&plain[1..]), &[]);
    let wrong = Server::start(gzip(&plain.iter().rev().copied().collect::<Vec<_>>()), &[]);
    let error = download(folder.path(), &[&other.url, &wrong.url]).0.expect_err("both wrong").to_string();
    assert!(error.contains("fewer than 200000 bytes") && error.contains("has the checksum"), "{error}");
    assert!(files_in(folder.path()).is_empty());
}

#[test]
fn a_mixture_of_two_versions_is_started_over() {
    let folder = tempfile::tempdir().expect("a folder");
    // The rest that arrives second is of another version under the same tag, flipped in the middle.
    let server = Server::start(gzip(&content()), &[Answer::CutAfter(10_000), Answer::Corrupt]);
    download(folder.path(), &[&server.url]).0.expect("works");
    assert_eq!(server.asked(), ["all", "from 10000", "all"]);
}

#[test]
fn a_missing_file_falls_to_the_next_mirror_at_once_and_a_busy_server_is_asked_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let gone = Server::start(Vec::new(), &[Answer::Status(404)]);
    let busy = Server::start(gzip(&content()), &[Answer::Status(503), Answer::Status(429)]);
    let (outcome, events) = download(folder.path(), &[&gone.url, &busy.url]);
    outcome.expect("works");
    assert_eq!((gone.asked().len(), busy.asked().len()), (1, 3));
    assert!(events[0].contains("404") && events[1].contains("503") && events[2].contains("429"), "{events:?}");
}

#[test]
fn a_damaged_file_that_is_there_is_named_and_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("some-file.gz"), b"junk").expect("written");
    let server = Server::start(gzip(&content()), &[]);
    let (outcome, events) = download(folder.path(), &[&server.url]);
    outcome.expect("works");
    assert!(events[0].contains("it is replaced"), "{events:?}");
    assert_eq!(files_in(folder.path()), ["some-file.gz"]);
}

#[test]
fn two_downloads_of_one_file_do_not_mix() {
    let folder = tempfile::tempdir().expect("a folder");
    let held = Partial::open(&folder.path().join("some-file.gz")).expect("free");
    let server = Server::start(gzip(&content()), &[]);
    let error = download(folder.path(), &[&server.url]).0.expect_err("held");
    assert!(matches!(error, FetchError::Busy { .. }), "{error}");
    drop(held);
    download(folder.path(), &[&server.url]).0.expect("free again");
}

#[test]
fn the_sets_name_their_sources_and_whole_checksums() {
    for set in SETS {
        assert!(super::super::describe(set.name).is_some());
        assert!(set.mirrors.iter().all(|mirror| mirror.ends_with('/')));
        assert!(set.files.iter().all(|file| file.content_sha256.len() == 64));
    }
}

#[test]
fn the_published_checksums_are_those_of_the_real_files() {
    for set in SETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(set.name);
        if !folder.is_dir() {
            eprintln!("skipped: no {} at {}", set.name, folder.display());
            continue;
        }
        for file in set.files {
            assert_eq!(check(&folder.join(file.name), file), Ok(()), "{}", file.name);
        }
    }
}
