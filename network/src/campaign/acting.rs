//! Where in the executor's stages a fault acts, found before anything is run.

use std::collections::BTreeMap;

use super::Campaign;
use super::fault::{ActivationFault, Fault, Stored};
use crate::device::{Cpu, Device};
use crate::executor::plan::{Plan, Stage};
use crate::executor::step::{Affine, Step, arrange};
use crate::op::Op;
use crate::op::arithmetic::places;
use crate::weights::Weights;

/// What a fault changes.
#[derive(Debug)]
pub(super) enum Acting<'a, D: Device = Cpu> {
    /// Nothing: the numbers that products are made with have the same bits.
    Nothing,
    /// One channel of what one stage gives.
    Channel(Channel),
    /// Numbers of what one node gives.
    Value(&'a ActivationFault),
    /// Anything else: stages, by number, after a number of the fault's own.
    Stages(usize, BTreeMap<usize, Step<D>>),
}

impl<D: Device> Acting<'_, D> {
    /// The value of which channels or numbers are changed; none where more is.
    pub(super) fn value(&self, plan: &Plan) -> Option<usize> {
        match self {
            Self::Channel(channel) => Some(plan.stages[channel.stage].last),
            Self::Value(fault) => Some(fault.node),
            Self::Nothing | Self::Stages(..) => None,
        }
    }

    /// What faults share that are computed together.
    pub(super) fn place(&self) -> (usize, usize, usize) {
        match self {
            Self::Nothing => (0, 0, 0),
            Self::Channel(channel) => (1, channel.stage, channel.group),
            Self::Value(fault) => (2, fault.node, 0),
            // Each has its own weights.
            Self::Stages(number, _) => (3, *number, 0),
        }
    }

    /// What neighbours of the same place have in common: a channel, and the number of it that changes.
    pub(super) fn lever(&self) -> (usize, Option<usize>) {
        if let Self::Channel(channel) = self {
            (channel.output, channel.lever.map(|lever| lever.at))
        } else {
            (0, None)
        }
    }
}

/// A channel that is computed with other numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Channel {
    pub stage: usize,
    /// The group of channels that it reads.
    pub group: usize,
    /// Its number among the stage's outputs.
    pub output: usize,
    /// Its weights as the stage multiplies with them; the factor alone for a normalisation.
    pub weights: Vec<f32>,
    /// What its sums begin with.
    pub start: f32,
    /// What is different, where it is one number.
    pub lever: Option<Lever>,
}

/// One number of a channel that a fault changes: sums change by the same share of what it is multiplied with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lever {
    /// Its place among the weights; as many as there are for what sums begin with.
    pub at: usize,
    /// By how much.
    pub change: f32,
}

impl Channel {
    fn numbers(&self) -> impl Iterator<Item = f32> {
        self.weights.iter().copied().chain([self.start])
    }

    /// Notes what differs from `golden`; whether anything does.
    fn compare(&mut self, golden: &Self) -> bool {
        let pairs = self.numbers().zip(golden.numbers()).enumerate();
        let different = pairs.filter(|(_, (now, was))| now.to_bits() != was.to_bits());
        let levers: Vec<Lever> = different.map(|(at, (now, was))| Lever { at, change: now - was }).collect();
        self.lever = if let [single] = levers[..] { Some(single) } else { None };
        !levers.is_empty()
    }
}

/// Finds where faults act; a scratch copy of the weights serves one fault after another.
pub(super) struct Locator<'a, 'b, D: Device> {
    campaign: &'b Campaign<'a, D>,
    scratch: Weights,
    /// How many faults were found to act in several stages.
    several: usize,
}

impl<'a, 'b, D: Device> Locator<'a, 'b, D> {
    pub(super) fn new(campaign: &'b Campaign<'a, D>) -> Self {
        Self { campaign, scratch: campaign.weights.clone(), several: 0 }
    }

    /// Where `fault` acts.
    pub(super) fn locate<'f>(&mut self, fault: &'f Fault) -> Acting<'f, D> {
        let numbers = match fault {
            Fault::Activation(fault) if fault.elements.is_empty() => return Acting::Nothing,
            Fault::Activation(fault) => return Acting::Value(fault),
            Fault::Stored(numbers) => numbers,
        };
        let stored = self.campaign.weights.tensors();
        let changed: Vec<Stored> = numbers
            .iter()
            .filter(|s| stored[s.parameter].values[s.element].to_bits() != s.value.to_bits())
            .copied()
            .collect();
        if changed.is_empty() {
            return Acting::Nothing;
        }
        let Some((stage, channel)) = self.one_channel(&changed) else {
            self.several += 1;
            return Acting::Stages(self.several, self.campaign.faulty_steps(&changed));
        };
        let golden = self.arranged(stage, channel);
        for number in &changed {
            self.scratch.value_mut(number.parameter)[number.element] = number.value;
        }
        let mut faulty = self.arranged(stage, channel);
        for number in &changed {
            let value = stored[number.parameter].values[number.element];
            self.scratch.value_mut(number.parameter)[number.element] = value;
        }
        if faulty.compare(&golden) { Acting::Channel(faulty) } else { Acting::Nothing }
    }

    /// The stage and channel that all of `numbers` belong to, if there is one.
    fn one_channel(&self, numbers: &[Stored]) -> Option<(usize, usize)> {
        let mut found = numbers.iter().map(|number| self.channel_of(number));
        let first = found.next()??;
        found.all(|other| other == Some(first)).then_some(first)
    }

    fn channel_of(&self, number: &Stored) -> Option<(usize, usize)> {
        let network = self.campaign.weights.network();
        let parameter = &network.parameters()[number.parameter];
        let stages = &self.campaign.executor.plan().stages;
        let index = stages.iter().position(|stage| stage.covers(parameter.node))?;
        let stage = &stages[index];
        let head = &network.nodes()[stage.head - 1].op;
        let folds = matches!(head, Op::Linear(_) | Op::Conv2d(_) | Op::BatchNorm(_) | Op::ScaleShift(_));
        let [_, outputs] = places(&network.shapes()[stage.head]);
        (folds && parameter.len().is_multiple_of(outputs))
            .then(|| (index, number.element / (parameter.len() / outputs)))
    }

    /// Channel `channel` of stage `index` as the scratch weights have it.
    fn arranged(&self, index: usize, channel: usize) -> Channel {
        let (executor, network) = (&self.campaign.executor, self.campaign.weights.network());
        let stage: &Stage = &executor.plan().stages[index];
        let affine = Affine::of(&self.scratch, stage).expect("a stage of channels was asked for");
        let (scale, start) = (affine.scale[channel], affine.shift[channel] as f32);
        let row = |outputs: usize| {
            let values = &self.scratch.of(stage.head)[0].values;
            let len = values.len() / outputs;
            let mut row = values[channel * len..][..len].to_vec();
            arrange(&mut row, scale, stage, executor.steps()[index].tf32);
            row
        };
        let (group, weights) = match &network.nodes()[stage.head - 1].op {
            Op::Conv2d(conv) => (channel / (conv.outputs / conv.groups), row(conv.outputs)),
            Op::Linear(linear) => (0, row(linear.outputs)),
            _ => (0, vec![scale as f32]),
        };
        Channel { stage: index, group, output: channel, weights, start, lever: None }
    }
}
