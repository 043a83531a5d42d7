//! Runs in the order in which they are done: faults that are computed together, and the examples that they are tried on.

use std::ops::Range as Span;

use super::Campaign;
use super::acting::{Acting, Locator};
use super::fault::{Fault, Run};
use super::outcome::Tally;
use super::tile::Chunk;
use crate::device::{Cpu, Device};

/// Faults of one stage that are computed together: as many as a panel of weights has columns.
pub(super) const TOGETHER: usize = 32;

/// A fault, and the places of its examples among those at hand.
pub(super) struct Member<'u, D: Device = Cpu> {
    pub run: usize,
    pub fault: &'u Fault,
    pub acting: &'u Acting<'u, D>,
    /// Ascending; an example that is named twice is there twice.
    pub images: Vec<usize>,
}

/// Faults of one place and the examples of one chunk that they are tried on.
pub(super) struct Unit<'u> {
    pub chunk: &'u Chunk,
    pub members: Vec<Member<'u>>,
}

/// Runs with what their faults do, and the examples that they ask for.
pub(super) struct Prepared<'f, D: Device = Cpu> {
    acting: Vec<Acting<'f, D>>,
    /// Runs whose faults change something, those of one place after another.
    pub groups: Vec<usize>,
    /// All examples that are asked for.
    pub needed: Vec<u32>,
    /// For each run, places in `needed`, ascending; none where it is all of them.
    places: Vec<Option<Vec<usize>>>,
}

impl<'f, D: Device> Prepared<'f, D> {
    pub(super) fn new(campaign: &Campaign<'_, D>, runs: &[Run<'f>]) -> Self {
        let mut locator = Locator::new(campaign);
        let acting: Vec<Acting<'f, D>> = runs.iter().map(|run| locator.locate(run.fault)).collect();
        let mut groups: Vec<usize> = (0..runs.len()).filter(|&run| !matches!(acting[run], Acting::Nothing)).collect();
        groups.sort_by_key(|&run| (acting[run].place(), acting[run].lever()));
        let acts = || groups.iter().map(|&run| &runs[run]);
        let needed: Vec<u32> = if acts().any(|run| run.images.is_none()) {
            (0..campaign.count as u32).collect()
        } else {
            let mut all: Vec<u32> = acts().filter_map(|run| run.images).flatten().copied().collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let places = |run: &Run<'_>| {
            run.images.map(|images| {
                let found = images.iter().filter_map(|image| needed.binary_search(image).ok());
                let mut places: Vec<usize> = found.collect();
                places.sort_unstable();
                places
            })
        };
        let places = runs.iter().map(places).collect();
        Self { acting, groups, needed, places }
    }

    /// The counts of the runs whose faults change nothing; zero for all others.
    pub(super) fn untouched(&self, campaign: &Campaign<'_, D>, runs: &[Run<'_>]) -> Vec<Tally> {
        let one = |(run, acting): (&Run<'_>, &Acting<'_, D>)| {
            let mut tally = Tally::default();
            if matches!(acting, Acting::Nothing) {
                campaign.images(run).iter().for_each(|&image| tally.untouched(&campaign.golden(image as usize)));
            }
            tally
        };
        runs.iter().zip(&self.acting).map(one).collect()
    }

    /// The places of a run's examples among those of `needed` from `start` on.
    fn within(&self, run: usize, some: Span<usize>) -> Vec<usize> {
        match &self.places[run] {
            None => (0..some.len()).collect(),
            Some(places) => {
                let at = |bound: usize| places.partition_point(|&place| place < bound);
                places[at(some.start)..at(some.end)].iter().map(|place| place - some.start).collect()
            }
        }
    }

    /// What there is to do on the examples `some` of `needed`: faults that are computed together.
    pub(super) fn together<'u>(&'u self, some: &Span<usize>, runs: &[Run<'u>]) -> Vec<Vec<Member<'u, D>>> {
        let member = |&run: &usize| {
            let images = self.within(run, some.clone());
            (!images.is_empty()).then(|| Member { run, fault: runs[run].fault, acting: &self.acting[run], images })
        };
        let mut all = Vec::new();
        for group in self.groups.chunk_by(|&a, &b| self.acting[a].place() == self.acting[b].place()) {
            let mut members = group.iter().filter_map(member).peekable();
            while members.peek().is_some() {
                all.push(members.by_ref().take(TOGETHER).collect());
            }
        }
        all
    }
}

impl<'f> Prepared<'f> {
    /// [`Prepared::together`] on a chunk, which holds the examples of `needed` from `start` on.
    pub(super) fn units<'u>(&'u self, chunk: &'u Chunk, start: usize, runs: &[Run<'u>]) -> Vec<Unit<'u>>
    where
        'f: 'u,
    {
        let all = self.together(&(start..start + chunk.images.len()), runs);
        all.into_iter().map(|members| Unit { chunk, members }).collect()
    }
}
