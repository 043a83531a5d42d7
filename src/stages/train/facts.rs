//! What is known of a training before it begins, and what can be known to be wrong with it.

use std::sync::Arc;

use duress_engine::spec::Fault;
use duress_engine::stage::{Fact, InferContext, OutputFact};

use super::{Augment, Loss, Train};
use crate::nn::examples::picture;
use crate::nn::{Mlp, Network};
use crate::stages::artifact::{DataFact, table_fact};

/// The columns of a table of tensors.
pub(in crate::stages) const TENSORS: &[(&str, bool)] = &[("name", false), ("shape", false), ("values", false)];
const CURVE: &[(&str, bool)] =
    &[("metric", false), ("split", false), ("update", true), ("epoch", true), ("value", true)];

/// The facts of a training's outputs; pushes what is wrong.
pub(super) fn infer(train: &Train, cx: &mut InferContext<'_>) -> Vec<OutputFact> {
    check_length(train, cx);
    check_snapshot(train, cx);
    check_bits(train, cx);
    check_clip(train, cx);
    let known = cx.inputs.slot(train.data.slot).and_then(|fact| fact.detail::<DataFact>());
    if train.early_stopping.is_some() && known.is_some_and(|data| !data.validation) {
        let span = cx.span_of("early_stopping");
        let message = "`early_stopping` looks at validation rows, and `data` holds none back";
        let fault = Fault::new("no-validation", span, message, "nothing to stop by");
        cx.faults.push(fault.help("add `validation = { share = 0.1 }` to the data section"));
    }
    let data = known.cloned().unwrap_or_default();
    check_task(train, &data, cx);
    check_augment(train, &data, cx);
    let network = match (data.features, data.classes) {
        (Some(features), Some(classes)) if !data.regression => {
            let input = train.model.input(features, data.shape.as_deref().unwrap_or_default());
            train.model.infer(&input, classes, cx)
        }
        _ => None,
    };
    if let Some(network) = &network {
        check_inputs(train, network, cx);
        check_crash(train, network, cx);
    }
    let metrics = ["loss", "accuracy", "learning-rate"].map(str::to_owned).to_vec();
    vec![
        OutputFact { name: "weights", fact: tensors("weights", network.as_ref()) },
        OutputFact { name: "initial", fact: tensors("weights", network.as_ref()) },
        OutputFact { name: "snapshot", fact: tensors("weights", network.as_ref()) },
        OutputFact { name: "rewind", fact: tensors("weights", network.as_ref()) },
        OutputFact { name: "curve", fact: Fact { metrics, ..table_fact("table", CURVE) } },
    ]
}

/// The fact of weights or a mask of that network.
pub(in crate::stages) fn tensors(artifact: &'static str, network: Option<&Network>) -> Fact {
    let known = network.map(|network| Arc::new(network.clone()) as Arc<dyn std::any::Any + Send + Sync>);
    Fact { known, ..table_fact(artifact, TENSORS) }
}

fn check_length(train: &Train, cx: &mut InferContext<'_>) {
    let (span, message, label) = match (train.epochs, train.steps) {
        (None, None) => (cx.table.span, "`train` needs a length", "neither `epochs` nor `steps`"),
        (Some(_), Some(_)) => (cx.span_of("steps"), "`train` has two lengths", "`epochs` is given too"),
        _ => return,
    };
    cx.faults
        .push(Fault::new("one-length", span, message, label).help("write `epochs = 10` or `steps = 5_000`, not both"));
}

fn check_snapshot(train: &Train, cx: &mut InferContext<'_>) {
    let Some(steps) = train.steps.filter(|steps| steps.0 < train.snapshot) else { return };
    let message = format!("`snapshot` is after {} updates, and there are {}", train.snapshot, steps.0);
    let fault = Fault::new("wrong-range", cx.span_of("snapshot"), message, "never reached");
    cx.faults.push(fault.help("take it earlier, or train for longer"));
}

fn check_bits(train: &Train, cx: &mut InferContext<'_>) {
    let Some(keys) = &train.bit_errors else { return };
    let Some(bit) = keys.bits.iter().find(|bit| **bit >= keys.width()) else { return };
    let message = format!("`bit_errors.bits` names bit {bit} of words of {} bits", keys.width());
    let fault = Fault::new("wrong-range", cx.span_of("bit_errors.bits"), message, "no such bit");
    cx.faults.push(fault.help(format!("bits are from 0, the least significant, to {}", keys.width() - 1)));
}

