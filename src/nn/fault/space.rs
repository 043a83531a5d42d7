//! Where faults can be in any network: every (place, element, bit or model), numbered.
//!
//! A space is made from a network alone, so that a plan can say how large it is. Sites are made when asked for; a space of a
//! billion faults takes no memory.

use std::collections::{BTreeMap, BTreeSet};

use duress_network::op::Role;
use duress_network::{Network, Op, Weights};

use super::bits::WORD_BITS;
use super::model::{Effect, FaultModel};
use super::pattern::matches;
use crate::nn::random::Stream;

/// What kind of number is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Stored weights that multiply activations: those of convolutions, linear, recurrent and attention layers.
    Weight,
    /// Stored numbers added to such sums, and learned positions.
    Bias,
    /// Stored factors, offsets and statistics of normalisations.
    Normalisation,
    /// One number of a layer's output.
    Activation,
    /// A whole channel of a layer's output at once.
    Channel,
}

impl Place {
    /// Whether it is in a stored parameter.
    #[must_use]
    pub fn is_stored(self) -> bool {
        matches!(self, Self::Weight | Self::Bias | Self::Normalisation)
    }

    /// The place that a parameter of `role` and `rank` extents belongs to.
    fn of(role: Role, rank: usize) -> Option<Self> {
        match role {
            Role::Weight => (rank >= 2).then_some(Self::Weight),
            Role::Bias | Role::Position => Some(Self::Bias),
            Role::Scale | Role::Shift | Role::Buffer => Some(Self::Normalisation),
        }
    }
}

/// Which faults a campaign is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Targets {
    /// Names of layers (of nodes, as `PyTorch` names modules), with `*` for any run of characters; `["*"]` for all. Of layers'
    /// outputs a pattern with `*` picks those of nonlinearities, a name picks any node.
    pub layers: Vec<String>,
    /// The kinds of numbers that are hit.
    pub places: Vec<Place>,
    /// The bits that bitwise models hit.
    pub bits: Vec<u8>,
    /// The models applied.
    pub models: Vec<FaultModel>,
    /// Of layers' outputs: the channels (or features) that are hit; all by default.
    pub channels: Option<Vec<usize>>,
    /// Of layers' outputs: the positions that are hit, `[row, column]` of an image and `[step]` of a sequence; all by default.
    pub positions: Option<Vec<Vec<usize>>>,
}

impl Default for Targets {
    /// Bit flips in any bit of any weight.
    fn default() -> Self {
        Self {
            layers: vec!["*".to_owned()],
            places: vec![Place::Weight],
            bits: (0..WORD_BITS).collect(),
            models: vec![FaultModel::Bit(super::BitModel::BitFlip)],
            channels: None,
            positions: None,
        }
    }
}

/// Targets that name nothing, or nothing that can be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpaceError {
    /// A pattern fits no layer.
    #[error("find a layer named like `{pattern}`: the layers are {}", layers.join(", "))]
    NoSuchLayer {
        /// The pattern given.
        pattern: String,
        /// The names there are.
        layers: Vec<String>,
    },
    /// A bit is not in the word.
    #[error("hit bit {0} of a 32-bit word: give bits from 0 (least significant) to 31 (sign)")]
    NoSuchBit(u8),
    /// A channel is in none of the layers' outputs.
    #[error("hit channel {channel}: the widest of these layers has {most} channels, numbered from 0")]
    NoSuchChannel {
        /// The channel given.
        channel: usize,
        /// Channels of the widest layer.
        most: usize,
    },
    /// A position is in none of the layers' outputs.
    #[error("hit position {0:?}: none of these layers has it; give [row, column] of an image or [step] of a sequence")]
    NoSuchPosition(Vec<usize>),
    /// A model does not apply to a place.
    #[error("apply `{model}` to {place}: {fix}")]
    WrongModel {
        /// The model.
        model: &'static str,
        /// Where it was to be applied.
        place: &'static str,
        /// What to do instead.
        fix: &'static str,
    },
    /// Nothing is left to hit.
    #[error("sample faults from an empty space: name at least one layer with such parameters, bit and model")]
    Empty,
}

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

