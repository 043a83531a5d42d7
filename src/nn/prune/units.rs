//! What goes together: single weights, or rows of a weight (the filters of a convolution, the weights into a neuron).

use duress_network::{Network, Stream};

use super::{Cutoff, PruneError};
use crate::nn::mask::{Mask, MaskTensor};

/// What is kept or dropped as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Structure {
    /// Each weight alone.
    #[default]
    Weights,
    /// Rows, which are a convolution's filters: all weights that make one channel or neuron. Those of the last layer stay,
    /// they are the classes.
    Rows(Norm),
}

/// How the scores of a row's weights become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Their mean; for magnitudes the 1-norm over the row's length (Li et al. 2017).
    L1,
    /// Their root mean square; for magnitudes the Euclidean norm over the root of the row's length (He et al. 2018).
    L2,
}

impl Structure {
    /// Weights of a unit of `tensor`, which lie side by side.
    fn len(self, tensor: &MaskTensor) -> usize {
        match self {
            Self::Weights => 1,
            Self::Rows(_) => tensor.keep.len() / tensor.shape.first().map_or(1, |&rows| rows.max(1)),
        }
    }

    /// How many units `tensor` has.
    pub(super) fn total(self, tensor: &MaskTensor) -> usize {
        tensor.keep.len() / self.len(tensor).max(1)
    }

    /// The units of `tensor` of which anything is kept.
    pub(super) fn alive(self, tensor: &MaskTensor) -> Vec<usize> {
        let units = tensor.keep.chunks_exact(self.len(tensor).max(1)).enumerate();
        units.filter(|(_, keep)| keep.contains(&true)).map(|(unit, _)| unit).collect()
    }

    /// Whether a layer's units may go at all.
    pub(super) fn may_go(self, network: &Network, layer: usize) -> bool {
        self == Self::Weights || layer + 1 < super::weight_layers(network).len()
    }

    /// The score of a unit: that of its weight, or the norm of those of its row, of which removed ones count as 0.
    fn score(self, tensor: &MaskTensor, scores: &[f64], unit: usize) -> f64 {
        let len = self.len(tensor);
        let range = unit * len..(unit + 1) * len;
        let kept = scores[range.clone()].iter().zip(&tensor.keep[range]).filter(|(_, keep)| **keep);
        match self {
            Self::Weights => scores[unit],
            Self::Rows(Norm::L1) => kept.map(|(score, _)| score).sum::<f64>() / len as f64,
            Self::Rows(Norm::L2) => (kept.map(|(score, _)| score * score).sum::<f64>() / len as f64).sqrt(),
        }
    }

    fn drop(self, tensor: &mut MaskTensor, unit: usize) {
        let len = self.len(tensor);
        tensor.keep[unit * len..(unit + 1) * len].fill(false);
    }
}

/// How many units of a group go.
pub(super) enum Gone {
    /// So many.
    Count(usize),
    /// All whose score is at most that of this one in ascending order, from 0.
    UpTo(usize),
}

impl Gone {
    /// `count` of them by the rule `cutoff`; `asked` is whether any share was to go.
    pub(super) fn by(cutoff: Cutoff, count: usize, asked: bool) -> Self {
        match cutoff {
            Cutoff::Published if asked => Self::UpTo(count),
            _ => Self::Count(count),
        }
    }
}

/// Drops the lowest units that `mask` keeps in `layers`; the highest where `invert`.
pub(super) fn remove(
    mask: &mut Mask,
    (layers, structure): (&[usize], Structure),
    (scores, invert): (&[Vec<f64>], bool),
    gone: &Gone,
) -> Result<(), PruneError> {
    let mut ranked: Vec<(f64, usize, usize)> = Vec::new();
    for &layer in layers {
        let tensor = &mask.tensors[layer];
        for unit in structure.alive(tensor) {
            let score = structure.score(tensor, &scores[layer], unit);
            if score.is_nan() {
                return Err(PruneError::NotANumber(tensor.name.clone()));
            }
            // Zeros of both signs rank alike.
            ranked.push((if invert { -score } else { score } + 0.0, layer, unit));
        }
    }
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let count = match *gone {
        Gone::Count(count) => count.min(ranked.len()),
        Gone::UpTo(_) if ranked.is_empty() => 0,
        Gone::UpTo(index) => {
            let last = ranked[index.min(ranked.len() - 1)].0;
            ranked.partition_point(|(score, ..)| *score <= last)
        }
    };
    for &(_, layer, unit) in &ranked[..count] {
        structure.drop(&mut mask.tensors[layer], unit);
    }
    Ok(())
}

/// Moves what went from `before` to `mask` to random places of the same layer, among those that `before` keeps.
pub(super) fn shuffle(before: &Mask, mask: &mut Mask, structure: Structure, seed: u64) {
    for (layer, (before, tensor)) in before.tensors.iter().zip(&mut mask.tensors).enumerate() {
        let places = structure.alive(before);
        let gone = places.len() - structure.alive(tensor).len();
        let order = Stream::new(seed, "prune/shuffle", &[layer as u64]).permutation(places.len());
        tensor.keep.clone_from(&before.keep);
        order[..gone].iter().for_each(|&place| structure.drop(tensor, places[place]));
    }
}
