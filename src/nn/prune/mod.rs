//! Chooses the weights that a network can do without.
//!
//! Ranking is by a [`Criterion`], within each layer or over all of them at once, among the weights that the mask so far still
//! keeps. Equal scores are told apart by position (the earlier one goes first), so a choice is unique.

mod count;
mod flow;
mod schedule;
mod score;
mod units;

use std::collections::BTreeMap;

use duress_network::op::Role;
use duress_network::training::TrainingError;
use duress_network::{Network, Weights};
use thiserror::Error;

pub use self::count::{LayerCount, whole};
pub use self::flow::linear;
pub use self::schedule::{Course, Shape};
pub use self::score::{Criterion, Sample, rows_per_class};
use self::units::Gone;
pub use self::units::{Norm, Structure};
use super::fault::matches;
use super::mask::{Mask, MaskError, MaskTensor};

/// How many weights go, or rows of weights where they go by the row.
#[derive(Clone, Debug, PartialEq)]
pub enum Amount {
    /// In each layer its own share of the weights still kept; a layer whose name matches no pattern keeps all.
    PerLayer(BTreeMap<String, f64>),
    /// In every layer the same share of the weights still kept.
    EveryLayer(f64),
    /// A share of all weights still kept, wherever the lowest are.
    Global(f64),
    /// In every layer, as many as leave this share of *all* its weights removed.
    SparsityEveryLayer(f64),
    /// As many as leave this share of *all* weights removed, wherever the lowest are.
    SparsityGlobal(f64),
    /// In every layer, as many as leave what this mask leaves there.
    Like(Mask),
}

/// How a share becomes a number of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cutoff {
    /// `round(share * n)`, halves to even, exactly.
    #[default]
    Exact,
    /// All whose score is at most that of number `round(share * n)`, counted from 0: one more than asked, and more where scores
    /// are equal; a share of 0 asks for none. It is what the program behind arXiv 1912.02386 does, and so its published
    /// numbers of weights.
    Published,
}

/// How to prune.
#[derive(Clone, Debug)]
pub struct Recipe<'a> {
    /// By what weights are ranked.
    pub criterion: Criterion<'a>,
    /// Whether the highest go instead of the lowest: a control, without which a score is not known to matter.
    pub invert: bool,
    /// How many go.
    pub amount: Amount,
    /// How a share becomes a number.
    pub cutoff: Cutoff,
    /// What goes together.
    pub structure: Structure,
    /// Patterns of layers that keep all their weights and are not counted in shares of all layers.
    pub protect: Vec<String>,
    /// In how many rounds.
    pub course: Course,
    /// Seed by which what went is moved to random places of its layer afterwards (Frankle et al. 2021); `None` leaves it.
    pub shuffle: Option<u64>,
}

impl Recipe<'_> {
    /// That many of the smallest weights, at once.
    #[must_use]
    pub fn magnitude(amount: Amount) -> Self {
        Self {
            criterion: Criterion::Magnitude,
            invert: false,
            amount,
            cutoff: Cutoff::Exact,
            structure: Structure::Weights,
            protect: Vec::new(),
            course: Course::default(),
            shuffle: None,
        }
    }
}

/// A pruning that cannot be done.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PruneError {
    /// The mask does not fit the weights.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// A share below 0 or above 1.
    #[error("share to remove is {0}; give a number from 0 to 1")]
    Share(f64),
    /// A pattern that matches nothing.
    #[error("`{pattern}` matches no layer; the layers are {layers}")]
    NoSuchLayer {
        /// The pattern.
        pattern: String,
        /// The layers there are.
        layers: String,
    },
    /// A weight whose score is no number cannot be ranked.
    #[error("a score of weight `{0}` is not a number; train it again with a smaller learning rate")]
    NotANumber(String),
    /// The rows that gradients are taken on do not fit.
    #[error(transparent)]
    Network(#[from] TrainingError),
    /// They have no labels that fit.
    #[error("{0}")]
    Rows(String),
    /// Nothing flows linearly through it.
    #[error("synaptic flow has no form for node `{node}` ({op}); prune by another criterion")]
    NotLinear {
        /// The node.
        node: String,
        /// Its operation.
        op: &'static str,
    },
    /// The flow leaves single precision.
    #[error("synaptic flow through this network is beyond single precision; prune by another criterion")]
    Overflow,
}

/// Drops weights of `weights` among those that `previous` keeps (all, where there is none), and counts what was dropped.
///
/// # Errors
/// Where the mask does not fit, a share is outside `[0, 1]`, a pattern matches no layer, a score is NaN, or the criterion
/// cannot be computed for this network.
pub fn prune(
    weights: &Weights,
    previous: Option<&Mask>,
    recipe: &Recipe<'_>,
) -> Result<(Mask, Vec<LayerCount>), PruneError> {
    let network = weights.network();
    let before = previous.cloned().unwrap_or_else(|| Mask::full(network));
    before.validate(network)?;
    let groups = groups(network, &before, recipe)?;
    let mut mask = before.clone();
    let times = recipe.course.times();
    // Where scores do not depend on what is gone, rounds come to the same as their last.
    let skipped = if recipe.criterion.looks_at_mask() { 0 } else { times.len() - 1 };
    for time in times.into_iter().skip(skipped) {
        let mut left = weights.clone();
        mask.apply(&mut left)?;
        let scores = recipe.criterion.scores(&left, &mask)?;
        for group in &groups {
            let kept: usize = group.layers.iter().map(|&l| recipe.structure.alive(&mask.tensors[l]).len()).sum();
            let target = recipe.course.shape.left(group.start, group.goal, time);
            let gone = Gone::by(recipe.cutoff, kept.saturating_sub(target), group.asked);
            units::remove(&mut mask, (&group.layers, recipe.structure), (&scores, recipe.invert), &gone)?;
        }
    }
    if let Some(seed) = recipe.shuffle {
        units::shuffle(&before, &mut mask, recipe.structure, seed);
    }
    let counts = count::layers(network, &before, &mask);
    Ok((mask, counts))
}