fn check_clip(train: &Train, cx: &mut InferContext<'_>) {
    let Some(keys) = &train.adversarial else { return };
    let sound = match keys.clip.as_slice() {
        [] => true,
        [lo, hi] => lo < hi,
        _ => false,
    };
    if !sound {
        let span = cx.span_of("adversarial.clip");
        let fault = Fault::new("wrong-range", span, "`adversarial.clip` is no range", "no range");
        cx.faults.push(fault.help("write `clip = [0.0, 1.0]`, or `clip = []` for data without a range"));
    }
}

fn check_augment(train: &Train, data: &DataFact, cx: &mut InferContext<'_>) {
    let Some(keys) = train.augment.filter(Augment::changes) else { return };
    let shape = match (&data.shape, data.features) {
        (Some(shape), _) => shape.as_slice(),
        (None, Some(_)) => &[],
        // What must be read to be known is looked at when it is.
        (None, None) => return,
    };
    let Some([_, height, width]) = picture(shape) else {
        let span = cx.span_of("augment");
        let fault = Fault::new("shape-mismatch", span, "`augment` changes pictures", "the rows of `data` are none");
        cx.faults.push(fault.help("leave it out, or train on pictures"));
        return;
    };
    if keys.crop >= height.min(width) as u64 {
        let message = format!("`augment.crop` is {} on pictures of {height} x {width}", keys.crop);
        let fault = Fault::new("wrong-range", cx.span_of("augment.crop"), message, "leaves nothing of some pictures");
        cx.faults.push(fault.help("use a few pixels, such as 4"));
    }
}

fn check_task(train: &Train, data: &DataFact, cx: &mut InferContext<'_>) {
    if data.regression && train.loss == Loss::CrossEntropy {
        let fault =
            Fault::new("wrong-loss", cx.span_of("loss"), "`data` has numbers to fit and no classes", "cross-entropy");
        cx.faults.push(fault.help("add `loss = \"mse\"`"));
    }
    if data.regression && train.adversarial.as_ref().is_some_and(|keys| keys.share.0 > 0.0) {
        let span = cx.span_of("adversarial");
        let fault =
            Fault::new("shape-mismatch", span, "adversarial training needs classes", "`data` has numbers to fit");
        cx.faults.push(fault.help("use data with classes, or drop `adversarial`"));
    }
}

/// Whether `start` and `mask` belong to the network that is to be trained.
fn check_inputs(train: &Train, network: &Network, cx: &mut InferContext<'_>) {
    let slots = [("start", train.start.as_ref().map(|i| i.slot)), ("mask", train.mask.as_ref().map(|i| i.slot))];
    for (key, slot) in slots {
        let given = slot.and_then(|slot| cx.inputs.slot(slot)).and_then(|fact| fact.detail::<Network>());
        let Some(given) = given.filter(|given| *given != network) else { continue };
        let message = format!("`{key}` belongs to another network than `model` and `data` make");
        let label = format!("{} there, {} here", widths(given), widths(network));
        let fault = Fault::new("shape-mismatch", cx.span_of(key), message, label);
        cx.faults.push(fault.help("use the same model and data throughout, or drop the key"));
    }
}

/// Whether neurons of the network can crash by layer.
fn check_crash(train: &Train, network: &Network, cx: &mut InferContext<'_>) {
    let Some(crash) = &train.crash else { return };
    if let Some(mlp) = Mlp::of(network) {
        crash.infer(cx, &mlp);
        return;
    }
    let message = "`crash` counts the layers of a multilayer perceptron, and `model` is another network";
    let fault = Fault::new("wrong-network", cx.span_of("crash"), message, "no such layers");
    cx.faults.push(fault.help("drop `crash`, or put a crash layer into the model's `layers`"));
}

/// A network in a few characters, such as `64-32-10 without biases`.
fn widths(network: &Network) -> String {
    let Some(mlp) = Mlp::of(network) else {
        return format!("{} operations and {} parameters", network.nodes().len(), network.parameter_count());
    };
    let widths: Vec<String> = (0..=mlp.depth()).map(|layer| mlp.width(layer).to_string()).collect();
    let biases = if mlp.layers.iter().any(|layer| layer.bias) { "with biases" } else { "without biases" };
    format!("{} {biases}", widths.join("-"))
}
