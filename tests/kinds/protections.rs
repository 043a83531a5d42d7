//! Protections of `inject` on the faults of one campaign, from a plan that an earlier one allows.

use crate::support::Sandbox;

const STUDY: &str = r#"
[study]
name = "shields"

[data.digits]
source = "digits"

[model.small]
arch = "mlp"
hidden = [16]

[stage.train]
kind = "train"
model = "small"
data = "digits"
epochs = 8
batch = 32

[stage.campaign]
kind = "inject"
weights = "train"
data = "digits.test"
sampling = { random = 6000 }
samples = 60
seed = 1

[stage.shielded]
kind = "inject"
weights = "train"
data = "digits.test"
sampling = { random = 1500 }
samples = 60
seed = 2
protect = [
    { name = "ranger", data = "digits.train" },
    { name = "clip", data = "digits.train", per_channel = true },
    { name = "tmr", bits = [29, 30], label = "top" },
    { name = "secded" },
    { name = "mset" },
    { name = "plan", from = "campaign.faults", under = 0.002 },
]

[stage.narrow]
kind = "inject"
weights = "train"
data = "digits.test"
sampling = { random = 500 }
samples = 60
format = "int8"
protect = { name = "parity" }
"#;

/// Values of `stage.protections` over all bits, by protection and metric.
fn values(sandbox: &Sandbox, stage: &str) -> impl Fn(&str, &str) -> f64 {
    let file = sandbox.path("protections.csv");
    let output =
        sandbox.duress(&["table", "study.toml", &format!("{stage}.protections"), "-o", file.to_str().expect("plain")]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let text = std::fs::read_to_string(&file).expect("the table was written");
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let head = lines.next().expect("a header");
    let rows: Vec<Vec<String>> = lines.collect();
    move |protection, metric| {
        let at = |name: &str| head.iter().position(|column| column == name).expect("a column");
        let row = |row: &&Vec<String>| {
            row[at("protection")] == protection && row[at("metric")] == metric && row[at("bit")].is_empty()
        };
        let found = rows.iter().find(row).unwrap_or_else(|| panic!("no {metric} of {protection} in\n{text}"));
        found[at("value")].parse().unwrap_or(f64::NAN)
    }
}

#[test]
fn protections_take_their_share_off_the_same_faults_for_their_price() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    let value = values(&sandbox, "shielded");
    let unprotected = value("none", "critical_rate");
    assert!(unprotected > 0.005, "{unprotected}");
    // Single faults are what the code corrects.
    assert!(value("secded", "critical_rate").abs() < 1e-12 && value("secded", "critical_ratio").abs() < 1e-12);
    // 1184 weights in 592 blocks of 8 more bits, beside 26 biases.
    assert!((value("secded", "memory_cost") - 592.0 * 8.0 / (1210.0 * 32.0)).abs() < 1e-9);
    // What happens in the output layer, bounds of activations cannot see.
    assert!(
        value("ranger", "critical_ratio") < 0.8 && value("clip", "critical_ratio") < value("ranger", "critical_ratio")
    );
    assert!(value("ranger", "memory_cost") < value("clip", "memory_cost"));
    assert!(value("mset", "critical_ratio") < 0.3 && value("mset", "memory_cost").abs() < 1e-12);
    assert!(value("mset", "clean_accuracy_change").abs() < 0.05);
    assert!(value("top", "critical_ratio") < 0.3);
    // Planned from other faults, measured on these.
    assert!(value("plan", "planned_rate") <= 0.002 && value("plan", "critical_rate") <= 0.002);
    assert!(value("plan", "memory_cost") < 0.2, "{}", value("plan", "memory_cost"));
    let narrow = values(&sandbox, "narrow");
    assert!((narrow("parity", "memory_cost") - 1184.0 / (1184.0 * 8.0 + 64.0 + 26.0 * 32.0)).abs() < 1e-9);
    assert!(narrow("parity", "critical_rate") < 0.5);
}
