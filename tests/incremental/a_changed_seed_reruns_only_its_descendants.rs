use crate::support::{STUDY, Sandbox, edited};

#[test]
fn a_changed_seed_reruns_only_its_descendants() {
    let sandbox = Sandbox::with(STUDY);
    let all = sandbox.run(&[]).total("computed");
    sandbox.write("study.toml", &edited(STUDY, "seed = [0, 1]", "seed = [0, 2]"));
    let log = sandbox.run(&[]);
    assert!(log.computed().iter().all(|label| label.contains("seed=2")), "{:?}", log.computed());
    assert!(log.instances("hit").iter().all(|label| !label.contains("seed=2")));
    // Everything but the data depends on the seed, half of it on this one.
    assert_eq!(log.total("computed"), (all - 1) / 2);
    let why = log.why("train[seed=2]");
    assert!(why.contains("seed") && why.contains('2'), "{why}");
}
