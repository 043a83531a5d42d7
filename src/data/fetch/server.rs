//! A server on this machine that misbehaves on request, and downloads from it.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{FetchError, FetchEvent, FetchOptions, Pin, RemoteSet, fetch};

/// How the server answers one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
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
pub(super) struct Server {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves `content` under any name, answering as `answers` say, in order, then `Whole`.
    pub(super) fn start(content: Vec<u8>, answers: &[Answer]) -> Self {
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

    pub(super) fn asked(&self) -> Vec<String> {
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
        (_, Some(start)) if start >= body.len() => {
            let head = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n";
            (format!("{head}Content-Range: bytes */{}\r\n", body.len()), &body[..0])
        }
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

/// Downloads `set`; the events but progress, as words.
pub(super) fn fetch_and_tell(
    set: &RemoteSet<'_>,
    folder: &Path,
    pins: &[Pin],
) -> (Result<(), FetchError>, Vec<String>) {
    let (backoff, timeout) = (Duration::from_millis(1), Duration::from_secs(5));
    let options = FetchOptions { attempts: 3, backoff, timeout, pins };
    let mut events = Vec::new();
    let outcome = fetch(set, folder, &options, &mut |event| match event {
        FetchEvent::Progress { .. } => {}
        FetchEvent::Present { .. } => events.push("present".to_owned()),
        FetchEvent::Trouble { problem, .. } => events.push(problem),
        FetchEvent::Done { .. } => events.push("done".to_owned()),
        FetchEvent::Unpacked { sha256, files, .. } => events.push(format!("{files} files of {sha256}")),
    });
    (outcome, events)
}

pub(super) fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("there")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}
