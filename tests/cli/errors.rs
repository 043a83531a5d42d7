use crate::support::{STUDY, Sandbox};

#[test]
fn a_spec_that_is_not_there() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(sandbox.duress(&["run", "absent.toml"]).whole(), @"
    --- stderr
    error: failed to read absent.toml: No such file or directory (os error 2)
    help: check the path; `duress new FILE` writes a spec to start from
    --- code 1
    ");
}

#[test]
fn a_spec_that_is_not_text() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("study.toml"), b"[study]\nname = \"\xff\"\n").expect("the sandbox can be written");
    insta::assert_snapshot!(sandbox.duress(&["check", "study.toml"]).whole(), @"
    --- stderr
    error: failed to read study.toml: it is not UTF-8 text (byte 16 is the first that is not)
    help: save the file as UTF-8
    --- code 1
    ");
}

#[test]
fn a_stage_that_is_not_there() {
    let sandbox = Sandbox::with(STUDY);
    insta::assert_snapshot!(sandbox.duress(&["run", "study.toml", "--only", "atacked"]).whole(), @"
    --- stderr
    error: there is no stage `atacked`
    help: did you mean `attacked`?
    --- code 2
    ");
}

#[test]
fn a_cache_that_is_a_file() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.write("cache", "no folder");
    let output = sandbox.duress(&["run", "study.toml"]);
    assert_eq!(output.code, 5, "{}", output.stderr);
    assert!(output.stderr.starts_with("error: failed to use the cache: "), "{}", output.stderr);
}

#[test]
fn a_command_line_that_makes_no_sense() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(sandbox.duress(&["run", "study.toml", "--threads", "0"]).whole(), @"
    --- stderr
    error: invalid value '0' for '--threads <N>': 0 is not in 1..=4096

    For more information, try '--help'.
    --- code 2
    ");
    assert_eq!(sandbox.duress(&["rum"]).code, 2);
    assert_eq!(sandbox.duress(&[]).code, 2);
    assert_eq!(sandbox.duress(&["--help"]).code, 0);
}

/// `duress stages | head -1` must not end in a panic or an error.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let sandbox = Sandbox::new();
    for arguments in [&["schema"][..], &["stages", "train"], &["completions", "bash"]] {
        let mut child = sandbox
            .command(arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("the program ends");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
