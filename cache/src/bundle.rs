//! Bundles: some results of a cache as one file, to be read on a machine that computes nothing.
//!
//! A bundle is a plain tar archive, which any tool can look into:
//!
//! ```text
//! bundle.json                     sealed: the format and the digests of the files that come along
//! extra/spec.toml                 files that come along
//! entries-v1/cd/cd34...json       as in a cache
//! objects-v1/ab/ab12...parquet    as in a cache
//! ```
//!
//! Equal results make equal bytes: members are sorted, and no member has an owner or a time. A bundle comes from
//! somebody else, so everything about it is checked before anything of it is kept: members are regular files under
//! exactly the names that this program writes (no path can leave the cache), sizes fit the file, every digest matches,
//! and entries and objects belong together. Nothing in it is ever executed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};

use crate::artifact::{Entry, TableRef};
use crate::content_hash::Digest;
use crate::error::StoreError;
use crate::files::temporary;
use crate::key::Key;
use crate::layout::Member;
use crate::sealed::{seal, unseal};
use crate::store::Store;
use crate::table::Table;
use crate::verify::agrees;

const FORMAT: u32 = 1;
const MANIFEST: &str = "bundle.json";
const EXTRA: &str = "extra/";
/// An entry, the manifest or a file that comes along is no longer than this; nobody needs more.
const SMALL: u64 = 64 << 20;
/// A name fits the classic header of tar.
const NAME: usize = 100;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    extra: BTreeMap<String, Digest>,
}

/// What [`import`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Results that are new here, in the order of their keys.
    pub imported: Vec<Key>,
    /// Results that were here already with the same tables.
    pub present: Vec<Key>,
    /// Results that were here with other tables; they are now the bundle's, since its other results build on those.
    pub replaced: Vec<Key>,
    /// How many tables the bundle holds.
    pub objects: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// The files that came along, such as `spec.toml`.
    pub extra: BTreeMap<String, Vec<u8>>,
}

/// Writes the results under `entries`, with all their tables, and the files `extra` to `path`.
///
/// # Errors
/// [`StoreError::NoEntry`] where a result is not there, those of [`Store::table`] where a table is damaged, and where the
/// file cannot be written; a file that was there before then stays as it was.
pub fn export(
    store: &dyn Store,
    entries: &[Key],
    extra: &BTreeMap<String, Vec<u8>>,
    path: &Path,
) -> Result<(), StoreError> {
    let failed = |error| StoreError::io("write", path, error);
    if let Some(name) = extra.keys().find(|name| !is_plain(name)) {
        return Err(refuse(
            path,
            format!("`{name}` cannot be the name of a file in it; use letters, digits, `.`, `_`, `-`"),
        ));
    }
    let mut results = BTreeMap::new();
    for key in entries {
        results.insert(*key, store.entry(key)?.ok_or(StoreError::NoEntry { key: *key })?);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = temporary(folder).map_err(failed)?;
    let mut archive = Builder::new(BufWriter::new(file));
    let digests = extra.iter().map(|(name, bytes)| (name.clone(), Digest::of_bytes(bytes))).collect();
    append(&mut archive, MANIFEST, &seal(&Manifest { format: FORMAT, extra: digests })).map_err(failed)?;
    for (name, bytes) in extra {
        append(&mut archive, &format!("{EXTRA}{name}"), bytes).map_err(failed)?;
    }
    let mut objects = BTreeMap::new();
    for (key, entry) in &results {
        append(&mut archive, &Member::Entry(*key).path(), &seal(entry)).map_err(failed)?;
        objects.extend(entry.tables.iter().map(|(name, table)| (table.object, (entry, name))));
    }
    for (object, (entry, name)) in objects {
        append(&mut archive, &Member::Object(object).path(), &store.object(entry, name)?).map_err(failed)?;
    }
    let mut written = archive.into_inner().map_err(failed)?;
    written.flush().map_err(failed)?;
    let file = written.into_inner().map_err(|error| failed(error.into_error()))?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn append(archive: &mut Builder<impl Write>, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    archive.append(&header, bytes)
}

/// Whether a name is that of a plain file on every system.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() + EXTRA.len() <= NAME && !name.starts_with('.') && name.bytes().all(plain)
}

fn refuse(path: &Path, reason: impl Into<String>) -> StoreError {
    StoreError::Bundle { path: path.to_owned(), reason: reason.into() }
}

/// Reads the bundle at `path` into `store`. It is read twice: all of it is checked before anything is kept.
///
/// # Errors
/// [`StoreError::Bundle`] where anything about it is not as [`export`] writes it, and those of [`Store::put`].
pub fn import(store: &dyn Store, path: &Path) -> Result<ImportReport, StoreError> {
    let mut checked = Checked::default();
    each_member(path, |name, bytes| checked.take(&name, bytes))?;
    let Checked { entries, extra, .. } = checked.finish().map_err(|reason| refuse(path, reason))?;
    let mut report = ImportReport { extra, ..ImportReport::default() };
    let mut failure = None;
    each_member(path, |name, bytes| {
        let Name::Member(Member::Object(object)) = name else { return Ok(()) };
        report.objects += 1;
        report.bytes += bytes.len() as u64;
        match store.put_object(&bytes) {
            Ok(put) if put == object => Ok(()),
            Ok(_) => Err("it changed while it was read".to_owned()),
            Err(error) => {
                failure = Some(error);
                Err("it could not be kept".to_owned())
            }
        }
    })
    .map_err(|error| failure.unwrap_or(error))?;
    for (key, entry) in entries {
        match store.entry(&key)? {
            Some(present) if present.tables == entry.tables => report.present.push(key),
            before => {
                store.put_entry(&entry)?;
                if before.is_some() { &mut report.replaced } else { &mut report.imported }.push(key);
            }
        }
    }
    Ok(report)
}

/// What a member of a bundle is, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Manifest,
    Extra(String),
    Member(Member),
}

