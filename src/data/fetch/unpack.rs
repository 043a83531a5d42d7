//! Looking through archives, and through what was unpacked from them.
//!
//! Only the members that a set is known to have are written, under names that were compared with theirs; an archive that holds
//! a path out of its folder, too much, too little or something else is refused whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

use super::archive::{Content, Member, RemoteArchive};
use super::hex;
use super::job::{Unfit, each_chunk};
use super::md5::Md5;
use crate::data::{gtsrb, inflate};

/// More than a picture of a traffic sign, or the table of their classes, has.
const MOST: u64 = 1 << 22;
/// Files from this size on are waited for until the disk has them; for each of tens of thousands that would take minutes.
const SYNCED: u64 = 1 << 20;
/// More than an archive may hold of other files: bytes, and entries.
const OTHERS: u64 = 1 << 26;
const OTHER_ENTRIES: usize = 4096;

/// An archive that was right.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    /// Its SHA-256 in hexadecimal digits.
    pub(super) sha256: String,
    /// How many members were written.
    pub(super) files: usize,
}

/// Unpacks the members of the archive at `path` into `staging`, of which nothing is left where the archive is wrong.
pub(super) fn unpack(
    path: &Path,
    archive: &RemoteArchive<'_>,
    pin: Option<&str>,
    staging: &Path,
) -> Result<Unpacked, Unfit> {
    let sha256 = identify(path, archive, pin)?;
    clear(staging)?;
    let extracted = extract(path, archive, staging);
    if extracted.is_err() {
        clear(staging)?;
    }
    Ok(Unpacked { sha256, files: extracted? })
}

/// Removes what an earlier process left.
fn clear(staging: &Path) -> Result<(), Unfit> {
    match fs::remove_dir_all(staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Unfit::Write(staging.to_owned(), error)),
        _ => Ok(()),
    }
}

/// The SHA-256 of the file at `path`, which must have the publishers' digest and the user's.
fn identify(path: &Path, archive: &RemoteArchive<'_>, pin: Option<&str>) -> Result<String, Unfit> {
    let (mut md5, mut sha256) = (Md5::new(), Sha256::new());
    let hash = |chunk: &[u8]| {
        md5.update(chunk);
        sha256.update(chunk);
    };
    File::open(path).and_then(|mut file| each_chunk(&mut file, hash)).map_err(broken)?;
    let (md5, sha256) = (hex(&md5.finish()), hex(&sha256.finalize()));
    if md5 != archive.md5 {
        return Err(Unfit::Wrong(format!("has the MD5 {md5} and not {}", archive.md5)));
    }
    match pin {
        Some(pin) if pin != sha256 => Err(Unfit::Wrong(format!("has the SHA-256 {sha256} and not {pin}"))),
        _ => Ok(sha256),
    }
}

/// Writes the members below `staging`; how many they are.
fn extract(path: &Path, archive: &RemoteArchive<'_>, staging: &Path) -> Result<usize, Unfit> {
    let mut members = Members::new(archive.members);
    let mut start = [0; 2];
    let open = || File::open(path).map_err(broken);
    open()?.read_exact(&mut start).map_err(broken)?;
    match &start {
        b"PK" => extract_zip(open()?, &mut members, staging)?,
        start if inflate::is_gzip(start) => extract_tar(open()?, &mut members, staging)?,
        _ => return Err(Unfit::Wrong("is neither a zip archive nor one of tar under gzip".to_owned())),
    }
    members.finish().map_err(Unfit::Wrong)
}

fn extract_tar(file: File, members: &mut Members<'_>, staging: &Path) -> Result<(), Unfit> {
    let limit = members.most_bytes() + OTHERS;
    let mut archive = tar::Archive::new(inflate::open_file(file).map_err(broken)?.take(limit));
    for (number, entry) in archive.entries().map_err(broken)?.enumerate() {
        let mut entry = entry.map_err(broken)?;
        members.check_count(number + 1)?;
        let name = plain_name(&entry.path_bytes())?;
        if entry.header().entry_type().is_file() {
            members.unpack(&name, entry.size(), &mut entry, staging)?;
        }
    }
    // The checksum stands behind all content.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(broken)?;
    if rest.limit() == 0 {
        return Err(Unfit::Wrong(format!("unpacks to more than {limit} bytes")));
    }
    Ok(())
}

fn extract_zip(file: File, members: &mut Members<'_>, staging: &Path) -> Result<(), Unfit> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    members.check_count(archive.len())?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(broken)?;
        let name = plain_name(entry.name_raw())?;
        if entry.is_file() {
            members.unpack(&name, entry.size(), &mut entry, staging)?;
        }
    }
    Ok(())
}

