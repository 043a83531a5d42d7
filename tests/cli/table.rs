use crate::support::{STUDY, Sandbox};

#[test]
fn a_stage_over_its_axes_in_every_format() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&["--only", "thin"]);
    let one = ["--where", "seed=0", "--where", "sparsity=0.5"];
    let table = |format: &str| {
        sandbox.duress(&[&["table", "study.toml", "thin.layers", "--format", format], &one[..]].concat())
    };
    insta::assert_snapshot!(table("markdown").whole(), @"");
    insta::assert_snapshot!(table("csv").whole(), @"");
    insta::assert_snapshot!(table("latex").whole(), @"");
    let whole = sandbox.duress(&["table", "study.toml", "thin.layers", "--format", "csv"]);
    assert_eq!(whole.stdout.lines().count(), 4 * (table("csv").stdout.lines().count() - 1) + 1);
}

#[test]
fn what_was_not_run_is_told_with_the_command_that_runs_it() {
    let sandbox = Sandbox::with(STUDY);
    insta::assert_snapshot!(sandbox.duress(&["table", "study.toml", "attacked"]).whole(), @"");
}

#[test]
fn unknown_names_are_told_with_what_there_is() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&["--only", "clean"]);
    insta::assert_snapshot!(sandbox.duress(&["table", "study.toml", "claen"]).whole(), @"");
    let output = sandbox.duress(&["table", "study.toml", "clean", "--where", "depth=3"]);
    assert_eq!(output.code, 2);
    assert!(output.stderr.contains("no column `depth`"), "{}", output.stderr);
    let output = sandbox.duress(&["table", "study.toml", "clean.nothing"]);
    assert_ne!(output.code, 0);
    assert!(output.stderr.contains("nothing"), "{}", output.stderr);
}
