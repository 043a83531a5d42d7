use std::fs;

use crate::support::{STAGES, STUDY, Sandbox, files};

#[test]
fn a_flipped_byte_is_found_named_and_healed() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    let expected = sandbox.tables(STAGES);
    let objects: Vec<_> = files(&sandbox.cache())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "parquet"))
        .collect();
    assert!(objects.len() > 10);
    for path in &objects {
        let mut bytes = fs::read(path).expect("objects can be read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        let _ = fs::remove_file(path);
        fs::write(path, bytes).expect("objects can be replaced");
    }
    let output = sandbox.duress(&["cache", "verify"]);
    assert_eq!(output.code, 5, "{}{}", output.stdout, output.stderr);
    for path in &objects {
        let name = path.file_stem().expect("objects have names").to_string_lossy().into_owned();
        assert!(output.stdout.contains(&name), "{name} is not named in {}", output.stdout);
    }
    let log = sandbox.run(&[]);
    assert!(log.total("computed") > 0);
    assert_eq!(sandbox.tables(STAGES), expected);
    assert_eq!(sandbox.duress(&["cache", "verify"]).code, 0);
}

#[test]
fn a_flipped_byte_met_by_a_run_is_computed_again() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    let expected = sandbox.tables(STAGES);
    for path in files(&sandbox.cache()).into_iter().filter(|path| path.extension().is_some_and(|end| end == "parquet"))
    {
        let mut bytes = fs::read(&path).expect("objects can be read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).expect("objects can be replaced");
    }
    // New seeds read the damaged data recipe; what they need is computed again on the way.
    sandbox.write("study.toml", &crate::support::edited(STUDY, "seed = [0, 1]", "seed = [0, 1, 2]"));
    sandbox.run(&[]);
    sandbox.write("study.toml", STUDY);
    let output = sandbox.duress(&["cache", "verify"]);
    assert!([0, 5].contains(&output.code));
    sandbox.run(&[]);
    assert_eq!(sandbox.tables(STAGES), expected);
}
