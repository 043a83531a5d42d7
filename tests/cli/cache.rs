use crate::support::{STAGES, STUDY, Sandbox, edited};

#[test]
fn the_folder_is_the_one_given() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.duress(&["cache", "path", "--cache", "elsewhere"]).stdout, "elsewhere\n");
    assert_eq!(sandbox.duress(&["cache", "path"]).stdout, format!("{}\n", sandbox.cache().display()));
}

#[test]
fn results_are_listed_by_kind() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&["--only", "clean"]);
    let output = sandbox.duress(&["cache", "list"]);
    assert!(output.stdout.contains("evaluate") && output.stdout.contains("train"), "{}", output.stdout);
    let entries = sandbox.duress(&["cache", "list", "--entries"]);
    assert!(entries.stdout.lines().count() >= 11, "{}", entries.stdout);
}

#[test]
fn gc_keeps_what_a_study_uses_and_says_what_goes() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    sandbox.write("other.toml", &edited(STUDY, "seed = [0, 1]", "seed = [1]"));
    let dry = sandbox.duress(&["cache", "gc", "--keep", "other.toml", "--dry-run"]);
    assert!(dry.stdout.contains("would remove 15 results that no study to keep uses"), "{}", dry.stdout);
    let gone = sandbox.duress(&["cache", "gc", "--keep", "other.toml"]);
    assert_eq!(gone.code, 0, "{}", gone.stderr);
    assert_eq!(sandbox.run(&[]).total("hits"), 16);
}

#[test]
fn an_exported_study_is_all_hits_elsewhere() {
    let sandbox = Sandbox::with(STUDY);
    let early = sandbox.duress(&["cache", "export", "study.toml", "small.duress"]);
    assert_eq!(early.code, 6, "{}", early.stderr);
    sandbox.run(&[]);
    let tables = sandbox.tables(STAGES);
    let output = sandbox.duress(&["cache", "export", "study.toml", "small.duress"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let elsewhere = Sandbox::with(STUDY);
    std::fs::copy(sandbox.path("small.duress"), elsewhere.path("small.duress")).expect("a file can be copied");
    let output = elsewhere.duress(&["cache", "import", "small.duress"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(elsewhere.run(&[]).total("computed"), 0);
    assert_eq!(elsewhere.tables(STAGES), tables);
}
