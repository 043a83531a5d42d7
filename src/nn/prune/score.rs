//! By what weights are ranked.

use duress_network::device::Cpu;
use duress_network::op::{Randomness, Role};
use duress_network::training::{Mode, Trainer, Wanted};
use duress_network::{Network, Stream, Weights};

use super::{PruneError, flow};
use crate::nn::examples::Examples;
use crate::nn::gradient::softmax_in_place;
use crate::nn::mask::Mask;

/// What the logits are divided by for [`Criterion::Grasp`], as its authors do.
const TEMPERATURE: f32 = 200.0;

/// How far weights are moved along the gradient to see how it changes, as a share of their norm: far enough for single
/// precision, near enough for a derivative.
const STEP: f64 = 1.0 / 512.0;

/// By what weights are ranked; the lowest go first.
#[derive(Clone, Copy, Debug)]
pub enum Criterion<'a> {
    /// `|w|`.
    Magnitude,
    /// A uniformly random order.
    Random {
        /// Its seed.
        seed: u64,
    },
    /// `|w g|` with the gradient `g` of the loss (SNIP: Lee, Ajanthan and Torr 2019).
    Snip(Sample<'a>),
    /// `w (H g)` with the gradient `g` and the Hessian `H` of the loss of logits over 200, both by the weights alone: how much of
    /// the gradient's norm goes with a weight (`GraSP`: Wang, Zhang and Grosse 2020, whose score has the other sign). `H g` is the
    /// central difference of gradients along `g`.
    Grasp(Sample<'a>),
    /// `|w| dR/d|w|` with the flow `R` of ones through absolute weights (`SynFlow`: Tanaka et al. 2020).
    SynFlow,
}

/// The examples that gradients are taken on, all in one batch, as in training.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The rows, with labels.
    pub rows: &'a Examples,
    /// Seed of what the network drops at random.
    pub seed: u64,
}

/// The numbers of `count` rows of each class, drawn at random, or of all where there are fewer; ascending.
#[must_use]
pub fn rows_per_class(labels: &[u32], classes: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut chosen = Vec::new();
    for class in 0..classes {
        let rows: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] as usize == class).collect();
        let order = Stream::new(seed, "prune/rows", &[class as u64]).permutation(rows.len());
        chosen.extend(order.into_iter().take(count).map(|index| rows[index]));
    }
    chosen.sort_unstable();
    chosen
}

impl Criterion<'_> {
    /// Whether scores depend on which weights are gone already.
    pub(super) fn looks_at_mask(&self) -> bool {
        !matches!(self, Self::Magnitude | Self::Random { .. })
    }

    /// The score of every weight of `weights`, tensor by tensor; those that `mask` drops are 0 there already.
    ///
    /// # Errors
    /// Where the examples do not fit the network, or the network does not suit the criterion.
    pub(super) fn scores(&self, weights: &Weights, mask: &Mask) -> Result<Vec<Vec<f64>>, PruneError> {
        match self {
            Self::Magnitude => Ok(each(weights, |_, w| f64::from(w.abs()))),
            Self::Random { seed } => {
                let tensors = weights.weight_tensors().map(|tensor| {
                    let mut stream = Stream::new(*seed, &format!("prune/{}", tensor.name), &[]);
                    tensor.values.iter().map(|_| f64::from(stream.uniform_f32())).collect()
                });
                Ok(tensors.collect())
            }
            Self::Snip(sample) => {
                let gradient = sample.gradient(weights, 1.0)?;
                Ok(each(weights, |(layer, index), w| (f64::from(w) * f64::from(gradient[layer][index])).abs()))
            }
            Self::Grasp(sample) => grasp(weights, mask, sample),
            Self::SynFlow => flow::scores(weights),
        }
    }
}

