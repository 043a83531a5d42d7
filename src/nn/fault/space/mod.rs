//! Where faults can be in any network: every (place, element, bit or model), numbered.
//!
//! A space is made from a network alone, so that a plan can say how large it is. Sites are made when asked for; a space of a
//! billion faults takes no memory.

mod cells;
mod index;
mod region;
mod targets;

use std::collections::BTreeSet;

use duress_network::{Network, Weights};

use super::bits::WORD_BITS;
use super::model::{Effect, FaultModel};
use crate::nn::random::Stream;
pub use cells::{Cells, Sort};
pub use index::{ravel, unravel};
pub(super) use region::Region;
pub use region::layer_names;
use region::{layout, regions};
pub use targets::{Place, SpaceError, Targets};
use targets::{check_models, variants};

/// All faults of a campaign, numbered from 0: element by element, within it bit by bit, within it model by model, then the
/// models that are not about a bit. A campaign of bit errors has a fault for every draw of the memory, without end.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSpace {
    regions: Vec<Region>,
    variants: Vec<(FaultModel, Option<u8>)>,
    /// Rates of bit errors, where that is what the campaign is about.
    rates: Vec<f64>,
    bits: Vec<u8>,
    seed: u64,
}

/// One fault.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSite {
    /// Its number: in its space, or in its list.
    pub number: u64,
    /// The node it is in, from 1; `None` of errors all over the memory.
    pub node: Option<usize>,
    /// The parameter it is in, if it is in one.
    pub parameter: Option<usize>,
    /// The element: as of a `PyTorch` tensor, such as `[output, input, row, column]`; `[channel]` of a whole channel.
    pub index: Vec<usize>,
    /// The bit, of faults in one bit.
    pub bit: Option<u8>,
    /// What happens.
    pub model: FaultModel,
    /// Every number that is hit.
    pub hits: Hits,
}

/// The numbers that one fault hits.
#[derive(Clone, Debug, PartialEq)]
pub enum Hits {
    /// Stored numbers, for the whole campaign: parameter, row-major element, effect.
    Stored(Vec<(usize, usize, Effect)>),
    /// Numbers of a node's output, each time it is computed.
    Output {
        /// The node, from 1.
        node: usize,
        /// Row-major elements of one example's output.
        elements: Vec<usize>,
        /// What becomes of each.
        effect: Effect,
    },
}

impl FaultSite {
    /// The stored number that is hit, where it is one.
    #[must_use]
    pub fn stored(&self, weights: &Weights) -> Option<f32> {
        match &self.hits {
            Hits::Stored(hits) => match hits.as_slice() {
                [(parameter, element, _)] => weights.tensors().get(*parameter)?.values.get(*element).copied(),
                _ => None,
            },
            Hits::Output { .. } => None,
        }
    }

    /// How many numbers are hit.
    #[must_use]
    pub fn numbers(&self) -> usize {
        match &self.hits {
            Hits::Stored(hits) => hits.len(),
            Hits::Output { elements, .. } => elements.len(),
        }
    }
}

impl FaultSpace {
    /// The faults that `targets` names in `network`; what is repeated counts once. `seed` is that of drawn values and bits.
    ///
    /// # Errors
    /// [`SpaceError`] for what there is not, and for no faults at all.
    pub fn new(network: &Network, targets: &Targets, seed: u64) -> Result<Self, SpaceError> {
        check_models(targets)?;
        let bits: Vec<u8> = targets.bits.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if let Some(bit) = bits.iter().find(|bit| **bit >= WORD_BITS) {
            return Err(SpaceError::NoSuchBit(*bit));
        }
        let rates = targets.models.iter().filter_map(|model| match model {
            FaultModel::BitErrorRate(rate) => Some(*rate),
            _ => None,
        });
        let mut space =
            Self { regions: Vec::new(), variants: variants(targets, &bits), rates: rates.collect(), bits, seed };
        for region in regions(network, targets)? {
            let first = space.sites();
            space.regions.push(Region { first, ..region });
        }
        let hit = |region: &Region| region.cells() > 0;
        let any = !space.variants.is_empty() || (!space.rates.is_empty() && !space.bits.is_empty());
        if any && space.regions.iter().any(hit) { Ok(space) } else { Err(SpaceError::Empty) }
    }

