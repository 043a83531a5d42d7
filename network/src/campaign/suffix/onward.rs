//! Pairs on their way from what has changed to the outputs.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::super::outcome::Tally;
use super::super::prepared::Member;
use super::{Pair, Tile, Values};
use crate::device::Device;
use crate::executor::step::Step;

/// Pairs that a thread counts at a time.
const COUNTED: usize = 512;

/// Rows of a buffer: all of them as they are, or some.
pub(super) enum Rows<'a, B> {
    All(&'a B),
    Some(B),
}

impl<B> Rows<'_, B> {
    pub(super) const fn buffer(&self) -> &B {
        match self {
            Self::All(buffer) => buffer,
            Self::Some(buffer) => buffer,
        }
    }
}

impl<D: Device> Tile<'_, '_, D> {
    /// The rows of `from`, `len` numbers for each example, of the examples at places `rows`.
    pub(super) fn rows<'b>(&self, rows: &[u32], len: usize, from: &'b D::Buffer) -> Rows<'b, D::Buffer> {
        if rows.len() == self.images.len() && rows.iter().zip(0..).all(|(row, at)| *row == at) {
            return Rows::All(from);
        }
        let mut some = self.device.buffer(rows.len() * len);
        self.device.pick_rows(len, rows, from, &mut some);
        Rows::Some(some)
    }

    /// No value, or as many as there are, to be filled in.
    pub(super) fn none(&self) -> Values<D> {
        self.golden.iter().map(|_| None).collect()
    }

    /// A fault in several stages, or in one whose channels are not apart.
    pub(super) fn stages(&self, member: &Member<'_, D>, faulty: &BTreeMap<usize, Step<D>>) -> Tally {
        let pairs: Vec<Pair> = member.images.iter().map(|&image| Pair { member: 0, image, audited: false }).collect();
        let mut tallies = [Tally::default()];
        for some in pairs.chunks(self.batch) {
            self.onward(some, 0, faulty, self.none(), &mut tallies);
        }
        tallies[0]
    }

    /// Takes what has changed, for pairs at a time, through those stages from `from` on that are faulty or read it, and counts what
    /// comes out. What nothing reads any more is given up.
    pub(super) fn onward(
        &self,
        pairs: &[Pair],
        from: usize,
        faulty: &BTreeMap<usize, Step<D>>,
        mut changed: Values<D>,
        tallies: &mut [Tally],
    ) {
        let (campaign, device) = (self.campaign, self.device);
        let (network, executor) = (campaign.weights.network(), &campaign.executor);
        let rows: Vec<u32> = pairs.iter().map(|pair| pair.image as u32).collect();
        for (index, stage) in executor.plan().stages.iter().enumerate().skip(from) {
            if !faulty.contains_key(&index) && stage.reads().all(|value| changed[value].is_none()) {
                continue;
            }
            let step = faulty.get(&index).unwrap_or(&executor.steps()[index]);
            let sound: BTreeMap<usize, Rows<'_, D::Buffer>> = stage
                .reads()
                .filter(|&value| changed[value].is_none())
                .map(|value| (value, self.rows(&rows, executor.len(value), self.golden(value))))
                .collect();
            let value = |value: usize| changed[value].as_ref().unwrap_or_else(|| sound[&value].buffer());
            let y = step.run_on(device, network, stage, rows.len(), value);
            for value in stage.reads().filter(|&value| campaign.last_reader[value] <= index) {
                changed[value] = None;
            }
            changed[stage.last] = Some(y);
        }
        let reached = changed[campaign.output()].is_some();
        let logits =
            if reached { executor.outside(device, network.nodes().len(), rows.len(), &changed) } else { Vec::new() };
        self.count(pairs, &logits, tallies);
    }

    /// Counts pairs with the outputs of each, or as untouched where there are none, on all threads.
    fn count(&self, pairs: &[Pair], logits: &[f32], tallies: &mut [Tally]) {
        let classes = self.campaign.weights.network().output_len();
        let some = |(part, pairs): (usize, &[Pair])| {
            let mut counts = vec![Tally::default(); tallies.len()];
            let mut logits = logits.chunks_exact(classes).skip(part * COUNTED);
            for pair in pairs {
                let (golden, tally) = (self.golden_of(pair.image), &mut counts[pair.member]);
                tally.audited += u32::from(pair.audited);
                match logits.next() {
                    Some(logits) => {
                        let critical = tally.count(&golden, logits).critical;
                        tally.audit_wrong += u32::from(pair.audited && critical);
                    }
                    None => tally.untouched(&golden),
                }
            }
            counts
        };
        let parts: Vec<Vec<Tally>> = pairs.par_chunks(COUNTED).enumerate().map(some).collect();
        for counts in parts {
            tallies.iter_mut().zip(&counts).for_each(|(tally, counts)| tally.add(counts));
        }
    }

    /// What the example at place `image` gives without a fault.
    pub(super) fn golden_of(&self, image: usize) -> super::super::outcome::Golden<'_> {
        self.campaign.golden(self.images[image] as usize)
    }
}
