//! What every store does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use duress_cache::{Artifact, DiskStore, MemoryStore, Provenance, Store, StoreError, StudyRecord};

use crate::support::{artifact, parts, put, shared};

/// A store that is there as long as the test.
struct Disk(DiskStore, #[expect(dead_code, reason = "removed when dropped")] tempfile::TempDir);

fn on_disk() -> Disk {
    let folder = tempfile::tempdir().unwrap();
    Disk(DiskStore::open(folder.path().join("cache")).unwrap(), folder)
}

macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod disk {
            $(#[test] fn $test() { super::$test(&super::on_disk().0); })*
        }
        mod memory {
            $(#[test] fn $test() { super::$test(&super::MemoryStore::new()); })*
        }
    };
}

contract!(
    what_was_put_is_there_with_equal_tables,
    a_key_that_was_never_put_is_not_there,
    putting_again_replaces,
    an_artifact_without_tables_and_a_table_without_rows_are_kept,
    a_table_that_the_entry_never_had_is_named_with_those_it_has,
    a_lock_is_held_by_one_at_a_time,
    of_many_threads_one_computes,
    records_are_kept_by_study_whatever_its_name,
    an_entry_whose_object_is_missing_cannot_be_put,
    what_was_removed_is_gone_and_removing_it_again_is_no_error,
);

fn what_was_put_is_there_with_equal_tables(store: &dyn Store) {
    let entry = put(store, 1);
    assert_eq!(store.entry(&entry.key).unwrap().as_ref(), Some(&entry));
    assert_eq!(entry.parts, parts(1));
    assert_eq!(entry.tables["curve"].rows, 20);
    for (name, table) in &artifact(1).tables {
        assert_eq!(entry.tables[name].digest, table.digest());
        assert_eq!(&store.table(&entry, name).unwrap(), table);
    }
    assert_eq!(store.take_findings(), []);
}

fn a_key_that_was_never_put_is_not_there(store: &dyn Store) {
    put(store, 1);
    assert_eq!(store.entry(&parts(2).key()).unwrap(), None);
    assert_eq!(store.take_findings(), []);
}

fn putting_again_replaces(store: &dyn Store) {
    let first = put(store, 1);
    let other = Artifact::new([("weights", shared())]);
    let second = store.put(parts(1), &first.key, &other, Provenance::default()).unwrap();
    assert_eq!(store.entry(&first.key).unwrap(), Some(second));
}

fn an_artifact_without_tables_and_a_table_without_rows_are_kept(store: &dyn Store) {
    let key = parts(1).key();
    store.put(parts(1), &key, &Artifact::default(), Provenance::default()).unwrap();
    assert!(store.entry(&key).unwrap().unwrap().tables.is_empty());
    let empty = duress_cache::TableBuilder::new().text("name").floats("values").finish().unwrap();
    let entry =
        store.put(parts(2), &parts(2).key(), &Artifact::new([("t", empty.clone())]), Provenance::default()).unwrap();
    assert_eq!(store.table(&entry, "t").unwrap(), empty);
}

fn a_table_that_the_entry_never_had_is_named_with_those_it_has(store: &dyn Store) {
    let entry = put(store, 1);
    let error = store.table(&entry, "curves").unwrap_err();
    assert!(matches!(error, StoreError::NoTable { .. }));
    assert!(error.to_string().ends_with("it has curve, weights"), "{error}");
}

fn a_lock_is_held_by_one_at_a_time(store: &dyn Store) {
    let (one, two) = (parts(1).key(), parts(2).key());
    assert_eq!(store.lock_holder(&one), None);
    let guard = store.try_lock(&one).unwrap().unwrap();
    assert!(store.lock_holder(&one).is_some());
    assert!(store.try_lock(&one).unwrap().is_none());
    assert!(store.try_lock(&two).unwrap().is_some());
    drop(guard);
    assert_eq!(store.lock_holder(&one), None);
    assert!(store.try_lock(&one).unwrap().is_some());
    assert_eq!(store.take_findings(), []);
}

fn of_many_threads_one_computes(store: &dyn Store) {
    let key = parts(1).key();
    let computed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while store.entry(&key).unwrap().is_none() {
                    let Some(_guard) = store.try_lock(&key).unwrap() else {
                        std::thread::yield_now();
                        continue;
                    };
                    if store.entry(&key).unwrap().is_none() {
                        put(store, 1);
                        computed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(computed.into_inner(), 1);
    assert_eq!(store.take_findings(), []);
}

fn records_are_kept_by_study_whatever_its_name(store: &dyn Store) {
    let names = ["quickstart", "Quickstart", "../up", "", "a b", "ü"];
    for (index, name) in names.iter().enumerate() {
        assert_eq!(store.record(name).unwrap(), None);
        let instances = BTreeMap::from([("train[seed=1]".to_owned(), parts(index as i64).key())]);
        let record = StudyRecord { study: (*name).to_owned(), recorded_unix_ms: 7, instances };
        store.put_record(&record).unwrap();
    }
    for (index, name) in names.iter().enumerate() {
        let record = store.record(name).unwrap().unwrap();
        assert_eq!(record.instances["train[seed=1]"], parts(index as i64).key());
    }
}

fn an_entry_whose_object_is_missing_cannot_be_put(store: &dyn Store) {
    let elsewhere = MemoryStore::new();
    let entry = put(&elsewhere, 1);
    assert!(matches!(store.put_entry(&entry), Err(StoreError::Gone { .. })));
    assert_eq!(store.entry(&entry.key).unwrap(), None);
    for name in entry.tables.keys() {
        let object = elsewhere.object(&entry, name).unwrap();
        assert_eq!(store.put_object(&object).unwrap(), entry.tables[name].object);
    }
    store.put_entry(&entry).unwrap();
    assert_eq!(store.entry(&entry.key).unwrap(), Some(entry));
}

fn what_was_removed_is_gone_and_removing_it_again_is_no_error(store: &dyn Store) {
    let (one, two) = (parts(1), parts(2));
    let table = |name: &str| Artifact::new([("t", shared().with_metadata("part", name).unwrap())]);
    let entry = store.put(one.clone(), &one.key(), &table("one"), Provenance::default()).unwrap();
    store.put(two.clone(), &two.key(), &table("two"), Provenance::default()).unwrap();
    for _ in 0..2 {
        store.remove(&entry).unwrap();
        assert_eq!(store.entry(&entry.key).unwrap(), None);
        assert!(matches!(store.object(&entry, "t"), Err(StoreError::Gone { .. })));
    }
    assert!(store.entry(&two.key()).unwrap().is_some());
}
