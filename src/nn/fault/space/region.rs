//! The arrays that faults can be in, and which of their elements.

use std::collections::BTreeSet;

use duress_network::{Network, Op};

use super::{Place, SpaceError, Targets};
use crate::nn::fault::pattern::matches;

/// One array that can be hit: a parameter, or the output of a node.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::nn::fault) struct Region {
    pub(in crate::nn::fault) place: Place,
    /// The node, from 1.
    pub(in crate::nn::fault) node: usize,
    /// The parameter; `None` of an output.
    pub(in crate::nn::fault) parameter: Option<usize>,
    pub(super) shape: Vec<usize>,
    /// What can be hit: elements, or channels; `None` for all.
    pub(super) listed: Option<Vec<usize>>,
    /// Number of its first site.
    pub(in crate::nn::fault) first: u64,
}

impl Region {
    /// How many elements (or channels) can be hit.
    pub(in crate::nn::fault) fn cells(&self) -> usize {
        match (&self.listed, self.place) {
            (Some(listed), _) => listed.len(),
            (None, Place::Channel) => layout(&self.shape).channels,
            (None, _) => self.shape.iter().product(),
        }
    }

    /// Which element (or channel) cell `at` is.
    pub(in crate::nn::fault) fn cell(&self, at: usize) -> usize {
        self.listed.as_ref().map_or(at, |listed| listed[at])
    }
}

/// The arrays that `targets` names, in the order of the network; numbers of first sites are still 0.
pub(super) fn regions(network: &Network, targets: &Targets) -> Result<Vec<Region>, SpaceError> {
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
pub(super) struct Layout<'a> {
    shape: &'a [usize],
    pub(super) channels: usize,
    pub(super) positions: usize,
}

/// `[channels, rows, columns]`, `[steps, features]` or `[features]`.
pub(super) fn layout(shape: &[usize]) -> Layout<'_> {
    let channels = if shape.len() == 3 { shape[0] } else { shape.last().copied().unwrap_or(1) };
    Layout { shape, channels, positions: shape.iter().product::<usize>() / channels.max(1) }
}

impl Layout<'_> {
    pub(super) fn element(&self, channel: usize, position: usize) -> usize {
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
