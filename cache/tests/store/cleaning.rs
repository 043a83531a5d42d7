//! What `gc` removes, and what it never does.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use duress_cache::{DiskStore, GcPolicy, Key, Reason, Removed, Store, StoreError, gc, verify};

use crate::support::{bucket, disk, parts, put, put_part};

const DAY: u64 = 24 * 60 * 60 * 1000;
/// A day in 2033.
const NOW: u64 = 23_000 * DAY;

fn policy() -> GcPolicy {
    GcPolicy { now_unix_ms: NOW, ..GcPolicy::default() }
}

/// Makes an entry one that was last used `days` before now.
fn used(store: &DiskStore, key: Key, days: u64) {
    let path = entry_file(store, key);
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW - days * DAY);
    File::open(path).unwrap().set_modified(time).unwrap();
}

fn entry_file(store: &DiskStore, key: Key) -> std::path::PathBuf {
    let name = format!("{key}.json");
    bucket(store, "entries-v1").into_iter().find(|path| path.ends_with(&name)).unwrap()
}

fn reasons(removed: &[Removed]) -> BTreeSet<(Key, Reason)> {
    removed.iter().map(|it| (it.key, it.reason)).collect()
}

fn days(path: &Path) -> u64 {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    modified.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64 / DAY
}

#[test]
fn a_sound_cache_loses_nothing_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let (one, part) = (put(&store, 1), put_part(&store, parts(9).key(), 0));
    let report = gc(&store, &policy()).unwrap();
    assert_eq!((report.removed.len(), report.removed_objects, report.freed_bytes, report.kept), (0, 0, 0, 2));
    assert_eq!(
        report.kept_bytes,
        bucket(&store, "objects-v1").iter().map(|it| it.metadata().unwrap().len()).sum::<u64>()
    );
    for entry in [one, part] {
        assert_eq!(store.entry(&entry.key).unwrap(), Some(entry));
    }
}

#[test]
fn leftovers_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let entry = put(&store, 1);
    store.put_object(&b"nobody's".to_vec().into()).unwrap();
    for place in [".tmp-a", "objects-v1/.tmp-b", "entries-v1/ab/.tmp-c", "records-v1/.tmp-d", "locks-v1/.tmp-e"] {
        let path = store.root().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "half").unwrap();
    }
    fs::create_dir_all(store.root().join("objects-v1/00")).unwrap();
    fs::write(store.root().join(format!("locks-v1/{}.lock", parts(5).key())), "").unwrap();
    fs::write(store.root().join("objects-v1/README"), "somebody's").unwrap();
    let dry = gc(&store, &GcPolicy { dry_run: true, ..policy() }).unwrap();
    assert!(store.root().join(".tmp-a").exists());
    let report = gc(&store, &policy()).unwrap();
    assert_eq!(dry, report, "a dry run foretells the real one");
    assert_eq!((report.removed_objects, report.removed_temporary, report.removed_locks), (1, 5, 1));
    assert_eq!(report.freed_bytes, 8 + 5 * 4);
    assert!(!store.root().join("objects-v1/00").exists());
    assert!(store.root().join("objects-v1/README").exists(), "what is none of ours stays");
    assert_eq!(store.entry(&entry.key).unwrap(), Some(entry));
    assert_eq!(gc(&store, &policy()).unwrap().freed_bytes, 0);
}

#[test]
fn broken_results_and_parts_of_whole_results_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let whole = put(&store, 1);
    let done = put_part(&store, whole.key, 0);
    let pending = put_part(&store, parts(2).key(), 1);
    let (broken, garbled) = (put(&store, 3), put(&store, 4));
    let lost = format!("{}.parquet", broken.tables["curve"].object);
    fs::remove_file(bucket(&store, "objects-v1").into_iter().find(|path| path.ends_with(&lost)).unwrap()).unwrap();
    fs::write(entry_file(&store, garbled.key), "garbled").unwrap();
    let report = gc(&store, &policy()).unwrap();
    let expected = [(done.key, Reason::SupersededPart), (broken.key, Reason::Broken), (garbled.key, Reason::Broken)];
    assert_eq!(reasons(&report.removed), BTreeSet::from(expected));
    assert_eq!(report.removed.iter().find(|it| it.key == done.key).unwrap().kind, "train");
    assert_eq!(store.entry(&whole.key).unwrap(), Some(whole));
    assert_eq!(store.entry(&pending.key).unwrap(), Some(pending));
    assert!(verify(&store).unwrap().is_sound());
}

#[test]
fn what_was_not_used_for_long_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let (old, new) = (put(&store, 1), put(&store, 2));
    used(&store, old.key, 31);
    used(&store, new.key, 29);
    let report = gc(&store, &GcPolicy { max_age: Some(Duration::from_millis(30 * DAY)), ..policy() }).unwrap();
    assert_eq!(reasons(&report.removed), BTreeSet::from([(old.key, Reason::Old)]));
    assert_eq!(report.removed_objects, 1, "the table that both share stays");
    assert!(store.table(&new, "weights").is_ok());
    assert_eq!(store.entry(&old.key).unwrap(), None);
}

