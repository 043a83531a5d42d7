//! Which faults are drawn: the strata of a space, how many of each, and which.
//!
//! Every fault of the space belongs to exactly one stratum, within which all are equally likely. So every estimate can weigh
//! what was drawn by what there is, however unequal the shares.

use std::collections::BTreeMap;

use duress_network::{Network, Weights};

use super::model::{Effect, FaultModel};
use super::precision::{Precision, sample_size, sample_size_endless};
use super::published::{PUBLISHED_SEED, published_list};
use super::space::{FaultSpace, Place};
use crate::nn::random::Stream;

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
    /// The same, the expected rate of each bit of each layer taken from the stored numbers (data-aware): see [`prior`]. The
    /// rate of the precision is the largest that is expected of any bit.
    DataAware(Precision),
    /// The list of the published generator with this seed, of bit flips in all bits of weights.
    Published(u64, Precision),
}

impl Default for Sampling {
    fn default() -> Self {
        Self::Published(PUBLISHED_SEED, super::published::PUBLISHED)
    }
}

/// A fault to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chosen {
    /// Its stratum in the [`Design`].
    pub stratum: usize,
    /// Its number in the space.
    pub number: u64,
}

/// The strata of a space.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    strata: Vec<Stratum>,
}

/// A part of the space in which all faults are equally likely to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Stratum {
    blocks: Vec<Block>,
    endless: bool,
}

/// Some cells of a region times some of its variants.
#[derive(Clone, Debug, PartialEq)]
struct Block {
    /// Number of the region's first site.
    first: u64,
    per_cell: u64,
    /// The cells; `None` for all of `count`.
    cells: Option<Vec<u32>>,
    count: u64,
    /// Positions among the variants.
    variants: Vec<u64>,
}

impl Block {
    fn sites(&self) -> u64 {
        self.count * self.variants.len() as u64
    }

    fn site(&self, rank: u64) -> u64 {
        let variants = self.variants.len() as u64;
        let cell = rank / variants;
        let cell = self.cells.as_ref().map_or(cell, |cells| u64::from(cells[cell as usize]));
        self.first + cell * self.per_cell + self.variants[(rank % variants) as usize]
    }
}

impl Stratum {
    /// How many faults it has; `None` where there is no end of them.
    #[must_use]
    pub fn population(&self) -> Option<u64> {
        (!self.endless).then(|| self.blocks.iter().map(Block::sites).sum())
    }

    /// The number of its fault `rank`, in the order of the space.
    fn site(&self, mut rank: u64) -> u64 {
        for block in &self.blocks {
            if rank < block.sites() {
                return block.site(rank);
            }
            rank -= block.sites();
        }
        rank
    }
}

/// What tells strata apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// The layer.
    pub layer: bool,
    /// The bit, or the model where it is not about a bit.
    pub bit: Fineness,
    /// The sign of the stored number.
    pub sign: bool,
}

/// How finely bits are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fineness {
    /// Not at all.
    All,
    /// As sign, top exponent bit, other exponent bits and mantissa, whose faults differ by orders of magnitude.
    Class,
    /// Every bit.
    Each,
}

impl Design {
    /// The whole space as one stratum.
    #[must_use]
    pub fn whole(space: &FaultSpace) -> Self {
        Self::by(space, None, By { layer: false, bit: Fineness::All, sign: false })
    }

    /// The strata that `by` tells apart, in order of layer, bit and sign; empty ones are left out. Signs are those of `weights`;
    /// without them, and of numbers that are not stored, all are one.
    #[must_use]
    pub fn by(space: &FaultSpace, weights: Option<&Weights>, by: By) -> Self {
        if space.population().is_none() {
            return Self { strata: vec![Stratum { blocks: Vec::new(), endless: true }] };
        }
        let mut strata: BTreeMap<(usize, usize, u8), Vec<Block>> = BTreeMap::new();
        for region in space.regions() {
            let layer = if by.layer { region.node } else { 0 };
            let stored = region.parameter.and_then(|parameter| Some(&weights?.tensors()[parameter].values));
            let parts: Vec<(u8, Option<Vec<u32>>)> = match stored.filter(|_| by.sign) {
                Some(values) => [false, true]
                    .into_iter()
                    .map(|negative| {
                        let of_sign = |cell: &usize| values[region.cell(*cell)].is_sign_negative() == negative;
                        (
                            u8::from(negative),
                            Some((0..region.cells()).filter(of_sign).map(|cell| cell as u32).collect()),
                        )
                    })
                    .collect(),
                None => vec![(0, None)],
            };
            for (sign, cells) in parts {
                let count = cells.as_ref().map_or(region.cells(), Vec::len) as u64;
                for (group, variants) in grouped(space, by.bit) {
                    let per_cell = space.per_element() as u64;
                    let block = Block { first: region.first, per_cell, cells: cells.clone(), count, variants };
                    if block.sites() > 0 {
                        strata.entry((layer, group, sign)).or_default().push(block);
                    }
                }
            }
        }
        Self { strata: strata.into_values().map(|blocks| Stratum { blocks, endless: false }).collect() }
    }

