//! Fault campaigns: what each of many faults does to a network's outputs on each of many examples.
//!
//! [`Method::Full`] runs the whole network again for every fault, and defines every outcome. [`Method::Exact`] computes only what a
//! fault changes, and comes to the same verdicts. [`Method::Screened`] also skips what a prediction says is out of reach, and
//! measures how often that is wrong.
mod acting;
mod change;
mod error;
mod exact;
mod fault;
mod flow;
mod full;
mod gradient;
mod keep;
mod outcome;
mod prepared;
mod screen;
mod suffix;
#[cfg(test)]
mod tests;
mod tile;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::device::{Cpu, Device};
use crate::executor::step::Work;
use crate::executor::{self, Executor};
use crate::graph::Network;
use crate::kernel::conv;
use crate::op::Op;
use crate::weights::Weights;
use outcome::{Tally, argmax, confidence, is_close};

pub use error::CampaignError;
pub use fault::{ActivationFault, Corrupt, Fault, Range, Run, Stored};
pub use outcome::Outcome;
pub use screen::Screening;

/// How outcomes are found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Method {
    /// The whole network for every fault and example.
    Full,
    /// Only what a fault changes, as far as it changes it; verdicts are those of [`Method::Full`].
    #[default]
    Exact,
    /// As [`Method::Exact`], but pairs of a fault and an example are skipped where a first-order prediction says that the class is
    /// out of the fault's reach; outcomes say how many, and how an audit of them went.
    Screened(Screening),
}

/// How a campaign is run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How outcomes are found.
    pub method: Method,
    /// Bytes that fault-free values of some examples may take together; at least a few examples are kept.
    pub memory: usize,
    /// Nodes whose values faults may be in: these are computed on their own, and not merged with what follows.
    pub exposed: BTreeSet<usize>,
    /// Convolutions and linear layers that multiply in TF32 ([`executor::Options::tf32`]).
    pub tf32: BTreeSet<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { method: Method::default(), memory: 512 << 20, exposed: BTreeSet::new(), tf32: BTreeSet::new() }
    }
}

/// The convolutions and linear layers that `patterns` name, by node number: names in which `*` stands for any text, such as `layer3.*`.
///
/// # Errors
/// Where a pattern names none.
pub fn layers<P: AsRef<str>>(network: &Network, patterns: &[P]) -> Result<BTreeSet<usize>, CampaignError> {
    let mut found = BTreeSet::new();
    for pattern in patterns.iter().map(AsRef::as_ref) {
        let named = network.nodes().iter().enumerate().filter(|(_, node)| {
            matches!(node.op, Op::Conv2d(_) | Op::Linear(_)) && matches_pattern(pattern, &node.name)
        });
        let numbers: Vec<usize> = named.map(|(index, _)| index + 1).collect();
        if numbers.is_empty() {
            return Err(CampaignError::NoSuchLayer(pattern.to_owned()));
        }
        found.extend(numbers);
    }
    Ok(found)
}

/// Whether `name` is `pattern` with some text for each `*`.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let parts: Vec<&str> = rest.split('*').collect();
    for part in &parts[..parts.len() - 1] {
        // The earliest place leaves the most for what follows.
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(parts[parts.len() - 1])
}

/// What faults are tried on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Examples<'a> {
    /// One example after another, each row-major.
    pub x: &'a [f32],
    /// The class of each, where it is known.
    pub labels: Option<&'a [u32]>,
}

/// A network, examples, and what it gives for them without a fault.
#[derive(Debug)]
pub struct Campaign<'a, D: Device = Cpu> {
    weights: &'a Weights,
    examples: Examples<'a>,
    count: usize,
    options: Options,
    executor: Executor<D>,
    logits: Vec<f32>,
    predicted: Vec<usize>,
    confidence: Vec<f64>,
    /// Whether rounding might swap the two largest fault-free outputs.
    close: Vec<bool>,
    /// For each value the last stage that reads it; no stage is after the output.
    last_reader: Vec<usize>,
    /// For each stage its weights for changes of all that it reads, once somebody needs them; none where it has none such.
    winograd: Vec<OnceLock<Option<conv::PackedWinograd>>>,
}

