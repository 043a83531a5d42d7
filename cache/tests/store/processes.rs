//! Several processes on one cache, and killed ones. The test program runs itself again as the other process.

#![expect(clippy::disallowed_methods, reason = "waits for other processes, and tells them where the cache is")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use duress_cache::{Artifact, DiskStore, Finding, GcPolicy, Provenance, Store, StoreError, TableBuilder, gc, verify};

use crate::support::{bucket, disk, files, parts, put};

const FOLDER: &str = "DURESS_TEST_FOLDER";

/// Runs the test `name` of this program in another process, told where the cache is.
fn other_process(name: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("processes::{name}"), "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The folder, where this is the other process.
fn told_folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn child_that_computes_each_key_that_nobody_else_computes() {
    let Some(folder) = told_folder() else { return };
    let store = disk(&folder);
    for seed in 0..10 {
        let key = parts(seed).key();
        while store.entry(&key).unwrap().is_none() {
            let Some(_guard) = store.try_lock(&key).unwrap() else {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            if store.entry(&key).unwrap().is_none() {
                // Whoever computes leaves a file of its own.
                let mark = folder.join(format!("computed-{seed}-{}", std::process::id()));
                std::fs::write(mark, "").unwrap();
                put(&store, seed);
            }
        }
    }
}

#[test]
fn of_several_processes_one_computes_each_key() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..3)
        .map(|_| other_process("child_that_computes_each_key_that_nobody_else_computes", folder.path()))
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let marks = std::fs::read_dir(folder.path())
        .unwrap()
        .filter(|file| file.as_ref().is_ok_and(|file| file.file_name().to_string_lossy().starts_with("computed-")));
    assert_eq!(marks.count(), 10);
    let store = disk(folder.path());
    assert_eq!(verify(&store).unwrap().entries, 10);
    assert!(verify(&store).unwrap().is_sound());
    assert_eq!(bucket(&store, "locks-v1").len(), 1, "only the lock of the cache itself is left");
}

#[test]
fn child_that_puts_one_key_again_and_again() {
    let Some(folder) = told_folder() else { return };
    let store = disk(&folder);
    for _ in 0..20 {
        put(&store, 1);
    }
}

#[test]
fn processes_that_put_the_same_key_at_once_agree() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> =
        (0..2).map(|_| other_process("child_that_puts_one_key_again_and_again", folder.path())).collect();
    let store = disk(folder.path());
    for mut child in children {
        while child.try_wait().unwrap().is_none() {
            if let Some(entry) = store.entry(&parts(1).key()).unwrap() {
                store.table(&entry, "curve").unwrap();
            }
        }
        assert!(child.wait().unwrap().success());
    }
    assert!(verify(&store).unwrap().is_sound());
    assert_eq!(store.take_findings(), []);
}

#[test]
fn child_that_holds_a_lock_for_ever() {
    let Some(folder) = told_folder() else { return };
    let store = disk(&folder).on_host("there");
    let _guard = store.try_lock(&parts(1).key()).unwrap().unwrap();
    std::thread::sleep(Duration::from_secs(120));
}

#[test]
fn the_lock_of_a_killed_process_is_taken_over_and_the_takeover_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let key = parts(1).key();
    let store = disk(folder.path());
    let mut child = other_process("child_that_holds_a_lock_for_ever", folder.path());
    let holder = format!("process {} on there", child.id());
    wait_until("the other process takes the lock", || store.lock_holder(&key).as_ref() == Some(&holder));
    assert!(store.try_lock(&key).unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(store.lock_holder(&key), None);
    let guard = store.try_lock(&key).unwrap();
    assert!(guard.is_some());
    assert_eq!(store.take_findings(), [Finding::StaleLock { key, holder }]);
}

#[test]
fn a_cache_that_another_process_uses_is_not_cleaned() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let entry = put(&store, 1);
    let mut child = other_process("child_that_holds_a_lock_for_ever", folder.path());
    wait_until("the other process takes the lock", || store.lock_holder(&entry.key).is_some());
    let policy = GcPolicy { keep: Some(BTreeSet::new()), ..GcPolicy::default() };
    assert!(matches!(gc(&store, &policy), Err(StoreError::InUse { .. })));
    let dry = gc(&store, &GcPolicy { dry_run: true, ..policy.clone() }).unwrap();
    assert_eq!((dry.removed.len(), dry.kept_locked), (0, vec![entry.key]));
    assert_eq!(store.entry(&entry.key).unwrap(), Some(entry));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(gc(&store, &policy).unwrap().removed.len(), 1);
}

/// Large enough that a kill comes while it is written.
fn slow() -> Artifact {
    let mut table = TableBuilder::new().floats("values");
    for row in 0..40_u32 {
        let values = (0..5000_u32).map(|i| (i.wrapping_mul(2_654_435_761 + row)) as f32);
        table.push([values.collect::<Vec<f32>>().into()]).unwrap();
    }
    Artifact::new([("slow", table.finish().unwrap())])
}

#[test]
fn child_that_puts_until_it_is_killed() {
    let Some(folder) = told_folder() else { return };
    let store = disk(&folder);
    let artifact = slow();
    for seed in 0.. {
        let artifact = Artifact::new([(
            "slow",
            artifact.tables["slow"].with_metadata("seed", format!("{}-{seed}", std::process::id())).unwrap(),
        )]);
        store.put(parts(seed), &parts(seed).key(), &artifact, Provenance::default()).unwrap();
    }
}

#[test]
fn a_process_killed_while_it_writes_leaves_an_intact_cache_and_gc_removes_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    for round in 0..6_u64 {
        let before = files(store.root()).len();
        let mut child = other_process("child_that_puts_until_it_is_killed", folder.path());
        wait_until("the other process writes", || files_now(&store) > before + 2);
        std::thread::sleep(Duration::from_millis(round * 3));
        child.kill().unwrap();
        child.wait().unwrap();
        let report = verify(&store).unwrap();
        assert!(report.is_sound(), "{report:?}");
        let cleaned = gc(&store, &GcPolicy::default()).unwrap();
        assert_eq!(cleaned.removed, []);
        let left: Vec<_> =
            files(store.root()).into_iter().filter(|path| path.to_string_lossy().contains(".tmp-")).collect();
        assert_eq!(left, [] as [PathBuf; 0]);
        let report = verify(&store).unwrap();
        assert!(report.is_sound() && report.unreferenced == 0, "{report:?}");
    }
}

/// How many files there are, while another process changes them.
fn files_now(store: &DiskStore) -> usize {
    let buckets = ["objects-v1", "entries-v1"].map(|bucket| store.root().join(bucket));
    let shards = buckets.iter().filter_map(|bucket| std::fs::read_dir(bucket).ok()).flatten().flatten();
    shards.filter_map(|shard| std::fs::read_dir(shard.path()).ok()).flatten().count()
}