    /// The finest strata of `by` of which each can be given `pilot` faults while half of `faults` are left to be put where
    /// they tell most: bits are merged first, then layers, then bits again, then signs.
    #[must_use]
    pub fn fitting(space: &FaultSpace, weights: &Weights, by: By, faults: u64, pilot: u64) -> Self {
        let merged = |layer: bool, bit: Fineness, sign: bool| By {
            layer: by.layer && layer,
            bit: by.bit.min(bit),
            sign: by.sign && sign,
        };
        let steps = [
            by,
            merged(true, Fineness::Class, true),
            merged(false, Fineness::Each, true),
            merged(false, Fineness::Class, true),
            merged(false, Fineness::Class, false),
        ];
        let fits = |design: &Self| design.strata.len() as u64 * pilot.max(1) * 2 <= faults;
        let mut designs = steps.into_iter().map(|by| Self::by(space, Some(weights), by));
        designs.find(fits).unwrap_or_else(|| Self::whole(space))
    }

    /// The strata.
    #[must_use]
    pub fn strata(&self) -> &[Stratum] {
        &self.strata
    }

    /// The populations of the strata, in order.
    #[must_use]
    pub fn populations(&self) -> Vec<Option<u64>> {
        self.strata.iter().map(Stratum::population).collect()
    }

    /// The first `count` faults drawn of stratum `stratum`, uniformly, without replacement: a longer draw with the same seed
    /// begins with a shorter one, so that enlarging a campaign keeps what was computed.
    ///
    /// # Panics
    /// If there is no such stratum.
    #[must_use]
    pub fn draw(&self, stratum: usize, count: u64, seed: u64) -> Vec<Chosen> {
        let of = &self.strata[stratum];
        let chosen = |number| Chosen { stratum, number };
        match of.population() {
            Some(all) => draw(all, count, seed, stratum as u64).into_iter().map(|rank| chosen(of.site(rank))).collect(),
            None => (0..count).map(chosen).collect(),
        }
    }

    /// Every fault, stratum by stratum.
    fn census(&self) -> Vec<Chosen> {
        let all = |(stratum, of): (usize, &Stratum)| {
            (0..of.population().unwrap_or(0)).map(move |rank| (stratum, rank)).collect::<Vec<_>>()
        };
        let ranks = self.strata.iter().enumerate().flat_map(all);
        ranks.map(|(stratum, rank)| Chosen { stratum, number: self.strata[stratum].site(rank) }).collect()
    }
}

/// The variants of each group of a fineness, by group.
fn grouped(space: &FaultSpace, fineness: Fineness) -> BTreeMap<usize, Vec<u64>> {
    let mut groups: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for (at, (_, bit)) in space.variants().iter().enumerate() {
        // What is not about a bit comes after all bits, each model for itself.
        let other = 64 + at;
        let group = match fineness {
            Fineness::All => 0,
            Fineness::Each => bit.map_or(other, usize::from),
            Fineness::Class => bit.map_or(other, class),
        };
        groups.entry(group).or_default().push(at as u64);
    }
    groups
}

