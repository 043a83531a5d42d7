//! Whatever happens to a file, it is found, named, set aside, and healed by computing again.

use std::fs;
use std::path::Path;

use duress_cache::{DiskStore, Finding, MemoryStore, Store, StoreError, StudyRecord, TableError};

use crate::support::{bucket, disk, parts, put, put_part, shared};

/// Changes a byte in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn object(store: &DiskStore, digest: duress_cache::Digest) -> std::path::PathBuf {
    let file = format!("{digest}.parquet");
    bucket(store, "objects-v1").into_iter().find(|path| path.ends_with(&file)).unwrap()
}

#[test]
fn a_flipped_byte_in_an_object_is_found_when_it_is_read_named_set_aside_and_healed() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let entry = put(&store, 1);
    let digest = entry.tables["curve"].object;
    let path = object(&store, digest);
    let sound = fs::read(&path).unwrap();
    flip(&path);
    assert!(store.entry(&entry.key).unwrap().is_some(), "a lookup does not read tables");
    let Err(StoreError::Corrupt { key, table, object, aside: Some(aside), .. }) = store.table(&entry, "curve") else {
        panic!("a damaged table was read");
    };
    assert_eq!((key, &*table, object), (entry.key, "curve", digest));
    assert!(aside.starts_with(store.root().join("quarantine-v1")) && aside.exists());
    assert_eq!(store.entry(&entry.key).unwrap(), None);
    assert_eq!(store.take_findings(), [Finding::CorruptObject { key, object, aside: Some(aside.into()) }]);
    let again = put(&store, 1);
    assert_eq!(store.entry(&entry.key).unwrap(), Some(again));
    assert_eq!(fs::read(path).unwrap(), sound);
    assert_eq!(store.take_findings(), []);
}

#[test]
fn computing_again_heals_an_object_that_nobody_has_read_since_it_was_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let entry = put(&store, 1);
    flip(&object(&store, entry.tables["weights"].object));
    let other = put(&store, 2);
    assert_eq!(other.tables["weights"].object, entry.tables["weights"].object, "equal tables are one file");
    assert_eq!(store.table(&entry, "weights").unwrap(), shared());
}

#[test]
fn an_object_cut_at_any_length_makes_the_entry_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let entry = put(&store, 1);
    let path = object(&store, entry.tables["weights"].object);
    let sound = fs::read(&path).unwrap();
    for length in 0..sound.len() {
        fs::write(&path, &sound[..length]).unwrap();
        assert_eq!(store.entry(&entry.key).unwrap(), None, "{length}");
        if length % 16 == 0 {
            assert!(matches!(store.table(&entry, "weights"), Err(StoreError::Corrupt { .. })), "{length}");
        }
    }
    fs::write(&path, &sound).unwrap();
    assert_eq!(store.entry(&entry.key).unwrap(), Some(entry));
}

#[test]
fn a_missing_object_makes_the_entry_a_miss_and_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let entry = put(&store, 1);
    let object_digest = entry.tables["curve"].object;
    fs::remove_file(object(&store, object_digest)).unwrap();
    assert_eq!(store.entry(&entry.key).unwrap(), None);
    assert_eq!(store.entry(&entry.key).unwrap(), None);
    assert!(matches!(store.table(&entry, "curve"), Err(StoreError::Gone { .. })));
    assert_eq!(store.take_findings(), [Finding::MissingObject { key: entry.key, object: object_digest }]);
}

#[test]
fn any_flipped_byte_and_any_cut_of_an_entry_is_found_and_the_file_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let entry = put(&store, 1);
    let path = bucket(&store, "entries-v1").pop().unwrap();
    let sound = fs::read(&path).unwrap();
    for index in (0..sound.len()).step_by(7) {
        let mut flipped = sound.clone();
        flipped[index] ^= 1;
        for damaged in [flipped.as_slice(), &sound[..index]] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(store.entry(&entry.key).unwrap(), None, "byte {index}");
            assert!(!path.exists(), "byte {index}");
        }
    }
    let findings = store.take_findings();
    assert!(matches!(&findings[..], [Finding::CorruptFile { path: told, aside: Some(_), .. }, ..] if *told == path));
    assert!(findings[0].to_string().contains("is damaged (its checksum does not match) and was set aside as"));
    put(&store, 1);
    assert!(store.entry(&entry.key).unwrap().is_some());
}

#[test]
fn an_entry_under_another_results_name_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let one = put(&store, 1);
    let from = bucket(&store, "entries-v1").pop().unwrap();
    let two = put(&store, 2);
    let to = bucket(&store, "entries-v1").into_iter().find(|path| *path != from).unwrap();
    fs::copy(&from, &to).unwrap();
    assert_eq!(store.entry(&two.key).unwrap(), None);
    assert!(store.entry(&one.key).unwrap().is_some());
    assert!(matches!(&store.take_findings()[..], [Finding::CorruptFile { .. }]));
}

