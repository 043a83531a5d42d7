//! [`gc`]: cleans a cache of what nobody needs.
//!
//! Cleaning needs the cache alone: whoever uses a cache holds a shared lock on it, and `gc` refuses while anybody does.
//! So it need not guess, from the age of a file, whether someone is about to refer to it: an object without an entry and
//! a temporary file are always leftovers. As a second guard, a result whose own lock is held stays whatever the policy.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::artifact::Entry;
use crate::content_hash::Digest;
use crate::disk::DiskStore;
use crate::error::StoreError;
use crate::files::read_file;
use crate::key::Key;
use crate::layout::{ENTRIES, LOCKS, Member, OBJECTS, QUARANTINE, RECORDS, TEMPORARY};
use crate::lock;
use crate::sealed::unseal;
use crate::walk::{list, members, shards};

/// Damaged files are kept this long, for whoever wants to know what happened.
const QUARANTINE_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Which results go. The default removes only what is of no use to anybody: leftovers, broken results and the parts of
/// results that are whole.
#[derive(Clone, Debug, Default)]
pub struct GcPolicy {
    /// Results that were not used for longer than this go.
    pub max_age: Option<Duration>,
    /// The least recently used results go until the rest is no larger than this, in bytes.
    pub max_bytes: Option<u64>,
    /// All results but these go; a part stays with the result that it is a part of.
    pub keep: Option<BTreeSet<Key>>,
    /// Only say what would go.
    pub dry_run: bool,
    /// What time it is, in milliseconds since 1970 (UTC).
    pub now_unix_ms: u64,
}

/// Why a result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its entry is damaged, or one of its tables is gone.
    Broken,
    /// It is a part of a result that is whole.
    SupersededPart,
    /// It is none of those to keep.
    Unreachable,
    /// It was not used for too long.
    Old,
    /// It was used longest ago, and the cache is too large.
    Size,
}

/// A result that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its key.
    pub key: Key,
    /// Its kind of stage; empty where the entry could not be read.
    pub kind: String,
    /// Why it went.
    pub reason: Reason,
}

/// What [`gc`] did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Results that went, in the order of their keys.
    pub removed: Vec<Removed>,
    /// Objects that went with them or had no entry.
    pub removed_objects: usize,
    /// Temporary files of processes that ended.
    pub removed_temporary: usize,
    /// Lock files that nobody holds.
    pub removed_locks: usize,
    /// Damaged files that were set aside long ago.
    pub removed_quarantined: usize,
    /// Bytes that all of this took.
    pub freed_bytes: u64,
    /// Results that stay.
    pub kept: usize,
    /// Bytes of the objects that stay.
    pub kept_bytes: u64,
    /// Results that stay only because their lock is held.
    pub kept_locked: Vec<Key>,
}

/// A result, as far as cleaning goes.
#[derive(Debug)]
struct Candidate {
    key: Key,
    /// Nothing where the entry is damaged.
    entry: Option<Entry>,
    used: SystemTime,
    locked: bool,
    reason: Option<Reason>,
}

/// Cleans the cache as `policy` says.
///
/// # Errors
/// [`StoreError::InUse`] where anybody uses the cache (unless nothing is to be removed), and where a file cannot be listed
/// or removed.
pub fn gc(store: &DiskStore, policy: &GcPolicy) -> Result<GcReport, StoreError> {
    let _alone = if policy.dry_run { None } else { Some(store.alone()?) };
    let mut sweep = Sweep { dry_run: policy.dry_run, report: GcReport::default() };
    let mut candidates = read_candidates(store)?;
    judge(store, policy, &mut candidates);
    let mut needed = needed(&candidates);
    if let Some(max_bytes) = policy.max_bytes {
        shrink(&mut candidates, &mut needed, max_bytes);
    }
    sweep.results(store, candidates)?;
    sweep.objects(store, &needed)?;
    sweep.temporary(store)?;
    sweep.locks(store)?;
    sweep.quarantine(store, now(policy))?;
    sweep.empty_folders(store)?;
    Ok(sweep.report)
}

fn now(policy: &GcPolicy) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(policy.now_unix_ms)
}

fn read_candidates(store: &DiskStore) -> Result<Vec<Candidate>, StoreError> {
    let mut candidates = Vec::new();
    for found in members(&store.layout, ENTRIES)? {
        let Member::Entry(key) = found.member else { continue };
        let Some(bytes) = read_file(&found.path)? else { continue };
        let used = fs::metadata(&found.path).and_then(|file| file.modified());
        let used = used.map_err(|error| StoreError::io("read", &found.path, error))?;
        let entry = unseal(&bytes).ok().filter(|entry: &Entry| entry.key == key);
        let locked = lock::holder(&store.layout.lock(&key)).is_some();
        candidates.push(Candidate { key, entry, used, locked, reason: None });
    }
    Ok(candidates)
}

/// Says of each result why it goes, if it goes for a reason of its own.
fn judge(store: &DiskStore, policy: &GcPolicy, candidates: &mut [Candidate]) {
    let whole = |candidate: &Candidate| {
        candidate.entry.as_ref().is_some_and(|entry| entry.tables.values().all(|table| store.has_object(table)))
    };
    let present: BTreeSet<Key> = candidates.iter().filter(|it| whole(it)).map(|it| it.key).collect();
    for candidate in candidates {
        let part_of = candidate.entry.as_ref().and_then(|entry| entry.provenance.part_of);
        let age = now(policy).duration_since(candidate.used).unwrap_or_default();
        let unreachable = policy
            .keep
            .as_ref()
            .is_some_and(|keep| !keep.contains(&candidate.key) && part_of.is_none_or(|whole| !keep.contains(&whole)));
        candidate.reason = if !present.contains(&candidate.key) {
            Some(Reason::Broken)
        } else if part_of.is_some_and(|whole| present.contains(&whole)) {
            Some(Reason::SupersededPart)
        } else if unreachable {
            Some(Reason::Unreachable)
        } else if policy.max_age.is_some_and(|max_age| age > max_age) {
            Some(Reason::Old)
        } else {
            None
        };
    }
}

