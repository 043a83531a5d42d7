use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The functions that are given a fault's code as their first argument, or as the first after `cx`, and whether a code is all they are given there:
/// the others take a noun as well, which has no hyphen.
const MAKERS: [(&str, bool); 4] = [("Fault::new(", true), ("unknown(", false), ("fault(", false), ("report(", true)];

#[test]
fn every_fault_has_an_entry_and_every_entry_a_fault() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut made = BTreeSet::from(["toml-syntax".to_owned()]);
    for folder in ["engine/src", "src"] {
        collect(&root.join(folder), &mut made);
    }
    let page = fs::read_to_string(root.join("docs/errors.md")).expect("docs/errors.md is there");
    let told: BTreeSet<String> =
        page.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect();
    let untold: Vec<_> = made.difference(&told).collect();
    let stale: Vec<_> = told.difference(&made).collect();
    assert!(untold.is_empty() && stale.is_empty(), "no entry in docs/errors.md: {untold:?}; no such fault: {stale:?}");
    assert!(made.len() > 60, "the search finds the faults: {made:?}");
}

/// Adds the codes in the files of `folder`, tests aside.
fn collect(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("readable").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.is_dir() {
            collect(&path, codes);
        } else if path.extension().is_some_and(|end| end == "rs") && !["tests", "testing"].contains(&stem) {
            let text = fs::read_to_string(&path).expect("sources are text");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for (maker, always) in MAKERS {
                let words = code.split(maker).skip(1).filter_map(first_argument);
                codes.extend(words.filter(|word| always || word.contains('-')));
            }
        }
    }
}

/// The string that a call begins with, if it begins with one that could be a code.
fn first_argument(call: &str) -> Option<String> {
    let call = call.trim_start();
    let call = call.strip_prefix("cx,").unwrap_or(call).trim_start();
    let (word, rest) = call.strip_prefix('"')?.split_once('"')?;
    let plain = word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
    (plain && !word.is_empty() && rest.trim_start().starts_with(',')).then(|| word.to_owned())
}
