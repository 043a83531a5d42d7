//! What pruning leaves of each layer.

use duress_network::Network;
use duress_network::op::{Op, Role};

use super::weight_layers;
use crate::nn::mask::{Mask, MaskTensor};

/// What pruning did to a layer, or to the whole network.
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
    /// Multiply-adds for one example, all weights counted.
    pub macs: u64,
    /// Multiply-adds by weights that are kept.
    pub macs_kept: u64,
}

impl LayerCount {
    /// Whether it has weights and none is kept, so that nothing passes.
    #[must_use]
    pub fn is_collapsed(&self) -> bool {
        self.weights > 0 && self.kept == 0
    }
}

/// What each layer lost from `before` to `after`.
pub(super) fn layers(network: &Network, before: &Mask, after: &Mask) -> Vec<LayerCount> {
    let parameters = network.parameters().iter().filter(|p| p.role == Role::Weight);
    let names = weight_layers(network).into_iter().zip(parameters.map(|p| uses(network, p.node)));
    let tensors = before.tensors.iter().zip(&after.tensors);
    let count = |((layer, uses), (before, after)): ((&str, u64), (&MaskTensor, &MaskTensor))| LayerCount {
        layer: layer.to_owned(),
        weights: after.keep.len(),
        kept: after.kept(),
        removed_now: before.kept() - after.kept(),
        macs: uses.saturating_mul(after.keep.len() as u64),
        macs_kept: uses.saturating_mul(after.kept() as u64),
    };
    names.zip(tensors).map(count).collect()
}

/// How often an example is multiplied by each weight of a node: once for each place of a convolution's output, and once for
/// each step of a sequence.
fn uses(network: &Network, node: usize) -> u64 {
    let operation = &network.nodes()[node - 1];
    let places = match &operation.op {
        Op::Conv2d(_) => &network.shapes()[node][1..],
        _ => network.shapes()[operation.inputs[0]].split_last().map_or(&[][..], |(_, steps)| steps),
    };
    places.iter().product::<usize>() as u64
}

/// All layers together; `macs` has those of products without weights too, such as attention's.
#[must_use]
pub fn whole(network: &Network, layers: &[LayerCount]) -> LayerCount {
    let sum = |of: fn(&LayerCount) -> usize| layers.iter().map(of).sum();
    let gone: u64 = layers.iter().map(|layer| layer.macs - layer.macs_kept).sum();
    LayerCount {
        layer: String::new(),
        weights: sum(|layer| layer.weights),
        kept: sum(|layer| layer.kept),
        removed_now: sum(|layer| layer.removed_now),
        macs: network.macs(),
        macs_kept: network.macs().saturating_sub(gone),
    }
}