    /// How many faults there are; `None` where there is no end of them.
    #[must_use]
    pub fn population(&self) -> Option<u64> {
        self.rates.is_empty().then(|| self.sites())
    }

    fn sites(&self) -> u64 {
        self.regions.last().map_or(0, |region| region.first + (region.cells() * self.variants.len()) as u64)
    }

    /// Fault `number`, if there is one.
    #[must_use]
    pub fn site(&self, number: u64) -> Option<FaultSite> {
        if !self.rates.is_empty() {
            return Some(self.memory(number));
        }
        if number >= self.sites() {
            return None;
        }
        let region = &self.regions[self.regions.partition_point(|region| region.first <= number) - 1];
        let (within, per_cell) = (number - region.first, self.variants.len() as u64);
        let (model, bit) = self.variants[(within % per_cell) as usize];
        let cell = region.cell((within / per_cell) as usize);
        let effect = model.effect(bit, self.seed, number);
        let layout = layout(&region.shape);
        let (index, hits) = match region.parameter {
            Some(parameter) => (unravel(cell, &region.shape), Hits::Stored(vec![(parameter, cell, effect)])),
            None if region.place == Place::Channel => {
                let elements = (0..layout.positions).map(|position| layout.element(cell, position)).collect();
                (vec![cell], Hits::Output { node: region.node, elements, effect })
            }
            None => (unravel(cell, &region.shape), Hits::Output { node: region.node, elements: vec![cell], effect }),
        };
        Some(FaultSite { number, node: Some(region.node), parameter: region.parameter, index, bit, model, hits })
    }

    /// Draw `number` of the whole memory: rates take turns.
    fn memory(&self, number: u64) -> FaultSite {
        let rate = self.rates[(number % self.rates.len() as u64) as usize];
        let mut stream = Stream::new(self.seed, "bit-errors", &[number]);
        let bits = self.bits.len();
        let total: usize = self.regions.iter().map(|region| region.cells() * bits).sum();
        let mut hits: Vec<(usize, usize, Effect)> = Vec::new();
        let (mut at, mut place, mut passed) = (gap(&mut stream, rate), 0, 0);
        while at < total {
            while at - passed >= self.regions[place].cells() * bits {
                passed += self.regions[place].cells() * bits;
                place += 1;
            }
            let region = &self.regions[place];
            let element = region.cell((at - passed) / bits);
            let bit = 1u32 << self.bits[(at - passed) % bits];
            let flip = |mask| Effect::Bits { model: super::BitModel::BitFlip, mask };
            match (hits.last_mut(), region.parameter) {
                (Some((p, e, Effect::Bits { mask, .. })), Some(parameter)) if (*p, *e) == (parameter, element) => {
                    *mask |= bit;
                }
                (_, Some(parameter)) => hits.push((parameter, element, flip(bit))),
                (_, None) => {}
            }
            at = at.saturating_add(1).saturating_add(gap(&mut stream, rate));
        }
        let model = FaultModel::BitErrorRate(rate);
        FaultSite { number, node: None, parameter: None, index: Vec::new(), bit: None, model, hits: Hits::Stored(hits) }
    }

    /// How many faults hit one element.
    #[must_use]
    pub fn per_element(&self) -> usize {
        self.variants.len()
    }

    /// The models and bits that hit one element, in the order of its faults.
    pub(super) fn variants(&self) -> &[(FaultModel, Option<u8>)] {
        &self.variants
    }

    pub(super) fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The nodes whose outputs are hit.
    #[must_use]
    pub fn exposed(&self) -> BTreeSet<usize> {
        self.regions.iter().filter(|region| !region.place.is_stored()).map(|region| region.node).collect()
    }
}

/// How many bits without error come before the next one: geometric, by inversion.
pub(super) fn gap(stream: &mut Stream, rate: f64) -> usize {
    if rate >= 1.0 {
        return 0;
    }
    if rate <= 0.0 {
        return usize::MAX;
    }
    let gap = (libm::log(1.0 - stream.uniform_f64()) / libm::log1p(-rate)).floor();
    if gap < 9e18 { gap as usize } else { usize::MAX }
}

#[cfg(test)]
mod tests;