/// 0 the mantissa, 1 the lower exponent, 2 the top exponent bit, 3 the sign.
fn class(bit: u8) -> usize {
    match bit {
        31.. => 3,
        30 => 2,
        23.. => 1,
        _ => 0,
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
    let chosen = |fault: super::published::PublishedFault| {
        let region = &regions[fault.layer];
        let element = super::space::ravel(&fault.index, shapes[fault.layer])? as u64;
        let flip = FaultModel::Bit(super::BitModel::BitFlip);
        let variant = space.variants().iter().position(|variant| *variant == (flip, Some(fault.bit)))? as u64;
        let stratum = nodes.iter().position(|node| *node == region.node)?;
        Some(Chosen { stratum, number: region.first + element * space.per_element() as u64 + variant })
    };
    published_list(&shapes, seed, precision).into_iter().filter_map(chosen).collect()
}

/// Whether a space is the one that the published generator draws from: bit flips in all bits of weights and nothing else.
#[must_use]
pub fn is_published_space(space: &FaultSpace) -> bool {
    let flip = FaultModel::Bit(super::BitModel::BitFlip);
    let bits = (0..super::WORD_BITS).map(|bit| (flip, Some(bit)));
    space.regions().iter().all(|region| region.place == Place::Weight) && space.variants().iter().copied().eq(bits)
}

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
fn priors(space: &FaultSpace, weights: &Weights, most: f64) -> Vec<f64> {
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

/// `count` different numbers below `population` in random order, by a Fisher-Yates shuffle that is cut short; `stratum` tells
/// apart the draws of different strata.
fn draw(population: u64, count: u64, seed: u64, stratum: u64) -> Vec<u64> {
    let mut random = Stream::new(seed, "fault-sample", &[stratum]);
    // The array being shuffled, holding only what differs from `a[i] = i`.
    let mut moved: BTreeMap<u64, u64> = BTreeMap::new();
    (0..count.min(population))
        .map(|i| {
            let j = i + random.below(population - i);
            let at_i = moved.remove(&i).unwrap_or(i);
            if i == j { at_i } else { moved.insert(j, at_i).unwrap_or(j) }
        })
        .collect()
}

/// `count` of `of` examples, in their order, drawn anew for fault `number`; `None` where that would be all of them.
///
/// They must differ from fault to fault: with the same few examples for all faults, what those examples have in common would
/// not average out.
#[must_use]
pub fn images_of(number: u64, count: usize, of: usize, seed: u64) -> Option<Vec<u32>> {
    (count < of).then(|| draw_images(of as u64, count as u64, seed, number))
}

fn draw_images(population: u64, count: u64, seed: u64, number: u64) -> Vec<u32> {
    let mut random = Stream::new(seed, "fault-images", &[number]);
    // Floyd's method: as many draws as images, without a table of the others.
    let mut images = std::collections::BTreeSet::new();
    for last in population - count..population {
        let drawn = random.below(last + 1);
        if !images.insert(drawn) {
            images.insert(last);
        }
    }
    images.into_iter().map(|image| image as u32).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::nn::fault::BitModel;
    use crate::nn::fault::space::Targets;
    use crate::nn::mlp::Mlp;
    use crate::nn::{Activation, Init, Scheme};

    fn setting() -> (Weights, FaultSpace) {
        let network = Mlp::new(3, &[4], 2, Activation::relu(), true).graph().expect("a network");
        let models = BitModel::ALL.map(FaultModel::Bit).to_vec();
        let targets = Targets { models, places: vec![Place::Weight, Place::Bias], ..Targets::default() };
        let space = FaultSpace::new(&network, &targets, 7).expect("layers match");
        (network.initialize(&Scheme::new(Init::HeNormal, Init::Normal { std: 0.3 }), 3), space)
    }

    fn numbers(chosen: &[Chosen]) -> Vec<u64> {
        chosen.iter().map(|chosen| chosen.number).collect()
    }

    #[test]
    fn samples_have_no_repetition_and_grow_at_their_end() {
        let (weights, space) = setting();
        let sample = |count, seed| numbers(&choose(&space, &weights, Sampling::Random(count), seed).1);
        let (small, large) = (sample(100, 7), sample(1000, 7));
        assert_eq!(small[..], large[..100]);
        assert_eq!(large.iter().collect::<BTreeSet<_>>().len(), 1000);
        assert_ne!(small, sample(100, 8));
        let all = sample(u64::MAX, 7);
        let population = space.population().expect("finite");
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), (0..population).collect());
        assert_eq!(numbers(&choose(&space, &weights, Sampling::Exhaustive, 1).1), (0..population).collect::<Vec<_>>());
    }

    #[test]
    fn layers_get_their_share() {
        let (weights, space) = setting();
        let (design, chosen) = choose(&space, &weights, Sampling::Layers(260), 1);
        assert_eq!(design.populations(), [Some(16 * 96), Some(10 * 96)]);
        // 16 of 26 parameters belong to the first layer.
        assert_eq!((chosen.iter().filter(|c| c.stratum == 0).count(), chosen.len()), (160, 260));
        assert!(chosen.iter().all(|c| (c.number < 16 * 96) == (c.stratum == 0)));
        assert_eq!(planned(&space, Sampling::Layers(260)), Some(260));
    }

    #[test]
    fn every_fault_belongs_to_exactly_one_stratum_of_its_layer_bit_and_sign() {
        let (weights, space) = setting();
        let by = By { layer: true, bit: Fineness::Each, sign: true };
        let design = Design::by(&space, Some(&weights), by);
        let all = design.census();
        let population = space.population().expect("finite");
        assert_eq!(all.iter().map(|c| c.number).collect::<BTreeSet<_>>(), (0..population).collect());
        assert_eq!(all.len() as u64, population);
        let mut seen = BTreeMap::new();
        for chosen in all {
            let site = space.site(chosen.number).expect("within");
            let sign = site.stored(&weights).expect("stored").is_sign_negative();
            let of = seen.entry(chosen.stratum).or_insert((site.node, site.bit, sign));
            assert_eq!(*of, (site.node, site.bit, sign));
        }
        assert_eq!(seen.len(), design.strata().len());
    }

    #[test]
    fn strata_are_merged_until_each_can_have_its_pilot() {
        let (weights, space) = setting();
        let by = By { layer: true, bit: Fineness::Each, sign: true };
        let strata = |faults| Design::fitting(&space, &weights, by, faults, 2).strata().len();
        // Two layers, 32 bits, two signs; then four classes of bits; without layers; without signs; without anything.
        assert_eq!(strata(512), 128);
        assert_eq!(strata(511), 16);
        assert_eq!(strata(63), 8);
        assert_eq!(strata(31), 4);
        assert_eq!(strata(15), 1);
    }

    #[test]
    fn margins_are_met_layer_by_layer_and_bit_by_bit() {
        let (weights, space) = setting();
        let precision = Precision { margin: 0.1, quantile: 1.96, rate: 0.5 };
        let count = |sampling| {
            let (design, chosen) = choose(&space, &weights, sampling, 1);
            let mut counts = vec![0; design.strata().len()];
            for c in &chosen {
                counts[c.stratum] += 1;
            }
            counts
        };
        assert_eq!(
            count(Sampling::LayerMargin(precision)),
            [sample_size(16 * 96, precision), sample_size(960, precision)]
        );
        let bits = count(Sampling::BitMargin(precision));
        assert_eq!((bits.len(), bits[0], bits[63]), (64, sample_size(48, precision), sample_size(30, precision)));
        assert_eq!(planned(&space, Sampling::BitMargin(precision)), Some(bits.iter().sum()));
        // Of the bits of the first layer the top of the exponent is expected to matter most, the lowest of the mantissa least.
        let aware = count(Sampling::DataAware(precision));
        assert!(aware[30] > aware[0] && aware[0] >= 1, "{aware:?}");
        assert!(aware.iter().sum::<u64>() < bits.iter().sum());
    }

    #[test]
    fn a_flip_is_expected_to_matter_by_how_far_it_moves_a_weight() {
        let flip = |bit: u8| move |_, _| FaultModel::Bit(BitModel::BitFlip).effect(Some(bit), 0, 0);
        // 0.5 becomes -0.5: as far as twice the largest weight, which is as far as can be; 1.0 loses 0.5 of 1.
        assert!((prior(&[0.5, -0.5], flip(31), 0.5) - 0.5).abs() < 1e-12);
        assert!((prior(&[1.0], flip(23), 0.5) - 0.25).abs() < 1e-12);
        assert!((prior(&[1.0], flip(0), 0.5) - 1e-4).abs() < 1e-12);
        assert!((prior(&[1.0], flip(30), 0.5) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn each_site_is_as_likely_as_any_other() {
        // 5 of 20, 4000 times: 1000 hits each; 43.8 is the 99.9 % quantile of chi-square with 19 degrees of freedom, and a
        // sample without replacement spreads less than that.
        for of in [&(|seed| draw(20, 5, seed, 0)) as &dyn Fn(u64) -> Vec<u64>, &|seed| {
            draw_images(20, 5, 1, seed).into_iter().map(u64::from).collect()
        }] {
            let mut hits = [0.0f64; 20];
            for seed in 0..4000 {
                let drawn = of(seed);
                assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 5);
                for i in drawn {
                    hits[i as usize] += 1.0;
                }
            }
            let chi: f64 = hits.iter().map(|h| (h - 1000.0).powi(2) / 1000.0).sum();
            assert!(chi < 43.8, "{hits:?}");
        }
    }

    #[test]
    fn images_are_redrawn_for_every_fault() {
        assert_eq!(images_of(3, 10, 10, 1), None);
        let (a, b) = (images_of(3, 4, 1000, 1), images_of(4, 4, 1000, 1));
        assert_ne!(a, b);
        assert_eq!(a, images_of(3, 4, 1000, 1));
        assert!(a.expect("some").is_sorted());
    }
}