impl Candidate {
    fn stays(&self) -> bool {
        self.reason.is_none() || self.locked
    }

    fn objects(&self) -> BTreeMap<Digest, u64> {
        let tables = self.entry.iter().flat_map(|entry| entry.tables.values());
        tables.map(|table| (table.object, table.bytes)).collect()
    }
}

/// How many results that stay need each object, and how large it is.
type Needed = BTreeMap<Digest, (usize, u64)>;

fn needed(candidates: &[Candidate]) -> Needed {
    let mut needed = Needed::new();
    for (object, bytes) in candidates.iter().filter(|it| it.stays()).flat_map(Candidate::objects) {
        needed.entry(object).or_insert((0, bytes)).0 += 1;
    }
    needed
}

/// Gives up the least recently used results until the objects of the rest take no more than `max_bytes`.
fn shrink(candidates: &mut [Candidate], needed: &mut Needed, max_bytes: u64) {
    let mut total: u64 = needed.values().map(|(_, bytes)| bytes).sum();
    let mut oldest: Vec<&mut Candidate> = candidates.iter_mut().filter(|it| it.stays() && !it.locked).collect();
    oldest.sort_by_key(|candidate| (candidate.used, candidate.key));
    for candidate in oldest {
        if total <= max_bytes {
            break;
        }
        candidate.reason = Some(Reason::Size);
        for (object, bytes) in candidate.objects() {
            let Some(users) = needed.get_mut(&object) else { continue };
            users.0 -= 1;
            if users.0 == 0 {
                needed.remove(&object);
                total -= bytes;
            }
        }
    }
}

struct Sweep {
    dry_run: bool,
    report: GcReport,
}

impl Sweep {
    /// Removes a file, unless it went by itself.
    fn remove(&mut self, path: &Path) -> Result<(), StoreError> {
        self.report.freed_bytes += fs::metadata(path).map_or(0, |file| file.len());
        if self.dry_run {
            return Ok(());
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("remove", path, error)),
            _ => Ok(()),
        }
    }

    /// Entries go before their objects, so that a sweep which is cut short leaves no entry without objects.
    fn results(&mut self, store: &DiskStore, candidates: Vec<Candidate>) -> Result<(), StoreError> {
        for candidate in candidates {
            let Candidate { key, entry, locked, reason, .. } = candidate;
            match reason {
                Some(reason) if !locked => {
                    self.remove(&store.layout.entry(&key))?;
                    let kind = entry.map(|entry| entry.parts.kind).unwrap_or_default();
                    self.report.removed.push(Removed { key, kind, reason });
                }
                reason => {
                    self.report.kept += 1;
                    self.report.kept_locked.extend(reason.map(|_| key));
                }
            }
        }
        Ok(())
    }

    fn objects(&mut self, store: &DiskStore, needed: &Needed) -> Result<(), StoreError> {
        for found in members(&store.layout, OBJECTS)? {
            match found.member {
                Member::Object(object) if !needed.contains_key(&object) => {
                    self.remove(&found.path)?;
                    self.report.removed_objects += 1;
                }
                _ => {}
            }
        }
        self.report.kept_bytes = needed.values().map(|(_, bytes)| bytes).sum();
        Ok(())
    }

    fn temporary(&mut self, store: &DiskStore) -> Result<(), StoreError> {
        let mut folders: Vec<PathBuf> = vec![store.root().to_owned()];
        folders.extend([RECORDS, LOCKS, QUARANTINE].map(|bucket| store.layout.bucket(bucket)));
        for bucket in [OBJECTS, ENTRIES] {
            folders.push(store.layout.bucket(bucket));
            folders.extend(shards(&store.layout, bucket)?);
        }
        for folder in folders {
            for file in list(&folder)? {
                if file.file_name().to_string_lossy().starts_with(TEMPORARY) {
                    self.remove(&file.path())?;
                    self.report.removed_temporary += 1;
                }
            }
        }
        Ok(())
    }

    fn locks(&mut self, store: &DiskStore) -> Result<(), StoreError> {
        for file in list(&store.layout.bucket(LOCKS))? {
            let path = file.path();
            let of_a_key = path.extension().is_some_and(|ending| ending == "lock") && path != store.layout.cache_lock();
            if of_a_key && lock::holder(&path).is_none() {
                self.remove(&path)?;
                self.report.removed_locks += 1;
            }
        }
        Ok(())
    }

    fn quarantine(&mut self, store: &DiskStore, now: SystemTime) -> Result<(), StoreError> {
        for file in list(&store.layout.bucket(QUARANTINE))? {
            let changed = file.metadata().and_then(|file| file.modified());
            if changed.is_ok_and(|changed| now.duration_since(changed).is_ok_and(|age| age > QUARANTINE_KEPT)) {
                self.remove(&file.path())?;
                self.report.removed_quarantined += 1;
            }
        }
        Ok(())
    }

    fn empty_folders(&self, store: &DiskStore) -> Result<(), StoreError> {
        for folder in [shards(&store.layout, OBJECTS)?, shards(&store.layout, ENTRIES)?].concat() {
            if !self.dry_run {
                // Fails where the folder is not empty, which is as it should be.
                let _ = fs::remove_dir(folder);
            }
        }
        Ok(())
    }
}
