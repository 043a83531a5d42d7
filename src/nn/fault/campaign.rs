//! What weight faults do to a network's answers, against its fault-free run.
//!
//! Exact and cheap at once. A fault in one weight changes one neuron of one layer, so only that neuron is computed again, for
//! all examples, by the executor's own kernel on the transposed activations: the same products added in the same order, so
//! every verdict has the bits of a full inference. Examples whose activation did not change are masked there and then; the
//! others go on, layer by layer, until they agree with the fault-free run or reach the outputs.

use super::site::FaultSite;
use crate::nn::dense::{accumulate, transpose};
use crate::nn::examples::{Examples, ExamplesError};
use crate::nn::executor::{Executor, argmax, predict};
use crate::nn::mlp_weights::MlpWeights;
use crate::nn::statistics::{Cluster, ClusteredRate, clustered_rate};
use rayon::prelude::*;

/// Faults of one layer that share a pass over its input.
const TOGETHER: usize = 16;
/// Examples that travel through the later layers together.
const BLOCK: usize = 64;

/// The fault-free run that faults are compared with: every activation of every example.
#[derive(Clone, Debug)]
pub struct Golden<'a> {
    weights: &'a MlpWeights,
    executor: Executor<f32>,
    /// The layer that each tensor of the weights belongs to.
    owner: Vec<usize>,
    rows: usize,
    labels: &'a [u32],
    /// `h[l]` is the activations of layer `l`, `rows x width(l)`.
    h: Vec<Vec<f32>>,
    /// The same transposed, `width(l) x rows`, for every layer but the last.
    h_t: Vec<Vec<f32>>,
    predicted: Vec<u32>,
}

/// What one fault did, counted in examples. `masked + non_critical + critical` are all examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FaultOutcome {
    /// Every output equals the fault-free one.
    pub masked: u32,
    /// Some output differs but the predicted class does not.
    pub non_critical: u32,
    /// The predicted class differs from the fault-free prediction (SDC-1), whatever the label. NaN counts as the largest
    /// output and the first of equals wins.
    pub critical: u32,
    /// Some output is NaN or infinite; these examples are counted above too.
    pub non_finite: u32,
    /// The predicted class equals the label; `None` without labels.
    pub correct: Option<u32>,
}

/// A campaign that cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CampaignError {
    /// The examples do not fit the network.
    #[error(transparent)]
    Examples(#[from] ExamplesError),
    /// Without faults the outputs are already broken, so that no fault could be judged.
    #[error(
        "judge faults against outputs that are not finite without any (example {0}): repair or retrain the weights"
    )]
    Golden(usize),
    /// A fault is not in these weights.
    #[error("inject a fault at {index:?} of tensor {tensor}: the weights have no such element, list the sites anew")]
    NoSuchSite {
        /// Position of the tensor asked for.
        tensor: usize,
        /// Element asked for.
        index: Vec<usize>,
    },
}

impl<'a> Golden<'a> {
    /// Runs all examples through the network once. Weights that a mask drops must already be zero.
    ///
    /// # Errors
    /// [`CampaignError`] for examples that do not fit, and for outputs that are not finite even without faults.
    pub fn new(weights: &'a MlpWeights, examples: &'a Examples) -> Result<Self, CampaignError> {
        let executor = Executor::<f32>::new(weights);
        examples.fit(executor.inputs())?;
        let rows = examples.rows();
        let traces: Vec<_> = examples
            .x
            .par_chunks(BLOCK * executor.inputs())
            .map(|x| executor.trace(x, x.len() / executor.inputs()).post)
            .collect();
        let h: Vec<Vec<f32>> =
            (0..=executor.depth()).map(|l| traces.iter().flat_map(|t| &t[l]).copied().collect()).collect();
        drop(traces);
        let logits = &h[executor.depth()];
        if let Some(at) = logits.iter().position(|v| !v.is_finite()) {
            return Err(CampaignError::Golden(at / executor.outputs()));
        }
        let predicted = predict(logits, executor.outputs());
        let h_t = (0..executor.depth()).map(|l| transpose(&h[l], rows, executor.width(l))).collect();
        let owner = weights.network.parameters().into_iter().map(|p| p.layer).collect();
        Ok(Self { weights, executor, owner, rows, labels: &examples.labels, h, h_t, predicted })
    }

    /// Number of examples.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The fault-free prediction of every example.
    #[must_use]
    pub fn predicted(&self) -> &[u32] {
        &self.predicted
    }

    /// Examples that the fault-free network gets right; `None` without labels.
    #[must_use]
    pub fn correct(&self) -> Option<u32> {
        let right = || self.labels.iter().zip(&self.predicted).filter(|(a, b)| a == b).count() as u32;
        (!self.labels.is_empty()).then(right)
    }

