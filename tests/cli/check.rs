use crate::support::{STUDY, Sandbox, edited};

#[test]
fn a_sound_spec_is_counted() {
    let sandbox = Sandbox::with(STUDY);
    insta::assert_snapshot!(sandbox.duress(&["check", "study.toml"]).whole(), @"
    --- stdout
    study.toml: ok (9 stages, 31 instances)
    --- code 0
    ");
}

#[test]
fn every_fault_of_every_spec_is_drawn() {
    let sandbox = Sandbox::with(&edited(STUDY, "epochs = 3", "epoch = 3"));
    sandbox.write("other.toml", &edited(STUDY, "weights = \"train\"\ncriterion", "weights = \"trian\"\ncriterion"));
    sandbox.write("sound.toml", STUDY);
    insta::assert_snapshot!(sandbox.duress(&["check", "study.toml", "other.toml", "sound.toml"]).whole(), @r#"
    --- stdout
    sound.toml: ok (9 stages, 31 instances)
    --- stderr
      × 2 mistakes in study.toml

    Error: one-length

      × `train` needs a length
        ╭─[study.toml:17:1]
     16 │ 
     17 │ [stage.train]
        · ──────┬──────
        ·       ╰── neither `epochs` nor `steps`
     18 │ kind = "train"
        ╰────
      help: write `epochs = 10` or `steps = 5_000`, not both

    Error: unknown-key

      × `epoch` is not a key of `train`
        ╭─[study.toml:22:1]
     21 │ seed = "{seed}"
     22 │ epoch = 3
        · ──┬──
        ·   ╰── did you mean `epochs`?
     23 │ batch = 32
        ╰────
      help: `duress stages train` lists every key
      × 1 mistake in other.toml

    Error: unknown-stage

      × there is no stage or data set `trian`
        ╭─[other.toml:28:11]
     27 │ kind = "prune"
     28 │ weights = "trian"
        ·           ───┬───
        ·              ╰── did you mean `train`?
     29 │ criterion = "magnitude"
        ╰────
      help: add a table `[stage.trian]` or `[data.trian]`
    --- code 3
    "#);
}

#[test]
fn colours_are_written_only_when_asked_for() {
    let sandbox = Sandbox::with("[study]\n");
    let plain = sandbox.duress(&["check", "study.toml"]);
    let coloured = sandbox.duress(&["check", "study.toml", "--color", "always"]);
    assert!(!plain.stderr.contains('\u{1b}') && coloured.stderr.contains('\u{1b}'));
}
