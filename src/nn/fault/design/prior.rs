//! What stored numbers say beforehand of how often their faults are critical.

use std::collections::BTreeMap;

use duress_network::Weights;

use super::{Fineness, grouped};
use crate::nn::fault::model::Effect;
use crate::nn::fault::space::FaultSpace;

/// The expected critical rate of a fault in a layer's stored numbers: `most` times the mean over the numbers of
/// `min(1, |faulty - stored| / r)`, `r` the largest magnitude in the layer, and at least 0.0001; a faulty number that is not
/// finite counts 1.
///
/// Data-aware sampling (Ruospo et al., DATE 2023) takes the expected rate of a bit from the distance by which its flips move the
/// weights. They map distances of the whole network to `[0, 0.5]` with outliers set apart by hand; measured in units of the
/// layer's own largest weight, a change as large as that counts as the largest there is, and no outlier needs a rule.
#[must_use]
pub fn prior(stored: &[f32], effect: impl Fn(usize, f32) -> Effect, most: f64) -> f64 {
    let largest = stored.iter().fold(0.0_f32, |largest, v| largest.max(v.abs()));
    if stored.is_empty() || largest <= 0.0 {
        return most;
    }
    let distance = |(at, v): (usize, &f32)| {
        let moved = (f64::from(effect(at, *v).apply(*v, 0.0)) - f64::from(*v)).abs() / f64::from(largest);
        if moved.is_finite() { moved.min(1.0) } else { 1.0 }
    };
    let mean = stored.iter().enumerate().map(distance).sum::<f64>() / stored.len() as f64;
    (most * mean).max(1e-4)
}

/// The priors of the strata of layer and bit, in their order.
pub(super) fn priors(space: &FaultSpace, weights: &Weights, most: f64) -> Vec<f64> {
    let mut by_stratum: BTreeMap<(usize, usize), (f64, f64)> = BTreeMap::new();
    for region in space.regions() {
        for (group, variants) in grouped(space, Fineness::Each) {
            let count = (region.cells() * variants.len()) as f64;
            let mean: f64 = match region.parameter {
                Some(parameter) => {
                    let stored = &weights.tensors()[parameter].values;
                    let of = |at: &u64| {
                        let (model, bit) = space.variants()[*at as usize];
                        prior(stored, |element, _| model.effect(bit, 0, element as u64), most)
                    };
                    variants.iter().map(of).sum::<f64>() / variants.len() as f64
                }
                None => most,
            };
            let (sum, all) = by_stratum.entry((region.node, group)).or_insert((0.0, 0.0));
            *sum += mean * count;
            *all += count;
        }
    }
    by_stratum.into_values().map(|(sum, all)| if all > 0.0 { sum / all } else { most }).collect()
}
