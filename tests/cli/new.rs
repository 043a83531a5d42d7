use crate::support::Sandbox;

#[test]
fn a_spec_is_written_once() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(sandbox.duress(&["new", "mine.toml"]).whole(), @"");
    insta::assert_snapshot!(sandbox.duress(&["new", "mine.toml"]).whole(), @"");
}
