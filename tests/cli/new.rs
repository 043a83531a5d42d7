use crate::support::Sandbox;

#[test]
fn a_spec_is_written_once() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(sandbox.duress(&["new", "mine.toml"]).whole(), @"
    --- stdout
    wrote mine.toml

      duress check mine.toml
      duress run mine.toml
    --- code 0
    ");
    insta::assert_snapshot!(sandbox.duress(&["new", "mine.toml"]).whole(), @"
    --- stderr
    error: failed to write mine.toml: it exists
    help: choose another name, or remove the file first
    --- code 1
    ");
}
