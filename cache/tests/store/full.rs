//! No room, no permission, no cache.

use std::fs;
use std::path::Path;
use std::process::Command;

use duress_cache::{Artifact, DiskStore, Provenance, Store, StoreError, TableBuilder};

use crate::support::{disk, files, parts, put};

/// A file system of one megabyte, as long as it lives; only the superuser can have one.
struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// A table of about two megabytes that no compression makes smaller.
fn large() -> Artifact {
    let mut state = 1_u64;
    let noise = (0..500_000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32
    });
    let mut table = TableBuilder::new().floats("values");
    table.push([noise.collect::<Vec<f32>>().into()]).unwrap();
    Artifact::new([("large", table.finish().unwrap())])
}

#[test]
fn a_full_disk_is_a_clear_error_and_leaves_an_intact_cache() {
    let Some(tiny) = TinyDisk::new() else {
        println!("skipped: a tiny file system cannot be mounted here");
        return;
    };
    let store = disk(tiny.0.path());
    let small = put(&store, 1);
    let before = files(store.root());
    let key = parts(2).key();
    let error = store.put(parts(2), &key, &large(), Provenance::default()).unwrap_err();
    assert!(matches!(&error, StoreError::Full { path, .. } if path.starts_with(store.root())), "{error}");
    let shown = error.to_string();
    assert!(shown.contains("no space is left") && shown.ends_with("or use another `--cache` folder"), "{shown}");
    let after: Vec<_> = files(store.root()).into_iter().filter(|path| path.is_file()).collect();
    assert_eq!(after, before, "nothing is left behind");
    assert_eq!(store.entry(&key).unwrap(), None);
    assert_eq!(store.entry(&small.key).unwrap(), Some(small));
    assert!(duress_cache::verify(&store).unwrap().is_sound());
    put(&store, 3);
}

#[test]
fn a_folder_that_holds_something_else_is_not_taken_for_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "").unwrap();
    let error = DiskStore::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::NotACache { .. }));
    assert!(error.to_string().contains("it holds `thesis.tex`, which is none of ours"), "{error}");
    assert_eq!(files(folder.path()).len(), 1);
    fs::remove_file(folder.path().join("thesis.tex")).unwrap();
    fs::write(folder.path().join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n# cargo").unwrap();
    let error = DiskStore::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("another program's"), "{error}");
}

#[test]
fn a_path_through_a_file_is_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for root in [file.clone(), file.join("cache")] {
        let error = DiskStore::open(&root).unwrap_err().to_string();
        assert!(error.contains(&*root.to_string_lossy()), "{error}");
    }
}

/// Whether this user's permissions are looked at; the superuser's are not.
fn is_barred(folder: &Path) -> bool {
    fs::write(folder.join("probe"), "").is_err()
}

#[cfg(unix)]
#[test]
fn a_cache_that_cannot_be_written_to_can_be_read_and_says_why_it_keeps_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let entry = put(&disk(folder.path()), 1);
    let root = folder.path().join("cache");
    let chmod = |mode| {
        for path in files(&root).iter().flat_map(|path| path.ancestors()).filter(|path| path.starts_with(&root)) {
            if path.is_dir() {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
    };
    chmod(0o555);
    if is_barred(&root) {
        let store = disk(folder.path()).at(u64::from(u32::MAX) * 1000);
        assert_eq!(store.entry(&entry.key).unwrap().as_ref(), Some(&entry));
        assert!(store.table(&entry, "curve").is_ok());
        let error = store.put_entry(&duress_cache::Entry { key: parts(2).key(), ..entry }).unwrap_err();
        assert!(matches!(&error, StoreError::Io { path, .. } if path.starts_with(&root)), "{error}");
        assert!(error.to_string().contains("give yourself permission"), "{error}");
    } else {
        println!("skipped: the superuser may write anywhere");
    }
    chmod(0o755);
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_file_system_can_be_read() {
    let Some(tiny) = TinyDisk::new() else {
        println!("skipped: a tiny file system cannot be mounted here");
        return;
    };
    let entry = put(&disk(tiny.0.path()), 1);
    let remount = Command::new("mount").args(["-o", "remount,ro"]).arg(tiny.0.path()).output().unwrap();
    assert!(remount.status.success());
    let store = disk(tiny.0.path()).at(u64::from(u32::MAX) * 1000);
    assert_eq!(store.entry(&entry.key).unwrap().as_ref(), Some(&entry));
    assert!(store.table(&entry, "curve").is_ok());
    let key = parts(2).key();
    let error = store.put(parts(2), &key, &large(), Provenance::default()).unwrap_err();
    assert!(error.to_string().contains("the file system is read-only"), "{error}");
}
