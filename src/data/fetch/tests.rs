//! Downloads of files from a server on this machine that misbehaves on request.

use sha2::{Digest as _, Sha256};

use super::super::idx::tests::gzip;
use super::download::Partial;
use super::job::check;
use super::server::{Answer, Server, files_in};
use super::*;

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
    let set = RemoteSet { name: "some-set", mirrors, files: &[file], archives: &[] };
    server::fetch_and_tell(&set, folder, &[])
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
        assert!(set.archives.iter().all(|archive| archive.md5.len() == 32));
        let members =
            set.archives.iter().flat_map(|archive| archive.members.iter().map(move |m| (archive.root, m.path)));
        assert!(members.clone().all(|(root, path)| path.starts_with(root)), "what is moved holds all members");
        assert!(!set.files.is_empty() || members.count() > 0);
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
