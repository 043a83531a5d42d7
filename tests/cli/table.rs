use crate::support::{STUDY, Sandbox};

#[test]
#[expect(clippy::too_many_lines, reason = "a snapshot is as long as what it shows")]
fn a_stage_over_its_axes_in_every_format() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&["--only", "thin"]);
    let one = ["--where", "seed=0", "--where", "sparsity=0.5"];
    let table = |format: &str| {
        sandbox.duress(&[&["table", "study.toml", "thin.layers", "--format", format], &one[..]].concat())
    };
    insta::assert_snapshot!(table("markdown").whole(), @"
    --- stdout
    | seed | sparsity | metric      | layer    | value |    n |
    | ---: | -------: | ----------- | -------- | ----: | ---: |
    |    0 |      0.5 | kept        | hidden.1 |   512 | 1024 |
    |    0 |      0.5 | removed     | hidden.1 |   512 | 1024 |
    |    0 |      0.5 | density     | hidden.1 |   0.5 | 1024 |
    |    0 |      0.5 | sparsity    | hidden.1 |   0.5 | 1024 |
    |    0 |      0.5 | compression | hidden.1 |     2 | 1024 |
    |    0 |      0.5 | macs        | hidden.1 |   512 | 1024 |
    |    0 |      0.5 | mac_ratio   | hidden.1 |     2 | 1024 |
    |    0 |      0.5 | collapsed   | hidden.1 |     0 | 1024 |
    |    0 |      0.5 | kept        | output   |    80 |  160 |
    |    0 |      0.5 | removed     | output   |    80 |  160 |
    |    0 |      0.5 | density     | output   |   0.5 |  160 |
    |    0 |      0.5 | sparsity    | output   |   0.5 |  160 |
    |    0 |      0.5 | compression | output   |     2 |  160 |
    |    0 |      0.5 | macs        | output   |    80 |  160 |
    |    0 |      0.5 | mac_ratio   | output   |     2 |  160 |
    |    0 |      0.5 | collapsed   | output   |     0 |  160 |
    |    0 |      0.5 | kept        |          |   592 | 1184 |
    |    0 |      0.5 | removed     |          |   592 | 1184 |
    |    0 |      0.5 | density     |          |   0.5 | 1184 |
    |    0 |      0.5 | sparsity    |          |   0.5 | 1184 |
    |    0 |      0.5 | compression |          |     2 | 1184 |
    |    0 |      0.5 | macs        |          |   592 | 1184 |
    |    0 |      0.5 | mac_ratio   |          |     2 | 1184 |
    |    0 |      0.5 | collapsed   |          |     0 | 1184 |
    --- code 0
    ");
    insta::assert_snapshot!(table("csv").whole(), @"
    --- stdout
    seed,sparsity,metric,layer,value,n
    0,0.5,kept,hidden.1,512.0,1024
    0,0.5,removed,hidden.1,512.0,1024
    0,0.5,density,hidden.1,0.5,1024
    0,0.5,sparsity,hidden.1,0.5,1024
    0,0.5,compression,hidden.1,2.0,1024
    0,0.5,macs,hidden.1,512.0,1024
    0,0.5,mac_ratio,hidden.1,2.0,1024
    0,0.5,collapsed,hidden.1,0.0,1024
    0,0.5,kept,output,80.0,160
    0,0.5,removed,output,80.0,160
    0,0.5,density,output,0.5,160
    0,0.5,sparsity,output,0.5,160
    0,0.5,compression,output,2.0,160
    0,0.5,macs,output,80.0,160
    0,0.5,mac_ratio,output,2.0,160
    0,0.5,collapsed,output,0.0,160
    0,0.5,kept,,592.0,1184
    0,0.5,removed,,592.0,1184
    0,0.5,density,,0.5,1184
    0,0.5,sparsity,,0.5,1184
    0,0.5,compression,,2.0,1184
    0,0.5,macs,,592.0,1184
    0,0.5,mac_ratio,,2.0,1184
    0,0.5,collapsed,,0.0,1184
    --- code 0
    ");
    insta::assert_snapshot!(table("latex").whole(), @r"
    --- stdout
    \begin{tabular}{rrllrr}
    \toprule
    seed & sparsity & metric & layer & value & n \\
    \midrule
    0 & 0.5 & kept & hidden.1 & 512 & 1024 \\
    0 & 0.5 & removed & hidden.1 & 512 & 1024 \\
    0 & 0.5 & density & hidden.1 & 0.5 & 1024 \\
    0 & 0.5 & sparsity & hidden.1 & 0.5 & 1024 \\
    0 & 0.5 & compression & hidden.1 & 2 & 1024 \\
    0 & 0.5 & macs & hidden.1 & 512 & 1024 \\
    0 & 0.5 & mac\_ratio & hidden.1 & 2 & 1024 \\
    0 & 0.5 & collapsed & hidden.1 & 0 & 1024 \\
    0 & 0.5 & kept & output & 80 & 160 \\
    0 & 0.5 & removed & output & 80 & 160 \\
    0 & 0.5 & density & output & 0.5 & 160 \\
    0 & 0.5 & sparsity & output & 0.5 & 160 \\
    0 & 0.5 & compression & output & 2 & 160 \\
    0 & 0.5 & macs & output & 80 & 160 \\
    0 & 0.5 & mac\_ratio & output & 2 & 160 \\
    0 & 0.5 & collapsed & output & 0 & 160 \\
    0 & 0.5 & kept &  & 592 & 1184 \\
    0 & 0.5 & removed &  & 592 & 1184 \\
    0 & 0.5 & density &  & 0.5 & 1184 \\
    0 & 0.5 & sparsity &  & 0.5 & 1184 \\
    0 & 0.5 & compression &  & 2 & 1184 \\
    0 & 0.5 & macs &  & 592 & 1184 \\
    0 & 0.5 & mac\_ratio &  & 2 & 1184 \\
    0 & 0.5 & collapsed &  & 0 & 1184 \\
    \bottomrule
    \end{tabular}
    --- code 0
    ");
    let whole = sandbox.duress(&["table", "study.toml", "thin.layers", "--format", "csv"]);
    assert_eq!(whole.stdout.lines().count(), 4 * (table("csv").stdout.lines().count() - 1) + 1);
}

#[test]
fn what_was_not_run_is_told_with_the_command_that_runs_it() {
    let sandbox = Sandbox::with(STUDY);
    insta::assert_snapshot!(sandbox.duress(&["table", "study.toml", "attacked"]).whole(), @"
    --- stderr
    error: `attacked` has not been computed yet: 4 of 4 instances are not in the cache
    help: run it first: duress run study.toml --only attacked
    --- code 6
    ");
}

#[test]
fn unknown_names_are_told_with_what_there_is() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&["--only", "clean"]);
    insta::assert_snapshot!(sandbox.duress(&["table", "study.toml", "claen"]).whole(), @"
    --- stderr
    error: there is no stage `claen`
    help: did you mean `clean`?
    --- code 2
    ");
    let output = sandbox.duress(&["table", "study.toml", "clean", "--where", "depth=3"]);
    assert_eq!(output.code, 2);
    assert!(output.stderr.contains("no column `depth`"), "{}", output.stderr);
    let output = sandbox.duress(&["table", "study.toml", "clean.nothing"]);
    assert_ne!(output.code, 0);
    assert!(output.stderr.contains("nothing"), "{}", output.stderr);
}