/// One array that can be hit: a parameter, or the output of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Region {
    pub(super) place: Place,
    /// The node, from 1.
    pub(super) node: usize,
    /// The parameter; `None` of an output.
    pub(super) parameter: Option<usize>,
    shape: Vec<usize>,
    /// What can be hit: elements, or channels; `None` for all.
    listed: Option<Vec<usize>>,
    /// Number of its first site.
    pub(super) first: u64,
}

impl Region {
    /// How many elements (or channels) can be hit.
    pub(super) fn cells(&self) -> usize {
        match (&self.listed, self.place) {
            (Some(listed), _) => listed.len(),
            (None, Place::Channel) => layout(&self.shape).channels,
            (None, _) => self.shape.iter().product(),
        }
    }

    /// Which element (or channel) cell `at` is.
    pub(super) fn cell(&self, at: usize) -> usize {
        self.listed.as_ref().map_or(at, |listed| listed[at])
    }
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

/// A sort of fault: what tells results apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sort {
    /// The node, from 1.
    pub node: usize,
    /// The bit, of faults in one.
    pub bit: Option<u8>,
    /// The model's name.
    pub model: &'static str,
    /// Whether the stored number is negative; `None` of what is not stored.
    pub negative: Option<bool>,
}

/// How many faults there are of each sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells(BTreeMap<Sort, u64>);

impl Cells {
    /// Of a space with an end, in `weights`; `None` of others.
    #[must_use]
    pub fn of(space: &FaultSpace, weights: &Weights) -> Option<Self> {
        space.population()?;
        let mut cells: BTreeMap<Sort, u64> = BTreeMap::new();
        for region in &space.regions {
            let stored = region.parameter.map(|parameter| &weights.tensors()[parameter].values);
            let negative = |values: &&Vec<f32>| values.iter().filter(|v| v.is_sign_negative()).count() as u64;
            let all = region.cells() as u64;
            let signs = match stored.as_ref().map(negative) {
                Some(below) => vec![(Some(false), all - below), (Some(true), below)],
                None => vec![(None, all)],
            };
            for (model, bit) in &space.variants {
                for (negative, count) in signs.iter().filter(|(_, count)| *count > 0) {
                    let sort = Sort { node: region.node, bit: *bit, model: model.name(), negative: *negative };
                    *cells.entry(sort).or_default() += count;
                }
            }
        }
        Some(Self(cells))
    }