    fn untouched(&self) -> FaultOutcome {
        FaultOutcome { masked: self.rows as u32, correct: self.correct(), ..FaultOutcome::default() }
    }

    fn row(&self, layer: usize, r: usize) -> &[f32] {
        let width = self.executor.width(layer);
        &self.h[layer][r * width..(r + 1) * width]
    }
}

/// What each of `faults` does, one at a time, in their order. Work is shared out over the current rayon pool; outcomes depend
/// neither on it nor on how a list is cut into calls.
///
/// # Errors
/// [`CampaignError::NoSuchSite`] for a fault outside the weights.
pub fn evaluate_faults(golden: &Golden<'_>, faults: &[FaultSite]) -> Result<Vec<FaultOutcome>, CampaignError> {
    let mut outcomes = vec![golden.untouched(); faults.len()];
    let mut acting: Vec<(usize, Acting)> = Vec::new();
    for (number, fault) in faults.iter().enumerate() {
        let changed = Acting::of(golden, fault)
            .ok_or_else(|| CampaignError::NoSuchSite { tensor: fault.tensor, index: fault.index.clone() })?;
        if changed.faulty.to_bits() != changed.stored.to_bits() {
            acting.push((number, changed));
        }
    }
    acting.sort_by_key(|(_, a)| a.layer);
    let groups: Vec<&[(usize, Acting)]> =
        acting.chunk_by(|a, b| a.1.layer == b.1.layer).flat_map(|layer| layer.chunks(TOGETHER)).collect();
    let results: Vec<Vec<FaultOutcome>> = groups.par_iter().map(|group| evaluate_group(golden, group)).collect();
    for ((number, _), outcome) in groups.into_iter().flatten().zip(results.into_iter().flatten()) {
        outcomes[*number] = outcome;
    }
    Ok(outcomes)
}

/// The rate of critical outcomes over all (fault, example) pairs, with the faults as clusters; `None` of no faults.
///
/// `population` is the number of faults that could have been drawn.
#[must_use]
pub fn critical_rate(outcomes: &[FaultOutcome], population: Option<u64>) -> Option<ClusteredRate> {
    let cluster = |o: &FaultOutcome| Cluster {
        successes: u64::from(o.critical),
        trials: u64::from(o.masked) + u64::from(o.non_critical) + u64::from(o.critical),
    };
    clustered_rate(&outcomes.iter().map(cluster).collect::<Vec<_>>(), population)
}

/// A fault in the terms of the computation: which neuron, and what its sum is made of.
struct Acting {
    layer: usize,
    output: usize,
    /// The input whose weight is hit; `None` for the bias.
    input: Option<usize>,
    stored: f32,
    faulty: f32,
}

impl Acting {
    fn of(golden: &Golden<'_>, fault: &FaultSite) -> Option<Self> {
        let tensor = golden.weights.tensors.get(fault.tensor)?;
        let stored = *tensor.values.get(fault.offset(&tensor.shape)?)?;
        let (output, input) = match *fault.index.as_slice() {
            [output, input] => (output, Some(input)),
            [output] => (output, None),
            _ => return None,
        };
        let layer = *golden.owner.get(fault.tensor)?;
        Some(Self { layer, output, input, stored, faulty: fault.model.apply(stored, fault.bit) })
    }
}

/// Faults of one layer: their neurons for all examples in one product, then each fault's differing examples onwards.
fn evaluate_group(golden: &Golden<'_>, group: &[(usize, Acting)]) -> Vec<FaultOutcome> {
    let layer = group[0].1.layer;
    let prepared = golden.executor.layer(layer);
    let (inputs, rows) = (prepared.inputs, golden.rows);
    let mut x = Vec::with_capacity(group.len() * inputs);
    let mut h = Vec::with_capacity(group.len() * rows);
    for (g, (_, fault)) in group.iter().enumerate() {
        x.extend_from_slice(&prepared.weight()[fault.output * inputs..(fault.output + 1) * inputs]);
        let mut start = prepared.bias().map_or(0.0, |b| b[fault.output]);
        match fault.input {
            Some(input) => x[g * inputs + input] = fault.faulty,
            None => start = fault.faulty,
        }
        h.resize(h.len() + rows, start);
    }
    accumulate(&x, group.len(), inputs, &golden.h_t[layer - 1], rows, &mut h);
    prepared.activation.apply(&mut h);
    let neuron = |g: usize| &h[g * rows..(g + 1) * rows];
    group.iter().enumerate().map(|(g, (_, fault))| propagate(golden, fault, neuron(g))).collect()
}

