//! Small artifacts to keep.

use std::path::{Path, PathBuf};

use duress_cache::{Artifact, DiskStore, Entry, Key, KeyParts, Provenance, Store, Table, TableBuilder, Tree};

/// What the result of a stage with this seed is made of.
pub(crate) fn parts(seed: i64) -> KeyParts {
    KeyParts {
        kind: "train".to_owned(),
        revision: 1,
        config: Tree::map([("lr", Tree::from(1e-3)), ("seed", Tree::from(seed))]),
        inputs: Vec::new(),
        sources: Vec::new(),
        device: None,
    }
}

/// A table that differs from seed to seed.
pub(crate) fn curve(seed: i64) -> Table {
    let mut table = TableBuilder::new().text("metric").float("value").integer("n");
    for step in 0..20 {
        table.push(["loss".into(), (1.0 / f64::from(step + 1)).into(), (seed + 100).into()]).unwrap();
    }
    table.finish().unwrap()
}

/// A table that is the same for all seeds.
pub(crate) fn shared() -> Table {
    let mut table = TableBuilder::new().text("name").floats("values");
    table.push(["hidden.weight".into(), vec![0.5_f32, -1.0, f32::NAN].into()]).unwrap();
    table.finish().unwrap()
}

pub(crate) fn artifact(seed: i64) -> Artifact {
    Artifact::new([("curve", curve(seed)), ("weights", shared())])
}

pub(crate) fn put(store: &dyn Store, seed: i64) -> Entry {
    let parts = parts(seed);
    let key = parts.key();
    store.put(parts, &key, &artifact(seed), Provenance { seconds: 1.5, ..Provenance::default() }).unwrap()
}

/// A part, of its own key, of the result `whole`.
pub(crate) fn put_part(store: &dyn Store, whole: Key, index: i64) -> Entry {
    let part = Tree::map([("chunk", index)]);
    let parts = KeyParts { config: part.clone(), ..parts(0) };
    let provenance = Provenance { part_of: Some(whole), ..Provenance::default() };
    store.put(parts, &duress_cache::part_key(&whole, &part), &artifact(1000 + index), provenance).unwrap()
}

pub(crate) fn disk(folder: &Path) -> DiskStore {
    DiskStore::open(folder.join("cache")).unwrap()
}

/// Every file below `folder` by its path, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The files of one bucket.
pub(crate) fn bucket(store: &DiskStore, name: &str) -> Vec<PathBuf> {
    let folder = store.root().join(name);
    if folder.exists() { files(&folder) } else { Vec::new() }
}
