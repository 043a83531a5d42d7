//! What can be known to be wrong with a pruning before it is done.

use duress_engine::spec::Fault;
use duress_engine::stage::InferContext;

use super::config::{Ablation, Criterion, Prune, Rule, Scope, Unit};
use crate::nn::Network;
use crate::nn::fault::matches;
use crate::nn::prune::{PruneError, linear, weight_layers};
use crate::stages::artifact::DataFact;

/// Reports what the keys alone say.
pub(super) fn check_keys(prune: &Prune, cx: &mut InferContext<'_>) {
    check_amount(prune, cx);
    check_rounds(prune, cx);
    let mut conflict = |key: &str, message: &str, label: &str, help: &str| {
        let fault = Fault::new("conflict", cx.span_of(key), message, label);
        cx.faults.push(fault.help(help));
    };
    if prune.criterion.needs_data() && prune.data.is_none() {
        let help = "add `data = \"images\"`, the data that the network is trained on";
        conflict("criterion", "this criterion takes gradients, and there is no `data`", "needs `data`", help);
    }
    if prune.ablation == Some(Ablation::Reinitialise) && prune.model.is_none() {
        let help = "add `model`, the section that the weights were drawn by";
        conflict("ablation", "`reinitialise` draws weights, and there is no `model`", "needs `model`", help);
    }
}

fn check_amount(prune: &Prune, cx: &mut InferContext<'_>) {
    let written = [prune.rate.is_some(), prune.rates.is_some(), prune.sparsity.is_some(), prune.like.is_some()];
    let count = written.iter().filter(|written| **written).count();
    if count != 1 {
        let label = if count == 0 { "says no amount" } else { "says more than one amount" };
        let fault = Fault::new("one-amount", cx.table.span, "`prune` needs one amount to remove", label);
        let help = "write exactly one of `rate = 0.2`, `rates = { ... }`, `sparsity = 0.5` and `like = \"stage.mask\"`";
        cx.faults.push(fault.help(help));
    }
    for (key, verb, by_layer) in [("rates", "are", prune.rates.is_some()), ("like", "is", prune.like.is_some())] {
        if by_layer && prune.scope == Some(Scope::Global) {
            let message = format!("`{key}` {verb} by layer, `scope` is not");
            let fault = Fault::new("conflict", cx.span_of("scope"), message, format!("contradicts `{key}`"));
            cx.faults.push(fault.help("drop `scope`, or give one `rate` for all layers"));
        }
    }
}

fn check_rounds(prune: &Prune, cx: &mut InferContext<'_>) {
    let mut report = |code, key: &str, message: &str, label: &str, help: &str| {
        let fault = Fault::new(code, cx.span_of(key), message, label);
        cx.faults.push(fault.help(help));
    };
    if prune.rule == Rule::Published && (prune.rounds() > 1 || prune.round.is_some()) {
        let help = "set `rounds = 1`, or let the study go round by round with `mask` and a `rate`";
        report("conflict", "rule", "the published rule removes all at once", "in more than one round", help);
    }
    let Some(round) = prune.round else { return };
    if prune.sparsity.is_none() {
        let help = "give a `sparsity`; with a `rate` rounds build on each other through `mask`";
        report("conflict", "round", "`round` is one of those towards a `sparsity`", "no `sparsity`", help);
    } else if round > prune.rounds() {
        let help = "the last round is number `rounds`; round 0 removes nothing";
        report("wrong-range", "round", "there are fewer `rounds`", "no such round", help);
    }
}

/// Reports what does not fit the network.
pub(super) fn check_network(prune: &Prune, network: &Network, cx: &mut InferContext<'_>) {
    let names = weight_layers(network);
    let rates = prune.rates.iter().flat_map(|rates| rates.keys()).map(|pattern| ("rates", pattern));
    for (key, pattern) in rates.chain(prune.protect.iter().map(|pattern| ("protect", pattern))) {
        if !names.iter().any(|name| matches(pattern, name)) {
            let span = cx.span_of(key);
            let fault = Fault::new("unknown-layer", span, format!("there is no layer `{pattern}`"), "no such layer");
            cx.faults.push(fault.help(format!("the layers are {}", names.join(", "))));
        }
    }
    for (key, mask) in [("mask", &prune.mask), ("like", &prune.like)] {
        let given = mask.as_ref().and_then(|mask| cx.inputs.slot(mask.slot)).and_then(|fact| fact.detail::<Network>());
        if given.is_some_and(|given| given != network) {
            let message = format!("`{key}` belongs to another network");
            let fault = Fault::new("shape-mismatch", cx.span_of(key), message, "not of `weights`");
            cx.faults.push(fault.help("use a mask of the network that `weights` belong to"));
        }
    }
    if prune.criterion == Criterion::SynFlow
        && let Err(error @ PruneError::NotLinear { .. }) = linear(network)
    {
        let fault = Fault::new("wrong-network", cx.span_of("criterion"), error.to_string(), "nothing flows through it");
        cx.faults.push(fault.help("use `magnitude`, `snip` or `grasp`"));
    }
    if prune.unit != Unit::Weight && names.len() < 2 {
        let message = "this network has one layer with weights, whose rows are the classes";
        let fault = Fault::new("wrong-network", cx.span_of("unit"), message, "no filters to remove");
        cx.faults.push(fault.help("remove single weights"));
    }
    if prune.criterion.needs_data() {
        check_data(prune, network, cx);
    }
}

/// Reports rows that the network cannot learn from.
fn check_data(prune: &Prune, network: &Network, cx: &mut InferContext<'_>) {
    let fact = prune.data.as_ref().and_then(|data| cx.inputs.slot(data.slot));
    let Some(data) = fact.and_then(|fact| fact.detail::<DataFact>()) else { return };
    let (inputs, outputs) = (network.input_len(), network.output_len());
    let message = if data.regression {
        "the loss of this criterion needs labels, and `data` has numbers to fit instead".to_owned()
    } else if let Some(features) = data.features.filter(|features| *features != inputs) {
        format!("`data` has {features} features but the network of `weights` reads {inputs}")
    } else if let Some(classes) = data.classes.filter(|classes| *classes > outputs) {
        format!("`data` has {classes} classes but the network of `weights` tells {outputs} apart")
    } else {
        return;
    };
    let fault = Fault::new("shape-mismatch", cx.span_of("data"), message, "does not fit");
    cx.faults.push(fault.help("use the data that the network is trained on"));
}
