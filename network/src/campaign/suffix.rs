//! Outcomes of whole runs, for devices to which a large batch costs little more than a small one.
//!
//! All fault-free values of some examples, as many as there is room for, stay in the device's memory. Faults in channels of one stage
//! are computed together, as outputs of one convolution: only their channels, for all examples at once. Pairs of a fault and an
//! example in which something has changed then go on in large batches, through the stages that read it. Kernels give every
//! example the same bits in any batch, so outcomes are those of [`super::Method::Full`].
//!
//! A screening leaves out pairs whose class is out of reach ([`super::screen`]); one backward pass of all margins of all examples
//! gives what it predicts by.

mod first;
mod onward;

use std::ops::Range as Span;

use super::acting::Acting;
use super::fault::Run;
use super::gradient::{Margins, Reverse};
use super::outcome::{Outcome, Tally};
use super::prepared::{Member, Prepared, TOGETHER};
use super::screen::Screening;
use super::{Campaign, CampaignError, Method};
use crate::device::{Device, DeviceError};
use crate::executor::ExecutorError;
use crate::op::arithmetic::places;

/// Every value of the network for some examples, or those that a fault changes.
type Values<D> = Vec<Option<<D as Device>::Buffer>>;

/// Runs, and what they are screened by.
struct Asked<'a, 'c, D: Device> {
    campaign: &'a Campaign<'c, D>,
    prepared: Prepared<'a, D>,
    runs: &'a [Run<'a>],
    screening: Option<(&'a Screening, Vec<Reverse<D>>)>,
}

/// Some examples with all their values.
struct Tile<'a, 'c, D: Device> {
    campaign: &'a Campaign<'c, D>,
    device: &'a D,
    images: &'a [u32],
    golden: Values<D>,
    /// How many pairs go on together.
    batch: usize,
}

/// What faults in one value are screened by.
struct Screened<'a, D: Device> {
    how: &'a Screening,
    /// `[example][other class]` and then in the order inside; none where the value reaches no output.
    gradient: Option<&'a D::Buffer>,
    /// `[example][other class]`: the lead of the prediction.
    margins: &'a D::Buffer,
    /// For each example the largest fault-free number of the value.
    largest: Vec<f32>,
}

/// A member, and the place of an example in the tile.
#[derive(Clone, Copy)]
struct Pair {
    member: usize,
    image: usize,
    /// Whether it is run only to see whether it could have been left out.
    audited: bool,
}

impl<D: Device> Campaign<'_, D> {
    /// What each run does, in their order: by running on from what its fault changes. Outcomes are those of [`Method::Full`]; where the
    /// method is a screening, pairs are left out as there, and those that are run have the outcomes of whole runs.
    ///
    /// # Errors
    /// Where a fault or an example does not exist, or the device gives up.
    pub fn evaluate_by_suffix(&self, runs: &[Run<'_>]) -> Result<Vec<Outcome>, CampaignError> {
        runs.iter().try_for_each(|run| self.check(run))?;
        let prepared = Prepared::new(self, runs);
        let mut tallies = prepared.untouched(self, runs);
        let screening = match &self.options.method {
            Method::Screened(how) => Some((how, self.reversed())),
            Method::Full | Method::Exact => None,
        };
        let asked = Asked { campaign: self, prepared, runs, screening };
        let (all, some) = (asked.prepared.needed.len(), asked.at_a_time());
        for start in (0..all).step_by(some) {
            let done = asked.resident(start..all.min(start + some), some).map_err(ExecutorError::Device)?;
            for (run, tally) in &done {
                tallies[*run].add(tally);
            }
        }
        Ok(tallies.iter().map(|tally| tally.outcome(self.examples.labels.is_some())).collect())
    }
}

