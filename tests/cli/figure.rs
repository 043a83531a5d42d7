use std::fs;

use crate::support::{STUDY, Sandbox};

const FIGURES: &str = r#"
[figure.robustness]
table = "attacked"
x = "eps"
y = "robust_accuracy"
series = "sparsity"
band = "ci95"

[figure.density]
table = "thin.layers"
x = "layer"
y = "density"
panel = "sparsity"
kind = "bar"
"#;

fn sandbox() -> Sandbox {
    Sandbox::with(&format!("{STUDY}{FIGURES}"))
}

#[test]
fn every_figure_becomes_a_file_of_its_name_and_a_second_time_the_same_bytes() {
    let sandbox = sandbox();
    sandbox.run(&["--only", "attacked"]);
    let draw = || {
        let output = sandbox.duress(&["figure", "study.toml"]);
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (0, "figures/robustness.svg\nfigures/density.svg\n"),
            "{}",
            output.stderr
        );
        ["figures/robustness.svg", "figures/density.svg"]
            .map(|name| fs::read_to_string(sandbox.path(name)).expect("the figure was written"))
    };
    let [robustness, density] = draw();
    assert!(robustness.contains("robust accuracy") && robustness.contains("over seed"), "{robustness}");
    assert!(density.contains("sparsity = 50%") && density.contains("hidden.1"), "{density}");
    assert_eq!(draw(), [robustness, density]);
}

#[test]
fn one_figure_that_cannot_be_drawn_does_not_keep_the_others_from_it() {
    let sandbox = sandbox();
    sandbox.run(&["--only", "thin"]);
    let output = sandbox.duress(&["figure", "study.toml", "-o", "plots"]);
    assert_eq!((output.code, output.stdout.as_str()), (6, "plots/density.svg\n"));
    assert!(output.stderr.contains("`attacked` has not been computed yet"), "{}", output.stderr);
    assert!(output.stderr.contains("duress run study.toml --only attacked"), "{}", output.stderr);
}

#[test]
fn figures_are_picked_by_name() {
    let sandbox = sandbox();
    sandbox.run(&["--only", "thin"]);
    let output = sandbox.duress(&["figure", "study.toml", "density"]);
    assert_eq!((output.code, output.stdout.as_str()), (0, "figures/density.svg\n"), "{}", output.stderr);
    let output = sandbox.duress(&["figure", "study.toml", "densty"]);
    assert_eq!(output.code, 2);
    assert!(output.stderr.contains("did you mean `density`?"), "{}", output.stderr);
    let bare = Sandbox::with(STUDY).duress(&["figure", "study.toml"]);
    assert_eq!(bare.code, 2);
    assert!(bare.stderr.contains("the spec has no figures"), "{}", bare.stderr);
}