#[test]
fn a_damaged_record_counts_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let record = StudyRecord { study: "s".to_owned(), ..StudyRecord::default() };
    store.put_record(&record).unwrap();
    assert_eq!(store.record("s").unwrap(), Some(record.clone()));
    flip(&bucket(&store, "records-v1")[0]);
    assert_eq!(store.record("s").unwrap(), None);
    assert!(matches!(&store.take_findings()[..], [Finding::CorruptFile { .. }]));
    store.put_record(&record).unwrap();
    assert_eq!(store.record("s").unwrap(), Some(record));
}

#[test]
fn a_damaged_tag_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let entry = put(&disk(folder.path()), 1);
    let tag = folder.path().join("cache/CACHEDIR.TAG");
    let sound = fs::read(&tag).unwrap();
    fs::write(&tag, "Signature").unwrap();
    assert_eq!(disk(folder.path()).entry(&entry.key).unwrap(), Some(entry));
    assert_eq!(fs::read(tag).unwrap(), sound);
}

#[test]
fn garbage_with_a_right_digest_is_set_aside_too() {
    let store = MemoryStore::new();
    let mut entry = put(&store, 1);
    let object = store.put_object(&b"no table at all".to_vec().into()).unwrap();
    let table = entry.tables.get_mut("curve").unwrap();
    (table.object, table.bytes) = (object, 15);
    store.put_entry(&entry).unwrap();
    assert!(matches!(store.table(&entry, "curve"), Err(StoreError::Corrupt { .. })));
    assert_eq!(store.entry(&entry.key).unwrap(), None);
    assert!(matches!(&store.take_findings()[..], [Finding::CorruptObject { .. }]));
}

#[test]
fn memory_that_fails_is_found_as_well() {
    let store = MemoryStore::new();
    let entry = put(&store, 1);
    store.damage(&entry.tables["curve"].object, |bytes| bytes[9] ^= 1);
    assert!(matches!(store.table(&entry, "curve"), Err(StoreError::Corrupt { .. })));
    assert_eq!(store.entry(&entry.key).unwrap(), None);
    put(&store, 1);
    assert!(store.entry(&entry.key).unwrap().is_some());
}

#[test]
fn verify_finds_every_damaged_file_and_names_the_results_that_lose_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let (one, two, three) = (put(&store, 1), put(&store, 2), put(&store, 3));
    put_part(&store, parts(9).key(), 0);
    store.put_record(&StudyRecord { study: "s".to_owned(), ..StudyRecord::default() }).unwrap();
    let sound = duress_cache::verify(&store).unwrap();
    assert!(sound.is_sound());
    assert_eq!((sound.entries, sound.objects, sound.unreferenced), (4, 5, 0));

    let weights = one.tables["weights"].object;
    let curve = two.tables["curve"].object;
    flip(&object(&store, weights));
    fs::remove_file(object(&store, curve)).unwrap();
    let entry_file = format!("{}.json", three.key);
    let entry_file = bucket(&store, "entries-v1").into_iter().find(|path| path.ends_with(&entry_file)).unwrap();
    flip(&entry_file);
    flip(&bucket(&store, "records-v1")[0]);

    let report = duress_cache::verify(&store).unwrap();
    assert_eq!(report.damaged_files.len(), 2);
    assert!(
        report.damaged_files.iter().any(|it| matches!(it, Finding::CorruptFile { path, .. } if *path == entry_file))
    );
    let [flipped, gone] = &report.damaged_objects[..] else { panic!("{:?}", report.damaged_objects) };
    assert_eq!((flipped.object, gone.object), (weights, curve));
    assert!(flipped.aside.is_some() && gone.aside.is_none());
    assert_eq!(flipped.entries.len(), 3, "two results and a part share the table that was flipped");
    assert_eq!(gone.entries, [(two.key, "curve".to_owned())]);
    assert_eq!(report.unreferenced, 1, "the curve of the result whose entry is gone");
    for seed in 1..=3 {
        assert_eq!(store.entry(&parts(seed).key()).unwrap(), None);
        put(&store, seed);
    }
    put_part(&store, parts(9).key(), 0);
    assert!(duress_cache::verify(&store).unwrap().is_sound());
}

#[test]
fn what_a_killed_process_was_writing_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    put(&store, 1);
    store.put_record(&StudyRecord { study: "s".to_owned(), ..StudyRecord::default() }).unwrap();
    for name in ["objects-v1", "entries-v1", "records-v1"] {
        let file = bucket(&store, name).remove(0);
        fs::copy(&file, file.with_file_name(".tmp-7ZoLzz")).unwrap();
    }
    assert!(duress_cache::verify(&store).unwrap().is_sound());
}

#[test]
fn a_table_error_ends_in_a_fix() {
    let error = duress_cache::Table::from_parquet(b"PAR1".to_vec().into()).unwrap_err();
    assert!(matches!(error, TableError::File(_)));
    assert!(error.to_string().ends_with("set the file aside and compute it again"));
}