/// Takes the examples whose `neuron` changed through the later layers and counts how they end.
fn propagate(golden: &Golden<'_>, fault: &Acting, neuron: &[f32]) -> FaultOutcome {
    let (layer, width) = (fault.layer, golden.executor.width(fault.layer));
    let before = golden.h[layer].iter().skip(fault.output).step_by(width);
    // By value, as the outcomes are defined: NaN differs from itself, and the two zeros are one.
    #[expect(clippy::float_cmp, reason = "masked means equal, not close")]
    let differs = |(_, (now, was)): &(usize, (&f32, &f32))| now != was;
    let differing: Vec<usize> = neuron.iter().zip(before).enumerate().filter(differs).map(|(r, _)| r).collect();
    let mut outcome = golden.untouched();
    for block in differing.chunks(BLOCK) {
        let mut block = block.to_vec();
        let mut h = Vec::with_capacity(block.len() * width);
        for &r in &block {
            h.extend_from_slice(golden.row(layer, r));
            let at = h.len() - width + fault.output;
            h[at] = neuron[r];
        }
        for next in layer + 1..=golden.executor.depth() {
            h = golden.executor.layer_forward(next, &h, block.len());
            drop_equal(golden, next, &mut block, &mut h);
        }
        for (&r, logits) in block.iter().zip(h.chunks_exact(golden.executor.outputs())) {
            golden.count(&mut outcome, r, logits);
        }
    }
    outcome
}

/// Forgets the examples that agree with the fault-free run at `layer`: from here on nothing of theirs can differ.
fn drop_equal(golden: &Golden<'_>, layer: usize, block: &mut Vec<usize>, h: &mut Vec<f32>) {
    let width = golden.executor.width(layer);
    let mut kept = 0;
    for from in 0..block.len() {
        if h[from * width..(from + 1) * width] != *golden.row(layer, block[from]) {
            h.copy_within(from * width..(from + 1) * width, kept * width);
            block[kept] = block[from];
            kept += 1;
        }
    }
    block.truncate(kept);
    h.truncate(kept * width);
}

