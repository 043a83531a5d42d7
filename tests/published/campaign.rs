//! The published fault campaign on ResNet-20, a part of it: the outcomes of the same faults on the same images.

use std::path::Path;

use super::{RESNET20, resnet20, shared};
use crate::support::Sandbox;

/// The published faults with their outcomes.
const LIST: &str = "campaigns/cifar10-resnet20.csv";

fn study(shared: &Path) -> String {
    let list = format!("path = \"{}\"", shared.join(LIST).display());
    format!(
        r#"
{head}
[stage.spread]
kind = "inject"
weights = "published"
data = "images.test"
samples = 1_000
sampling = {{ list = {{ {list}, every = 56 }} }}
[stage.last]
kind = "inject"
weights = "published"
data = "images.test"
layers = ["linear"]
sampling = {{ list = {{ {list} }} }}
"#,
        head = resnet20(shared)
    )
}

/// The value of a metric over all faults of a stage.
fn value(sandbox: &Sandbox, stage: &str, metric: &str) -> f64 {
    let (metric, by) = (format!("metric={metric}"), "by=all");
    let table =
        sandbox.duress(&["table", "study.toml", stage, "--format", "csv", "--where", &metric, "--where", by]).stdout;
    let column = table.lines().next().and_then(|head| head.split(',').position(|name| name == "value"));
    let row = table.lines().nth(1).unwrap_or_else(|| panic!("no {metric} of {stage}"));
    row.split(',').nth(column.expect("a column of values")).expect("a value").parse().expect("a number")
}

#[test]
fn published_campaign_on_a_residual_network_comes_out_as_published() {
    let Some(shared) = shared(&[&RESNET20[..], &[LIST]].concat()) else { return };
    let sandbox = Sandbox::with(&study(&shared));
    sandbox.run(&[]);
    // Faults of the last layer over all 10 000 images, count by count.
    assert!((value(&sandbox, "last", "golden_accuracy") - 0.9148).abs() <= 2e-4);
    assert!((value(&sandbox, "last", "faults") - 40.0).abs() < 0.5);
    assert!(value(&sandbox, "last", "listed_within_3") >= 0.995);
    assert!(value(&sandbox, "last", "listed_largest_difference") <= 10.0);
    let published = value(&sandbox, "last", "listed_critical_rate");
    assert!((value(&sandbox, "last", "critical_rate") - published).abs() < 1e-4);
    // Faults of all layers over a tenth of the images: the rate of the same faults, which differs by the choice of images.
    assert!((value(&sandbox, "spread", "faults") - 297.0).abs() < 0.5);
    let published = value(&sandbox, "spread", "listed_critical_rate");
    let ours = value(&sandbox, "spread", "critical_rate");
    assert!((ours - published).abs() < 1.5e-3, "{ours} {published}");
}

#[test]
fn a_campaign_exports_the_list_that_it_read() {
    let Some(shared) = shared(&[&RESNET20[..], &[LIST]].concat()) else { return };
    let sandbox = Sandbox::with(&study(&shared));
    sandbox.run(&["--only", "last"]);
    let output = sandbox.duress(&["export", "study.toml", "last", "-o", "last.csv"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let ours = std::fs::read_to_string(sandbox.path("last.csv")).expect("written");
    let theirs = std::fs::read_to_string(shared.join(LIST)).expect("readable");
    let faults = |text: &str| -> Vec<String> {
        let of_layer = text.lines().filter(|line| line.contains(",linear,"));
        // Number, layer, index and bit; the counts behind them may differ by a few.
        of_layer.map(|line| line.rsplitn(5, ',').last().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!((faults(&ours), faults(&ours).len()), (faults(&theirs), 40));
}
