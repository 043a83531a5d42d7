//! What protections take off the bit that nearly all critical faults of the published campaigns are in.

use super::{RESNET20, resnet20, shared};
use crate::support::Sandbox;

#[test]
#[ignore = "runs a hundred faults under five protections on a published network; takes a minute"]
fn range_restriction_removes_most_of_what_the_top_exponent_bit_does_to_resnet20() {
    let Some(shared) = shared(&RESNET20) else { return };
    let sandbox = Sandbox::with(&format!(
        r#"
{head}
[stage.shielded]
kind = "inject"
weights = "published"
data = "images.test"
bits = 30
sampling = {{ random = 120 }}
samples = 200
protect = [
  {{ name = "ranger", data = "images.train", samples = 1000 }},
  {{ name = "ranger", label = "ranger by channel", data = "images.train", samples = 1000, per_channel = true }},
  {{ name = "clip", data = "images.train", samples = 1000 }},
  {{ name = "mset" }},
]
"#,
        head = resnet20(&shared)
    ));
    sandbox.run(&[]);
    let table = sandbox.duress(&["table", "study.toml", "shielded.protections", "--format", "csv"]).stdout;
    let mut rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = rows.next().expect("a header");
    let at = |name: &str| head.iter().position(|column| *column == name).expect("a column");
    let rows: Vec<Vec<&str>> = rows.collect();
    let value = |protection: &str, metric: &str| -> f64 {
        let row = rows.iter().find(|row| {
            row[at("protection")] == protection && row[at("metric")] == metric && row[at("bit")].is_empty()
        });
        row.unwrap_or_else(|| panic!("{table}"))[at("value")].parse().expect("a number")
    };
    // 40.1 % over 518 published faults of this bit, with a standard error of some 4 % over as few as here.
    let unprotected = value("none", "critical_rate");
    assert!((unprotected - 0.401).abs() < 0.12, "{table}");
    // A channel at its bound everywhere still misleads; one at zero hardly does.
    for (shield, left) in [("ranger", 0.65), ("ranger by channel", 0.45), ("clip", 0.05)] {
        assert!(value(shield, "critical_ratio") < left, "{table}");
        assert!(value(shield, "clean_accuracy_change").abs() < 0.02, "{table}");
        assert!(value(shield, "non_finite_rate").abs() < 1e-12, "{table}");
    }
    assert!(value("mset", "critical_rate").abs() < 1e-12 && value("mset", "memory_cost").abs() < 1e-12, "{table}");
}
