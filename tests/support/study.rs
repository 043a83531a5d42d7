//! The study that most tests run: every kind, small enough for a second or two.

/// Stages of [`STUDY`] with a table worth comparing.
pub(crate) const STAGES: &[&str] =
    &["train.curve", "train.weights", "thin.layers", "clean", "attacked", "noisy", "flipped", "crashed", "bounds"];

/// Every kind once: 2 seeds x 2 sparsities.
pub(crate) const STUDY: &str = r#"
[study]
name = "small"
about = "every kind, briefly"

[axes]
seed = [0, 1]
sparsity = [0.0, 0.5]

[data.digits]
source = "digits"

[model.tiny]
arch = "mlp"
hidden = [16]

[stage.train]
kind = "train"
model = "tiny"
data = "digits"
seed = "{seed}"
epochs = 3
batch = 32
optimizer = { adam = { lr = 0.003 } }

[stage.thin]
kind = "prune"
weights = "train"
criterion = "magnitude"
sparsity = "{sparsity}"

[stage.clean]
kind = "evaluate"
weights = "thin"
data = "digits.test"

[stage.attacked]
kind = "perturb"
weights = "thin"
data = "digits.test"
attack = { name = "fgsm", eps = [0.05, 0.1] }
samples = 40

[stage.noisy]
kind = "perturb"
weights = "thin"
data = "digits.test"
attack = { name = "gaussian", eps = 0.2 }
samples = 40

[stage.flipped]
kind = "inject"
weights = "thin"
data = "digits.test"
target = "weight"
model = "bit-flip"
sampling = { random = 20 }
samples = 40

[stage.crashed]
kind = "inject"
weights = "thin"
data = "digits.test"
target = "neuron"
model = "crash"
crash = { "hidden.1" = 0.05 }
repetitions = 20
samples = 40

[stage.bounds]
kind = "bound"
weights = "thin"
data = "digits.test"
crash = { "hidden.1" = 0.05 }
bounds = ["b2", "b3", "b4"]
measured = "crashed"
samples = 40
"#;

/// The spec with one thing changed; it must stand there exactly once.
pub(crate) fn edited(spec: &str, from: &str, to: &str) -> String {
    assert_eq!(spec.matches(from).count(), 1, "`{from}` should stand in the spec exactly once");
    spec.replace(from, to)
}
