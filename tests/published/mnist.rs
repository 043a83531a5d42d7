//! A dense network on MNIST reaches its published accuracy.

use crate::support::Sandbox;

/// 98.3 %, the dense 300-100 network of Cosentino, Zaiter, Pei and Zhu (2019), give or take 0.4 points.
#[test]
#[ignore = "trains for a minute"]
fn published_accuracy_of_a_dense_network_on_mnist_is_reached() {
    let Some(shared) = super::shared(&["data/mnist"]) else { return };
    let spec = r#"
[study]
name = "mnist"

[data.images]
source = "mnist"
validation = { first = 10_000 }

[model.dense]
arch = "mlp"
hidden = [300, 100]
bias = false
init = "glorot-uniform"

[stage.train]
kind = "train"
model = "dense"
data = "images"
epochs = 12
batch = 60
optimizer = { adam = { lr = 1.2e-3, eps = 1e-7 } }
label_smoothing = 0.1

[stage.clean]
kind = "evaluate"
weights = "train"
data = "images.test"

[[expect]]
table = "clean"
metric = "accuracy"
at_least = 0.979
at_most = 0.987
"#;
    let data = shared.join("data").to_string_lossy().into_owned();
    let log = Sandbox::with(spec).run(&["--data", &data]);
    assert_eq!((log.total("failed"), log.total("unmet")), (0, 0));
}
