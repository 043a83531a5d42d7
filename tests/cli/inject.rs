use crate::support::Sandbox;

const STUDY: &str = r#"
[study]
name = "lists"
[data.digits]
source = "digits"
[model.small]
arch = "mlp"
hidden = [8]
[stage.train]
kind = "train"
model = "small"
data = "digits"
epochs = 1
batch = 32
[stage.flipped]
kind = "inject"
weights = "train"
data = "digits.test"
model = ["bit-flip", "stuck-at-1", "zero"]
sampling = { random = 60 }
[stage.listed]
kind = "inject"
weights = "train"
data = "digits.test"
sampling = { list = { path = "faults.csv" } }
"#;

/// The value of a metric over all faults of a stage.
fn value(sandbox: &Sandbox, stage: &str, metric: &str) -> f64 {
    let metric = format!("metric={metric}");
    let table =
        sandbox.duress(&["table", "study.toml", stage, "--format", "csv", "--where", &metric, "--where", "by=all"]);
    let mut lines = table.stdout.lines();
    let column = lines.next().and_then(|head| head.split(',').position(|name| name == "value")).expect("a value");
    lines.next().and_then(|row| row.split(',').nth(column)).expect("a row").parse().expect("a number")
}

#[test]
fn a_campaign_that_was_exported_runs_again_from_its_list() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&["--only", "flipped"]);
    let output = sandbox.duress(&["export", "study.toml", "flipped", "-o", "faults.csv"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let list = std::fs::read_to_string(sandbox.path("faults.csv")).expect("written");
    assert!(
        list.starts_with("Injection,Layer,TensorIndex,Bit,Model,Value,n_injections,masked,non_critical,critical\n")
    );
    assert_eq!(list.lines().count(), 61);
    sandbox.run(&[]);
    assert!((value(&sandbox, "listed", "listed_within_3") - 1.0).abs() < 1e-12);
    assert!(value(&sandbox, "listed", "listed_largest_difference").abs() < 1e-12);
    let (ours, theirs) = (value(&sandbox, "listed", "critical_rate"), value(&sandbox, "flipped", "critical_rate"));
    assert!((ours - theirs).abs() < 1e-12, "{ours} {theirs}");
}

#[test]
fn a_list_with_a_mistake_ends_the_run_with_its_line_its_column_and_its_fix() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.write("faults.csv", "Injection,Layer,TensorIndex,Bit\n0,output,\"(0, 1)\",3\n1,outptu,\"(0, 2)\",3\n");
    let output = sandbox.duress(&["run", "study.toml", "--only", "listed"]);
    assert_ne!(output.code, 0);
    let text = output.whole().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("line 3, column 3") && text.contains("did you mean `output`?"), "{text}");
}

#[test]
fn a_changed_list_runs_anew_and_a_moved_one_does_not() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.write("faults.csv", "Injection,Layer,TensorIndex,Bit\n0,output,\"(0, 1)\",3\n");
    sandbox.run(&["--only", "listed"]);
    sandbox.write("other.csv", "Injection,Layer,TensorIndex,Bit\n0,output,\"(0, 1)\",3\n");
    sandbox.write("study.toml", &STUDY.replace("faults.csv", "other.csv"));
    assert_eq!(sandbox.run(&["--only", "listed"]).total("computed"), 0);
    sandbox.write("other.csv", "Injection,Layer,TensorIndex,Bit\n0,output,\"(0, 1)\",4\n");
    assert_eq!(sandbox.run(&["--only", "listed"]).total("computed"), 1);
}

#[test]
fn the_plan_says_how_many_faults_and_what_they_tell() {
    let spec = STUDY.replace("sampling = { random = 60 }", "bits = [30]\nimages = 20");
    let sandbox = Sandbox::with(&spec);
    sandbox.write("faults.csv", "Injection,Layer,TensorIndex,Bit\n0,output,\"(0, 1)\",3\n");
    let plan = sandbox.duress(&["plan", "study.toml"]).stdout;
    // 64 x 8 + 8 x 10 weights; two models of the one bit, and one of the whole number.
    assert!(plan.contains("flipped: 1 604 of 1 776 faults, each on 20 of "), "{plan}");
    assert!(plan.contains("margin 1.001 points at 99 % confidence for a rate of 0.5"), "{plan}");
    assert!(plan.contains("listed: the faults of faults.csv"), "{plan}");
}
