//! The definition of an outcome: the whole network again, with the fault in it.

use std::collections::BTreeMap;

use super::fault::{ActivationFault, Fault, Range, Run};
use super::outcome::Tally;
use super::{Campaign, total};
use crate::device::Device;
use crate::executor::step::Step;
use crate::op::arithmetic::places;

impl<D: Device> Campaign<'_, D> {
    /// Runs every example of every run through the whole network.
    pub(super) fn full(&self, runs: &[Run<'_>]) -> Vec<Tally> {
        runs.iter().map(|run| self.full_run(run)).collect()
    }

    fn full_run(&self, run: &Run<'_>) -> Tally {
        let (faulty, wrong) = match run.fault {
            Fault::Stored(numbers) => (self.faulty_steps(numbers), None),
            Fault::Activation(fault) => (BTreeMap::new(), Some(fault)),
        };
        let images = self.images(run);
        let device = self.executor.device();
        total(device.spread(images.len(), self.executor.block(), |device, range| {
            let images = &images[range];
            let logits = self.infer(device, images, &faulty, wrong);
            let mut tally = Tally::default();
            for (logits, &image) in logits.chunks_exact(self.weights.network().output_len()).zip(images) {
                tally.count(&self.golden(image as usize), logits);
            }
            tally
        }))
    }

    /// The stages that read a faulty number, arranged with it.
    pub(super) fn faulty_steps(&self, numbers: &[super::Stored]) -> BTreeMap<usize, Step<D>> {
        let network = self.weights.network();
        let mut weights = self.weights.clone();
        for stored in numbers {
            weights.value_mut(stored.parameter)[stored.element] = stored.value;
        }
        let touched = |node: usize| numbers.iter().any(|s| network.parameters()[s.parameter].node == node);
        let stages = self.executor.plan().stages.iter().enumerate();
        stages
            .filter(|(_, stage)| stage.nodes.iter().any(|&node| touched(node)))
            .map(|(index, _)| (index, self.executor.rearranged(&weights, index)))
            .collect()
    }

    /// What the whole network gives for some examples.
    pub(super) fn infer(
        &self,
        device: &D,
        images: &[u32],
        faulty: &BTreeMap<usize, Step<D>>,
        wrong: Option<&ActivationFault>,
    ) -> Vec<f32> {
        let (network, plan) = (self.weights.network(), self.executor.plan());
        let mut values: Vec<Option<D::Buffer>> = network.shapes().iter().map(|_| None).collect();
        let corrupted = |value: usize, numbers: D::Buffer| match wrong.filter(|fault| fault.node == value) {
            Some(fault) => Some(self.corrupted(device, fault, images.len(), &numbers)),
            None => Some(numbers),
        };
        values[0] = corrupted(0, self.input(device, images));
        for (index, (stage, step)) in plan.stages.iter().zip(self.executor.steps()).enumerate() {
            let step = faulty.get(&index).unwrap_or(step);
            values[stage.last] = corrupted(stage.last, step.run(device, network, stage, images.len(), &values));
        }
        self.executor.outside(device, network.nodes().len(), images.len(), &values)
    }

    /// The numbers of the fault's node for `images` examples, made faulty.
    pub(super) fn corrupted(
        &self,
        device: &D,
        fault: &ActivationFault,
        images: usize,
        numbers: &D::Buffer,
    ) -> D::Buffer {
        let len = self.executor.len(fault.node);
        let shape = &self.weights.network().shapes()[fault.node];
        let mut numbers = device.download(numbers, images * len);
        numbers.chunks_exact_mut(len.max(1)).for_each(|x| fault.apply(shape, x));
        device.upload(&numbers)
    }
}

impl ActivationFault {
    /// Makes the numbers of one example, of shape `shape`, faulty; they are in the order inside.
    pub(super) fn apply(&self, shape: &[usize], numbers: &mut [f32]) {
        let range = Range::of(numbers);
        for &element in &self.elements {
            let at = inside(shape, element);
            numbers[at] = self.corrupt.corrupt(numbers[at], range);
        }
    }

    /// The channel that all its elements are in, of a value of shape `shape`, if there is one.
    pub(super) fn only_channel(&self, shape: &[usize]) -> Option<usize> {
        let [_, channels] = places(shape);
        let mut found = self.elements.iter().map(|&element| inside(shape, element) % channels);
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }
}

/// Where the row-major element `element` of an array of shape `shape` is inside.
pub(super) fn inside(shape: &[usize], element: usize) -> usize {
    if shape.len() != 3 {
        return element;
    }
    let [count, channels] = places(shape);
    element % count * channels + element / count
}