/// Whether all members of `archive`, and nothing wrong under their names, are below `folder`; the error completes "what is
/// there ...".
pub(super) fn whole(folder: &Path, archive: &RemoteArchive<'_>) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("cannot be read ({error})");
    let mut members = Members::new(archive.members);
    let mut left = vec![(archive.root.to_owned(), folder.join(archive.root))];
    while let Some((name, path)) = left.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                left.push((format!("{name}/{}", entry.file_name().to_string_lossy()), entry.path()));
            }
        } else if let Some(index) = members.find(&name) {
            let mut file = File::open(&path).map_err(unreadable)?;
            match members.copy(index, &name, &mut file, &mut None) {
                Err(Unfit::Wrong(problem)) => return Err(problem),
                Err(Unfit::Write(_, cause)) => return Err(unreadable(cause)),
                Ok(()) => {}
            }
        }
    }
    members.finish().map(drop)
}

/// The members of an archive, and how many of each have been seen.
struct Members<'a> {
    members: &'a [Member<'a>],
    seen: BTreeMap<usize, usize>,
}

/// Where a member is written to.
type Sink = Option<(PathBuf, File)>;

impl<'a> Members<'a> {
    fn new(members: &'a [Member<'a>]) -> Self {
        Self { members, seen: BTreeMap::new() }
    }

    /// How many bytes the members may have in all.
    fn most_bytes(&self) -> u64 {
        self.members.iter().map(|member| member.content.most().saturating_mul(member.count as u64)).sum()
    }

    /// Refuses an archive of absurdly many entries before they are read.
    fn check_count(&self, entries: usize) -> Result<(), Unfit> {
        let most = 2 * self.members.iter().map(|member| member.count).sum::<usize>() + OTHER_ENTRIES;
        if entries > most {
            return Err(Unfit::Wrong(format!("has more than {most} entries")));
        }
        Ok(())
    }

    /// The member that a path is one of.
    fn find(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| matches(member.path, name))
    }

    /// Writes an entry that is a member below `staging`; passes over any other.
    fn unpack(&mut self, name: &str, size: u64, reader: &mut dyn Read, staging: &Path) -> Result<(), Unfit> {
        let Some(index) = self.find(name) else { return Ok(()) };
        let most = self.members[index].content.most();
        if size > most {
            return Err(Unfit::Wrong(format!("holds `{name}` of {size} bytes, which has {most} at most")));
        }
        let path = staging.join(name);
        let create = || {
            fs::create_dir_all(path.parent().unwrap_or(staging))?;
            File::create_new(&path)
        };
        let file = create().map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Unfit::Wrong(format!("holds `{name}` twice")),
            _ => Unfit::Write(path.clone(), error),
        })?;
        self.copy(index, name, reader, &mut Some((path, file)))
    }

    /// Reads a member, looks at it, and writes it.
    fn copy(&mut self, index: usize, name: &str, reader: &mut dyn Read, sink: &mut Sink) -> Result<(), Unfit> {
        let content = self.members[index].content;
        let mut look = Look { content, bytes: 0, text: Vec::new(), problem: content.misplaced(name) };
        let mut failed = None;
        let mut reader = reader.take(content.most() + 1);
        let read = each_chunk(&mut reader, |chunk| {
            look.at(chunk);
            if let Some((_, file)) = sink.as_mut().filter(|_| failed.is_none() && look.problem.is_none()) {
                failed = file.write_all(chunk).err();
            }
        });
        let bytes = read.map_err(broken)?;
        if let Some(problem) = look.finish() {
            return Err(Unfit::Wrong(format!("holds `{name}`, {problem}")));
        }
        if let Some((path, file)) = sink {
            let sync = || if bytes < SYNCED { Ok(()) } else { file.sync_data() };
            failed.map_or_else(sync, Err).map_err(|cause| Unfit::Write(path.clone(), cause))?;
        }
        *self.seen.entry(index).or_default() += 1;
        Ok(())
    }

    /// How many members there were, each as often as it must be.
    fn finish(&self) -> Result<usize, String> {
        for (index, member) in self.members.iter().enumerate() {
            let seen = self.seen.get(&index).copied().unwrap_or(0);
            if seen != member.count {
                return Err(format!("has {seen} files `{}` and not {}", member.path, member.count));
            }
        }
        Ok(self.seen.values().sum())
    }
}

/// A file as it is read.
struct Look {
    content: Content,
    bytes: u64,
    /// What must be seen whole to be judged.
    text: Vec<u8>,
    /// What is wrong, which completes "the file, ...".
    problem: Option<String>,
}

