//! [`DiskStore`]: a cache in a folder that threads, processes and people share. The folder is drawn in `layout.rs`.
//!
//! * A file appears whole or not at all: it is written beside its place, synced and renamed, and its folder
//!   is synced.
//! * An object is checked against its digest whenever it is read. Looking up an entry only asks for the objects' sizes,
//!   so a lookup costs one small file and a `stat` per table.
//! * Whoever uses a cache holds a shared lock on it, from its first use until the store is dropped; whoever cleans it
//!   holds that lock alone. So nothing in use is ever removed, not even an object whose entry is yet to be written.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::artifact::{Artifact, Entry, Provenance, TableRef};
use crate::claim::claim;
use crate::content_hash::Digest;
use crate::error::{Finding, StoreError};
use crate::files::{Batch, make_folder, read_file, write_whole};
use crate::key::{Key, KeyParts};
use crate::layout::{LOCKS, Layout, QUARANTINE};
use crate::lock::{self, Holder, Locked};
use crate::sealed::{seal, unseal};
use crate::store::{Findings, LockGuard, Store, StudyRecord};

/// Use is noted at most this often.
const USE_NOTED_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// A cache in a folder.
#[derive(Debug)]
pub struct DiskStore {
    pub(crate) layout: Layout,
    pub(crate) findings: Findings,
    holder: Holder,
    now: Option<SystemTime>,
    usage: RwLock<Option<Usage>>,
}

/// What this store holds on the whole cache.
#[derive(Debug)]
enum Usage {
    /// The shared lock.
    Shared(#[cfg_attr(not(test), expect(dead_code, reason = "held for its drop"))] Locked),
    /// Nothing, in a cache that cannot be written to and has no lock file.
    Unlocked,
}

/// Says that the cache is in use; holds off whoever would clean it in this process.
#[derive(Debug)]
pub(crate) struct InUse<'a>(#[expect(dead_code, reason = "held for its drop")] RwLockReadGuard<'a, Option<Usage>>);

/// The cache, without anybody else.
#[derive(Debug)]
pub(crate) struct Alone<'a> {
    _here: RwLockWriteGuard<'a, Option<Usage>>,
    _elsewhere: Locked,
}

impl DiskStore {
    /// Opens the cache in `root`, which is made if it is not there. Nothing is written to one that is.
    ///
    /// # Errors
    /// [`StoreError::NotACache`] where the folder holds something else, [`StoreError::Io`] where it cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let layout = Layout::new(root.into());
        claim(&layout)?;
        let holder = Holder::this_process("");
        Ok(Self { layout, findings: Findings::default(), holder, now: None, usage: RwLock::default() })
    }

    /// Says on which machine this is, for whoever waits for a lock.
    #[must_use]
    pub fn on_host(self, host: &str) -> Self {
        Self { holder: Holder::this_process(host), ..self }
    }

    /// Says what time it is, in milliseconds since 1970 (UTC), so that the use of entries is noted for
    /// [`gc`](crate::gc()); once for a run is enough.
    #[must_use]
    pub fn at(self, now_unix_ms: u64) -> Self {
        Self { now: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(now_unix_ms)), ..self }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// Registers this process as one that uses the cache; waits while another cleans it.
    pub(crate) fn in_use(&self) -> Result<InUse<'_>, StoreError> {
        loop {
            let usage = self.usage.read().unwrap_or_else(PoisonError::into_inner);
            if usage.is_some() {
                return Ok(InUse(usage));
            }
            drop(usage);
            let mut usage = self.usage.write().unwrap_or_else(PoisonError::into_inner);
            if usage.is_none() {
                *usage = Some(share(&self.layout)?);
            }
        }
    }

    /// Takes the cache for this process alone; this store's own use is set aside meanwhile.
    pub(crate) fn alone(&self) -> Result<Alone<'_>, StoreError> {
        let mut here = self.usage.write().unwrap_or_else(PoisonError::into_inner);
        *here = None;
        let path = self.layout.cache_lock();
        make_folder(&self.layout.bucket(LOCKS))?;
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let elsewhere = open.map_err(|error| StoreError::io("lock", &path, error))?;
        match elsewhere.try_lock() {
            Ok(()) => Ok(Alone { _here: here, _elsewhere: Locked(elsewhere) }),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::InUse { path: self.root().to_owned(), holder: "another process".to_owned() })
            }
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path, error)),
        }
    }

    /// Moves a damaged file out of the way; `None` where that cannot be done.
    pub(crate) fn quarantine(&self, path: &Path) -> Option<PathBuf> {
        let aside = self.layout.bucket(QUARANTINE).join(path.file_name()?);
        make_folder(&self.layout.bucket(QUARANTINE)).ok()?;
        fs::rename(path, &aside).ok().map(|()| aside)
    }

    /// Reads a sealed file. One that is damaged, or holds what is not `sound`, is set aside and told as a finding.
    pub(crate) fn load<T: DeserializeOwned>(
        &self,
        path: &Path,
        sound: impl Fn(&T) -> bool,
    ) -> Result<Option<Result<T, Finding>>, StoreError> {
        let Some(bytes) = read_file(path)? else { return Ok(None) };
        let reason = match unseal(&bytes) {
            Ok(content) if sound(&content) => return Ok(Some(Ok(content))),
            Ok(_) => "it belongs under another name".to_owned(),
            Err(reason) => reason,
        };
        let aside = self.quarantine(path);
        Ok(Some(Err(Finding::CorruptFile { path: path.to_owned(), aside, reason })))
    }

    /// Keeps what was found for the caller.
    fn tell<T>(&self, loaded: Option<Result<T, Finding>>) -> Option<T> {
        loaded?.map_err(|finding| self.findings.add(finding)).ok()
    }

    /// An entry as its file says, whether or not its objects are there.
    pub(crate) fn load_entry(&self, key: &Key) -> Result<Option<Result<Entry, Finding>>, StoreError> {
        self.load(&self.layout.entry(key), |entry: &Entry| entry.key == *key)
    }

    /// Whether the file of a table is there with its size.
    pub(crate) fn has_object(&self, table: &TableRef) -> bool {
        fs::metadata(self.layout.object(&table.object)).is_ok_and(|file| file.is_file() && file.len() == table.bytes)
    }

    /// Writes an object, unless it is there. A damaged file of the same name is healed by writing over it.
    fn stage_object(&self, bytes: &[u8], batch: &mut Batch) -> Result<Digest, StoreError> {
        let object = Digest::of_bytes(bytes);
        let path = self.layout.object(&object);
        let there = fs::metadata(&path).is_ok_and(|file| file.len() == bytes.len() as u64)
            && read_file(&path)?.is_some_and(|found| found == bytes);
        if !there {
            batch.add(path, bytes)?;
        }
        Ok(object)
    }

    /// Lets [`gc`](crate::gc()) know that an entry was used; to read a cache one need not be allowed to.
    fn note_use(&self, key: &Key) {
        let Some(now) = self.now else { return };
        let Ok(file) = File::open(self.layout.entry(key)) else { return };
        let noted = file.metadata().and_then(|file| file.modified());
        if noted.is_ok_and(|noted| now.duration_since(noted).is_ok_and(|age| age > USE_NOTED_EVERY)) {
            let _ = file.set_modified(now);
        }
    }
}

