use crate::support::{STUDY, Sandbox, edited};

#[test]
fn the_cause_of_a_rerun_names_the_old_and_the_new_value() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&["--only", "clean"]);
    insta::assert_snapshot!(sandbox.duress(&["why", "study.toml", "thin[seed=0,sparsity=0.5]"]).code, @"0");
    sandbox.write("study.toml", &edited(STUDY, "lr = 0.003", "lr = 0.004"));
    insta::assert_snapshot!(sandbox.duress(&["why", "study.toml", "train[seed=0]"]).whole(), @"");
    insta::assert_snapshot!(sandbox.duress(&["why", "study.toml", "clean[seed=0,sparsity=0.0]"]).whole(), @"");
}

#[test]
fn nothing_to_do_is_said_so() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    insta::assert_snapshot!(sandbox.duress(&["why", "study.toml"]).whole(), @"");
}

#[test]
fn an_unknown_instance_is_told_with_what_there_is() {
    let sandbox = Sandbox::with(STUDY);
    insta::assert_snapshot!(sandbox.duress(&["why", "study.toml", "train[seed=7]"]).whole(), @"");
}
