//! Inference: a network and its weights, prepared once and then only read, from any number of threads.
//!
//! Batch normalisations are folded into the layers before them; bias, residual and rectifier are applied while sums are
//! still in registers; a few images at a time go through the whole network in a thread's own cache. Bits do not depend on
//! batch, block or threads. A *faithful* executor does every node on its own, in the network's order, for comparisons with
//! other programs.

pub(crate) mod plan;
pub(crate) mod step;

use std::collections::BTreeSet;
use std::ops::Range;

use thiserror::Error;

use crate::device::{Cpu, Device, DeviceError};
use crate::graph::Network;
use crate::op::layout::{plain, to_row_major};
use crate::weights::Weights;
use plan::{Plan, Stage};
use step::Step;

/// How an executor is prepared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether every node is computed on its own, in the order of the network.
    pub faithful: bool,
    /// Values that must exist as such, because they are to be handed out or started from: node numbers.
    pub exposed: BTreeSet<usize>,
    /// Convolutions and linear layers whose factors are rounded to TF32 before they are multiplied (sums are not), as tensor
    /// cores do: node numbers. Weights are rounded as they are stored, before a normalisation is merged into them.
    pub tf32: BTreeSet<usize>,
}

impl Options {
    /// Every node on its own, in the order of the network.
    #[must_use]
    pub fn faithful() -> Self {
        Self { faithful: true, ..Self::default() }
    }

    /// With these values handed out or started from.
    #[must_use]
    pub fn exposing(values: impl IntoIterator<Item = usize>) -> Self {
        Self { exposed: values.into_iter().collect(), ..Self::default() }
    }
}

/// Why an executor cannot compute what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExecutorError {
    /// Values of the wrong length.
    #[error("value `{name}` of {images} images holds {wanted} numbers but {found} are given; check the shape")]
    Length {
        /// Whose values.
        name: String,
        /// Images in the batch.
        images: usize,
        /// Numbers wanted.
        wanted: usize,
        /// Numbers given.
        found: usize,
    },
    /// A value that does not exist in the network.
    #[error("network has no value {0}; use the number of a node, or 0 for the input")]
    Unknown(usize),
    /// A value that was merged with a later one.
    #[error("value `{0}` is merged with what follows it; name it in the executor's options, or use a faithful one")]
    Merged(String),
    /// What is given does not lead to what is wanted.
    #[error("value `{0}` is needed but neither given nor computable from what is given; give it too")]
    NotGiven(String),
    /// The device gave up.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// A network ready to run.
#[derive(Debug)]
pub struct Executor<D: Device = Cpu> {
    network: Network,
    device: D,
    plan: Plan,
    steps: Vec<Step<D>>,
    tf32: BTreeSet<usize>,
    /// Images that go through the network together.
    block: usize,
    /// Why its weights are not on the device, where they are not.
    failed: Option<DeviceError>,
}

/// What a run reads, computes and gives.
struct Asked<'a> {
    given: &'a [(usize, &'a [f32])],
    /// Stages, in order.
    active: Vec<usize>,
    /// For each of them the values that nothing reads after it.
    dead: Vec<Vec<usize>>,
    wanted: &'a [usize],
}

/// Bytes of activations that a thread's cache holds.
const CACHE: usize = 512 << 10;
/// Images that go through the network together at most.
const MOST: usize = 64;
/// Images that share one pass over weights that do not stay in the cache.
const SHARING: usize = 16;

impl Executor<Cpu> {
    /// Prepares `weights` for the processor.
    #[must_use]
    pub fn new(weights: &Weights, options: &Options) -> Self {
        Self::on(Cpu::new(), weights, options)
    }
}

impl<D: Device> Executor<D> {
    /// Prepares `weights` for `device`.
    #[must_use]
    pub fn on(device: D, weights: &Weights, options: &Options) -> Self {
        let network = weights.network().clone();
        let plan = Plan::new(&network, options);
        let step = |stage: &Stage| Step::new(&device, weights, stage, options.tf32.contains(&stage.head));
        let steps = plan.stages.iter().map(step).collect();
        let values = network.shapes().iter().map(|shape| shape.iter().product::<usize>());
        let block = device.together(block(&network), size_of::<f32>() * values.sum::<usize>());
        let failed = device.failure();
        Self { network, device, plan, steps, tf32: options.tf32.clone(), block, failed }
    }

