//! How many faults a campaign runs, and which.

use duress_network::{Network, Weights};

use super::prior::priors;
use super::{By, Chosen, Design, Fineness};
use crate::nn::fault::model::FaultModel;
use crate::nn::fault::precision::{Precision, sample_size, sample_size_endless};
use crate::nn::fault::published::{PUBLISHED, PUBLISHED_SEED, PublishedFault, published_list};
use crate::nn::fault::space::{FaultSpace, Place, ravel};
use crate::nn::fault::{BitModel, WORD_BITS};

/// How the faults of a campaign are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// Every fault of the space, in its order.
    Exhaustive,
    /// This many of the whole space, uniformly, without replacement, in the order drawn.
    Random(u64),
    /// About this many, shared out over the layers in proportion to their faults. Rounding per layer may change the total by a
    /// few.
    Layers(u64),
    /// As many of the whole space as a precision needs.
    Margin(Precision),
    /// As many of each layer as a precision needs.
    LayerMargin(Precision),
    /// As many of each bit of each layer as a precision needs (bit-wise, data-unaware: Ruospo et al., DATE 2023).
    BitMargin(Precision),
    /// The same, the expected rate of each bit of each layer taken from the stored numbers (data-aware): see [`super::prior()`]. The
    /// rate of the precision is the largest that is expected of any bit.
    DataAware(Precision),
    /// The list of the published generator with this seed, of bit flips in all bits of weights.
    Published(u64, Precision),
}

impl Default for Sampling {
    fn default() -> Self {
        Self::Published(PUBLISHED_SEED, PUBLISHED)
    }
}

/// The faults to run, in the order to run them, and the strata that they were drawn from.
#[must_use]
pub fn choose(space: &FaultSpace, weights: &Weights, sampling: Sampling, seed: u64) -> (Design, Vec<Chosen>) {
    let layers = By { layer: true, bit: Fineness::All, sign: false };
    let bits = By { bit: Fineness::Each, ..layers };
    let of_each = |by: By, size: &dyn Fn(usize, u64) -> u64| {
        let design = Design::by(space, Some(weights), by);
        let sizes = design.populations().into_iter().enumerate();
        let sizes: Vec<u64> = sizes.map(|(stratum, all)| size(stratum, all.unwrap_or(u64::MAX))).collect();
        let chosen = sizes.iter().enumerate().flat_map(|(stratum, n)| design.draw(stratum, *n, seed)).collect();
        (design, chosen)
    };
    match sampling {
        Sampling::Exhaustive => {
            let design = Design::whole(space);
            let chosen = design.census();
            (design, chosen)
        }
        Sampling::Random(_) | Sampling::Margin(_) => {
            let design = Design::whole(space);
            let chosen = design.draw(0, planned(space, sampling).unwrap_or(0), seed);
            (design, chosen)
        }
        Sampling::Layers(count) => {
            let all = space.population().unwrap_or(1) as f64;
            of_each(layers, &|_, sites| (count as f64 * (sites as f64 / all)).round_ties_even() as u64)
        }
        Sampling::LayerMargin(precision) => of_each(layers, &|_, sites| sample_size(sites, precision)),
        Sampling::BitMargin(precision) => of_each(bits, &|_, sites| sample_size(sites, precision)),
        Sampling::DataAware(precision) => {
            let priors = priors(space, weights, precision.rate);
            of_each(bits, &|stratum, sites| {
                sample_size(
                    sites,
                    Precision { rate: priors.get(stratum).copied().unwrap_or(precision.rate), ..precision },
                )
            })
        }
        Sampling::Published(seed, precision) => {
            let design = Design::by(space, None, layers);
            let chosen = published(space, weights.network(), seed, precision);
            (design, chosen)
        }
    }
}

/// How many faults a sampling will run; `None` where that depends on the stored numbers.
#[must_use]
pub fn planned(space: &FaultSpace, sampling: Sampling) -> Option<u64> {
    let all = space.population();
    let by = |bit| Design::by(space, None, By { layer: true, bit, sign: false });
    let each = |design: Design, precision| {
        design.populations().into_iter().flatten().map(|sites| sample_size(sites, precision)).sum()
    };
    let share = |count: u64| {
        let of = |sites: u64| (count as f64 * (sites as f64 / all.unwrap_or(1) as f64)).round_ties_even() as u64;
        by(Fineness::All).populations().into_iter().flatten().map(|sites| of(sites).min(sites)).sum()
    };
    Some(match sampling {
        Sampling::Exhaustive => all?,
        Sampling::Random(count) => all.map_or(count, |all| count.min(all)),
        Sampling::Margin(precision) => {
            all.map_or_else(|| sample_size_endless(precision), |all| sample_size(all, precision))
        }
        Sampling::Layers(count) => share(count),
        Sampling::LayerMargin(precision) => each(by(Fineness::All), precision),
        Sampling::BitMargin(precision) => each(by(Fineness::Each), precision),
        Sampling::Published(_, precision) => share(sample_size(all? * 2, precision)),
        Sampling::DataAware(_) => return None,
    })
}

/// The published list as faults of the space; what the space does not have is left out.
fn published(space: &FaultSpace, network: &Network, seed: u64, precision: Precision) -> Vec<Chosen> {
    let regions = space.regions();
    let shapes: Vec<&[usize]> =
        regions.iter().filter_map(|region| Some(network.parameters()[region.parameter?].shape.as_slice())).collect();
    let mut nodes: Vec<usize> = regions.iter().map(|region| region.node).collect();
    nodes.dedup();
    let chosen = |fault: PublishedFault| {
        let region = &regions[fault.layer];
        let element = ravel(&fault.index, shapes[fault.layer])? as u64;
        let flip = FaultModel::Bit(BitModel::BitFlip);
        let variant = space.variants().iter().position(|variant| *variant == (flip, Some(fault.bit)))? as u64;
        let stratum = nodes.iter().position(|node| *node == region.node)?;
        Some(Chosen { stratum, number: region.first + element * space.per_element() as u64 + variant })
    };
    published_list(&shapes, seed, precision).into_iter().filter_map(chosen).collect()
}

/// Whether a space is the one that the published generator draws from: bit flips in all bits of weights and nothing else.
#[must_use]
pub fn is_published_space(space: &FaultSpace) -> bool {
    let flip = FaultModel::Bit(BitModel::BitFlip);
    let bits = (0..WORD_BITS).map(|bit| (flip, Some(bit)));
    space.regions().iter().all(|region| region.place == Place::Weight) && space.variants().iter().copied().eq(bits)
}
