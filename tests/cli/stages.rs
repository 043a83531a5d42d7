use crate::support::Sandbox;

#[test]
fn kinds_are_listed() {
    insta::assert_snapshot!(Sandbox::new().duress(&["stages"]).whole(), @"");
}

#[test]
fn a_kind_documents_every_key() {
    insta::assert_snapshot!(Sandbox::new().duress(&["stages", "prune"]).whole(), @"");
}

#[test]
fn a_slip_is_understood() {
    insta::assert_snapshot!(Sandbox::new().duress(&["stages", "trian"]).whole(), @"");
}

#[test]
fn the_schema_is_json_and_knows_every_kind() {
    let output = Sandbox::new().duress(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&output.stdout).expect("the schema is JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for kind in duress::stages::REGISTRY.kinds {
        assert!(output.stdout.contains(&format!("\"{}\"", kind.name)), "{}", kind.name);
    }
}

#[test]
fn completions_are_written_for_common_shells() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = Sandbox::new().duress(&["completions", shell]);
        assert!(output.code == 0 && output.stdout.contains("duress"), "{shell}");
    }
}
