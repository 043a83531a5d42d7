//! Outcomes of whole runs, for devices to which a large batch costs little more than a small one.
//!
//! All fault-free values of some examples, as many as there is room for, stay in the device's memory. A fault is then run for all of
//! them at once, from the first stage that it changes on, and only through stages that read what has changed. Kernels give every
//! example the same bits in any batch, so outcomes are those of [`super::Method::Full`].

use std::collections::BTreeMap;

use super::fault::{Fault, Run, Stored};
use super::outcome::{Outcome, Tally};
use super::{Campaign, CampaignError};
use crate::device::{Device, DeviceError};
use crate::executor::ExecutorError;
use crate::executor::step::Step;

/// Every value of the network for some examples, or those that a fault changes.
type Values<D> = Vec<Option<<D as Device>::Buffer>>;

impl<D: Device> Campaign<'_, D> {
    /// What each run does, in their order, whatever the method: by running on from the first stage that its fault changes.
    ///
    /// # Errors
    /// Where a fault or an example does not exist, or the device gives up.
    pub fn evaluate_by_suffix(&self, runs: &[Run<'_>]) -> Result<Vec<Outcome>, CampaignError> {
        runs.iter().try_for_each(|run| self.check(run))?;
        let needed: Vec<u32> = if runs.iter().any(|run| run.images.is_none()) {
            (0..self.count as u32).collect()
        } else {
            let mut all: Vec<u32> = runs.iter().filter_map(|run| run.images).flatten().copied().collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let mut tallies = vec![Tally::default(); runs.len()];
        for images in needed.chunks(self.executor.block().max(1)) {
            let some = self.resident(images, runs).map_err(ExecutorError::Device)?;
            tallies.iter_mut().zip(&some).for_each(|(tally, some)| tally.add(some));
        }
        Ok(tallies.iter().map(|tally| tally.outcome(self.examples.labels.is_some())).collect())
    }

    /// All runs on some examples, in smaller parts where the device has no room for all of them at once.
    fn resident(&self, images: &[u32], runs: &[Run<'_>]) -> Result<Vec<Tally>, DeviceError> {
        let device = self.executor.device();
        let found = self.resident_at_once(images, runs);
        match device.failure() {
            None => Ok(found),
            Some(DeviceError::OutOfMemory { .. }) if images.len() > 1 => {
                let (first, second) = images.split_at(images.len() / 2);
                let mut all = self.resident(first, runs)?;
                all.iter_mut().zip(self.resident(second, runs)?).for_each(|(all, more)| all.add(&more));
                Ok(all)
            }
            Some(error) => Err(error),
        }
    }

    fn resident_at_once(&self, images: &[u32], runs: &[Run<'_>]) -> Vec<Tally> {
        let (device, network, plan) = (self.executor.device(), self.weights.network(), self.executor.plan());
        let mut golden: Values<D> = network.shapes().iter().map(|_| None).collect();
        golden[0] = Some(self.input(device, images));
        for (stage, step) in plan.stages.iter().zip(self.executor.steps()) {
            golden[stage.last] = Some(step.run(device, network, stage, images.len(), &golden));
        }
        runs.iter().map(|run| self.one(run, images, &golden)).collect()
    }

    /// One run on those of `images` that it asks for.
    fn one(&self, run: &Run<'_>, images: &[u32], golden: &Values<D>) -> Tally {
        let mut tally = Tally::default();
        let asked: Vec<usize> = match run.images {
            None => (0..images.len()).collect(),
            Some(asked) => asked.iter().filter_map(|image| images.binary_search(image).ok()).collect(),
        };
        if asked.is_empty() {
            return tally;
        }
        let Some(logits) = self.outputs(run.fault, images, &asked, golden) else {
            for &place in &asked {
                tally.untouched(&self.golden(images[place] as usize));
            }
            return tally;
        };
        for (logits, &place) in logits.chunks_exact(self.weights.network().output_len()).zip(&asked) {
            tally.count(&self.golden(images[place] as usize), logits);
        }
        tally
    }

    /// The outputs of the examples at the places that are asked for, one after another; none where the fault changes nothing.
    fn outputs(&self, fault: &Fault, images: &[u32], asked: &[usize], golden: &Values<D>) -> Option<Vec<f32>> {
        let device = self.executor.device();
        let (faulty, wrong) = match fault {
            Fault::Stored(numbers) => (self.faulty_steps(&self.changed(numbers)), None),
            Fault::Activation(fault) => (BTreeMap::new(), (!fault.elements.is_empty()).then_some(fault)),
        };
        if faulty.is_empty() && wrong.is_none() {
            return None;
        }
        // Few of many are done faster on their own, from the start.
        if 4 * asked.len() < images.len() {
            let few: Vec<u32> = asked.iter().map(|&place| images[place]).collect();
            return Some(self.infer(device, &few, &faulty, wrong));
        }
        let mut changed: Values<D> = golden.iter().map(|_| None).collect();
        if let Some(fault) = wrong {
            let numbers = golden[fault.node].as_ref()?;
            changed[fault.node] = Some(self.corrupted(device, fault, images.len(), numbers));
        }
        self.run_on(images.len(), &faulty, golden, &mut changed);
        changed[self.output()].as_ref()?;
        let logits = self.executor.outside(device, self.weights.network().nodes().len(), images.len(), &changed);
        let len = self.weights.network().output_len();
        Some(asked.iter().flat_map(|&place| &logits[place * len..][..len]).copied().collect())
    }

    /// Takes what has changed through the stages that are faulty or read it; what nothing reads any more is given up.
    fn run_on(&self, images: usize, faulty: &BTreeMap<usize, Step<D>>, golden: &Values<D>, changed: &mut Values<D>) {
        let (device, network, plan) = (self.executor.device(), self.weights.network(), self.executor.plan());
        for (index, (stage, step)) in plan.stages.iter().zip(self.executor.steps()).enumerate() {
            if !faulty.contains_key(&index) && stage.reads().all(|value| changed[value].is_none()) {
                continue;
            }
            let step = faulty.get(&index).unwrap_or(step);
            let value = |value: usize| {
                changed[value].as_ref().or(golden[value].as_ref()).expect("fault-free values of all stages are there")
            };
            let y = step.run_on(device, network, stage, images, value);
            for value in stage.reads().filter(|&value| self.last_reader[value] <= index) {
                changed[value] = None;
            }
            changed[stage.last] = Some(y);
        }
    }

    /// Those of `numbers` that differ from what is stored.
    fn changed(&self, numbers: &[Stored]) -> Vec<Stored> {
        let stored = self.weights.tensors();
        let differs = |s: &&Stored| stored[s.parameter].values[s.element].to_bits() != s.value.to_bits();
        numbers.iter().filter(differs).copied().collect()
    }
}