impl Name {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(bytes).ok()?;
        match name.strip_prefix(EXTRA) {
            Some(extra) => is_plain(extra).then(|| Self::Extra(extra.to_owned())),
            None if name == MANIFEST => Some(Self::Manifest),
            None => Member::parse(name).map(Self::Member),
        }
    }
}

/// Reads every member, whole, checking all that its header says. `take` says what is wrong with a member.
fn each_member(path: &Path, mut take: impl FnMut(Name, Bytes) -> Result<(), String>) -> Result<(), StoreError> {
    let file = File::open(path).map_err(|error| StoreError::io("read", path, error))?;
    let length = file.metadata().map_err(|error| StoreError::io("read", path, error))?.len();
    let unreadable = |error: std::io::Error| refuse(path, format!("it is cut short or no archive ({error})"));
    let mut archive = Archive::new(BufReader::new(file));
    // Raw: long names, links and what else tar can say are not understood but refused.
    for member in archive.entries().map_err(unreadable)?.raw(true) {
        let mut member = member.map_err(unreadable)?;
        let shown = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        if member.header().entry_type() != EntryType::Regular {
            return Err(refuse(path, format!("`{shown}` is no regular file")));
        }
        let Some(name) = Name::parse(&member.path_bytes()) else {
            return Err(refuse(path, format!("`{shown}` is none of the names that belong into it")));
        };
        let size = member.header().entry_size().map_err(unreadable)?;
        let limit = if matches!(name, Name::Member(Member::Object(_))) { length } else { SMALL };
        if size > limit {
            return Err(refuse(path, format!("`{shown}` claims to have {size} bytes")));
        }
        // Grows as bytes arrive: a header that lies makes nobody reserve memory.
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 != size {
            return Err(refuse(path, format!("`{shown}` is cut short")));
        }
        take(name, bytes.into()).map_err(|reason| refuse(path, format!("`{shown}`: {reason}")))?;
    }
    Ok(())
}

/// A bundle on its way through the checks.
#[derive(Debug, Default)]
struct Checked {
    manifest: Option<Manifest>,
    extra: BTreeMap<String, Vec<u8>>,
    entries: BTreeMap<Key, Entry>,
    /// What entries say of objects that have not come by yet.
    awaited: BTreeMap<Digest, Vec<TableRef>>,
    last: Option<Name>,
}

impl Checked {
    /// Members come in the order of their names' kinds, so each is checked against those before it.
    fn take(&mut self, name: &Name, bytes: Bytes) -> Result<(), String> {
        if self.last.as_ref().is_some_and(|last| last >= name) {
            return Err("it is out of order, or there twice".to_owned());
        }
        self.last = Some(name.clone());
        match name {
            Name::Manifest => {
                let manifest: Manifest = unseal(&bytes)?;
                if manifest.format != FORMAT {
                    return Err(format!("it is of format {}, and this program reads {FORMAT}", manifest.format));
                }
                self.manifest = Some(manifest);
                Ok(())
            }
            Name::Extra(name) => {
                let expected = self.manifest.as_ref().and_then(|manifest| manifest.extra.get(name));
                if expected != Some(&Digest::of_bytes(&bytes)) {
                    return Err("its digest is not the one of the manifest".to_owned());
                }
                self.extra.insert(name.clone(), bytes.to_vec());
                Ok(())
            }
            Name::Member(Member::Entry(key)) => self.take_entry(*key, &bytes),
            Name::Member(Member::Object(object)) => self.take_object(object, bytes),
        }
    }

    fn take_entry(&mut self, key: Key, bytes: &[u8]) -> Result<(), String> {
        let entry: Entry = unseal(bytes)?;
        // The key of a part is made from the key of the whole, and cannot be made again from the parts alone.
        if entry.key != key || (entry.provenance.part_of.is_none() && entry.parts.key() != key) {
            return Err("its key is not that of its parts".to_owned());
        }
        for table in entry.tables.values() {
            self.awaited.entry(table.object).or_default().push(table.clone());
        }
        self.entries.insert(key, entry);
        Ok(())
    }

    fn take_object(&mut self, object: &Digest, bytes: Bytes) -> Result<(), String> {
        let references = self.awaited.remove(object).ok_or("no entry refers to it")?;
        if Digest::of_bytes(&bytes) != *object {
            return Err("its bytes have another digest".to_owned());
        }
        let length = bytes.len() as u64;
        let table = Table::from_parquet(bytes).map_err(|error| error.to_string())?;
        references.iter().try_for_each(|reference| agrees(&table, length, reference))
    }

    /// Whether nothing is missing.
    fn finish(self) -> Result<Self, String> {
        let manifest = self.manifest.as_ref().ok_or("it has no manifest: it is no bundle")?;
        if let Some(name) = manifest.extra.keys().find(|name| !self.extra.contains_key(*name)) {
            return Err(format!("the file `{name}` is missing"));
        }
        match self.awaited.keys().next() {
            Some(object) => Err(format!("the object {object} is missing")),
            None => Ok(self),
        }
    }
}
