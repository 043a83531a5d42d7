//! Tests through the program itself. One binary, so that it links once; read this list as a table of contents.

/// A sandbox: a folder with a spec, a cache of its own, and the program run in it.
mod support;

/// What every command prints, word for word, and how it ends.
mod cli;
/// Killed, starved, damaged, doubled: the cache stays whole and the results the same.
mod crash;
/// The same study is the same tables, whatever the threads, the order of the spec, or a batch size.
mod determinism;
/// The documents that repeat what the program knows.
mod docs;
/// What runs again after which change: assertions on the event log.
mod incremental;
/// Every kind in the registry: names, summaries, examples that run, keys that change only on purpose.
mod kinds;
/// Published numbers on real data, where such data lie beside the checkout.
mod published;
/// The studies and templates we ship.
mod shipped_specs;

/// A file that nobody declares is a test that never runs.
#[test]
fn every_test_file_is_declared() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for folder in ["cli", "incremental", "determinism", "crash", "docs", "published"] {
        let list = std::fs::read_to_string(root.join(folder).join("mod.rs")).expect("every folder has a mod.rs");
        for entry in std::fs::read_dir(root.join(folder)).expect("the folder is there") {
            let name = entry.expect("readable").file_name().into_string().expect("file names are plain");
            let Some(stem) = name.strip_suffix(".rs") else { continue };
            assert!(stem == "mod" || list.contains(&format!("mod {stem};")), "tests/{folder}/{name} is not declared");
        }
    }
}
