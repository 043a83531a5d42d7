//! Chooses the weights that a network can do without.
//!
//! Ranking is by magnitude (or at random), within each layer or over all of them at once, among the weights that the mask
//! so far still keeps. Equal magnitudes are told apart by position (the earlier one goes first), so a choice is unique.

use std::collections::BTreeMap;

use thiserror::Error;

use super::fault::matches;
use super::mask::{Mask, MaskError, MaskTensor};
use super::random::Stream;
use duress_network::op::Role;
use duress_network::{Network, Weights};

/// By what weights are ranked; the lowest go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// `|w|`.
    Magnitude,
    /// A uniformly random order.
    Random {
        /// Its seed.
        seed: u64,
    },
}

/// How many weights go.
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
}

/// How a share becomes a number of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cutoff {
    /// `round(share * n)`, halves to even, exactly.
    #[default]
    Exact,
    /// All whose score is at most that of number `round(share * n)`, counted from 0: one more than asked (but none where that rounds to 0),
    /// and more where scores are equal. It is what the program behind arXiv 1912.02386 does, and so its published numbers of weights.
    Published,
}

/// What pruning did to a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerCount {
    /// The layer's name.
    pub layer: String,
    /// Weights it has.
    pub weights: usize,
    /// Weights it keeps.
    pub kept: usize,
    /// Weights it lost just now.
    pub removed_now: usize,
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
    /// A weight that is no number cannot be ranked.
    #[error("weight `{0}` holds a value that is not a number; train it again with a smaller learning rate")]
    NotANumber(String),
}

