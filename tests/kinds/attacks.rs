//! Attacks of `perturb` through the program: sets of them, what is measured of them, and what they are suspected of.

use crate::support::Sandbox;

const STUDY: &str = r#"
[study]
name = "attacks"

[data.digits]
source = "digits"

[model.small]
arch = "mlp"
hidden = [32]

[stage.train]
kind = "train"
model = "small"
data = "digits"
epochs = 20
batch = 32

[stage.quick]
kind = "perturb"
weights = "train"
data = "digits.test"
samples = 150
attack = { name = "fgsm", eps = [0.05, 0.1, 0.2] }

[stage.steps]
kind = "perturb"
weights = "train"
data = "digits.test"
samples = 150
warm_start = true
attack = { name = "pgd", eps = [0.05, 0.1, 0.2] }

[stage.set]
kind = "perturb"
weights = "train"
data = "digits.test"
samples = 150
attack = [{ name = "fgsm", eps = [0.05, 0.1, 0.2] }, { name = "pgd" }, { name = "fmn" }]

[stage.published]
kind = "perturb"
weights = "train"
data = "digits.test"
samples = 40
attack = { name = "autoattack", eps = 0.1 }

[stage.sparse]
kind = "perturb"
weights = "train"
data = "digits.test"
samples = 60
attack = [{ name = "apgd", eps = [1.0, 3.0], norm = "l1", steps = 30 }, { name = "apgd-t", steps = 30, targets = 3 }]

[stage.weak]
kind = "perturb"
weights = "train"
data = "digits.test"
samples = 150
attack = { name = "pgd", eps = 0.2, steps = 5, step = 0.01, random_start = false }
"#;

/// Cells of a line of CSV, some of which are quoted.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            _ => cells.last_mut().expect("one at least").push(letter),
        }
    }
    cells
}

/// The rows of `stage`, each of whose cells is asked for by its column.
fn rows(sandbox: &Sandbox, stage: &str) -> Vec<impl Fn(&str) -> String + use<>> {
    let file = sandbox.path("table.csv");
    let output = sandbox.duress(&["table", "study.toml", stage, "-o", file.to_str().expect("plain")]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let text = std::fs::read_to_string(&file).expect("the table was written");
    let mut lines = text.lines().map(cells);
    let head = lines.next().expect("a header");
    lines
        .map(|row| {
            let head = head.clone();
            move |name: &str| row[head.iter().position(|column| column == name).expect("a column")].clone()
        })
        .collect()
}

/// The value of a metric at an epsilon; `by` is empty for the worst case.
fn value(rows: &[impl Fn(&str) -> String], metric: &str, eps: &str, by: &str) -> f64 {
    let row = rows.iter().find(|row| row("metric") == metric && row("eps") == eps && row("by") == by);
    row.unwrap_or_else(|| panic!("no {metric} at {eps}"))("value").parse().expect("a number")
}

#[test]
fn a_set_of_attacks_is_as_strong_as_each_and_says_who_fooled_whom() {
    let sandbox = Sandbox::with(STUDY);
    let log = sandbox.run(&["--only", "quick", "--only", "steps", "--only", "set"]);
    let (quick, steps, set) = (rows(&sandbox, "quick"), rows(&sandbox, "steps"), rows(&sandbox, "set"));
    let mut before = 1.0;
    for eps in ["0.05", "0.1", "0.2"] {
        let robust = value(&set, "robust_accuracy", eps, "");
        assert!(robust <= value(&quick, "robust_accuracy", eps, "") && robust <= before, "{eps}");
        assert!(value(&steps, "robust_accuracy", eps, "") <= value(&quick, "robust_accuracy", eps, "") + 0.02, "{eps}");
        // Every sample is right, was wrong when clean, or was fooled by one of them.
        let fooled: f64 = ["fgsm", "pgd", "fmn"].iter().map(|by| value(&set, "fooled_by", eps, by)).sum();
        let clean = value(&set, "clean_accuracy", eps, "");
        assert!((clean - robust - fooled).abs() < 1e-9, "{clean} {robust} {fooled}");
        // The audit.
        let allowed: f64 = eps.parse().expect("a number");
        let size = value(&set, "max_size", eps, "");
        assert!(size <= allowed && size > 0.9 * allowed, "{size}");
        assert!(value(&set, "lowest_feature", eps, "") >= 0.0 && value(&set, "highest_feature", eps, "") <= 1.0);
        before = robust;
    }
    assert!(before < 0.4, "{before}");
    // Attacks that do what they can are suspected of nothing.
    assert_eq!(log.instances("warning").len(), 0, "{:?}", log.events);
    assert!(set.iter().all(|row| row("warning").is_empty()));
    // By sample: the smallest of the critical epsilons.
    let critical = |stage: &str| -> Vec<f64> {
        let last = rows(&sandbox, stage).into_iter().filter(|row| row("eps") == "0.2");
        last.map(|row| row("critical_eps").parse().unwrap_or(f64::INFINITY)).collect()
    };
    let (quick, set) = (critical("quick.samples"), critical("set.samples"));
    assert_eq!(set.len(), 150);
    assert!(set.iter().zip(&quick).all(|(set, quick)| set <= quick));
}

#[test]
fn the_published_set_and_sparse_attacks_run_in_a_line_each() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&["--only", "published", "--only", "sparse"]);
    let published = rows(&sandbox, "published");
    let found: f64 =
        ["apgd", "apgd-t", "fab", "square"].iter().map(|by| value(&published, "fooled_by", "0.1", by)).sum();
    let robust = value(&published, "robust_accuracy", "0.1", "");
    assert!((value(&published, "clean_accuracy", "0.1", "") - robust - found).abs() < 1e-9);
    let sparse = rows(&sandbox, "sparse");
    let at = |eps| value(&sparse, "robust_accuracy", eps, "");
    assert!(at("3.0") < at("1.0") && at("1.0") <= value(&sparse, "clean_accuracy", "1.0", ""), "{}", at("3.0"));
    assert!(value(&sparse, "max_size", "3.0", "") <= 3.0);
}

#[test]
fn a_weak_attack_is_warned_of_in_the_table_and_once_when_it_runs() {
    let sandbox = Sandbox::with(STUDY);
    let log = sandbox.run(&["--only", "weak"]);
    assert_eq!(log.instances("warning").into_iter().collect::<Vec<_>>(), ["weak"]);
    let weak = rows(&sandbox, "weak");
    let warned: Vec<String> = weak.iter().filter(|row| !row("warning").is_empty()).map(|row| row("metric")).collect();
    assert!(warned.contains(&"rising_rate".to_owned()) && warned.contains(&"more_steps_rate".to_owned()), "{warned:?}");
    let messages: Vec<&str> = log
        .events
        .iter()
        .filter(|event| event["event"] == "warning")
        .filter_map(|event| event["message"].as_str())
        .collect();
    assert_eq!(messages.len(), warned.len());
    assert!(messages.iter().any(|message| message.contains("use more or longer steps")), "{messages:?}");
    assert_eq!(sandbox.run(&["--only", "weak"]).instances("warning").len(), 0);
}