    /// How many faults there are of the sorts that `wanted` names.
    #[must_use]
    pub fn count(&self, wanted: impl Fn(&Sort) -> bool) -> u64 {
        self.0.iter().filter(|(sort, _)| wanted(sort)).map(|(_, count)| count).sum()
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

fn variants(targets: &Targets, bits: &[u8]) -> Vec<(FaultModel, Option<u8>)> {
    let mut models: Vec<FaultModel> = Vec::new();
    for model in &targets.models {
        if !models.contains(model) && !matches!(model, FaultModel::BitErrorRate(_)) {
            models.push(*model);
        }
    }
    let mut bitwise: Vec<super::BitModel> =
        models.iter().filter_map(|m| if let FaultModel::Bit(model) = m { Some(*model) } else { None }).collect();
    bitwise.sort_unstable();
    let of_bits = bits.iter().flat_map(|bit| bitwise.iter().map(|model| (FaultModel::Bit(*model), Some(*bit))));
    let others = models.iter().filter(|model| !model.is_bitwise()).map(|model| (*model, None));
    of_bits.chain(others).collect()
}

fn check_models(targets: &Targets) -> Result<(), SpaceError> {
    let outputs = targets.places.iter().any(|place| !place.is_stored());
    let stored = targets.places.iter().any(|place| place.is_stored());
    for model in &targets.models {
        let (place, fix) = match model {
            FaultModel::Byzantine { .. } if stored => {
                ("stored numbers", "they have no range; write `random`, or target activations")
            }
            FaultModel::BitErrorRate(_) if outputs => ("activations", "it is about a memory; target weights or biases"),
            FaultModel::BitErrorRate(_) if targets.models.iter().any(|m| !matches!(m, FaultModel::BitErrorRate(_))) => {
                ("what other models hit one by one", "it hits the whole memory at once; give it a stage of its own")
            }
            _ => continue,
        };
        return Err(SpaceError::WrongModel { model: model.name(), place, fix });
    }
    Ok(())
}

/// The arrays that `targets` names, in the order of the network; numbers of first sites are still 0.
fn regions(network: &Network, targets: &Targets) -> Result<Vec<Region>, SpaceError> {
    let stored = stored_regions(network, targets);
    let outputs = output_regions(network, targets)?;
    for pattern in &targets.layers {
        let known = |region: &Region| fits(network, region, pattern);
        if !candidates(network, targets).iter().any(known) {
            return Err(SpaceError::NoSuchLayer { pattern: pattern.clone(), layers: layer_names(network, targets) });
        }
    }
    Ok(stored.into_iter().chain(outputs).collect())
}

/// Whether a pattern picks a region: by the name of its node, or of its parameter.
fn fits(network: &Network, region: &Region, pattern: &str) -> bool {
    let node = &network.nodes()[region.node - 1].name;
    let exact = region.parameter.is_some() || pattern == node || is_nonlinear(network, region.node);
    let parameter = region.parameter.map(|p| network.parameters()[p].name.as_str());
    (exact && matches(pattern, node)) || parameter.is_some_and(|name| matches(pattern, name))
}

fn is_nonlinear(network: &Network, node: usize) -> bool {
    matches!(network.nodes()[node - 1].op, Op::Activation(_))
}

/// Every array of the places that `targets` names, of whatever layer.
fn candidates(network: &Network, targets: &Targets) -> Vec<Region> {
    let plain = |place, node, parameter, shape: &[usize]| Region {
        place,
        node,
        parameter,
        shape: shape.to_vec(),
        listed: None,
        first: 0,
    };
    let mut all = Vec::new();
    for (parameter, p) in network.parameters().iter().enumerate() {
        if let Some(place) = Place::of(p.role, p.shape.len()).filter(|place| targets.places.contains(place)) {
            all.push(plain(place, p.node, Some(parameter), &p.shape));
        }
    }
    // What only passes numbers on has none of its own.
    let computes = |node: &usize| {
        !matches!(network.nodes()[node - 1].op, Op::Flatten | Op::Reshape(_) | Op::Dropout(_) | Op::Crash(_))
    };
    for place in [Place::Activation, Place::Channel].into_iter().filter(|place| targets.places.contains(place)) {
        for node in (1..=network.nodes().len()).filter(computes) {
            all.push(plain(place, node, None, &network.shapes()[node]));
        }
    }
    all
}

/// Names of the layers that have something of the places that `targets` names.
#[must_use]
pub fn layer_names(network: &Network, targets: &Targets) -> Vec<String> {
    let mut nodes: Vec<usize> = candidates(network, targets).iter().map(|region| region.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes.into_iter().map(|node| network.nodes()[node - 1].name.clone()).collect()
}

fn stored_regions(network: &Network, targets: &Targets) -> Vec<Region> {
    let wanted = |region: &Region| targets.layers.iter().any(|pattern| fits(network, region, pattern));
    candidates(network, targets).into_iter().filter(|region| region.parameter.is_some() && wanted(region)).collect()
}

fn output_regions(network: &Network, targets: &Targets) -> Result<Vec<Region>, SpaceError> {
    let wanted = |region: &Region| targets.layers.iter().any(|pattern| fits(network, region, pattern));
    let mut regions: Vec<Region> = candidates(network, targets)
        .into_iter()
        .filter(|region| region.parameter.is_none() && wanted(region))
        .collect();
    if regions.is_empty() {
        return Ok(regions);
    }
    let most = regions.iter().map(|region| layout(&region.shape).channels).max().unwrap_or(0);
    if let Some(channel) = targets.channels.iter().flatten().find(|channel| **channel >= most) {
        return Err(SpaceError::NoSuchChannel { channel: *channel, most });
    }
    for position in targets.positions.iter().flatten() {
        if !regions.iter().any(|region| layout(&region.shape).position(position).is_some()) {
            return Err(SpaceError::NoSuchPosition(position.clone()));
        }
    }
    for region in &mut regions {
        region.listed = listed(region, targets);
    }
    Ok(regions)
}

/// The elements (or channels) of an output that `targets` names; `None` for all.
fn listed(region: &Region, targets: &Targets) -> Option<Vec<usize>> {
    if targets.channels.is_none() && (targets.positions.is_none() || region.place == Place::Channel) {
        return None;
    }
    let layout = layout(&region.shape);
    let mut channels: Vec<usize> = match &targets.channels {
        Some(channels) => channels.iter().copied().filter(|channel| *channel < layout.channels).collect(),
        None => (0..layout.channels).collect(),
    };
    channels.sort_unstable();
    channels.dedup();
    if region.place == Place::Channel {
        return Some(channels);
    }
    let positions: Vec<usize> = match &targets.positions {
        Some(positions) => positions.iter().filter_map(|position| layout.position(position)).collect(),
        None => (0..layout.positions).collect(),
    };
    let elements = channels.iter().flat_map(|channel| positions.iter().map(|p| layout.element(*channel, *p)));
    Some(elements.collect::<BTreeSet<_>>().into_iter().collect())
}

/// Which extents of an output are channels, and which positions.
struct Layout<'a> {
    shape: &'a [usize],
    channels: usize,
    positions: usize,
}

/// `[channels, rows, columns]`, `[steps, features]` or `[features]`.
fn layout(shape: &[usize]) -> Layout<'_> {
    let channels = if shape.len() == 3 { shape[0] } else { shape.last().copied().unwrap_or(1) };
    Layout { shape, channels, positions: shape.iter().product::<usize>() / channels.max(1) }
}

impl Layout<'_> {
    fn element(&self, channel: usize, position: usize) -> usize {
        if self.shape.len() == 3 { channel * self.positions + position } else { position * self.channels + channel }
    }

