use crate::support::{STUDY, Sandbox, edited};

#[test]
fn a_changed_epsilon_reruns_only_its_stage() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    sandbox.write("study.toml", &edited(STUDY, "eps = [0.05, 0.1]", "eps = [0.05, 0.15]"));
    let log = sandbox.run(&[]);
    assert_eq!(log.sections().into_iter().collect::<Vec<_>>(), ["attacked"]);
    assert_eq!(log.total("computed"), 4);
    let why = log.why("attacked[seed=0,sparsity=0.0]");
    assert!(why.contains("eps") && why.contains("0.1") && why.contains("0.15"), "{why}");
}
