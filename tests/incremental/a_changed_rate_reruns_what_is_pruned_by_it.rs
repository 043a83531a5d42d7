use crate::support::{STUDY, Sandbox, edited};

#[test]
fn a_changed_rate_reruns_what_is_pruned_by_it() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    sandbox.write("study.toml", &edited(STUDY, "sparsity = [0.0, 0.5]", "sparsity = [0.0, 0.6]"));
    let log = sandbox.run(&[]);
    assert!(log.computed().iter().all(|label| label.contains("sparsity=0.6")), "{:?}", log.computed());
    assert!(!log.sections().contains("train"));
    assert_eq!(log.instances("computed").iter().filter(|label| label.starts_with("thin")).count(), 2);
}