impl<'a> Campaign<'a> {
    /// [`Campaign::on`] the processor.
    ///
    /// # Errors
    /// Where examples do not fit the network, or outputs are not finite even without a fault.
    pub fn new(weights: &'a Weights, examples: Examples<'a>, options: Options) -> Result<Self, CampaignError> {
        Self::on(Cpu::new(), weights, examples, options)
    }

    /// What each run does, in their order. Work is shared out over the current rayon pool; outcomes depend neither on it nor
    /// on how a list of runs is cut into calls.
    ///
    /// # Errors
    /// Where a fault or an example does not exist.
    pub fn evaluate(&self, runs: &[Run<'_>]) -> Result<Vec<Outcome>, CampaignError> {
        runs.iter().try_for_each(|run| self.check(run))?;
        let tallies = match self.options.method {
            Method::Full => self.full(runs),
            Method::Exact => self.exact(runs),
            Method::Screened(how) => self.screened(runs, &how),
        };
        Ok(tallies.iter().map(|tally| tally.outcome(self.examples.labels.is_some())).collect())
    }

    /// The weights of stage `index` for [`conv::add_winograd`], where it is a convolution that they suit.
    fn winograd(&self, index: usize) -> Option<&conv::PackedWinograd> {
        let (stage, step) = (&self.executor.plan().stages[index], &self.executor.steps()[index]);
        let packed = || match &step.work {
            Work::Convolution(geometry, _) => {
                let weights = step.multiplied(self.weights, stage);
                conv::PackedWinograd::new(self.executor.device().instruction_set(), geometry, &weights)
            }
            _ => None,
        };
        self.winograd[index].get_or_init(packed).as_ref()
    }
}

impl<'a, D: Device> Campaign<'a, D> {
    /// Runs all examples through the network once.
    ///
    /// # Errors
    /// Where examples do not fit the network, outputs are not finite even without a fault, or the device gives up.
    pub fn on(
        device: D,
        weights: &'a Weights,
        examples: Examples<'a>,
        options: Options,
    ) -> Result<Self, CampaignError> {
        if let Method::Screened(how) = options.method {
            how.check()?;
        }
        let len = weights.network().input_len();
        if !examples.x.len().is_multiple_of(len) {
            return Err(CampaignError::Examples { wanted: len, found: examples.x.len() });
        }
        let count = examples.x.len() / len;
        if let Some(labels) = examples.labels.filter(|labels| labels.len() != count) {
            return Err(CampaignError::Labels { examples: count, labels: labels.len() });
        }
        let Options { exposed, tf32, .. } = options.clone();
        let executor = Executor::on(device, weights, &executor::Options { faithful: false, exposed, tf32 });
        let logits = executor.run(examples.x, count)?;
        let classes = weights.network().output_len();
        if let Some(at) = logits.iter().position(|v| !v.is_finite()) {
            return Err(CampaignError::Golden(at / classes));
        }
        let predicted: Vec<usize> = logits.chunks_exact(classes).map(argmax).collect();
        let confidence = logits.chunks_exact(classes).zip(&predicted).map(|(z, &class)| confidence(z, class)).collect();
        let close = logits.chunks_exact(classes).map(is_close).collect();
        let last_reader = last_readers(&executor);
        let winograd = executor.plan().stages.iter().map(|_| OnceLock::new()).collect();
        Ok(Self {
            weights,
            examples,
            count,
            options,
            executor,
            logits,
            predicted,
            confidence,
            close,
            last_reader,
            winograd,
        })
    }

    /// How many examples there are.
    #[must_use]
    pub const fn examples(&self) -> usize {
        self.count
    }

    /// The fault-free prediction for each example.
    #[must_use]
    pub fn predicted(&self) -> &[usize] {
        &self.predicted
    }