/// Drops weights of `weights` among those that `previous` keeps (all, where there is none), and counts what was dropped.
///
/// # Errors
/// Where the mask does not fit, a share is outside `[0, 1]`, a pattern matches no layer, or a weight is NaN.
pub fn prune(
    weights: &Weights,
    previous: Option<&Mask>,
    criterion: Criterion,
    amount: &Amount,
    cutoff: Cutoff,
) -> Result<(Mask, Vec<LayerCount>), PruneError> {
    let mut mask = previous.cloned().unwrap_or_else(|| Mask::full(weights.network()));
    mask.validate(weights.network())?;
    let before: Vec<usize> = mask.tensors.iter().map(MaskTensor::kept).collect();
    match amount {
        Amount::PerLayer(rates) => {
            for (layer, rate) in layer_rates(weights, rates)? {
                let n = before[layer];
                remove(weights, &mut mask, &[layer], criterion, share(rate, n)?, cutoff)?;
            }
        }
        Amount::EveryLayer(rate) => {
            for (layer, &n) in before.iter().enumerate() {
                remove(weights, &mut mask, &[layer], criterion, share(*rate, n)?, cutoff)?;
            }
        }
        Amount::SparsityEveryLayer(sparsity) => {
            for (layer, &kept) in before.iter().enumerate() {
                let total = mask.tensors[layer].keep.len();
                let count = share(*sparsity, total)?.saturating_sub(total - kept);
                remove(weights, &mut mask, &[layer], criterion, count, cutoff)?;
            }
        }
        Amount::Global(_) | Amount::SparsityGlobal(_) => {
            let count = match amount {
                Amount::SparsityGlobal(sparsity) => {
                    share(*sparsity, mask.total())?.saturating_sub(mask.total() - mask.kept())
                }
                Amount::Global(rate) => share(*rate, mask.kept())?,
                _ => 0,
            };
            let all: Vec<usize> = (0..before.len()).collect();
            remove(weights, &mut mask, &all, criterion, count, cutoff)?;
        }
    }
    let counts = mask.tensors.iter().zip(before).map(|(tensor, before)| LayerCount {
        layer: layer_of(&tensor.name).to_owned(),
        weights: tensor.keep.len(),
        kept: tensor.kept(),
        removed_now: before - tensor.kept(),
    });
    let counts = counts.collect();
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

/// `round(rate * n)`, halves to even.
fn share(rate: f64, n: usize) -> Result<usize, PruneError> {
    if (0.0..=1.0).contains(&rate) {
        Ok((rate * n as f64).round_ties_even() as usize)
    } else {
        Err(PruneError::Share(rate))
    }
}

/// The rate of each layer that has one, by the most specific (longest) pattern that matches its name.
fn layer_rates(weights: &Weights, rates: &BTreeMap<String, f64>) -> Result<Vec<(usize, f64)>, PruneError> {
    let layers = weight_layers(weights.network());
    if let Some(pattern) = rates.keys().find(|pattern| !layers.iter().any(|layer| matches(pattern, layer))) {
        let names: Vec<_> = layers.iter().map(|layer| format!("`{layer}`")).collect();
        return Err(PruneError::NoSuchLayer { pattern: pattern.clone(), layers: names.join(", ") });
    }
    let rate_of = |name: &str| {
        rates.iter().filter(|(pattern, _)| matches(pattern, name)).max_by_key(|(pattern, _)| pattern.len())
    };
    Ok(layers.iter().enumerate().filter_map(|(i, layer)| Some((i, *rate_of(layer)?.1))).collect())
}

/// Drops the `count` lowest of the weights that `mask` keeps in `layers`.
fn remove(
    weights: &Weights,
    mask: &mut Mask,
    layers: &[usize],
    criterion: Criterion,
    count: usize,
    cutoff: Cutoff,
) -> Result<(), PruneError> {
    let tensors: Vec<_> = weights.weight_tensors().collect();
    let mut ranked: Vec<(f32, usize, usize)> = Vec::new();
    for &layer in layers {
        let tensor = &mask.tensors[layer];
        let scores = scores(&tensors[layer].values, criterion, &tensor.name);
        for (index, score) in scores.into_iter().enumerate().filter(|(index, _)| tensor.keep[*index]) {
            if score.is_nan() {
                return Err(PruneError::NotANumber(tensor.name.clone()));
            }
            ranked.push((score, layer, index));
        }
    }
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let gone = match cutoff {
        Cutoff::Exact => count,
        Cutoff::Published if count == 0 => 0,
        Cutoff::Published => {
            let last = ranked[count.min(ranked.len() - 1)].0;
            ranked.partition_point(|(score, ..)| *score <= last)
        }
    };
    for (_, layer, index) in &ranked[..gone.min(ranked.len())] {
        mask.tensors[*layer].keep[*index] = false;
    }
    Ok(())
}

/// What each weight of a tensor is ranked by.
fn scores(values: &[f32], criterion: Criterion, name: &str) -> Vec<f32> {
    match criterion {
        Criterion::Magnitude => values.iter().map(|value| value.abs()).collect(),
        Criterion::Random { seed } => {
            let mut stream = Stream::new(seed, &format!("prune/{name}"), &[]);
            values.iter().map(|_| stream.uniform_f32()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::activation::Activation;
    use crate::nn::mlp::Mlp;
    use duress_network::{Init, Scheme};

    fn lottery_rates() -> Amount {
        Amount::PerLayer(BTreeMap::from([("hidden.*".to_owned(), 0.2), ("output".to_owned(), 0.1)]))
    }

    fn small() -> Weights {
        let net = Mlp::new(4, &[5], 3, Activation::relu(), false).graph().unwrap();
        net.initialize(&Scheme::new(Init::HeNormal, Init::Zeros), 4)
    }

    #[test]
    fn the_published_rule_gives_the_published_schedule_for_all_twenty_rounds() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference/tables/sparsity_schedule.csv");
        let Ok(table) = std::fs::read_to_string(path) else {
            println!("skipped: {path} is absent");
            return;
        };
        let net = Mlp::new(784, &[300, 100], 10, Activation::relu(), false).graph().unwrap();
        let mut mask = Mask::full(&net);
        for (round, line) in table.lines().skip(1).enumerate() {
            if round > 0 {
                // Values without ties, drawn anew each round as if trained.
                let mut weights = Weights::zeros(&net);
                for (t, values) in weights.values_mut().enumerate() {
                    let order = Stream::new(round as u64, "order", &[t as u64]).permutation(values.len());
                    for (value, rank) in values.iter_mut().zip(order) {
                        *value = (rank + 1) as f32;
                    }
                }
                let pruned =
                    prune(&weights, Some(&mask), Criterion::Magnitude, &lottery_rates(), Cutoff::Published).unwrap();
                mask = pruned.0;
            }
            let wanted: Vec<usize> = line.split(',').skip(1).take(4).map(|cell| cell.parse().unwrap()).collect();
            let kept: Vec<usize> = mask.tensors.iter().map(MaskTensor::kept).collect();
            assert_eq!((&kept[..], mask.kept()), (&wanted[..3], wanted[3]), "round {round}");
        }
    }

    #[test]
    fn the_exact_rule_removes_exactly_the_smallest() {
        let weights = small();
        let (mask, counts) =
            prune(&weights, None, Criterion::Magnitude, &Amount::EveryLayer(0.25), Cutoff::Exact).unwrap();
        assert_eq!(counts[0].removed_now, 5);
        assert_eq!((counts[1].weights, counts[1].kept), (15, 11));
        for (weight, tensor) in weights.weight_tensors().zip(&mask.tensors) {
            let magnitude = |kept: bool| {
                let pairs = weight.values.iter().zip(&tensor.keep);
                pairs.filter(move |(_, keep)| **keep == kept).map(|(w, _)| w.abs())
            };
            assert!(magnitude(false).fold(0.0, f32::max) < magnitude(true).fold(f32::MAX, f32::min));
        }
    }

    #[test]
    fn global_pruning_ranks_all_layers_together() {
        let mut weights = small();
        weights.get_mut("output.weight").unwrap().iter_mut().for_each(|v| *v *= 1e-3);
        let (_, counts) =
            prune(&weights, None, Criterion::Magnitude, &Amount::Global(15.0 / 35.0), Cutoff::Exact).unwrap();
        assert_eq!((counts[0].kept, counts[1].kept), (20, 0));
    }

    #[test]
    fn equal_magnitudes_are_removed_in_order_of_position() {
        let mut weights = small();
        weights.get_mut("hidden.1.weight").unwrap().fill(-1.0);
        let amount = Amount::PerLayer(BTreeMap::from([("hidden.1".to_owned(), 0.25)]));
        let (mask, _) = prune(&weights, None, Criterion::Magnitude, &amount, Cutoff::Exact).unwrap();
        assert!(mask.tensors[0].keep.iter().enumerate().all(|(i, keep)| *keep == (i >= 5)));
        assert_eq!(mask.tensors[1].kept(), 15);
    }

    #[test]
    fn sparsity_is_of_all_weights_whatever_is_gone_already() {
        let weights = small();
        let (first, _) =
            prune(&weights, None, Criterion::Magnitude, &Amount::SparsityEveryLayer(0.4), Cutoff::Exact).unwrap();
        let (second, counts) = prune(
            &weights,
            Some(&first),
            Criterion::Random { seed: 1 },
            &Amount::SparsityEveryLayer(0.6),
            Cutoff::Exact,
        )
        .unwrap();
        assert_eq!((counts[0].kept, counts[1].kept), (8, 6));
        let pairs = first.tensors.iter().zip(&second.tensors);
        assert!(pairs.flat_map(|(a, b)| a.keep.iter().zip(&b.keep)).all(|(before, after)| *before || !*after));
        let global = Amount::SparsityGlobal(0.6);
        let (mask, _) = prune(&weights, Some(&first), Criterion::Magnitude, &global, Cutoff::Exact).unwrap();
        assert_eq!(mask.kept(), 14);
    }

    #[test]
    fn random_pruning_depends_on_its_seed_alone() {
        let with = |seed, weights: &Weights| {
            prune(weights, None, Criterion::Random { seed }, &Amount::EveryLayer(0.5), Cutoff::Exact).unwrap().0
        };
        assert_eq!(with(1, &small()), with(1, &Weights::zeros(small().network())));
        assert_ne!(with(1, &small()), with(2, &small()));
    }

    #[test]
    fn patterns_match_with_stars_and_the_longest_wins() {
        assert!(matches("hidden.*", "hidden.12") && matches("*", "output") && matches("*.1", "hidden.1"));
        assert!(!matches("hidden", "hidden.1") && !matches("hidden.*.x", "hidden.1"));
        let rates = BTreeMap::from([("*".to_owned(), 0.5), ("output".to_owned(), 0.0)]);
        let (_, counts) = prune(&small(), None, Criterion::Magnitude, &Amount::PerLayer(rates), Cutoff::Exact).unwrap();
        assert_eq!((counts[0].removed_now, counts[1].removed_now), (10, 0));
    }

    #[test]
    fn mistakes_are_explained() {
        let error = |amount: Amount| {
            prune(&small(), None, Criterion::Magnitude, &amount, Cutoff::Exact).unwrap_err().to_string()
        };
        assert!(error(Amount::EveryLayer(1.5)).contains("share to remove is 1.5"));
        let nowhere = Amount::PerLayer(BTreeMap::from([("conv.*".to_owned(), 0.1)]));
        assert!(error(nowhere).contains("`conv.*` matches no layer; the layers are `hidden.1`, `output`"));
        let mut broken = small();
        broken.value_mut(1)[0] = f32::NAN;
        let outcome = prune(&broken, None, Criterion::Magnitude, &Amount::Global(0.1), Cutoff::Exact);
        assert_eq!(outcome.unwrap_err(), PruneError::NotANumber("output.weight".into()));
    }
}
