//! Archives from a server on this machine: whole, cut, resumed, wrong and hostile ones.

use std::io::Write as _;

use sha2::{Digest as _, Sha256};
use zip::write::{SimpleFileOptions, ZipWriter};

use super::super::md5::Md5;
use super::super::server::{Answer, Server, fetch_and_tell, files_in};
use super::super::{Pin, RemoteSet, hex};
use super::*;
use crate::data::idx::tests::gzip;
use crate::data::picture::tests::ppm;

/// Two files of two records: a coarse label, a class below 5, and two bytes.
const BATCHES: [Member<'static>; 2] = [batch("set-bin/one.bin"), batch("set-bin/two.bin")];

const fn batch(path: &str) -> Member<'_> {
    Member { path, count: 1, content: Content::Records { rows: 2, bytes: 4, label: 1, classes: 5 } }
}

/// A tar archive under gzip, with the names as they are, whatever they are.
fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        header.set_cksum();
        archive.append(&header, *content).expect("in memory");
    }
    gzip(&archive.into_inner().expect("in memory"))
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        archive.start_file(*name, SimpleFileOptions::default()).expect("in memory");
        archive.write_all(content).expect("in memory");
    }
    archive.finish().expect("in memory").into_inner()
}

/// An archive as [`BATCHES`] says, with something beside them.
fn batches() -> Vec<u8> {
    let (one, two) = ([0, 1, 7, 7, 9, 4, 8, 8], [3, 0, 1, 2, 3, 4, 5, 6]);
    tar(&[("set-bin/", b""), ("set-bin/one.bin", &one), ("./set-bin/two.bin", &two), ("set-bin/readme.html", b"<p>")])
}

fn md5(raw: &[u8]) -> String {
    let mut md5 = Md5::new();
    md5.update(raw);
    hex(&md5.finish())
}

fn sha256(raw: &[u8]) -> String {
    hex(&Sha256::digest(raw))
}