impl Store for DiskStore {
    fn entry(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let _usage = self.in_use()?;
        let Some(entry) = self.tell(self.load_entry(key)?) else { return Ok(None) };
        if let Some(missing) = entry.tables.values().find(|table| !self.has_object(table)) {
            self.findings.add(Finding::MissingObject { key: *key, object: missing.object });
            return Ok(None);
        }
        self.note_use(key);
        Ok(Some(entry))
    }

    fn object(&self, entry: &Entry, name: &str) -> Result<Bytes, StoreError> {
        let _usage = self.in_use()?;
        let table = entry.reference(name)?;
        let path = self.layout.object(&table.object);
        // Read again before it is called damaged: another process may just have healed it.
        for _ in 0..2 {
            match read_file(&path)? {
                Some(bytes) if Digest::of_bytes(&bytes) == table.object => return Ok(bytes.into()),
                Some(_) => {}
                None => {
                    self.findings.add(Finding::MissingObject { key: entry.key, object: table.object });
                    return Err(StoreError::Gone { key: entry.key, table: name.to_owned() });
                }
            }
        }
        Err(self.set_aside(entry, name, "its bytes have another digest"))
    }

    fn set_aside(&self, entry: &Entry, name: &str, reason: &str) -> StoreError {
        let object = match entry.reference(name) {
            Ok(table) => table.object,
            Err(error) => return error,
        };
        let aside = self.quarantine(&self.layout.object(&object));
        self.findings.add(Finding::CorruptObject { key: entry.key, object, aside: aside.clone() });
        let aside = aside.map(PathBuf::into_boxed_path);
        StoreError::Corrupt { key: entry.key, table: name.into(), object, aside, reason: reason.into() }
    }

    /// All files are synced at once, the entry's among them, which is the last to appear.
    fn put(
        &self,
        parts: KeyParts,
        key: &Key,
        artifact: &Artifact,
        provenance: Provenance,
    ) -> Result<Entry, StoreError> {
        let _usage = self.in_use()?;
        let mut batch = Batch::default();
        let mut tables = BTreeMap::new();
        for (name, table) in &artifact.tables {
            let bytes = table.to_parquet()?;
            let object = self.stage_object(&bytes, &mut batch)?;
            let (digest, rows) = (table.digest(), table.rows() as u64);
            tables.insert(name.clone(), TableRef { digest, object, bytes: bytes.len() as u64, rows });
        }
        let entry = Entry { key: *key, parts, tables, provenance };
        batch.add(self.layout.entry(key), &seal(&entry))?;
        batch.commit()?;
        Ok(entry)
    }