/// A number for every weight, from its tensor, its place there, and its value.
fn each(weights: &Weights, f: impl Fn((usize, usize), f32) -> f64) -> Vec<Vec<f64>> {
    let tensors = weights.weight_tensors().enumerate();
    let score = |layer, values: &[f32]| values.iter().enumerate().map(|(i, w)| f((layer, i), *w)).collect();
    tensors.map(|(layer, tensor)| score(layer, &tensor.values)).collect()
}

fn grasp(weights: &Weights, mask: &Mask, sample: &Sample<'_>) -> Result<Vec<Vec<f64>>, PruneError> {
    let mut along = sample.gradient(weights, TEMPERATURE)?;
    for (gradient, mask) in along.iter_mut().zip(&mask.tensors) {
        gradient.iter_mut().zip(&mask.keep).filter(|(_, keep)| !**keep).for_each(|(g, _)| *g = 0.0);
    }
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
    let size = norm(&mut weights.weight_tensors().flat_map(|tensor| tensor.values.iter().copied()));
    let slope = norm(&mut along.iter().flatten().copied());
    if size == 0.0 || slope == 0.0 {
        return Ok(each(weights, |_, _| 0.0));
    }
    let step = STEP * size / slope;
    let (ahead, behind) = (moved(weights, &along, step), moved(weights, &along, -step));
    let (ahead, behind) = (sample.gradient(&ahead, TEMPERATURE)?, sample.gradient(&behind, TEMPERATURE)?);
    Ok(each(weights, |(layer, index), w| {
        let change = f64::from(ahead[layer][index]) - f64::from(behind[layer][index]);
        f64::from(w) * change / (2.0 * step)
    }))
}

/// The weights, moved so far along a direction.
fn moved(weights: &Weights, along: &[Vec<f32>], step: f64) -> Weights {
    let mut moved = weights.clone();
    let roles: Vec<Role> = weights.network().parameters().iter().map(|p| p.role).collect();
    let tensors = moved.values_mut().zip(roles).filter(|(_, role)| *role == Role::Weight);
    for ((values, _), along) in tensors.zip(along) {
        values.iter_mut().zip(along).for_each(|(w, d)| *w = (f64::from(*w) + step * f64::from(*d)) as f32);
    }
    moved
}

impl Sample<'_> {
    /// The gradient of the mean cross-entropy of the logits over `temperature`, by the weights alone.
    fn gradient(&self, weights: &Weights, temperature: f32) -> Result<Vec<Vec<f32>>, PruneError> {
        let network = weights.network();
        self.check(network)?;
        let trainer = Trainer::new(network, Cpu::new());
        let parameters: Vec<&[f32]> = weights.tensors().iter().map(|tensor| tensor.values.as_slice()).collect();
        let random = Randomness { seed: self.seed, step: 0, first: 0 };
        let count = self.rows.rows();
        let saved = trainer.forward(&parameters, &self.rows.x, count, Mode::Train(random))?;
        let mut slope: Vec<f32> = saved.logits().iter().map(|logit| logit / temperature).collect();
        for (row, &label) in slope.chunks_exact_mut(network.output_len()).zip(&self.rows.labels) {
            softmax_in_place(row);
            row[label as usize] -= 1.0;
            for d in row {
                *d /= temperature * count as f32;
            }
        }
        let found = trainer.backward(&saved, &slope, Wanted { parameters: true, input: false })?.parameters;
        let weights = network.parameters().iter().zip(found).filter(|(p, _)| p.role == Role::Weight);
        Ok(weights.map(|(_, gradient)| gradient).collect())
    }

    fn check(&self, network: &Network) -> Result<(), PruneError> {
        let (rows, outputs) = (self.rows.rows(), network.output_len());
        let problem = if rows == 0 {
            "there are no rows; give at least one".to_owned()
        } else if self.rows.labels.len() != rows {
            "rows have no labels; use data with classes".to_owned()
        } else if let Some(label) = self.rows.labels.iter().find(|&&label| label as usize >= outputs) {
            format!("label {label} needs more than the network's {outputs} outputs; use the data it is trained on")
        } else {
            return Ok(());
        };
        Err(PruneError::Rows(problem))
    }
}