#[test]
fn a_lookup_counts_as_use_at_most_once_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let entry = put(&store, 1);
    used(&store, entry.key, 31);
    let path = entry_file(&store, entry.key);
    store.entry(&entry.key).unwrap();
    assert_eq!(days(&path), NOW / DAY - 31, "a store that was not told the time notes none");
    let later = disk(folder.path()).at(NOW);
    later.entry(&entry.key).unwrap();
    assert_eq!(days(&path), NOW / DAY);
    disk(folder.path()).at(NOW + DAY / 2).entry(&entry.key).unwrap();
    disk(folder.path()).at(NOW - 5 * DAY).entry(&entry.key).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), SystemTime::UNIX_EPOCH + Duration::from_millis(NOW));
}

#[test]
fn a_cache_that_is_too_large_loses_what_was_used_longest_ago() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let entries: Vec<_> = (0..4).map(|seed| put(&store, seed)).collect();
    for (entry, days) in entries.iter().zip([2, 4, 1, 3]) {
        used(&store, entry.key, days);
    }
    let weights = entries[0].tables["weights"].bytes;
    let curve = |index: usize| entries[index].tables["curve"].bytes;
    let room = weights + curve(0) + curve(2);
    let report = gc(&store, &GcPolicy { max_bytes: Some(room), ..policy() }).unwrap();
    let expected = [(entries[1].key, Reason::Size), (entries[3].key, Reason::Size)];
    assert_eq!(reasons(&report.removed), BTreeSet::from(expected));
    assert_eq!((report.kept, report.kept_bytes), (2, room));
    assert!(report.freed_bytes > curve(1) + curve(3));
    let report = gc(&store, &GcPolicy { max_bytes: Some(0), ..policy() }).unwrap();
    assert_eq!((report.kept, report.kept_bytes), (0, 0));
    assert_eq!(bucket(&store, "objects-v1").len() + bucket(&store, "entries-v1").len(), 0);
}

#[test]
fn only_what_is_to_be_kept_stays_with_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let (keep, drop) = (put(&store, 1), put(&store, 2));
    let unfinished = parts(3).key();
    let (part, stray) = (put_part(&store, unfinished, 0), put_part(&store, parts(4).key(), 1));
    let policy = GcPolicy { keep: Some(BTreeSet::from([keep.key, unfinished])), ..policy() };
    let report = gc(&store, &policy).unwrap();
    let expected = [(drop.key, Reason::Unreachable), (stray.key, Reason::Unreachable)];
    assert_eq!(reasons(&report.removed), BTreeSet::from(expected));
    assert!(store.entry(&keep.key).unwrap().is_some() && store.entry(&part.key).unwrap().is_some());
}

#[test]
fn a_result_whose_lock_is_held_stays_whatever_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let (held, free) = (put(&store, 1), put(&store, 2));
    let guard = store.try_lock(&held.key).unwrap().unwrap();
    let all = GcPolicy { max_age: Some(Duration::ZERO), max_bytes: Some(0), keep: Some(BTreeSet::new()), ..policy() };
    let report = gc(&store, &all).unwrap();
    assert_eq!(report.removed.iter().map(|it| it.key).collect::<Vec<_>>(), [free.key]);
    assert_eq!((report.kept, report.kept_locked, report.removed_locks), (1, vec![held.key], 0));
    assert!(store.table(&held, "curve").is_ok());
    drop(guard);
    assert_eq!(gc(&store, &all).unwrap().removed.len(), 1);
}

#[test]
fn a_cache_that_another_store_uses_is_not_cleaned() {
    let folder = tempfile::tempdir().unwrap();
    let (cleaner, user) = (disk(folder.path()), disk(folder.path()));
    put(&user, 1);
    assert!(matches!(gc(&cleaner, &policy()), Err(StoreError::InUse { .. })));
    drop(user);
    assert!(gc(&cleaner, &policy()).is_ok());
    put(&cleaner, 2);
    assert!(gc(&cleaner, &policy()).is_ok(), "its own use does not stand in the way");
}

#[test]
fn damaged_files_are_kept_for_a_week() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let (entry, other) = (put(&store, 1), put(&store, 2));
    for key in [entry.key, other.key] {
        fs::write(entry_file(&store, key), "garbled").unwrap();
        assert_eq!(store.entry(&key).unwrap(), None);
    }
    let aside = bucket(&store, "quarantine-v1");
    assert_eq!(aside.len(), 2);
    for (path, days) in aside.iter().zip([6, 8]) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW - days * DAY);
        File::open(path).unwrap().set_modified(time).unwrap();
    }
    assert_eq!(gc(&store, &policy()).unwrap().removed_quarantined, 1);
    assert_eq!(bucket(&store, "quarantine-v1"), aside[..1]);
}
