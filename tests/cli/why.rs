use crate::support::{STUDY, Sandbox, edited};

#[test]
fn the_cause_of_a_rerun_names_the_old_and_the_new_value() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&["--only", "clean"]);
    insta::assert_snapshot!(sandbox.duress(&["why", "study.toml", "thin[seed=0,sparsity=0.5]"]).code, @"0");
    sandbox.write("study.toml", &edited(STUDY, "lr = 0.003", "lr = 0.004"));
    insta::assert_snapshot!(sandbox.duress(&["why", "study.toml", "train[seed=0]"]).whole(), @"
    --- stdout
    `train[seed=0]` must run: `optimizer.adam.lr` changed from 0.003 to 0.004
    --- code 0
    ");
    insta::assert_snapshot!(sandbox.duress(&["why", "study.toml", "clean[seed=0,sparsity=0.0]"]).whole(), @"
    --- stdout
    `clean[seed=0,sparsity=0.0]` depends on `thin[seed=0,sparsity=0.0]`: it runs unless the result there comes out as before; `train[seed=0]` must run: `optimizer.adam.lr` changed from 0.003 to 0.004
    --- code 0
    ");
}

#[test]
fn nothing_to_do_is_said_so() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    insta::assert_snapshot!(sandbox.duress(&["why", "study.toml"]).whole(), @"
    --- stdout
    nothing must run: every result is in the cache
    --- code 0
    ");
}

#[test]
fn an_unknown_instance_is_told_with_what_there_is() {
    let sandbox = Sandbox::with(STUDY);
    insta::assert_snapshot!(sandbox.duress(&["why", "study.toml", "train[seed=7]"]).whole(), @"
    --- stderr
    error: there is no instance `train[seed=7]`
    help: did you mean `train[seed=0]`?
    --- code 2
    ");
}