    fn put_object(&self, bytes: &Bytes) -> Result<Digest, StoreError> {
        let _usage = self.in_use()?;
        let mut batch = Batch::default();
        let object = self.stage_object(bytes, &mut batch)?;
        batch.commit()?;
        Ok(object)
    }

    fn put_entry(&self, entry: &Entry) -> Result<(), StoreError> {
        let _usage = self.in_use()?;
        if let Some((name, _)) = entry.tables.iter().find(|(_, table)| !self.has_object(table)) {
            return Err(StoreError::Gone { key: entry.key, table: name.clone() });
        }
        write_whole(&self.layout.entry(&entry.key), &seal(entry))
    }

    /// The entry goes first, so that none is ever left without its objects.
    fn remove(&self, entry: &Entry) -> Result<(), StoreError> {
        let _usage = self.in_use()?;
        let objects = entry.tables.values().map(|table| self.layout.object(&table.object));
        for path in std::iter::once(self.layout.entry(&entry.key)).chain(objects) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", &path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn try_lock(&self, key: &Key) -> Result<Option<LockGuard>, StoreError> {
        let _usage = self.in_use()?;
        let path = self.layout.lock(key);
        make_folder(&self.layout.bucket(LOCKS))?;
        let taken = lock::try_lock(&path, &self.holder).map_err(|error| StoreError::io("lock", &path, error))?;
        Ok(taken.map(|taken| {
            if let Some(holder) = taken.left_by {
                self.findings.add(Finding::StaleLock { key: *key, holder });
            }
            LockGuard::new(taken.lock)
        }))
    }

    fn lock_holder(&self, key: &Key) -> Option<String> {
        lock::holder(&self.layout.lock(key))
    }

    fn record(&self, study: &str) -> Result<Option<StudyRecord>, StoreError> {
        let _usage = self.in_use()?;
        let record = self.load(&self.layout.record(study), |record: &StudyRecord| record.study == study)?;
        Ok(self.tell(record))
    }

    fn put_record(&self, record: &StudyRecord) -> Result<(), StoreError> {
        let _usage = self.in_use()?;
        write_whole(&self.layout.record(&record.study), &seal(record))
    }

    fn take_findings(&self) -> Vec<Finding> {
        self.findings.take()
    }
}

/// Takes the shared lock on the cache. A cache that cannot be written to may have no lock file, and nobody to need it.
fn share(layout: &Layout) -> Result<Usage, StoreError> {
    let path = layout.cache_lock();
    let written = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = match written {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            match File::open(&path) {
                Ok(file) => file,
                Err(_) => return Ok(Usage::Unlocked),
            }
        }
        Err(error) => return Err(StoreError::io("lock", &path, error)),
    };
    file.lock_shared().map_err(|error| StoreError::io("lock", &path, error))?;
    Ok(Usage::Shared(Locked(file)))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::tree::Tree;

    #[test]
    fn a_store_that_sets_its_use_aside_is_alone_although_a_copy_of_its_lock_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path().join("cache")).unwrap();
        let copy = {
            let _usage = store.in_use().unwrap();
            let usage = store.usage.read().unwrap();
            let Some(Usage::Shared(Locked(file))) = &*usage else { panic!("a cache that can be written to is locked") };
            file.try_clone().unwrap()
        };
        assert!(store.alone().is_ok());
        drop(copy);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the time taken is what is promised")]
    fn ten_thousand_entries_are_looked_up_in_well_under_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path().join("cache")).unwrap();
        let object = store.put_object(&Bytes::from_static(b"a table, for all that a lookup knows")).unwrap();
        let reference = TableRef { digest: object, object, bytes: 36, rows: 1 };
        let keys: Vec<Key> = (0..10_000)
            .map(|seed| {
                let config = Tree::map([("lr", Tree::from(1e-3)), ("seed", Tree::from(seed))]);
                let (kind, inputs, sources) = ("train".to_owned(), Vec::new(), Vec::new());
                let parts = KeyParts { kind, revision: 1, config, inputs, sources, device: None };
                let tables = ["weights", "initial", "curve"].map(|name| (name.to_owned(), reference.clone()));
                let tables = BTreeMap::from(tables);
                let entry = Entry { key: parts.key(), parts, tables, provenance: Provenance::default() };
                // Not synced: that is what takes time, and not what is measured.
                let path = store.layout.entry(&entry.key);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, seal(&entry)).unwrap();
                entry.key
            })
            .collect();
        let fastest = (0..3).map(|_| {
            let start = Instant::now();
            assert!(keys.iter().all(|key| store.entry(key).unwrap().is_some()));
            start.elapsed()
        });
        let fastest = fastest.min().unwrap();
        assert!(fastest < Duration::from_secs(1), "{fastest:?}");
    }
}