    /// The fault-free outputs, row-major, example after example.
    #[must_use]
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// How many examples the fault-free network gets right; `None` without labels.
    #[must_use]
    pub fn correct(&self) -> Option<u32> {
        let right = |labels: &[u32]| labels.iter().zip(&self.predicted).filter(|(l, p)| **l as usize == **p).count();
        self.examples.labels.map(|labels| right(labels) as u32)
    }

    /// Whether everything that a run names exists.
    fn check(&self, run: &Run<'_>) -> Result<(), CampaignError> {
        let network = self.weights.network();
        if let Some(&image) = run.images.unwrap_or(&[]).iter().find(|&&image| image as usize >= self.count) {
            return Err(CampaignError::NoSuchExample { image, examples: self.count });
        }
        match run.fault {
            Fault::Stored(numbers) => {
                let exists = |s: &Stored| network.parameters().get(s.parameter).is_some_and(|p| s.element < p.len());
                match numbers.iter().find(|s| !exists(s)) {
                    Some(&Stored { parameter, element, .. }) => Err(CampaignError::NoSuchNumber { parameter, element }),
                    None => Ok(()),
                }
            }
            Fault::Activation(ActivationFault { node, elements, .. }) => {
                let node = *node;
                self.executor.check(node)?;
                if self.executor.plan().source[node] != Some(node) {
                    return Err(CampaignError::PassedOn(self.executor.name(node)));
                }
                match elements.iter().find(|&&element| element >= self.executor.len(node)) {
                    Some(&element) => Err(CampaignError::NoSuchValue { node, element }),
                    None => Ok(()),
                }
            }
        }
    }

    /// What example `image` gives without a fault.
    fn golden(&self, image: usize) -> outcome::Golden<'_> {
        let classes = self.weights.network().output_len();
        outcome::Golden {
            logits: &self.logits[image * classes..][..classes],
            predicted: self.predicted[image],
            confidence: self.confidence[image],
            label: self.examples.labels.map(|labels| labels[image]),
        }
    }

    /// Where the outputs are.
    fn output(&self) -> usize {
        let plan = self.executor.plan();
        plan.source.last().copied().flatten().expect("the last node is not merged with another")
    }

    /// The examples of a run.
    fn images(&self, run: &Run<'_>) -> Vec<u32> {
        run.images.map_or_else(|| (0..self.count as u32).collect(), <[u32]>::to_vec)
    }

    /// Examples `images` as they are inside.
    fn input(&self, device: &D, images: &[u32]) -> D::Buffer {
        let len = self.weights.network().input_len();
        let rows: Vec<f32> =
            images.iter().flat_map(|&image| &self.examples.x[image as usize * len..][..len]).copied().collect();
        self.executor.inside(device, 0, images.len(), &rows)
    }

    /// Every value that exists for examples `images`, as it is inside.
    fn values(&self, device: &D, images: &[u32]) -> Vec<Option<D::Buffer>> {
        let network = self.weights.network();
        let mut values: Vec<Option<D::Buffer>> = network.shapes().iter().map(|_| None).collect();
        values[0] = Some(self.input(device, images));
        for (stage, step) in self.executor.plan().stages.iter().zip(self.executor.steps()) {
            values[stage.last] = Some(step.run(device, network, stage, images.len(), &values));
        }
        values
    }
}

/// For each value the last stage that reads it.
fn last_readers<D: Device>(executor: &Executor<D>) -> Vec<usize> {
    let plan = executor.plan();
    let mut last = vec![0; plan.source.len()];
    for (index, stage) in plan.stages.iter().enumerate() {
        stage.reads().for_each(|value| last[value] = index);
    }
    if let Some(Some(output)) = plan.source.last() {
        last[*output] = usize::MAX;
    }
    last
}

/// The sum of counts.
fn total(tallies: impl IntoIterator<Item = Tally>) -> Tally {
    tallies.into_iter().fold(Tally::default(), |mut sum, tally| {
        sum.add(&tally);
        sum
    })
}
