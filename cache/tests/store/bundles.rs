//! One file that carries results from one cache to another, and what a hostile one cannot do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use duress_cache::{
    Artifact, Digest, Entry, ImportReport, MemoryStore, Provenance, Store, StoreError, export, import, verify,
};

use crate::support::{artifact, bucket, disk, files, parts, put, put_part};

fn extra() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([("spec.toml".to_owned(), b"[study]".to_vec()), ("notes.md".to_owned(), Vec::new())])
}

/// A bundle of two results and a part.
fn bundle(folder: &Path) -> (PathBuf, Vec<Entry>) {
    let store = MemoryStore::new();
    let mut entries = vec![put(&store, 1), put(&store, 2), put_part(&store, parts(3).key(), 0)];
    entries.sort_by_key(|entry| entry.key);
    let path = folder.join("study.duress");
    export(&store, &entries.iter().map(|entry| entry.key).collect::<Vec<_>>(), &extra(), &path).unwrap();
    (path, entries)
}

#[test]
fn what_was_exported_is_there_after_the_import() {
    let folder = tempfile::tempdir().unwrap();
    let (path, entries) = bundle(folder.path());
    let store = disk(folder.path());
    let report = import(&store, &path).unwrap();
    let keys: Vec<_> = entries.iter().map(|entry| entry.key).collect();
    assert_eq!((&report.imported, report.objects, &report.extra), (&keys, 4, &extra()));
    for entry in &entries {
        assert_eq!(store.entry(&entry.key).unwrap().as_ref(), Some(entry));
    }
    assert_eq!(
        store.table(&store.entry(&parts(1).key()).unwrap().unwrap(), "curve").unwrap(),
        artifact(1).tables["curve"]
    );
    assert!(verify(&store).unwrap().is_sound());
    let again = import(&store, &path).unwrap();
    assert_eq!((again.imported.len(), again.present, again.replaced.len()), (0, keys, 0));
}

#[test]
fn equal_results_make_equal_bundles_and_any_tar_program_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let (path, entries) = bundle(folder.path());
    let store = disk(folder.path());
    import(&store, &path).unwrap();
    let again = folder.path().join("again.duress");
    let mut keys: Vec<_> = entries.iter().map(|entry| entry.key).collect();
    keys.reverse();
    keys.push(keys[0]);
    export(&store, &keys, &extra(), &again).unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(again).unwrap());
    let mut archive = tar::Archive::new(fs::File::open(path).unwrap());
    let names: Vec<_> =
        archive.entries().unwrap().map(|it| it.unwrap().path().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names[..3], ["bundle.json", "extra/notes.md", "extra/spec.toml"]);
    assert_eq!(names.len(), 3 + 3 + 4);
}

#[test]
fn a_result_that_is_not_there_cannot_be_exported_and_no_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.duress");
    let key = parts(1).key();
    let error = export(&MemoryStore::new(), &[key], &extra(), &path).unwrap_err();
    assert_eq!(error.to_string(), format!("find {key}: the cache does not hold it whole; run the study first"));
    for name in ["../spec.toml", "", ".hidden", "a/b", "ü", &"x".repeat(95)] {
        let extra = BTreeMap::from([(name.to_owned(), Vec::new())]);
        assert!(matches!(export(&MemoryStore::new(), &[], &extra, &path), Err(StoreError::Bundle { .. })), "{name}");
    }
    assert_eq!(files(folder.path()), [] as [PathBuf; 0]);
}

#[test]
fn a_result_with_other_tables_is_replaced_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, entries) = bundle(folder.path());
    let store = MemoryStore::new();
    let key = parts(1).key();
    store.put(parts(1), &key, &Artifact::default(), Provenance::default()).unwrap();
    let report = import(&store, &path).unwrap();
    assert_eq!((report.imported.len(), report.replaced), (2, vec![key]));
    assert_eq!(store.entry(&key).unwrap().as_ref(), entries.iter().find(|entry| entry.key == key));
}

/// The members of a bundle by name.
fn members(path: &Path) -> Vec<(String, Vec<u8>)> {
    use std::io::Read;
    let mut archive = tar::Archive::new(fs::File::open(path).unwrap());
    let read = |member: std::io::Result<tar::Entry<'_, _>>| {
        let mut member = member.unwrap();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        (member.path().unwrap().to_string_lossy().into_owned(), bytes)
    };
    archive.entries().unwrap().map(read).collect()
}

/// A tar file of these members, whatever their names.
fn write(path: &Path, members: &[(String, Vec<u8>)], kind: tar::EntryType, claim: impl Fn(u64) -> u64) {
    let mut bytes = Vec::new();
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        // Past the checks of the library, as an attacker would.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(claim(content.len() as u64));
        header.set_mode(0o644);
        header.set_entry_type(kind);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    fs::write(path, bytes).unwrap();
}

/// Imports into an empty cache, which stays empty where the bundle is refused.
fn try_import(folder: &Path, path: &Path) -> Result<ImportReport, String> {
    let root = tempfile::tempdir_in(folder).unwrap();
    let store = disk(root.path());
    let result = import(&store, path);
    if result.is_err() {
        assert!(bucket(&store, "objects-v1").is_empty() && bucket(&store, "entries-v1").is_empty());
    }
    result.map_err(|error| error.to_string())
}

