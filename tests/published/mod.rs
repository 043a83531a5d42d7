//! Published numbers, on real data that lie beside the checkout; each test says so where they do not.

mod campaign;
mod data;
mod mnist;
mod pretrained;
mod protections;
mod sparse_robust;

use std::path::{Path, PathBuf};

/// What a study of [`resnet20`] needs of what is shared: weights and data.
const RESNET20: [&str; 2] = ["weights/resnet20-cifar10.th", "data/cifar-10"];

/// The folder of real data, weights and campaigns beside the checkout, if all that is `needed` is in it; or a word on what is not.
#[expect(clippy::print_stdout, reason = "a test says that it is skipped")]
fn shared(needed: &[&str]) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if let Some(missing) = needed.iter().find(|name| !folder.join(name).exists()) {
        println!("skipped: there is no {missing} in {}", folder.display());
        return None;
    }
    folder.canonicalize().ok()
}

/// The head of a study of the published ResNet-20 (`weights = "published"`) on CIFAR-10 (`images`).
fn resnet20(shared: &Path) -> String {
    format!(
        r#"
[study]
name = "published"
[data.images]
source = "cifar-10"
path = "{shared}/{data}"
[model.resnet]
arch = "resnet-20"
normalise = {{ mean = [0.4914, 0.4822, 0.4465], std = [0.2023, 0.1994, 0.2010] }}
[weights.published]
path = "{shared}/{weights}"
model = "resnet"
"#,
        shared = shared.display(),
        weights = RESNET20[0],
        data = RESNET20[1]
    )
}