    /// The network.
    #[must_use]
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// Whether value `value` can be handed out or started from.
    #[must_use]
    pub fn has(&self, value: usize) -> bool {
        self.plan.source.get(value).is_some_and(Option::is_some)
    }

    /// Takes over the parameters of node `node` from `weights`, of the same network; all others stay.
    ///
    /// # Panics
    /// If the weights are not of this network.
    pub fn refresh(&mut self, weights: &Weights, node: usize) {
        assert!(weights.network() == &self.network, "weights are of this network");
        for (stage, step) in self.plan.stages.iter().zip(&mut self.steps) {
            if stage.covers(node) {
                *step = Step::new(&self.device, weights, stage, self.tf32.contains(&stage.head));
            }
        }
        self.failed = self.failed.take().or_else(|| self.device.failure());
    }

    /// What it runs on.
    pub(crate) const fn device(&self) -> &D {
        &self.device
    }

    /// The nodes that are done together, and where values are.
    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The stages of [`Executor::plan`] with their weights arranged.
    pub(crate) fn steps(&self) -> &[Step<D>] {
        &self.steps
    }

    /// Stage `index` arranged anew from other weights of the same network.
    pub(crate) fn rearranged(&self, weights: &Weights, index: usize) -> Step<D> {
        let stage = &self.plan.stages[index];
        Step::new(&self.device, weights, stage, self.tf32.contains(&stage.head))
    }

    /// Images that go through the network together.
    pub(crate) const fn block(&self) -> usize {
        self.block
    }

    /// What the network gives for `images` images of `x`, all arrays row-major.
    ///
    /// # Errors
    /// Where `x` does not hold that many images.
    pub fn run(&self, x: &[f32], images: usize) -> Result<Vec<f32>, ExecutorError> {
        self.run_on(&self.device, x, images)
    }

