use crate::support::{STUDY, Sandbox, edited};

#[test]
fn before_the_first_run_everything_is_a_miss_or_pending() {
    let sandbox = Sandbox::with(STUDY);
    insta::assert_snapshot!(sandbox.duress(&["plan", "study.toml"]).whole(), @"
    --- stdout
    small
                kind      instances  miss  pending  axes
      digits    data              1     1
      train     train             2              2  seed ×2
      thin      prune             4              4  seed ×2 sparsity ×2
      clean     evaluate          4              4  seed ×2 sparsity ×2
      attacked  perturb           4              4  seed ×2 sparsity ×2
      noisy     perturb           4              4  seed ×2 sparsity ×2
      flipped   inject            4              4  seed ×2 sparsity ×2
      crashed   inject            4              4  seed ×2 sparsity ×2
      bounds    bound             4              4  seed ×2 sparsity ×2
      total                      31     1       30
    flipped: 20 of 37 888 faults, each on 40 samples; margin 28.791 points at 99 % confidence for a rate of 0.5
    --- code 0
    ");
}

#[test]
fn after_a_change_the_plan_shows_what_is_left() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    sandbox.write("study.toml", &edited(STUDY, "sparsity = [0.0, 0.5]", "sparsity = [0.0, 0.5, 0.9]"));
    let output = sandbox.duress(&["plan", "study.toml", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&output.stdout).expect("the plan is JSON");
    let count = |name: &str| plan[name].as_u64().expect("a count");
    assert_eq!((count("hit"), count("miss"), count("pending"), count("no_data")), (31, 2, 12, 0));
    assert!(plan["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
    let output = sandbox.duress(&["plan", "study.toml", "--instances"]);
    assert_eq!(output.stdout.lines().filter(|line| line.starts_with("miss")).count(), 2);
    assert!(output.stdout.contains("pending clean[seed=0,sparsity=0.9]"), "{}", output.stdout);
}

#[test]
fn data_that_are_not_there_are_named() {
    let sandbox = Sandbox::with(&edited(STUDY, "source = \"digits\"", "source = \"mnist\""));
    let output = sandbox.duress(&["plan", "study.toml"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.contains("no data") && output.stdout.contains("duress data fetch"), "{}", output.stdout);
}
