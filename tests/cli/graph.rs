use crate::support::{STUDY, Sandbox};

#[test]
fn sections_with_their_axes_in_mermaid() {
    let sandbox = Sandbox::with(STUDY);
    insta::assert_snapshot!(sandbox.duress(&["graph", "study.toml", "--format", "mermaid"]).whole(), @"");
}

#[test]
fn sections_in_dot() {
    let sandbox = Sandbox::with(STUDY);
    insta::assert_snapshot!(sandbox.duress(&["graph", "study.toml"]).whole(), @"");
}

#[test]
fn an_svg_is_drawn_to_a_file_whose_name_says_so() {
    let sandbox = Sandbox::with(STUDY);
    let output = sandbox.duress(&["graph", "study.toml", "-o", "graph.svg"]);
    assert_eq!((output.code, output.stdout.as_str()), (0, ""));
    let svg = std::fs::read_to_string(sandbox.path("graph.svg")).expect("the picture was written");
    assert!(svg.starts_with("<svg ") && svg.contains("seed ×2, sparsity ×2") && svg.trim_end().ends_with("</svg>"));
}

#[test]
fn every_instance_on_request() {
    let sandbox = Sandbox::with(STUDY);
    let output = sandbox.duress(&["graph", "study.toml", "--instances"]);
    assert_eq!(output.stdout.matches("train[seed=").count(), 2);
}
