//! Networks that others trained and published, as their authors measured them.

use std::path::Path;

use super::{RESNET20, shared};
use crate::support::Sandbox;

/// The accuracy of each instance of `clean`, in the order of the axes.
fn accuracies(sandbox: &Sandbox) -> Vec<f64> {
    let table =
        sandbox.duress(&["table", "study.toml", "clean", "--format", "csv", "--where", "metric=accuracy"]).stdout;
    let column = table.lines().next().and_then(|head| head.split(',').position(|name| name == "value"));
    let column = column.expect("a column of values");
    table.lines().skip(1).map(|row| row.split(',').nth(column).expect("a value").parse().expect("a number")).collect()
}

#[test]
#[ignore = "runs three networks on all of CIFAR-10; takes half a minute"]
fn published_residual_networks_have_their_published_accuracy() {
    let Some(shared) = shared(&[&RESNET20[..], &["weights/resnet32-cifar10.th"]].concat()) else { return };
    let sandbox = Sandbox::with(&format!(
        r#"
[study]
name = "published"
[axes]
net = [
  {{ name = "20", depth = 20, mean = [0.4914, 0.4822, 0.4465], std = [0.2023, 0.1994, 0.2010] }},
  {{ name = "20 imagenet", depth = 20, mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }},
  {{ name = "32", depth = 32, mean = [0.4914, 0.4822, 0.4465], std = [0.2023, 0.1994, 0.2010] }},
]
[data.images]
source = "cifar-10"
path = "{shared}/data/cifar-10"
[model.resnet]
arch = "resnet-{{net.depth}}"
normalise = {{ mean = "{{net.mean}}", std = "{{net.std}}" }}
[weights.published]
path = "{shared}/weights/resnet{{net.depth}}-cifar10.th"
model = "resnet"
[stage.clean]
kind = "evaluate"
weights = "published"
data = "images.test"
"#,
        shared = shared.display()
    ));
    sandbox.run(&[]);
    // 91.48 % and 91.73 % of 10 000 images with either normalisation, and 92.3 % of the deeper network.
    let [first, second, deeper] = accuracies(&sandbox)[..] else { panic!("three networks") };
    assert!((first - 0.9148).abs() < 3e-4 && (second - 0.9173).abs() < 3e-4, "{first} {second}");
    assert!((deeper - 0.923).abs() < 1e-3, "{deeper}");
}

#[test]
#[ignore = "trains LeNet-5 for half a minute"]
fn published_accuracy_of_lenet_on_mnist_is_reached() {
    let Some(shared) = shared(&["data/mnist"]) else { return };
    let spec = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("specs/lenet5-mnist.toml"));
    let folder = format!("source = \"mnist\"\npath = \"{}\"", shared.join("data/mnist").display());
    let sandbox = Sandbox::with(&spec.expect("we ship it").replace("source = \"mnist\"", &folder));
    sandbox.run(&["--only", "clean"]);
    assert!(accuracies(&sandbox)[0] >= 0.989, "{:?}", accuracies(&sandbox));
}
