//! Which faults are drawn: the strata of a space, how many of each, and which.
//!
//! Every fault of the space belongs to exactly one stratum, within which all are equally likely. So every estimate can weigh
//! what was drawn by what there is, however unequal the shares.

mod choose;
mod draw;
mod prior;

use std::collections::BTreeMap;

use duress_network::Weights;

use super::space::FaultSpace;
pub use choose::{Sampling, choose, is_published_space, planned};
use draw::draw;
pub use draw::images_of;
pub use prior::prior;

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

#[cfg(test)]
mod tests;
