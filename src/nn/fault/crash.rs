//! Neuron crashes, measured: outputs replaced by 0, survivors unscaled, over examples and repetitions.
//!
//! The measured twin of [`crate::nn::bound::crash_bounds`], on any [`Layered`] network: `delta = crashed output - correct output`. Each pattern is drawn
//! from the stream (seed, "crash", [example, repetition, layer]), one number per neuron, and a neuron crashes where its number
//! lies below the rate. So a higher rate crashes a superset of the neurons, and the rate of one layer leaves the patterns of
//! the others alone: differences between rates are not noise.

use std::ops::Range;

use crate::nn::classes::argmax;
use crate::nn::crash_rates::{CrashRatesError, check_crash_rates};
use crate::nn::examples::{Examples, ExamplesError};
use crate::nn::random::Stream;
use crate::nn::real::Real;
use crate::nn::sequence::Sequence;
use crate::nn::statistics::{Cluster, ClusteredRate, Moments, clustered_rate};
use duress_network::Weights;
use duress_network::chosen::{ChosenExecutor, Processor};
use duress_network::executor::{ExecutorError, Options};
use rayon::prelude::*;

/// Repetitions that go through the layers together, and how many of them keep a GPU busy.
const BLOCK: usize = 64;
const AT_ONCE: usize = 4096;

/// A network that runs layer by layer; 0 is the input, the last layer the output.
pub trait Layered: Sync {
    /// What it computes in.
    type Number: Real;

    /// Features of an example.
    fn inputs(&self) -> usize;

    /// The number of the last layer.
    fn depth(&self) -> usize;

    /// How many rows suit it at a time.
    fn block(&self) -> usize {
        BLOCK
    }

    /// The neurons of all layers for `rows` examples, the input first.
    ///
    /// # Errors
    /// Where `x` has the wrong length, or the device gives up.
    fn values(&self, x: &[Self::Number], rows: usize) -> Result<Vec<Vec<Self::Number>>, ExecutorError>;

    /// The neurons of layer `layer`, from 1, given those of the one before it in `rows` rows.
    ///
    /// # Errors
    /// Where `h` has the wrong length, or the device gives up.
    fn forward(&self, layer: usize, h: &[Self::Number], rows: usize) -> Result<Vec<Self::Number>, ExecutorError>;
}

/// A network that is a [`Sequence`], ready to run.
#[derive(Debug)]
pub struct SequenceExecutor {
    executor: ChosenExecutor,
    inputs: usize,
    /// The network's values that are the neurons of each layer.
    values: Vec<usize>,
    block: usize,
}

impl SequenceExecutor {
    /// Prepares `weights`, whose network has the layers of `sequence`, for `processor`.
    #[must_use]
    pub fn new(processor: &Processor, weights: &Weights, sequence: &Sequence) -> Self {
        let values: Vec<usize> = (0..=sequence.depth()).map(|layer| sequence.value(layer)).collect();
        let executor = ChosenExecutor::on(processor, weights, &Options::exposing(values.iter().copied()));
        let block = if matches!(processor, Processor::Cpu(_)) { BLOCK } else { AT_ONCE };
        Self { executor, inputs: weights.network().input_len(), values, block }
    }
}

impl Layered for SequenceExecutor {
    type Number = f32;

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn depth(&self) -> usize {
        self.values.len() - 1
    }

    fn block(&self) -> usize {
        self.block
    }

    fn values(&self, x: &[f32], rows: usize) -> Result<Vec<Vec<f32>>, ExecutorError> {
        self.executor.trace(x, rows, &self.values)
    }

    fn forward(&self, layer: usize, h: &[f32], rows: usize) -> Result<Vec<f32>, ExecutorError> {
        let [from, to] = [self.values[layer - 1], self.values[layer]];
        Ok(self.executor.evaluate(&[(from, h)], rows, &[to])?.pop().unwrap_or_default())
    }
}

/// What to run.
#[derive(Clone, Debug, PartialEq)]
pub struct CrashCampaign {
    /// Crash probability of a neuron by layer: 0 the input, the last one the output; one more than the network has layers.
    pub rates: Vec<f64>,
    /// Patterns drawn per example.
    pub repetitions: usize,
    /// Seed of the patterns.
    pub seed: u64,
}

/// One example under all its crash patterns.
#[derive(Clone, Debug, PartialEq)]
pub struct CrashRow {
    /// Delta of each output over the repetitions; the standard deviation to set beside the bounds is the population's.
    pub delta: Vec<Moments>,
    /// Repetitions in which the predicted class equals the label; `None` without labels.
    pub correct: Option<u64>,
    /// Repetitions in which the predicted class is the one without crashes.
    pub unchanged: u64,
    /// Whether the network without crashes gets the label; `None` without labels.
    pub clean_correct: Option<bool>,
}

