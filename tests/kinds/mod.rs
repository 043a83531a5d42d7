//! Every kind of stage, by looping over the registry.

mod attacks;
mod protections;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use duress::stages::REGISTRY;
use duress_engine::stage::Kind;

use crate::support::Sandbox;

fn all() -> impl Iterator<Item = &'static Kind> {
    REGISTRY.kinds.iter().chain(REGISTRY.sources.iter().map(|source| &source.kind))
}

#[test]
fn names_are_unique_and_kebab_case() {
    let names: Vec<&str> = all().map(|kind| kind.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    let plain =
        |name: &str| name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-');
    assert!(names.iter().all(|name| plain(name)), "{names:?}");
}

#[test]
fn summaries_fit_a_line_and_outputs_are_documented() {
    for kind in all() {
        assert!(!kind.summary.is_empty() && kind.summary.chars().count() <= 72, "{}: {}", kind.name, kind.summary);
        assert!(!kind.outputs.is_empty(), "{}", kind.name);
        assert!(kind.outputs.iter().all(|output| !output.doc.is_empty()), "{}", kind.name);
    }
}

#[test]
fn every_key_is_documented() {
    for kind in all() {
        for field in kind.record().fields {
            assert!(!field.doc.trim().is_empty(), "{}.{}", kind.name, field.name);
        }
    }
}

#[test]
fn every_kind_has_its_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stages");
    for kind in all() {
        assert!(folder.join(kind.name).is_dir(), "src/stages/{} is missing", kind.name);
    }
}

/// Runs every example and compares the keys of its stages with those of last time: an accidental change of identity
/// would silently throw away every user's cache.
#[test]
fn every_example_runs_and_its_keys_change_only_on_purpose() {
    let mut found = String::new();
    for kind in all() {
        let sandbox = Sandbox::with(kind.example);
        beside_the_example(kind, &sandbox);
        let log = sandbox.run(&[]);
        assert!(log.total("computed") > 0, "{}", kind.name);
        for event in log.events.iter().filter(|event| event["event"] == "computed") {
            let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
            let _ = writeln!(found, "{} {} {} {}", kind.name, kind.revision, text("instance"), text("key"));
        }
    }
    let mut lines: Vec<&str> = found.lines().collect();
    lines.sort_unstable();
    compare(&(lines.join("\n") + "\n"));
}

/// Copies what lies beside the example in the kind's folder and is no source: files that it reads.
fn beside_the_example(kind: &Kind, sandbox: &Sandbox) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stages").join(kind.name);
    for entry in fs::read_dir(folder).expect("every kind has its folder") {
        let path = entry.expect("readable").path();
        if path.is_file() && path.extension().is_none_or(|end| end != "rs" && end != "toml") {
            let name = path.file_name().and_then(|name| name.to_str()).expect("file names are plain");
            fs::copy(&path, sandbox.path(name)).expect("the sandbox can be written");
        }
    }
}

fn compare(found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_keys.txt");
    let golden = fs::read_to_string(&path).unwrap_or_default();
    if golden == found {
        return;
    }
    let new = path.with_extension("txt.new");
    fs::write(&new, found).expect("the tests folder can be written");
    panic!(
        "keys have changed: every cache that holds them would be computed again.\n\
         If results have changed too, raise the kind's REVISION. If they have not, find out why the key did.\n\
         To accept: mv {} {}\n--- was\n{golden}\n--- is\n{found}",
        new.display(),
        path.display()
    );
}
