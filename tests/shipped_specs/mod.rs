//! Every study and template we ship checks and plans; the small ones run.

use duress::commands::TEMPLATES;

use crate::support::Sandbox;

#[test]
fn every_template_is_written_checks_and_is_never_overwritten() {
    for template in TEMPLATES {
        let sandbox = Sandbox::new();
        let output = sandbox.duress(&["new", "study.toml", "--template", template.name]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        let output = sandbox.duress(&["check", "study.toml"]);
        assert_eq!(output.code, 0, "{}: {}", template.name, output.stderr);
        assert_eq!(sandbox.duress(&["new", "study.toml", "--template", template.name]).code, 1);
    }
}

#[test]
fn the_starter_runs() {
    let sandbox = Sandbox::new();
    sandbox.duress(&["new", "study.toml"]);
    sandbox.run(&[]);
}

#[test]
#[ignore = "a study of its own; takes a minute in a debug build"]
fn the_lottery_template_runs_and_prunes_round_by_round() {
    let sandbox = Sandbox::new();
    sandbox.duress(&["new", "study.toml", "--template", "lottery"]);
    sandbox.run(&[]);
}

#[test]
fn every_spec_in_the_repository_checks() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let sandbox = Sandbox::new();
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).expect("specs/ is there") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|end| end == "toml") {
            let output = sandbox.duress(&["check", path.to_str().expect("plain names")]);
            assert_eq!(output.code, 0, "{}", output.stderr);
            checked += 1;
        }
    }
    assert!(checked >= 2);
}

#[test]
fn the_study_of_crash_bounds_on_a_convolutional_network_runs_and_expects_what_comes_out() {
    let spec = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("specs/crash-bounds.toml");
    let sandbox = Sandbox::with(&std::fs::read_to_string(spec).expect("we ship it"));
    sandbox.run(&[]);
}