impl Look {
    fn at(&mut self, chunk: &[u8]) {
        match self.content {
            Content::Records { bytes, label, classes, .. } => {
                let first = (label + bytes - (self.bytes % bytes as u64) as usize) % bytes;
                let wrong = chunk.iter().skip(first).step_by(bytes).find(|class| **class >= classes);
                if let (Some(class), None) = (wrong, &self.problem) {
                    self.problem = Some(format!("in which a record has the class {class} of {classes}"));
                }
            }
            Content::Picture { .. } => {
                let missing = 2_usize.saturating_sub(self.text.len());
                self.text.extend(chunk.iter().take(missing));
            }
            Content::SignTable { .. } => self.text.extend(chunk),
        }
        self.bytes += chunk.len() as u64;
    }

    /// What is wrong with the whole.
    fn finish(self) -> Option<String> {
        let most = self.content.most();
        self.problem.or_else(|| match self.content {
            _ if self.bytes > most => Some(format!("which has more than {most} bytes")),
            Content::Records { .. } => (self.bytes < most).then(|| format!("which has {} of {most} bytes", self.bytes)),
            Content::Picture { .. } => (self.text != b"P6").then(|| "which is no binary PPM picture".to_owned()),
            Content::SignTable { rows } => gtsrb::check_table(&self.text, rows).err(),
        })
    }
}

impl Content {
    /// The most bytes that such a file has.
    fn most(self) -> u64 {
        match self {
            Self::Records { rows, bytes, .. } => (rows as u64).saturating_mul(bytes as u64),
            Self::Picture { .. } | Self::SignTable { .. } => MOST,
        }
    }

    /// What is wrong with a file of such content at the path `name`.
    fn misplaced(self, name: &str) -> Option<String> {
        let Self::Picture { classes: Some(classes) } = self else { return None };
        let folder = name.rsplit('/').nth(1).unwrap_or_default();
        let known = folder.parse::<u32>().is_ok_and(|class| class < classes);
        (!known).then(|| format!("which is in no folder of a class below {classes}"))
    }
}

/// Whether `name` is a path of `pattern`, name by name.
fn matches(pattern: &str, name: &str) -> bool {
    let fits = |(pattern, name): (&str, &str)| match pattern.strip_prefix('*') {
        Some(end) => name.len() > end.len() && name.ends_with(end),
        None => pattern == name,
    };
    pattern.split('/').count() == name.split('/').count() && pattern.split('/').zip(name.split('/')).all(fits)
}

/// The path of an entry, which must be text and lead down from where it starts.
fn plain_name(raw: &[u8]) -> Result<String, Unfit> {
    let name = String::from_utf8_lossy(raw);
    let path = name.strip_prefix("./").unwrap_or(&name);
    let path = path.strip_suffix('/').unwrap_or(path);
    let leads_out = |part: &str| matches!(part, "" | "." | "..") || part.contains(['\\', ':', '\0']);
    if !matches!(path, "" | ".") && path.split('/').any(leads_out) {
        return Err(Unfit::Wrong(format!("holds the entry {name:?}, which leads out of its folder")));
    }
    Ok(path.to_owned())
}

fn broken(error: impl std::fmt::Display) -> Unfit {
    Unfit::Wrong(format!("does not unpack ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::fetch::set;

    #[test]
    fn a_real_batch_is_what_the_archive_of_cifar_10_must_hold() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/cifar-10/test_batch.bin.zst");
        let Ok(packed) = fs::read(path) else {
            println!("skipped: cifar-10 is not beside the repository");
            return;
        };
        let mut batch = zstd::decode_all(&packed[..]).expect("intact");
        let name = "cifar-10-batches-bin/test_batch.bin";
        let mut members = Members::new(set("cifar-10").expect("a set").archives[0].members);
        let index = members.find(name).expect("a member");
        members.copy(index, name, &mut &batch[..], &mut None).expect("right");
        assert_eq!(members.seen, BTreeMap::from([(index, 1)]));
        batch[9_999 * 3073] = 10;
        let told = members.copy(index, name, &mut &batch[..], &mut None).expect_err("no such class");
        assert!(matches!(&told, Unfit::Wrong(problem) if problem.contains("class 10 of 10")), "{told:?}");
        let told = members.copy(index, name, &mut &batch[..9_999 * 3073], &mut None).expect_err("a record is missing");
        assert!(matches!(&told, Unfit::Wrong(problem) if problem.contains("bytes")), "{told:?}");
    }
}