impl Golden<'_> {
    /// Moves example `r`, whose outputs became `logits`, from the masked ones to its class.
    fn count(&self, outcome: &mut FaultOutcome, r: usize, logits: &[f32]) {
        let now = argmax(logits) as u32;
        let was = self.predicted[r];
        outcome.masked -= 1;
        if now == was {
            outcome.non_critical += 1;
        } else {
            outcome.critical += 1;
        }
        outcome.non_finite += u32::from(logits.iter().any(|v| !v.is_finite()));
        if let (Some(correct), Some(label)) = (&mut outcome.correct, self.labels.get(r)) {
            *correct = *correct - u32::from(was == *label) + u32::from(now == *label);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Init;
    use crate::nn::activation::Activation;
    use crate::nn::fault::{BitModel, FaultSpace, Targets};
    use crate::nn::mlp::Mlp;
    use crate::nn::random::Stream;

    fn setting(activation: Activation, rows: usize) -> (MlpWeights, Examples) {
        let net = Mlp::new(6, &[5, 4], 3, activation, true);
        let weights = net.initialize(Init::HeNormal, Init::Normal { std: 0.3 }, 11);
        let mut x = vec![0.0; rows * 6];
        let mut random = Stream::new(4, "x", &[]);
        random.fill_uniform(&mut x, -1.0, 1.0);
        // Zeros as in the background of an image, where an infinite weight makes NaN.
        x.iter_mut().step_by(5).for_each(|v| *v = 0.0);
        let labels = (0..rows).map(|_| random.below(3) as u32).collect();
        (weights, Examples { features: 6, classes: 3, x, labels, targets: None, ..Examples::default() })
    }

    fn everything() -> Targets {
        Targets { biases: true, models: BitModel::ALL.to_vec(), ..Targets::default() }
    }

    fn all_sites(weights: &MlpWeights, targets: &Targets) -> Vec<FaultSite> {
        let space = FaultSpace::new(weights, targets).expect("layers match");
        (0..space.len()).filter_map(|i| space.site(i)).collect()
    }

    /// The definition: change the stored number, run everything, compare every output.
    fn by_full_inference(weights: &MlpWeights, examples: &Examples, golden: &[f32], fault: &FaultSite) -> FaultOutcome {
        let mut faulty = weights.clone();
        let tensor = &mut faulty.tensors[fault.tensor];
        let at = fault.offset(&tensor.shape).expect("within");
        tensor.values[at] = fault.model.apply(tensor.values[at], fault.bit);
        let logits = Executor::<f32>::new(&faulty).logits(&examples.x, examples.rows());
        let mut outcome = FaultOutcome { correct: Some(0), ..FaultOutcome::default() };
        for ((f, g), label) in logits.chunks(3).zip(golden.chunks(3)).zip(&examples.labels) {
            let largest = |v: &[f32]| {
                let nan = v.iter().position(|x| x.is_nan());
                nan.unwrap_or_else(|| {
                    (0..3).rev().max_by(|a, b| v[*a].partial_cmp(&v[*b]).expect("no NaN")).unwrap_or(0)
                })
            };
            if f == g {
                outcome.masked += 1;
            } else if largest(f) == largest(g) {
                outcome.non_critical += 1;
            } else {
                outcome.critical += 1;
            }
            outcome.non_finite += u32::from(f.iter().any(|v| !v.is_finite()));
            outcome.correct = outcome.correct.map(|c| c + u32::from(largest(f) as u32 == *label));
        }
        outcome
    }

    #[test]
    fn every_fault_of_a_network_is_judged_as_by_full_inference() {
        for activation in [Activation::relu(), Activation::Sigmoid { gain: 1.0 }, Activation::Identity] {
            let (weights, examples) = setting(activation, 70);
            let golden = Golden::new(&weights, &examples).expect("fits");
            let logits = Executor::<f32>::new(&weights).logits(&examples.x, 70);
            let faults = all_sites(&weights, &everything());
            let outcomes = evaluate_faults(&golden, &faults).expect("sites exist");
            for (fault, outcome) in faults.iter().zip(&outcomes) {
                let wanted = by_full_inference(&weights, &examples, &logits, fault);
                assert_eq!(*outcome, wanted, "{activation:?} {fault:?}");
            }
            let seen = |f: fn(&FaultOutcome) -> u32| outcomes.iter().any(|o| f(o) > 0);
            assert!(seen(|o| o.masked) && seen(|o| o.non_critical) && seen(|o| o.critical), "{activation:?}");
        }
    }

    #[test]
    fn the_order_the_cut_and_the_threads_do_not_change_an_outcome() {
        let (weights, examples) = setting(Activation::relu(), 30);
        let golden = Golden::new(&weights, &examples).expect("fits");
        let mut faults = all_sites(&weights, &Targets::default());
        Stream::new(9, "order", &[]).shuffle(&mut faults);
        let with = |threads: usize, cut: usize| -> Vec<FaultOutcome> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| {
                faults.chunks(cut).flat_map(|part| evaluate_faults(&golden, part).expect("sites exist")).collect()
            })
        };
        let whole = with(1, faults.len());
        assert_eq!(whole, with(3, faults.len()));
        assert_eq!(whole, with(2, 7));
    }

    #[test]
    fn a_stuck_bit_that_already_has_its_value_is_masked_everywhere() {
        let (weights, examples) = setting(Activation::relu(), 20);
        let golden = Golden::new(&weights, &examples).expect("fits");
        let site = FaultSite { layer: 1, tensor: 0, index: vec![0, 0], bit: 30, model: BitModel::StuckAt0 };
        let outcome = evaluate_faults(&golden, &[site]).expect("the site exists")[0];
        assert_eq!((outcome.masked, outcome.correct), (20, golden.correct()));
    }

    #[test]
    fn critical_rates_treat_the_examples_of_one_fault_as_a_cluster() {
        let outcome = |critical| FaultOutcome { masked: 10 - critical, critical, ..FaultOutcome::default() };
        let rate = critical_rate(&[outcome(0), outcome(10)], None).expect("two faults");
        assert!((rate.rate - 0.5).abs() < 1e-15);
        // Two clusters of rate 0 and 1: standard deviation 1/sqrt(2), over sqrt(2).
        assert!((rate.standard_error.expect("two clusters") - 0.5).abs() < 1e-15);
        assert_eq!(critical_rate(&[], None), None);
    }

    #[test]
    fn inputs_that_do_not_fit_are_refused() {
        let (mut weights, mut examples) = setting(Activation::relu(), 4);
        let golden = Golden::new(&weights, &examples).expect("fits");
        let site = FaultSite { layer: 1, tensor: 0, index: vec![9, 0], bit: 0, model: BitModel::BitFlip };
        let error = evaluate_faults(&golden, &[site]).expect_err("outside");
        assert_eq!(error, CampaignError::NoSuchSite { tensor: 0, index: vec![9, 0] });
        weights.tensors[1].values[0] = f32::INFINITY;
        weights.tensors[2].values.fill(1.0);
        assert_eq!(Golden::new(&weights, &examples).err(), Some(CampaignError::Golden(0)));
        examples.labels.pop();
        assert!(matches!(
            Golden::new(&weights, &examples),
            Err(CampaignError::Examples(ExamplesError::Labels { examples: 4, labels: 3 }))
        ));
        examples.features = 8;
        assert!(matches!(
            Golden::new(&weights, &examples),
            Err(CampaignError::Examples(ExamplesError::Features { got: 8, want: 6 }))
        ));
    }
}