/// What the layer of a weight tensor is called: its node's name, and for operations with several weights theirs.
#[must_use]
pub fn layer_of(weight: &str) -> &str {
    weight.strip_suffix(".weight").unwrap_or(weight)
}

/// What the layers with weights are called, in the order of a mask's tensors.
#[must_use]
pub fn weight_layers(network: &Network) -> Vec<&str> {
    let weights = network.parameters().iter().filter(|p| p.role == Role::Weight);
    weights.map(|p| layer_of(&p.name)).collect()
}

/// Layers whose units are ranked against each other.
struct Group {
    layers: Vec<usize>,
    /// Units from which the course begins.
    start: usize,
    /// Units at its end.
    goal: usize,
    /// Whether any share of them is to go.
    asked: bool,
}

/// The groups of layers that `recipe` ranks together, without those it protects.
fn groups(network: &Network, mask: &Mask, recipe: &Recipe<'_>) -> Result<Vec<Group>, PruneError> {
    let layers = weight_layers(network);
    check_patterns(&layers, recipe.protect.iter())?;
    let free = |layer: &usize| {
        let protected = recipe.protect.iter().any(|pattern| matches(pattern, layers[*layer]));
        !protected && recipe.structure.may_go(network, *layer)
    };
    let free: Vec<usize> = (0..layers.len()).filter(free).collect();
    let each = |amount: &dyn Fn(usize) -> Option<Left>| -> Result<Vec<Group>, PruneError> {
        let some = free.iter().filter_map(|&layer| Some((vec![layer], amount(layer)?)));
        some.map(|(layers, left)| group(mask, layers, recipe, &left)).collect()
    };
    match &recipe.amount {
        Amount::PerLayer(rates) => {
            check_patterns(&layers, rates.keys())?;
            each(&|layer| rate_of(rates, layers[layer]).map(Left::OfKept))
        }
        Amount::EveryLayer(rate) => each(&|_| Some(Left::OfKept(*rate))),
        Amount::SparsityEveryLayer(share) => each(&|_| Some(Left::OfAll(*share))),
        Amount::Like(other) => {
            other.validate(network)?;
            each(&|layer| Some(Left::Count(recipe.structure.alive(&other.tensors[layer]).len())))
        }
        Amount::Global(rate) => Ok(vec![group(mask, free, recipe, &Left::OfKept(*rate))?]),
        Amount::SparsityGlobal(share) => Ok(vec![group(mask, free, recipe, &Left::OfAll(*share))?]),
    }
}

/// What is left in the end.
enum Left {
    /// All but this share of what is kept now.
    OfKept(f64),
    /// All but this share of all there are.
    OfAll(f64),
    /// So many.
    Count(usize),
}

fn group(mask: &Mask, layers: Vec<usize>, recipe: &Recipe<'_>, left: &Left) -> Result<Group, PruneError> {
    let tensors = || layers.iter().map(|&layer| &mask.tensors[layer]);
    let kept: usize = tensors().map(|tensor| recipe.structure.alive(tensor).len()).sum();
    let total: usize = tensors().map(|tensor: &MaskTensor| recipe.structure.total(tensor)).sum();
    let (goal, asked) = match *left {
        Left::OfKept(rate) => (kept - share(rate, kept)?, rate > 0.0),
        Left::OfAll(sparsity) => {
            let goal = total - share(sparsity, total)?;
            (goal, goal < kept)
        }
        Left::Count(count) => (count, count < kept),
    };
    let start = if recipe.course.only.is_some() { total } else { kept };
    Ok(Group { layers, start, goal, asked })
}

/// `round(rate * n)`, halves to even.
fn share(rate: f64, n: usize) -> Result<usize, PruneError> {
    if (0.0..=1.0).contains(&rate) {
        Ok((rate * n as f64).round_ties_even() as usize)
    } else {
        Err(PruneError::Share(rate))
    }
}

/// The rate of a layer, by the most specific (longest) pattern that matches its name.
fn rate_of(rates: &BTreeMap<String, f64>, layer: &str) -> Option<f64> {
    let fitting = rates.iter().filter(|(pattern, _)| matches(pattern, layer));
    fitting.max_by_key(|(pattern, _)| pattern.len()).map(|(_, rate)| *rate)
}

/// Whether every pattern matches a layer.
fn check_patterns<'p>(layers: &[&str], mut patterns: impl Iterator<Item = &'p String>) -> Result<(), PruneError> {
    let Some(pattern) = patterns.find(|pattern| !layers.iter().any(|layer| matches(pattern, layer))) else {
        return Ok(());
    };
    let names: Vec<_> = layers.iter().map(|layer| format!("`{layer}`")).collect();
    Err(PruneError::NoSuchLayer { pattern: pattern.clone(), layers: names.join(", ") })
}

#[cfg(test)]
mod tests;