    /// [`Executor::run`] on another device, which reads the memory of this one's, such as a thread of it.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_on(&self, device: &D, x: &[f32], images: usize) -> Result<Vec<f32>, ExecutorError> {
        let output = self.network.shapes().len() - 1;
        Ok(self.evaluate_on(device, &[(0, x)], images, &[output])?.pop().unwrap_or_default())
    }

    /// What the network gives from stored values: pairs of a value's number and its numbers. Whatever the rest of the
    /// network reads must be given or follow from what is given.
    ///
    /// # Errors
    /// Where a value is unknown, merged with another, of the wrong length, or missing.
    pub fn run_from(&self, given: &[(usize, &[f32])], images: usize) -> Result<Vec<f32>, ExecutorError> {
        let output = self.network.shapes().len() - 1;
        Ok(self.evaluate(given, images, &[output])?.pop().unwrap_or_default())
    }

    /// The values numbered `values` for `images` images of `x`.
    ///
    /// # Errors
    /// As [`Executor::run_from`].
    pub fn trace(&self, x: &[f32], images: usize, values: &[usize]) -> Result<Vec<Vec<f32>>, ExecutorError> {
        self.evaluate(&[(0, x)], images, values)
    }

    /// The values numbered `wanted` from those that are given, row-major, image after image.
    ///
    /// # Errors
    /// As [`Executor::run_from`].
    pub fn evaluate(
        &self,
        given: &[(usize, &[f32])],
        images: usize,
        wanted: &[usize],
    ) -> Result<Vec<Vec<f32>>, ExecutorError> {
        self.evaluate_on(&self.device, given, images, wanted)
    }

    fn evaluate_on(
        &self,
        device: &D,
        given: &[(usize, &[f32])],
        images: usize,
        wanted: &[usize],
    ) -> Result<Vec<Vec<f32>>, ExecutorError> {
        if let Some(error) = &self.failed {
            return Err(error.clone().into());
        }
        for (value, numbers) in given {
            self.check(*value)?;
            let (len, found) = (images * self.len(*value), numbers.len());
            if len != found {
                return Err(ExecutorError::Length { name: self.name(*value), images, wanted: len, found });
            }
        }
        wanted.iter().try_for_each(|&value| self.check(value))?;
        let starts: BTreeSet<usize> = given.iter().filter_map(|(value, _)| self.plan.source[*value]).collect();
        let ends: Vec<usize> = wanted.iter().filter_map(|&value| self.plan.source[value]).collect();
        let active = self.plan.active(&starts, &ends).map_err(|value| ExecutorError::NotGiven(self.name(value)))?;
        let dead = self.plan.dead(&active, &ends);
        let asked = Asked { given, active, dead, wanted };
        let blocks = device.spread(images, self.block, |device, range| self.part(device, &asked, range));
        let mut all: Vec<Vec<f32>> = wanted.iter().map(|&v| Vec::with_capacity(images * self.len(v))).collect();
        for block in blocks {
            all.iter_mut().zip(block?).for_each(|(all, some)| all.extend(some));
        }
        Ok(all)
    }

    /// Some of the images, in smaller parts where the device has no room for all of them at once.
    fn part(&self, device: &D, asked: &Asked<'_>, range: Range<usize>) -> Result<Vec<Vec<f32>>, DeviceError> {
        let found = self.part_at_once(device, asked, range.clone());
        match device.failure() {
            None => Ok(found),
            Some(DeviceError::OutOfMemory { .. }) if range.len() > 1 => {
                let middle = range.start + range.len() / 2;
                let mut all = self.part(device, asked, range.start..middle)?;
                let rest = self.part(device, asked, middle..range.end)?;
                all.iter_mut().zip(rest).for_each(|(all, rest)| all.extend(rest));
                Ok(all)
            }
            Some(error) => Err(error),
        }
    }

    fn part_at_once(&self, device: &D, asked: &Asked<'_>, range: Range<usize>) -> Vec<Vec<f32>> {
        let mut values: Vec<Option<D::Buffer>> = (0..self.network.shapes().len()).map(|_| None).collect();
        for (value, numbers) in asked.given {
            let len = self.len(*value);
            let some = &numbers[range.start * len..range.end * len];
            let source = self.plan.source[*value].unwrap_or(*value);
            values[source] = Some(self.inside(device, *value, range.len(), some));
        }
        for (&step, dead) in asked.active.iter().zip(&asked.dead) {
            let stage = &self.plan.stages[step];
            let y = self.steps[step].run(device, &self.network, stage, range.len(), &values);
            values[stage.last] = Some(y);
            for &value in dead {
                values[value] = None;
            }
        }
        asked.wanted.iter().map(|&value| self.outside(device, value, range.len(), &values)).collect()
    }

    pub(crate) fn check(&self, value: usize) -> Result<(), ExecutorError> {
        match self.plan.source.get(value) {
            None => Err(ExecutorError::Unknown(value)),
            Some(None) => Err(ExecutorError::Merged(self.name(value))),
            Some(Some(_)) => Ok(()),
        }
    }

    pub(crate) fn name(&self, value: usize) -> String {
        value.checked_sub(1).map_or_else(|| "input".to_owned(), |index| self.network.nodes()[index].name.clone())
    }

    /// Numbers in one image of a value.
    pub(crate) fn len(&self, value: usize) -> usize {
        self.network.shapes()[value].iter().product()
    }

    /// Row-major numbers of a value as they are inside.
    pub(crate) fn inside(&self, device: &D, value: usize, images: usize, numbers: &[f32]) -> D::Buffer {
        let given = device.upload(numbers);
        let Some(how) = to_row_major(&self.network.shapes()[value]) else { return given };
        let mut inside = device.buffer(images * self.len(value));
        device.copy(images, &how.reversed(), &given, false, &mut inside);
        inside
    }

    /// The numbers of a value in row-major order.
    pub(crate) fn outside(&self, device: &D, value: usize, images: usize, values: &[Option<D::Buffer>]) -> Vec<f32> {
        let len = self.len(value);
        let source = self.plan.source[value].and_then(|source| values[source].as_ref());
        let inside = source.expect("a wanted value was checked to exist and is kept until the end");
        let mut given = device.buffer(images * len);
        let how = to_row_major(&self.network.shapes()[value]).unwrap_or(plain(len));
        device.copy(images, &how, inside, false, &mut given);
        device.download(&given, images * len)
    }
}

/// How many images' largest activations fit the cache together, but enough to share a pass over large weights.
fn block(network: &Network) -> usize {
    let len = |value: usize| network.shapes()[value].iter().product::<usize>();
    let touched = |(index, node): (usize, &crate::graph::Node)| {
        len(index + 1) + node.inputs.iter().map(|&value| len(value)).sum::<usize>()
    };
    let largest = network.nodes().iter().enumerate().map(touched).max().unwrap_or(1);
    let weights: usize = network.parameters().iter().map(crate::graph::Parameter::len).sum();
    let sharing = (4 * weights / CACHE).clamp(1, SHARING);
    (CACHE / (4 * largest.max(1))).clamp(sharing, MOST)
}
