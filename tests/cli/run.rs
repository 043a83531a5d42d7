use crate::support::{STUDY, Sandbox, edited};

#[test]
fn a_run_ends_in_a_summary() {
    let sandbox = Sandbox::with(STUDY);
    let first = sandbox.duress(&["run", "study.toml", "--threads", "1", "--jobs", "1"]);
    assert_eq!(first.stderr.lines().filter(|line| line.starts_with("computed ")).count(), 31);
    insta::assert_snapshot!(crate::support::redacted(&first.stdout), @"small: 0 hits, 31 computed in [TIME]");
    insta::assert_snapshot!(sandbox.duress(&["run", "study.toml"]).whole(), @"
    --- stdout
    small: 31 hits, 0 computed in [TIME] ([TIME] saved)
    --- code 0
    ");
    insta::assert_snapshot!(sandbox.duress(&["run", "study.toml", "--quiet"]).whole(), @"--- code 0");
}

#[test]
fn expectations_are_told_and_decide_the_exit_code() {
    let spec = format!(
        "{STUDY}\n[[expect]]\nname = \"better than guessing\"\ntable = \"clean\"\nmetric = \"accuracy\"\nat_least = 0.2\n"
    );
    let spec =
        format!("{spec}\n[[expect]]\nname = \"perfect\"\ntable = \"clean\"\nmetric = \"accuracy\"\nat_least = 1.0\n");
    let sandbox = Sandbox::with(&spec);
    let output = sandbox.duress(&["run", "study.toml", "--quiet"]);
    assert_eq!(output.code, 4, "{}", output.stdout);
    assert!(output.stdout.contains("expect perfect: not met"), "{}", output.stdout);
    let output = sandbox.duress(&["run", "study.toml"]);
    assert!(output.stdout.contains("expect better than guessing: met"), "{}", output.stdout);
}

#[test]
fn only_runs_a_stage_and_what_it_needs() {
    let sandbox = Sandbox::with(STUDY);
    let log = sandbox.run(&["--only", "clean"]);
    assert_eq!(log.sections().into_iter().collect::<Vec<_>>(), ["clean", "digits", "thin", "train"]);
}

#[test]
fn a_failure_ends_in_code_1_and_spares_nothing_that_needs_it() {
    // A learning rate that overflows at once.
    let sandbox = Sandbox::with(&edited(STUDY, "lr = 0.003", "lr = 1e30"));
    let output = sandbox.duress(&["run", "study.toml", "--keep-going"]);
    assert_eq!(output.code, 1, "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.contains("failed train[seed=0]: ") && output.stdout.contains("skipped"), "{}", output.stdout);
}

#[test]
fn verify_computes_hits_again_and_compares() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    let log = sandbox.run(&["--verify", "3"]);
    assert_eq!(log.instances("started").len(), 3);
}

#[test]
fn the_last_line_of_json_is_the_end_of_the_run() {
    let sandbox = Sandbox::with(STUDY);
    let output = sandbox.duress(&["run", "study.toml", "--json"]);
    let last = output.stdout.lines().last().expect("there are events");
    assert!(last.starts_with("{\"event\":\"run-finished\",\"hits\":0,\"computed\":31,\"failed\":0,"), "{last}");
    assert_eq!(output.stderr, "");
}