#[test]
fn a_bundle_cut_anywhere_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = bundle(folder.path());
    let sound = fs::read(&path).unwrap();
    // The last two blocks only say that nothing follows.
    for length in (0..sound.len() - 1024).step_by(211) {
        fs::write(&path, &sound[..length]).unwrap();
        assert!(try_import(folder.path(), &path).is_err(), "{length}");
    }
}

#[test]
fn a_changed_byte_in_any_member_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = bundle(folder.path());
    let sound = members(&path);
    for (index, (name, bytes)) in sound.iter().enumerate() {
        let places = if bytes.is_empty() { vec![] } else { vec![0, bytes.len() / 2, bytes.len() - 1] };
        for place in places {
            let mut changed = sound.clone();
            changed[index].1[place] ^= 4;
            write(&path, &changed, tar::EntryType::Regular, |size| size);
            let error = try_import(folder.path(), &path).unwrap_err();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
    }
}

#[test]
fn members_that_are_missing_doubled_or_out_of_order_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = bundle(folder.path());
    let sound = members(&path);
    for index in 0..sound.len() {
        let mut fewer = sound.clone();
        fewer.remove(index);
        write(&path, &fewer, tar::EntryType::Regular, |size| size);
        assert!(try_import(folder.path(), &path).is_err(), "without {}", sound[index].0);
        let mut twice = sound.clone();
        twice.insert(index, sound[index].clone());
        write(&path, &twice, tar::EntryType::Regular, |size| size);
        assert!(try_import(folder.path(), &path).is_err(), "twice {}", sound[index].0);
        let mut moved = sound.clone();
        moved.rotate_left(index);
        write(&path, &moved, tar::EntryType::Regular, |size| size);
        assert_eq!(try_import(folder.path(), &path).is_ok(), index == 0, "rotated by {index}");
    }
}

#[test]
fn paths_that_lead_out_of_the_cache_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = bundle(folder.path());
    let sound = members(&path);
    let object = sound.last().unwrap().clone();
    for name in [
        "../evil".to_owned(),
        "/etc/evil".to_owned(),
        "extra/../../evil".to_owned(),
        "extra/.bashrc".to_owned(),
        "extra/a/b".to_owned(),
        "extra/".to_owned(),
        "objects-v1/../../evil.parquet".to_owned(),
        format!("./{}", object.0),
        object.0.replace("objects-v1/", "objects-v1//"),
        object.0.to_uppercase(),
        "CACHEDIR.TAG".to_owned(),
        "locks-v1/cache.lock".to_owned(),
        "C:\\evil".to_owned(),
    ] {
        let mut changed = sound.clone();
        changed.last_mut().unwrap().0.clone_from(&name);
        write(&path, &changed, tar::EntryType::Regular, |size| size);
        let error = try_import(folder.path(), &path).unwrap_err();
        assert!(error.contains("none of the names"), "{name}: {error}");
    }
    assert!(files(folder.path()).iter().all(|path| !path.to_string_lossy().contains("evil")));
}

#[test]
fn links_folders_devices_and_long_names_are_refused() {
    use tar::EntryType;
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = bundle(folder.path());
    let sound = members(&path);
    let kinds = [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Directory,
        EntryType::Char,
        EntryType::Fifo,
        EntryType::GNULongName,
        EntryType::GNUSparse,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
    ];
    for kind in kinds {
        write(&path, &sound, kind, |size| size);
        let error = try_import(folder.path(), &path).unwrap_err();
        assert!(error.contains("`bundle.json` is no regular file"), "{kind:?}: {error}");
    }
}

#[test]
fn headers_that_lie_about_sizes_are_refused_without_taking_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = bundle(folder.path());
    let sound = members(&path);
    for claimed in [65 << 20, 1 << 33, u64::MAX >> 1, u64::MAX] {
        for members in [&sound[..1], &sound[sound.len() - 1..]] {
            write(&path, members, tar::EntryType::Regular, |_| claimed);
            assert!(try_import(folder.path(), &path).is_err(), "{claimed}");
        }
    }
}

type Lie = fn(&mut Entry);

#[test]
fn entries_that_say_what_is_not_so_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.duress");
    let lies: [(&str, Lie); 4] = [
        ("key", |entry| entry.parts.revision += 1),
        ("digest", |entry| entry.tables.get_mut("curve").unwrap().digest = Digest::of_bytes(b"")),
        ("rows", |entry| entry.tables.get_mut("curve").unwrap().rows += 1),
        ("is not a table", |_| ()),
    ];
    for (what, lie) in lies {
        let store = MemoryStore::new();
        let mut entry = put(&store, 1);
        lie(&mut entry);
        if what == "is not a table" {
            let object = store.put_object(&b"no table".to_vec().into()).unwrap();
            let table = entry.tables.get_mut("curve").unwrap();
            (table.object, table.bytes) = (object, 8);
        }
        store.put_entry(&entry).unwrap();
        export(&store, &[entry.key], &BTreeMap::new(), &path).unwrap();
        assert!(try_import(folder.path(), &path).is_err(), "{what}");
    }
}

#[test]
fn what_is_no_bundle_at_all_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for bytes in [&b""[..], b"hello", &[0; 4096], &[0xff; 4096]] {
        fs::write(&path, bytes).unwrap();
        assert!(try_import(folder.path(), &path).is_err());
    }
    let error = try_import(folder.path(), &folder.path().join("nowhere")).unwrap_err();
    assert!(error.contains("nowhere"), "{error}");
}