impl<D: Device> Asked<'_, '_, D> {
    /// How many examples are worked on at a time: by what one takes of values, planes, a pair on its way, and gradients.
    fn at_a_time(&self) -> usize {
        let executor = &self.campaign.executor;
        let shapes = self.campaign.weights.network().shapes();
        let stages = executor.plan().stages.iter().map(|stage| stage.last);
        let lens: Vec<usize> = stages.chain([0]).map(|value| executor.len(value)).collect();
        let largest = lens.iter().max().copied().unwrap_or(1);
        let planes = 2 * TOGETHER * shapes.iter().map(|shape| places(shape)[0]).max().unwrap_or(1);
        let gradients = if self.screening.is_some() { 4 * self.campaign.others() * largest } else { 0 };
        let numbers = lens.iter().sum::<usize>() + planes + 4 * largest + gradients;
        executor.device().together(executor.block(), size_of::<f32>() * numbers).max(1)
    }

    /// All runs on some of the examples, in smaller parts where the device has no room for all of them at once: for each run that acts
    /// on them, and perhaps several times.
    fn resident(&self, some: Span<usize>, batch: usize) -> Result<Vec<(usize, Tally)>, DeviceError> {
        let found = self.resident_at_once(some.clone(), batch);
        match self.campaign.executor.device().failure() {
            None => Ok(found),
            Some(DeviceError::OutOfMemory { .. }) if some.len() > 1 || batch > 1 => {
                let (middle, batch) = (some.start + some.len() / 2, (batch / 2).max(1));
                let parts = [some.start..middle, middle..some.end];
                let mut all = Vec::new();
                for part in parts.into_iter().filter(|part| !part.is_empty()) {
                    all.extend(self.resident(part, batch)?);
                }
                Ok(all)
            }
            Some(error) => Err(error),
        }
    }

    fn resident_at_once(&self, some: Span<usize>, batch: usize) -> Vec<(usize, Tally)> {
        let (campaign, device) = (self.campaign, self.campaign.executor.device());
        let plan = campaign.executor.plan();
        let images = &self.prepared.needed[some.clone()];
        let tile = Tile { campaign, device, images, golden: campaign.values(device, images), batch };
        let mut tallies = Vec::new();
        let mut run = |members: &[Member<'_, D>], screened: Option<&Screened<'_, D>>| {
            let found = tile.together(members, screened);
            tallies.extend(members.iter().map(|member| member.run).zip(found));
        };
        let (mut waiting, whole): (Vec<_>, Vec<_>) = self
            .prepared
            .together(&some, self.runs)
            .into_iter()
            .partition(|members| members[0].acting.value(plan).is_some());
        for members in &whole {
            run(members, None);
        }
        let mut back = self.screening.as_ref().map(|(how, reversed)| {
            let leads: Vec<f32> = images.iter().flat_map(|&image| campaign.margins(image as usize)).collect();
            (how, device.upload(&leads), Margins::new(campaign, device, (images, &tile.golden), reversed))
        });
        // From the outputs on, as gradients come.
        for value in plan.stages.iter().rev().map(|stage| stage.last).chain([0]) {
            let (here, later): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|members| members[0].acting.value(plan) == Some(value));
            waiting = later;
            if !here.is_empty() {
                let screened = back.as_ref().map(|(how, leads, margins)| Screened {
                    how,
                    gradient: margins.inside(value),
                    margins: leads,
                    largest: device.largest([images.len(), campaign.executor.len(value)], tile.golden(value)),
                });
                for members in &here {
                    run(members, screened.as_ref());
                }
            }
            if waiting.is_empty() {
                break;
            }
            if let (Some((.., margins)), Some(index)) =
                (&mut back, plan.stages.iter().position(|stage| stage.last == value))
            {
                margins.back(index);
            }
        }
        tallies
    }
}

impl<D: Device> Tile<'_, '_, D> {
    /// The outcomes of faults that are computed together.
    fn together(&self, members: &[Member<'_, D>], screened: Option<&Screened<'_, D>>) -> Vec<Tally> {
        match members[0].acting {
            Acting::Nothing => vec![Tally::default(); members.len()],
            Acting::Channel(channel) => self.channels((channel.stage, channel.group), members, screened),
            Acting::Value(fault) => self.numbers(fault.node, members, screened),
            Acting::Stages(_, faulty) => vec![self.stages(&members[0], faulty)],
        }
    }

    /// The fault-free numbers of value `value`.
    fn golden(&self, value: usize) -> &D::Buffer {
        self.golden[value].as_ref().expect("fault-free values of all stages are there")
    }
}