/// A crash campaign that cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CrashCampaignError {
    /// The rates are not one probability per layer.
    #[error(transparent)]
    Rates(#[from] CrashRatesError),
    /// The examples do not fit the network.
    #[error(transparent)]
    Examples(#[from] ExamplesError),
    /// The device gave up.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
}

/// Runs the examples numbered `first..` of `examples` (so that a caller can cut a campaign into parts; the pattern of an example
/// depends on its number alone) and gives one row each, in order. Shared out over the current rayon pool.
///
/// # Errors
/// [`CrashCampaignError`] for rates that are not one probability per layer, for examples that do not fit, and where the device gives
/// up.
pub fn crash_rows<N: Layered>(
    executor: &N,
    examples: &Examples,
    first: usize,
    campaign: &CrashCampaign,
) -> Result<Vec<CrashRow>, CrashCampaignError> {
    check_crash_rates(&campaign.rates, executor.depth() + 1)?;
    examples.fit(executor.inputs())?;
    // As many examples as fill a block with their repetitions.
    let some = (executor.block() / campaign.repetitions.max(1)).max(1);
    let starts: Vec<usize> = (0..examples.rows()).step_by(some).collect();
    let rows =
        |start: &usize| crash_some(executor, examples, *start..examples.rows().min(start + some), first, campaign);
    let all: Result<Vec<Vec<CrashRow>>, ExecutorError> = starts.par_iter().map(rows).collect();
    Ok(all?.into_iter().flatten().collect())
}

/// The share of (example, repetition) pairs that are classified right, with the examples as clusters; `None` without labels.
#[must_use]
pub fn crash_accuracy(rows: &[CrashRow]) -> Option<ClusteredRate> {
    let cluster =
        |row: &CrashRow| Some(Cluster { successes: row.correct?, trials: row.delta.first().map_or(0, Moments::count) });
    clustered_rate(&rows.iter().map(cluster).collect::<Option<Vec<_>>>()?, None)
}

/// Delta of each output over all examples and repetitions, merged in order.
#[must_use]
pub fn crash_delta(rows: &[CrashRow]) -> Vec<Moments> {
    let mut total = vec![Moments::default(); rows.first().map_or(0, |row| row.delta.len())];
    for row in rows {
        total.iter_mut().zip(&row.delta).for_each(|(all, one)| all.merge(one));
    }
    total
}

/// The rows `some` of `examples`, of which the first of all is number `first`.
fn crash_some<N: Layered>(
    executor: &N,
    examples: &Examples,
    some: Range<usize>,
    first: usize,
    campaign: &CrashCampaign,
) -> Result<Vec<CrashRow>, ExecutorError> {
    let x: Vec<N::Number> = some.clone().flat_map(|r| examples.row(r)).map(|v| N::Number::from_f32(*v)).collect();
    let values = executor.values(&x, some.len())?;
    let of = |layer: usize, row: usize| {
        let width = values[layer].len() / some.len();
        &values[layer][row * width..][..width]
    };
    let clean = |row: usize| of(executor.depth(), row);
    let label = |row: usize| examples.labels.get(some.start + row).map(|&label| label as usize);
    let untouched = |row: usize| CrashRow {
        delta: vec![Moments::default(); clean(row).len()],
        correct: label(row).map(|_| 0),
        unchanged: 0,
        clean_correct: label(row).map(|label| label == argmax(clean(row))),
    };
    let mut rows: Vec<CrashRow> = (0..some.len()).map(untouched).collect();
    let lowest = campaign.rates.iter().position(|p| *p > 0.0).unwrap_or(executor.depth());
    let pairs: Vec<(usize, usize)> =
        (0..some.len()).flat_map(|row| (0..campaign.repetitions).map(move |repetition| (row, repetition))).collect();
    for pairs in pairs.chunks(executor.block()) {
        let patterns: Vec<[usize; 2]> =
            pairs.iter().map(|(row, repetition)| [first + some.start + row, *repetition]).collect();
        let mut h: Vec<N::Number> = pairs.iter().flat_map(|(row, _)| of(lowest, *row)).copied().collect();
        crash(&mut h, lowest, &patterns, campaign);
        for layer in lowest + 1..=executor.depth() {
            h = executor.forward(layer, &h, pairs.len())?;
            crash(&mut h, layer, &patterns, campaign);
        }
        for ((row, _), crashed) in pairs.iter().zip(h.chunks_exact((h.len() / pairs.len()).max(1))) {
            let (clean, into) = (clean(*row), &mut rows[*row]);
            for ((moments, y), was) in into.delta.iter_mut().zip(crashed).zip(clean) {
                moments.push(y.to_f64() - was.to_f64());
            }
            let class = argmax(crashed);
            into.unchanged += u64::from(class == argmax(clean));
            into.correct = into.correct.map(|count| count + u64::from(label(*row) == Some(class)));
        }
    }
    Ok(rows)
}

/// Sets the crashing neurons of `layer` to zero in the rows `h`, one for each of `patterns`: an example and a repetition.
fn crash<T: Real>(h: &mut [T], layer: usize, patterns: &[[usize; 2]], campaign: &CrashCampaign) {
    let p = campaign.rates[layer];
    if p <= 0.0 {
        return;
    }
    let width = h.len() / patterns.len();
    for (row, [example, repetition]) in h.chunks_exact_mut(width).zip(patterns) {
        let mut random = Stream::new(campaign.seed, "crash", &[*example as u64, *repetition as u64, layer as u64]);
        for neuron in row {
            if random.bernoulli(p) {
                *neuron = T::ZERO;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Init;
    use crate::nn::activation::Activation;
    use crate::nn::bound::{CrashForm, Variance, crash_bounds, read_chain};
    use crate::nn::mlp::Mlp;
    use crate::nn::mlp_weights::MlpWeights;
    use crate::nn::plain::Plain;

    fn setting(activation: Activation, hidden: &[usize], rows: usize) -> (MlpWeights, Examples) {
        let net = Mlp::new(4, hidden, 3, activation, true);
        let weights = net.initialize(Init::GlorotNormal, Init::Normal { std: 0.3 }, 2);
        let mut x = vec![0.0; rows * 4];
        Stream::new(8, "x", &[]).fill_normal(&mut x, 0.0, 1.0);
        let labels = (0..rows as u32).map(|i| i % 3).collect();
        (weights, Examples { features: 4, classes: 3, x, labels, targets: None, ..Examples::default() })
    }

    fn campaign(rates: &[f64], repetitions: usize) -> CrashCampaign {
        CrashCampaign { rates: rates.to_vec(), repetitions, seed: 5 }
    }

    #[test]
    fn no_crashes_leave_every_output_and_all_crashes_the_output_of_zero() {
        let (weights, examples) = setting(Activation::Tanh, &[6, 5], 4);
        let executor = Plain::<f64>::new(&weights);
        let never = crash_rows(&executor, &examples, 0, &campaign(&[0.0; 4], 3)).expect("valid");
        assert!(
            never.iter().all(|r| r.unchanged == 3 && r.delta.iter().all(|m| m.max_abs().abs() < f64::MIN_POSITIVE))
        );
        let always = crash_rows(&executor, &examples, 0, &campaign(&[0.0, 1.0, 0.0, 0.0], 3)).expect("valid");
        let dead = executor.logits_from(1, &[0.0; 6]);
        for (r, row) in always.iter().enumerate() {
            let x: Vec<f64> = examples.row(r).iter().map(|v| f64::from(*v)).collect();
            for ((m, y), zero) in row.delta.iter().zip(executor.logits(&x)).zip(&dead) {
                assert!((m.mean() - (zero - y)).abs() < 1e-12 && m.population_std() < 1e-12);
            }
        }
    }

    #[test]
    fn a_linear_network_has_the_exact_mean_and_binomial_spread() {
        let (weights, examples) = setting(Activation::relu(), &[12], 1);
        let rates = [0.0, 0.3, 0.0];
        let repetitions = 20_000;
        let executor = Plain::<f64>::new(&weights);
        let row = &crash_rows(&executor, &examples, 0, &campaign(&rates, repetitions)).expect("valid")[0];
        let chain = read_chain(&weights.graph()).expect("a chain");
        let x: Vec<f64> = examples.x.iter().map(|v| f64::from(*v)).collect();
        let form = CrashForm { variance: Variance::Binomial, ..CrashForm::default() };
        let exact = &crash_bounds(&chain, &x, &rates, form).expect("valid")[0];
        for (m, b4) in row.delta.iter().zip(&exact.b4) {
            let error = m.standard_error().expect("many");
            assert!((m.mean() - b4.mean).abs() < 4.0 * error, "{} {}", m.mean(), b4.mean);
            // The standard error of a standard deviation is about std/sqrt(2R).
            assert!((m.population_std() / b4.std - 1.0).abs() < 4.0 / (2.0 * repetitions as f64).sqrt());
        }
    }

    #[test]
    fn certified_bounds_hold_over_the_measured_crashes_of_several_layers() {
        let (weights, examples) = setting(Activation::Sigmoid { gain: 4.0 }, &[7, 6], 5);
        let executor = Plain::<f32>::new(&weights);
        let chain = read_chain(&weights.graph()).expect("a chain");
        let x: Vec<f64> = examples.x.iter().map(|v| f64::from(*v)).collect();
        for rates in [[0.05, 0.1, 0.2, 0.0], [0.0, 0.0, 0.6, 0.3]] {
            let rows = crash_rows(&executor, &examples, 0, &campaign(&rates, 2000)).expect("valid");
            let bounds = crash_bounds(&chain, &x, &rates, CrashForm::default()).expect("valid");
            for (row, bound) in rows.iter().zip(&bounds) {
                for (m, b2) in row.delta.iter().zip(&bound.b2) {
                    assert!(m.mean_abs() <= b2.mean + 4.0 * m.standard_error().expect("many"));
                }
                let sum: f64 = row.delta.iter().map(Moments::mean_abs).sum();
                assert!(sum <= bound.b1[0] * 1.05);
            }
        }
    }

    #[test]
    fn a_higher_rate_crashes_a_superset_and_other_layers_keep_their_pattern() {
        let dead = |p: f64, layer: usize| {
            let mut h = vec![1.0_f64; 200];
            let mut rates = vec![0.0; 3];
            rates[layer] = p;
            crash(&mut h, layer, &[[3, 0], [3, 1]], &campaign(&rates, 2));
            h.iter().map(|v| v.abs() < 0.5).collect::<Vec<bool>>()
        };
        let (low, high) = (dead(0.2, 1), dead(0.5, 1));
        assert!(low.iter().zip(&high).all(|(l, h)| !l || *h));
        assert_ne!(low, dead(0.2, 2));
        assert_ne!(low[..100], low[100..]);
        let share = high.iter().filter(|d| **d).count();
        assert!((70..130).contains(&share), "{share}");
    }

    #[test]
    fn parts_and_threads_do_not_change_a_bit() {
        let (weights, examples) = setting(Activation::relu(), &[6, 5], 9);
        let executor = Plain::<f32>::new(&weights);
        let plan = campaign(&[0.1, 0.2, 0.0, 0.1], 70);
        let with = |threads: usize, cut: usize| -> Vec<CrashRow> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            let parts = (0..9).step_by(cut).map(|first| {
                let part = examples.select(&(first..(first + cut).min(9)).collect::<Vec<_>>());
                pool.install(|| crash_rows(&executor, &part, first, &plan)).expect("valid")
            });
            parts.flatten().collect()
        };
        let whole = with(1, 9);
        assert_eq!(whole, with(3, 9));
        assert_eq!(whole, with(2, 4));
        assert_eq!(crash_delta(&whole)[0].count(), 9 * 70);
        let accuracy = crash_accuracy(&whole).expect("labels");
        assert_eq!((accuracy.clusters, accuracy.trials), (9, 630));
        assert!(accuracy.interval(0.95).is_some_and(|i| i.lo <= accuracy.rate && accuracy.rate <= i.hi));
    }

    /// A network that takes so many rows at a time.
    struct AtOnce(Plain<f32>, usize);

    impl Layered for AtOnce {
        type Number = f32;

        fn inputs(&self) -> usize {
            Layered::inputs(&self.0)
        }

        fn depth(&self) -> usize {
            Layered::depth(&self.0)
        }

        fn block(&self) -> usize {
            self.1
        }

        fn values(&self, x: &[f32], rows: usize) -> Result<Vec<Vec<f32>>, ExecutorError> {
            self.0.values(x, rows)
        }

        fn forward(&self, layer: usize, h: &[f32], rows: usize) -> Result<Vec<f32>, ExecutorError> {
            assert!(rows <= self.1);
            self.0.forward(layer, h, rows)
        }
    }

    #[test]
    fn rows_that_go_through_together_do_not_change_a_bit() {
        let (weights, examples) = setting(Activation::relu(), &[6, 5], 9);
        let plan = campaign(&[0.1, 0.2, 0.0, 0.1], 70);
        let with = |block: usize| crash_rows(&AtOnce(Plain::new(&weights), block), &examples, 4, &plan).expect("valid");
        let one = with(1);
        assert!(one.iter().any(|row| row.unchanged < 70));
        // Less than an example's repetitions, and those of several examples.
        for block in [64, 150, 4096] {
            assert_eq!(with(block), one, "{block}");
        }
    }

    #[test]
    fn rates_and_examples_that_do_not_fit_are_refused() {
        let (weights, mut examples) = setting(Activation::relu(), &[6], 2);
        let executor = Plain::<f32>::new(&weights);
        let run = |e: &Examples, rates: &[f64]| crash_rows(&executor, e, 0, &campaign(rates, 1)).err();
        assert_eq!(run(&examples, &[0.1]), Some(CrashRatesError::Count { got: 1, want: 3 }.into()));
        assert_eq!(run(&examples, &[0.0, -0.1, 0.0]), Some(CrashRatesError::Rate { layer: 1, rate: -0.1 }.into()));
        examples.labels.clear();
        assert_eq!(run(&examples, &[0.0; 3]), None);
        examples.features = 2;
        assert_eq!(run(&examples, &[0.0; 3]), Some(ExamplesError::Features { got: 2, want: 4 }.into()));
    }
}