/// Fetches an archive that is said to be `published`, with members `members` below `root`.
fn get(
    folder: &Path,
    server: &Server,
    published: &[u8],
    (root, members): (&str, &[Member<'_>]),
    pin: Option<&str>,
) -> (Result<(), FetchError>, Vec<String>) {
    let digest = md5(published);
    let archive = RemoteArchive { name: "set.tar.gz", bytes: published.len() as u64, md5: &digest, root, members };
    let set = RemoteSet { name: "some-set", mirrors: &[&server.url], files: &[], archives: &[archive] };
    let pins: Vec<Pin> = pin.map(|pin| set.pin(pin).expect("a pin")).into_iter().collect();
    fetch_and_tell(&set, folder, &pins)
}

const SET: (&str, &[Member<'static>]) = ("set-bin", &BATCHES);

#[test]
fn members_alone_are_unpacked_whole_with_where_they_came_from_and_not_fetched_again() {
    let (folder, raw) = (tempfile::tempdir().expect("a folder"), batches());
    let server = Server::start(raw.clone(), &[]);
    let (outcome, events) = get(folder.path(), &server, &raw, SET, None);
    outcome.expect("works");
    assert_eq!(events, [format!("2 files of {}", sha256(&raw))]);
    assert_eq!(files_in(folder.path()), ["set-bin", "set.tar.gz.sha256"]);
    assert_eq!(files_in(&folder.path().join("set-bin")), ["one.bin", "two.bin"]);
    assert_eq!(fs::read(folder.path().join("set-bin/one.bin")).expect("there"), [0, 1, 7, 7, 9, 4, 8, 8]);
    let origin = fs::read_to_string(folder.path().join("set.tar.gz.sha256")).expect("there");
    assert_eq!(origin, format!("{}  set.tar.gz\n", sha256(&raw)));
    let (outcome, events) = get(folder.path(), &server, &raw, SET, Some(&sha256(&raw).to_uppercase()));
    outcome.expect("there");
    assert_eq!((events, server.asked()), (vec!["present".to_owned()], vec!["all".to_owned()]));
}

#[test]
fn a_cut_download_leaves_no_data_and_is_resumed() {
    let (folder, raw) = (tempfile::tempdir().expect("a folder"), batches());
    let server = Server::start(raw.clone(), &[Answer::CutAfter(50), Answer::CutAfter(0), Answer::CutAfter(0)]);
    get(folder.path(), &server, &raw, SET, None).0.expect_err("cut three times");
    assert_eq!(files_in(folder.path()), ["set.tar.gz.part", "set.tar.gz.part.from"]);
    get(folder.path(), &server, &raw, SET, None).0.expect("works");
    assert_eq!(server.asked().last().map(String::as_str), Some("from 50"));
    assert_eq!(files_in(folder.path()), ["set-bin", "set.tar.gz.sha256"]);
}

#[test]
fn a_process_that_is_killed_while_unpacking_is_gone_on_with_and_not_downloaded_again() {
    let (folder, raw) = (tempfile::tempdir().expect("a folder"), batches());
    let server = Server::start(raw.clone(), &[]);
    let put = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).expect("written");
    // All has arrived, one member was half written, and where it comes from is known already.
    put("set.tar.gz.part", &raw);
    put("set.tar.gz.part.from", format!("{}set.tar.gz\n\"v1\"", server.url).as_bytes());
    put("set.tar.gz.sha256", b"");
    fs::create_dir_all(folder.path().join("set.tar.gz.unpacking/set-bin")).expect("made");
    put("set.tar.gz.unpacking/set-bin/one.bin", &[0, 1]);
    let (outcome, events) = get(folder.path(), &server, &raw, SET, None);
    outcome.expect("works");
    assert_eq!((events.len(), server.asked()), (1, vec![format!("from {}", raw.len())]));
    assert_eq!(files_in(folder.path()), ["set-bin", "set.tar.gz.sha256"]);
    assert_eq!(fs::read(folder.path().join("set-bin/one.bin")).expect("there").len(), 8);
}

#[test]
fn an_archive_of_another_digest_than_published_or_pinned_is_refused_and_leaves_nothing() {
    let (folder, raw) = (tempfile::tempdir().expect("a folder"), batches());
    let server = Server::start(raw.clone(), &[Answer::Corrupt]);
    let told = get(folder.path(), &server, &raw, SET, None).0.expect_err("corrupt").to_string();
    assert!(told.contains(&format!("and not {}", md5(&raw))) && told.contains("was deleted"), "{told}");
    let pin = "0".repeat(64);
    let told = get(folder.path(), &server, &raw, SET, Some(&pin)).0.expect_err("another").to_string();
    assert!(told.contains(&format!("has the SHA-256 {} and not {pin}", sha256(&raw))), "{told}");
    assert!(files_in(folder.path()).is_empty());
}

#[test]
fn data_of_another_origin_than_pinned_are_not_taken_for_it() {
    let (folder, raw) = (tempfile::tempdir().expect("a folder"), batches());
    let server = Server::start(raw.clone(), &[]);
    get(folder.path(), &server, &raw, SET, None).0.expect("works");
    let pin = "0".repeat(64);
    let told = get(folder.path(), &server, &raw, SET, Some(&pin)).0.expect_err("another").to_string();
    assert!(told.contains("came from an archive of SHA-256") && told.contains("move it away"), "{told}");
    fs::remove_file(folder.path().join("set.tar.gz.sha256")).expect("there");
    let told = get(folder.path(), &server, &raw, SET, Some(&pin)).0.expect_err("unknown").to_string();
    assert!(told.contains("unknown SHA-256"), "{told}");
    get(folder.path(), &server, &raw, SET, None).0.expect("the data themselves are right");
}

#[test]
fn what_is_in_the_place_of_data_is_neither_taken_for_them_nor_replaced() {
    let (folder, raw) = (tempfile::tempdir().expect("a folder"), batches());
    let server = Server::start(raw.clone(), &[]);
    fs::create_dir(folder.path().join("set-bin")).expect("made");
    fs::write(folder.path().join("set-bin/one.bin"), [0, 1, 7, 7, 9, 5, 8, 8]).expect("written");
    let error = get(folder.path(), &server, &raw, SET, None).0.expect_err("a class too high");
    assert!(matches!(&error, FetchError::InTheWay { problem, .. } if problem.contains("class 5 of 5")), "{error}");
    fs::remove_file(folder.path().join("set-bin/one.bin")).expect("there");
    let error = get(folder.path(), &server, &raw, SET, None).0.expect_err("empty").to_string();
    assert!(error.contains("has 0 files `set-bin/one.bin` and not 1"), "{error}");
    assert!(server.asked().is_empty());
}

#[test]
fn an_archive_that_was_put_into_the_folder_is_used() {
    let (folder, raw) = (tempfile::tempdir().expect("a folder"), batches());
    let server = Server::start(raw.clone(), &[]);
    fs::write(folder.path().join("set.tar.gz"), &raw).expect("written");
    get(folder.path(), &server, &raw, SET, None).0.expect("works");
    assert_eq!(files_in(folder.path()), ["set-bin", "set.tar.gz", "set.tar.gz.sha256"]);
    assert!(server.asked().is_empty());
    fs::remove_dir_all(folder.path().join("set-bin")).expect("there");
    fs::write(folder.path().join("set.tar.gz"), &raw[1..]).expect("written");
    let (outcome, events) = get(folder.path(), &server, &raw, SET, None);
    outcome.expect("works");
    assert!(events[0].contains("another is downloaded"), "{events:?}");
}

/// What is said of an archive that arrives as it should, and is none that should be.
fn refused(raw: &[u8], set: (&str, &[Member<'_>])) -> String {
    let outside = tempfile::tempdir().expect("a folder");
    let folder = outside.path().join("in/side");
    fs::create_dir_all(&folder).expect("made");
    let server = Server::start(raw.to_vec(), &[]);
    let told = get(&folder, &server, raw, set, None).0.expect_err("refused").to_string();
    assert!(files_in(&folder).is_empty() && files_in(outside.path()) == ["in"], "{told}");
    assert_eq!(server.asked().len(), 1, "what arrives in one piece is asked for once");
    told
}

#[test]
fn hostile_archives_write_nothing_anywhere() {
    let (one, two) = ([0, 1, 7, 7, 9, 4, 8, 8], [3, 0, 1, 2, 3, 4, 5, 6]);
    let good: [(&str, &[u8]); 2] = [("set-bin/one.bin", &one), ("set-bin/two.bin", &two)];
    for name in ["../escaped", "/tmp/escaped", "set-bin/../../escaped", "set-bin//two.bin", "c:\\escaped"] {
        for raw in [tar(&[good[0], good[1], (name, b"x")]), zip(&[good[0], good[1], (name, b"x")])] {
            let told = refused(&raw, SET);
            assert!(told.contains("leads out of its folder"), "{name}: {told}");
        }
    }
    let many: Vec<String> = (0..5000).map(|number| format!("set-bin/{number}")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(refused(&tar(&many), SET).contains("entries"));
    assert!(refused(&zip(&many), SET).contains("entries"));
    let zeros = vec![0; 1 << 22];
    assert!(refused(&tar(&[("set-bin/one.bin", &zeros)]), SET).contains("which has 8 at most"));
    let bomb: Vec<(&str, &[u8])> = vec![("set-bin/other", &zeros); 20];
    assert!(refused(&tar(&bomb), SET).contains("does not unpack"), "ends where too much was read");
    assert!(refused(&tar(&[good[0], good[0]]), SET).contains("twice"));
    // A size that nothing follows.
    let mut claim = tar::Header::new_ustar();
    claim.set_path("set-bin/other").expect("short");
    claim.set_size(u64::MAX >> 8);
    claim.set_cksum();
    assert!(refused(&gzip(claim.as_bytes()), SET).contains("does not unpack"));
    let mut links = tar::Builder::new(Vec::new());
    let mut link = tar::Header::new_ustar();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    links.append_link(&mut link, "set-bin/one.bin", "/etc/passwd").expect("in memory");
    assert!(refused(&gzip(&links.into_inner().expect("in memory")), SET).contains("has 0 files"), "a link is no file");
}

#[test]
fn archives_of_other_content_are_refused_with_what_is_wrong() {
    let (one, two) = ([0, 1, 7, 7, 9, 4, 8, 8], [3, 0, 1, 2, 3, 4, 5, 6]);
    for (raw, word) in [
        (tar(&[("set-bin/one.bin", &one)]), "has 0 files `set-bin/two.bin`"),
        (tar(&[("set-bin/one.bin", &one[..7]), ("set-bin/two.bin", &two)]), "has 7 of 8 bytes"),
        (tar(&[("set-bin/one.bin", &[0, 5, 7, 7, 9, 4, 8, 8]), ("set-bin/two.bin", &two)]), "class 5 of 5"),
        (b"<html>not found</html>".to_vec(), "neither a zip archive"),
        (b"P".to_vec(), "does not unpack"),
        (gzip(b"no archive at all"), "does not unpack"),
        (batches()[..60].to_vec(), "does not unpack"),
    ] {
        let told = refused(&raw, SET);
        assert!(told.contains(word), "{told}");
    }
}

#[test]
fn signs_are_unpacked_into_the_folders_that_their_loader_reads() {
    use crate::data::{DataConfig, DataRoots, Pictures, Source, SplitName};
    let (folder, sign) = (tempfile::tempdir().expect("a folder"), ppm(5, 4, [9; 3]));
    let table = "Filename;Width;Height;ClassId\r\n00001.ppm;5;4;3\r\n00000.ppm;5;4;16\r\n";
    let train = |class: &str| format!("GTSRB/Final_Training/Images/{class}/00000_00000.ppm");
    let (seven, last) = (train("00007"), train("00042"));
    let pictures = |path, count, classes| Member { path, count, content: Content::Picture { classes } };
    let parts: [(&str, &[Member<'_>], Vec<u8>); 3] = [
        (
            "GTSRB/Final_Training",
            &[pictures("GTSRB/Final_Training/Images/*/*.ppm", 2, Some(43))],
            zip(&[(&seven, &sign), ("GTSRB/Final_Training/Images/00007/GT-00007.csv", b"x"), (&last, &sign)]),
        ),
        (
            "GTSRB/Final_Test",
            &[pictures("GTSRB/Final_Test/Images/*.ppm", 2, None)],
            zip(&[("GTSRB/Final_Test/Images/00000.ppm", &sign), ("GTSRB/Final_Test/Images/00001.ppm", &sign)]),
        ),
        (
            "GT-final_test.csv",
            &[Member { path: "GT-final_test.csv", count: 1, content: Content::SignTable { rows: 2 } }],
            zip(&[("GT-final_test.csv", table.as_bytes())]),
        ),
    ];
    let gtsrb = folder.path().join("gtsrb");
    for (root, members, raw) in &parts {
        let server = Server::start(raw.clone(), &[]);
        for told in ["files", "present"] {
            let (outcome, events) = get(&gtsrb, &server, raw, (root, members), None);
            outcome.expect("works");
            assert!(events[0].contains(told), "{events:?}");
        }
    }
    let roots = DataRoots { spec: folder.path().into(), data: vec![folder.path().into()] };
    let config = DataConfig::new(Source::Gtsrb(Pictures { size: [4, 4], grey: false, classes: None }));
    let files = config.files(&roots).expect("found");
    assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["train-signs", "test-signs"]);
    assert!(config.rows(SplitName::Test).is_some());

    let wrong = train("00043");
    let told = refused(&zip(&[(&wrong, &sign), (&last, &sign)]), (parts[0].0, parts[0].1));
    assert!(told.contains("in no folder of a class below 43"), "{told}");
    let told = refused(&zip(&[(&seven, b"GIF89a"), (&last, &sign)]), (parts[0].0, parts[0].1));
    assert!(told.contains("no binary PPM"), "{told}");
    let twice = table.replace("00001", "00000");
    let told = refused(&zip(&[("GT-final_test.csv", twice.as_bytes())]), (parts[2].0, parts[2].1));
    assert!(told.contains("gives 1 of 2 pictures a class"), "{told}");
}

#[test]
fn pins_that_name_nothing_are_told_what_they_could() {
    let set = |name| super::super::set(name).expect("a set");
    let digits = "aB".repeat(32);
    let pin = set("cifar-10").pin(&digits).expect("the only archive");
    assert_eq!((pin.archive.as_str(), pin.sha256), ("cifar-10-binary.tar.gz", digits.to_lowercase()));
    assert!(set("gtsrb").pin(&format!("GTSRB_Final_Test_GT.zip={digits}")).is_ok());
    for (name, text, word) in [
        ("mnist", digits.as_str(), "leave it out"),
        ("gtsrb", &digits, "NAME=DIGITS"),
        ("gtsrb", &format!("other.zip={digits}"), "no archive of that name"),
        ("cifar-100", "12ab", "64 hexadecimal digits"),
    ] {
        let told = set(name).pin(text).expect_err("no pin").to_string();
        assert!(told.contains(word), "{told}");
    }
}
