use crate::support::{STUDY, Sandbox, edited};

#[test]
fn a_new_axis_value_runs_only_new_instances() {
    let sandbox = Sandbox::with(STUDY);
    let all = sandbox.run(&[]).total("computed");
    sandbox.write("study.toml", &edited(STUDY, "sparsity = [0.0, 0.5]", "sparsity = [0.0, 0.25, 0.5]"));
    let log = sandbox.run(&[]);
    assert_eq!(log.total("hits"), all);
    assert!(log.computed().iter().all(|label| label.contains("sparsity=0.25")), "{:?}", log.computed());
}

#[test]
fn removing_an_axis_value_runs_nothing() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    sandbox.write("study.toml", &edited(STUDY, "sparsity = [0.0, 0.5]", "sparsity = [0.5]"));
    assert_eq!(sandbox.run(&[]).total("computed"), 0);
}