    /// The number of the position given as `[row, column]` or `[step]`.
    fn position(&self, given: &[usize]) -> Option<usize> {
        match (self.shape, given) {
            ([_, rows, columns], [row, column]) if row < rows && column < columns => Some(row * columns + column),
            ([steps, _], [step]) if step < steps => Some(*step),
            _ => None,
        }
    }
}

/// The index of the row-major element `at` of an array of `shape`.
#[must_use]
pub fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (place, extent) in index.iter_mut().zip(shape).rev() {
        *place = at % extent;
        at /= extent;
    }
    index
}

/// The row-major position of `index` in an array of `shape`; `None` where it lies outside.
#[must_use]
pub fn ravel(index: &[usize], shape: &[usize]) -> Option<usize> {
    if index.len() != shape.len() {
        return None;
    }
    index.iter().zip(shape).try_fold(0, |at, (i, extent)| (i < extent).then_some(at * extent + i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Activation;
    use crate::nn::fault::BitModel;
    use crate::nn::mlp::Mlp;
    use duress_network::arch::find;

    fn net() -> Network {
        Mlp::new(3, &[4, 2], 2, Activation::relu(), true).graph().expect("a network")
    }

    fn targets(places: &[Place], models: &[FaultModel]) -> Targets {
        Targets { places: places.to_vec(), models: models.to_vec(), ..Targets::default() }
    }

    fn all_bitwise() -> Vec<FaultModel> {
        BitModel::ALL.map(FaultModel::Bit).to_vec()
    }

    #[test]
    fn every_site_of_the_space_is_listed_once() {
        let space =
            FaultSpace::new(&net(), &targets(&[Place::Weight, Place::Bias], &all_bitwise()), 1).expect("layers match");
        let parameters = 3 * 4 + 4 + 4 * 2 + 2 + 2 * 2 + 2;
        assert_eq!(space.population(), Some(parameters * 32 * 3));
        let all: BTreeSet<String> = (0..parameters * 96)
            .map(|i| {
                let s = space.site(i).expect("within");
                format!("{:?}{:?}{:?}{:?}", s.parameter, s.index, s.bit, s.model)
            })
            .collect();
        assert_eq!(all.len() as u64, parameters * 96);
        assert_eq!(space.site(parameters * 96), None);
    }

    #[test]
    fn sites_run_over_models_then_bits_then_elements() {
        let targets = Targets {
            layers: vec!["hidden.2".to_owned()],
            bits: vec![31, 3, 3],
            models: vec![FaultModel::Zero, FaultModel::Bit(BitModel::StuckAt1), FaultModel::Bit(BitModel::BitFlip)],
            ..Targets::default()
        };
        let space = FaultSpace::new(&net(), &targets, 1).expect("layers match");
        let site = |i| space.site(i).map(|s| (s.parameter, s.index, s.bit, s.model)).expect("within");
        let (flip, stuck) = (FaultModel::Bit(BitModel::BitFlip), FaultModel::Bit(BitModel::StuckAt1));
        assert_eq!(site(0), (Some(2), vec![0, 0], Some(3), flip));
        assert_eq!(site(1), (Some(2), vec![0, 0], Some(3), stuck));
        assert_eq!(site(2), (Some(2), vec![0, 0], Some(31), flip));
        assert_eq!(site(4), (Some(2), vec![0, 0], None, FaultModel::Zero));
        assert_eq!(site(5), (Some(2), vec![0, 1], Some(3), flip));
        assert_eq!(space.population(), Some(40));
    }

    #[test]
    fn layers_are_picked_by_node_and_by_parameter() {
        let count = |layers: &[&str], places: &[Place]| {
            let layers = layers.iter().map(|s| (*s).to_owned()).collect();
            let targets = Targets { layers, places: places.to_vec(), ..Targets::default() };
            FaultSpace::new(&net(), &targets, 1).map(|s| s.population().expect("finite") / 32)
        };
        assert_eq!(count(&["*"], &[Place::Weight]), Ok(24));
        assert_eq!(count(&["hidden.*"], &[Place::Weight]), Ok(20));
        assert_eq!(count(&["*.2", "output"], &[Place::Weight]), Ok(12));
        assert_eq!(count(&["output.weight"], &[Place::Weight, Place::Bias]), Ok(4));
        // Six neurons behind nonlinearities; the outputs only by their name.
        assert_eq!(count(&["*"], &[Place::Activation]), Ok(6));
        assert_eq!(count(&["output"], &[Place::Activation]), Ok(2));
        let missing = count(&["hiden.*"], &[Place::Weight]).expect_err("a typo").to_string();
        assert!(missing.contains("hiden.*") && missing.contains("hidden.1, hidden.2, output"), "{missing}");
        assert_eq!(count(&[], &[Place::Weight]), Err(SpaceError::Empty));
        assert_eq!(count(&["*"], &[Place::Normalisation]).map_err(|_| ()), Err(()));
    }

    #[test]
    fn populations_of_convolutional_networks_are_the_published_ones() {
        for (name, weights) in [("resnet-20", 268_336), ("mobilenet-v2", 2_261_824), ("googlenet-stacked", 6_378_688)] {
            let known = find(name).expect("an architecture");
            let network = known.network(known.input, known.outputs).expect("a network");
            let space = FaultSpace::new(&network, &Targets::default(), 1).expect("weights");
            assert_eq!(space.population(), Some(weights * 32), "{name}");
        }
    }

    #[test]
    fn channels_and_positions_of_an_image_pick_its_elements() {
        let known = find("lenet-5").expect("an architecture");
        let network = known.network(&[1, 28, 28], 10).expect("a network");
        let first = network.nodes().iter().position(|node| matches!(node.op, Op::Activation(_))).expect("one") + 1;
        let [channels, rows, columns] = network.shapes()[first][..] else { panic!("an image") };
        let with = |channels: Option<Vec<usize>>, positions: Option<Vec<Vec<usize>>>, place| Targets {
            layers: vec![network.nodes()[first - 1].name.clone()],
            places: vec![place],
            models: vec![FaultModel::Zero],
            channels,
            positions,
            ..Targets::default()
        };
        let space = |targets: &Targets| FaultSpace::new(&network, targets, 1);
        let all = space(&with(None, None, Place::Activation)).expect("elements");
        assert_eq!(all.population(), Some((channels * rows * columns) as u64));
        let some = space(&with(Some(vec![2]), Some(vec![vec![0, 1], vec![1, 0]]), Place::Activation)).expect("two");
        let indices: Vec<Vec<usize>> = (0..2).map(|i| some.site(i).expect("within").index).collect();
        assert_eq!((some.population(), indices), (Some(2), vec![vec![2, 0, 1], vec![2, 1, 0]]));
        let whole = space(&with(Some(vec![3]), None, Place::Channel)).expect("one");
        let site = whole.site(0).expect("within");
        assert_eq!((site.index.clone(), site.numbers()), (vec![3], rows * columns));
        let Hits::Output { elements, .. } = site.hits else { panic!("an output") };
        assert_eq!(elements[0], 3 * rows * columns);
        let missing = space(&with(Some(vec![channels]), None, Place::Activation)).expect_err("one too many");
        assert_eq!(missing, SpaceError::NoSuchChannel { channel: channels, most: channels });
        let missing = space(&with(None, Some(vec![vec![rows, 0]]), Place::Activation)).expect_err("one too many");
        assert_eq!(missing, SpaceError::NoSuchPosition(vec![rows, 0]));
    }

    #[test]
    fn models_that_do_not_apply_are_refused() {
        let error = |places: &[Place], models: &[FaultModel]| {
            FaultSpace::new(&net(), &targets(places, models), 1).expect_err("no such fault").to_string()
        };
        let byzantine = FaultModel::Byzantine { low: -1.0, high: 1.0 };
        assert!(error(&[Place::Weight], &[byzantine]).contains("target activations"));
        assert!(error(&[Place::Activation], &[FaultModel::BitErrorRate(0.1)]).contains("target weights"));
        assert!(error(&[Place::Weight], &[FaultModel::BitErrorRate(0.1), FaultModel::Zero]).contains("of its own"));
        let beyond = Targets { bits: vec![32], ..Targets::default() };
        assert_eq!(FaultSpace::new(&net(), &beyond, 1), Err(SpaceError::NoSuchBit(32)));
    }

    #[test]
    fn bit_errors_hit_every_bit_at_their_rate_and_only_those_asked_for() {
        let rate = 0.02;
        let targets = Targets {
            places: vec![Place::Weight, Place::Bias],
            models: vec![FaultModel::BitErrorRate(rate)],
            bits: vec![3, 30],
            ..Targets::default()
        };
        let space = FaultSpace::new(&net(), &targets, 9).expect("a memory");
        assert_eq!(space.population(), None);
        let mut hits = std::collections::BTreeMap::new();
        let draws = 20_000;
        for number in 0..draws {
            let Hits::Stored(all) = space.site(number).expect("endless").hits else { panic!("stored") };
            for (parameter, element, effect) in all {
                let Effect::Bits { mask, .. } = effect else { panic!("bits") };
                assert_eq!(mask & !(1 << 3 | 1 << 30), 0);
                for bit in (0..32).filter(|bit| mask >> bit & 1 == 1) {
                    *hits.entry((parameter, element, bit)).or_insert(0u64) += 1;
                }
            }
        }
        // 32 parameters of two bits each; 400 hits expected of each bit, six standard deviations are 119.
        assert_eq!(hits.len(), 64);
        assert!(hits.values().all(|count| count.abs_diff(400) < 119), "{hits:?}");
    }

    #[test]
    fn an_index_leads_back_to_its_element() {
        let shape = [3, 4, 5];
        for at in 0..60 {
            assert_eq!(ravel(&unravel(at, &shape), &shape), Some(at));
        }
        assert_eq!((ravel(&[3, 0, 0], &shape), ravel(&[0, 0], &shape)), (None, None));
    }
}
