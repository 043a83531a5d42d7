use crate::support::{STUDY, Sandbox};

#[test]
fn sections_with_their_axes_in_mermaid() {
    let sandbox = Sandbox::with(STUDY);
    insta::assert_snapshot!(sandbox.duress(&["graph", "study.toml", "--format", "mermaid"]).whole(), @r#"
    --- stdout
    flowchart LR
      n0[("digits<br/>data")]
      n1("train<br/>train<br/>seed ×2")
      n2("thin<br/>prune<br/>seed ×2, sparsity ×2")
      n3("clean<br/>evaluate<br/>seed ×2, sparsity ×2")
      n4("attacked<br/>perturb<br/>seed ×2, sparsity ×2")
      n5("noisy<br/>perturb<br/>seed ×2, sparsity ×2")
      n6("flipped<br/>inject<br/>seed ×2, sparsity ×2")
      n7("crashed<br/>inject<br/>seed ×2, sparsity ×2")
      n8("bounds<br/>bound<br/>seed ×2, sparsity ×2")
      n0 -->|"training"| n1
      n0 -->|"test"| n3
      n0 -->|"test"| n4
      n0 -->|"test"| n5
      n0 -->|"test"| n6
      n0 -->|"test"| n7
      n0 -->|"test"| n8
      n1 -->|"weights"| n2
      n2 -->|"weights"| n3
      n2 -->|"weights"| n4
      n2 -->|"weights"| n5
      n2 -->|"weights"| n6
      n2 -->|"weights"| n7
      n2 -->|"weights"| n8
      n7 -->|"errors"| n8
    --- code 0
    "#);
}

#[test]
fn sections_in_dot() {
    let sandbox = Sandbox::with(STUDY);
    insta::assert_snapshot!(sandbox.duress(&["graph", "study.toml"]).whole(), @r#"
    --- stdout
    digraph "small" {
      rankdir=LR;
      node [shape=box, style=rounded, fontname="sans-serif"];
      edge [fontname="sans-serif", fontsize=10];
      n0 [label="digits\ndata", shape=cylinder, style=solid];
      n1 [label="train\ntrain\nseed ×2"];
      n2 [label="thin\nprune\nseed ×2, sparsity ×2"];
      n3 [label="clean\nevaluate\nseed ×2, sparsity ×2"];
      n4 [label="attacked\nperturb\nseed ×2, sparsity ×2"];
      n5 [label="noisy\nperturb\nseed ×2, sparsity ×2"];
      n6 [label="flipped\ninject\nseed ×2, sparsity ×2"];
      n7 [label="crashed\ninject\nseed ×2, sparsity ×2"];
      n8 [label="bounds\nbound\nseed ×2, sparsity ×2"];
      n0 -> n1 [label="training"];
      n0 -> n3 [label="test"];
      n0 -> n4 [label="test"];
      n0 -> n5 [label="test"];
      n0 -> n6 [label="test"];
      n0 -> n7 [label="test"];
      n0 -> n8 [label="test"];
      n1 -> n2 [label="weights"];
      n2 -> n3 [label="weights"];
      n2 -> n4 [label="weights"];
      n2 -> n5 [label="weights"];
      n2 -> n6 [label="weights"];
      n2 -> n7 [label="weights"];
      n2 -> n8 [label="weights"];
      n7 -> n8 [label="errors"];
    }
    --- code 0
    "#);
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
