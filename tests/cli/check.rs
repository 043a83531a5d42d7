use crate::support::{STUDY, Sandbox, edited};

#[test]
fn a_sound_spec_is_counted() {
    let sandbox = Sandbox::with(STUDY);
    insta::assert_snapshot!(sandbox.duress(&["check", "study.toml"]).whole(), @"");
}

#[test]
fn every_fault_of_every_spec_is_drawn() {
    let sandbox = Sandbox::with(&edited(STUDY, "epochs = 3", "epoch = 3"));
    sandbox.write("other.toml", &edited(STUDY, "weights = \"train\"\ncriterion", "weights = \"trian\"\ncriterion"));
    sandbox.write("sound.toml", STUDY);
    insta::assert_snapshot!(sandbox.duress(&["check", "study.toml", "other.toml", "sound.toml"]).whole(), @"");
}

#[test]
fn colours_are_written_only_when_asked_for() {
    let sandbox = Sandbox::with("[study]\n");
    let plain = sandbox.duress(&["check", "study.toml"]);
    let coloured = sandbox.duress(&["check", "study.toml", "--color", "always"]);
    assert!(!plain.stderr.contains('\u{1b}') && coloured.stderr.contains('\u{1b}'));
}
