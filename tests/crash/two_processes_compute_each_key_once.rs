use std::process::Stdio;

use crate::support::{Log, STUDY, Sandbox};

#[test]
fn two_processes_compute_each_key_once() {
    let alone = Sandbox::with(STUDY);
    let expected = alone.run(&[]).computed_keys();
    let shared = Sandbox::with(STUDY);
    let start = || {
        let mut command = shared.command(&["run", "study.toml", "--json", "--threads", "2"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
    };
    let children = [start(), start()];
    let mut computed = std::collections::BTreeMap::new();
    for child in children {
        let output = child.wait_with_output().expect("the program ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for (key, times) in Log::parse(&String::from_utf8_lossy(&output.stdout)).computed_keys() {
            *computed.entry(key).or_insert(0) += times;
        }
    }
    assert_eq!(computed, expected);
}
