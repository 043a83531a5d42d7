//! The same outcomes with only what a fault changes computed.
//!
//! Examples are taken a tile at a time, of which all fault-free values are kept. A fault in a weight, bias or normalisation changes
//! one channel of one stage. That channel is computed again for many faults of the stage at once, in the order of a whole run;
//! examples in which it did not change are done. The others go on in batches across faults ([`super::flow`]): what the channel
//! adds to the next layer's sums is added to the fault-free ones, and so is, in the 3x3 convolutions that follow, what the whole
//! change adds, at a quarter of the multiplications ([`crate::kernel::conv::add_winograd`]); all else is done by the executor's own kernels.
//!
//! Such sums may be rounded otherwise than in a whole run. A pair whose outcome that could reach is run once
//! more, bit for bit: where the change is large beside the fault-free values, where the two largest outputs are close with or
//! without the fault, and where an output is not finite. So verdicts (critical or not) are those of a whole run; among examples
//! that are not critical, a few may be masked here and not there, or the other way round.

mod first;

use std::collections::BTreeMap;

use super::Campaign;
use super::acting::Acting;
use super::change::{Change, Numbers, Partial, Row, differ};
use super::fault::Run;
use super::flow::{Batch, Flow};
use super::outcome::{Tally, is_close};
use super::prepared::{Member, Prepared, Unit};
use super::screen::{Audit, Screen};
use super::tile::CHUNK;
use crate::device::{Cpu, Device};
use crate::executor::plan::Stage;
use crate::executor::step::Step;
use crate::op::arithmetic::places;

/// Bytes that the values around a stage may take for a batch of pairs.
pub(super) const BATCH: usize = 1 << 20;
/// A change this much larger than the largest fault-free number is carried on bit for bit.
const LARGE: f32 = 64.0;

/// A member, and the place of an example in the chunk.
#[derive(Clone, Copy)]
struct Pair {
    member: usize,
    image: usize,
    /// Whether it is run only to see whether it could have been skipped.
    audited: bool,
}

/// Pairs that differ in channels of one value.
struct Queue {
    value: usize,
    /// The stage at which they go on.
    from: usize,
    /// How many go on together.
    batch: usize,
    /// For each example of the chunk the largest fault-free number of the value.
    largest: Vec<f32>,
    /// Room for a change.
    change: Vec<f32>,
    /// Pairs whose sums may be added up in any order.
    few: Waiting,
    /// Pairs whose sums may not.
    bitwise: Waiting,
}

/// Pairs that wait until there are enough.
#[derive(Default)]
struct Waiting {
    pairs: Vec<Pair>,
    partial: Partial,
    /// Whole values instead of channels.
    dense: Vec<f32>,
}

impl Campaign<'_> {
    /// Runs what differs.
    pub(super) fn exact(&self, runs: &[Run<'_>]) -> Vec<Tally> {
        let prepared = Prepared::new(self, runs);
        let mut tallies = prepared.untouched(self, runs);
        if prepared.groups.is_empty() {
            return tallies;
        }
        let device = self.executor.device();
        let some = self.chunks_at_a_time() * CHUNK;
        for (tile, images) in prepared.needed.chunks(some).enumerate() {
            let chunks = self.tile(images);
            let each = |(number, chunk)| prepared.units(chunk, tile * some + number * CHUNK, runs);
            let units: Vec<Unit<'_>> = chunks.iter().enumerate().flat_map(each).collect();
            let done = device
                .spread(units.len(), 1, |device, range| Runner::new(self, device, &units[range.start], None).run());
            for (run, tally) in done.into_iter().flatten() {
                tallies[run].add(&tally);
            }
        }
        tallies
    }

    /// Pairs that go through the stages from `from` on together.
    fn batch(&self, from: usize) -> usize {
        let around = |stage: &Stage| {
            self.executor.len(stage.last) + stage.reads().map(|value| self.executor.len(value)).sum::<usize>()
        };
        let largest = self.executor.plan().stages.iter().skip(from).map(around).max().unwrap_or(1);
        (BATCH / (4 * largest.max(1))).clamp(4, 64)
    }
}

/// A unit at work on one thread.
pub(super) struct Runner<'r, 'c> {
    campaign: &'r Campaign<'c>,
    device: &'r Cpu,
    unit: &'r Unit<'r>,
    flow: Flow<'r, 'c>,
    screen: Option<Screen<'r>>,
    /// For each member.
    tallies: Vec<Tally>,
}

/// No stage is faulty.
static SOUND: BTreeMap<usize, Step<Cpu>> = BTreeMap::new();

impl<'r, 'c> Runner<'r, 'c> {
    pub(super) fn new(
        campaign: &'r Campaign<'c>,
        device: &'r Cpu,
        unit: &'r Unit<'r>,
        screen: Option<Screen<'r>>,
    ) -> Self {
        let faulty = match unit.members[0].acting {
            Acting::Stages(_, stages) => stages,
            _ => &SOUND,
        };
        let flow = Flow::new(campaign, device, unit.chunk, faulty);
        Self { campaign, device, unit, flow, screen, tallies: vec![Tally::default(); unit.members.len()] }
    }

    /// Runs all pairs; the counts of each run.
    pub(super) fn run(mut self) -> Vec<(usize, Tally)> {
        match self.unit.members[0].acting {
            Acting::Nothing => {}
            Acting::Channel(channel) => self.channels(channel.stage, channel.group),
            Acting::Value(fault) => self.values(fault.node),
            Acting::Stages(..) => self.stages(),
        }
        self.unit.members.iter().map(|member| member.run).zip(self.tallies).collect()
    }

    fn example(&self, image: usize) -> usize {
        self.unit.chunk.images[image] as usize
    }

    /// Counts a pair of which nothing differs any more.
    fn untouched(&mut self, pair: Pair) {
        let example = self.example(pair.image);
        let tally = &mut self.tallies[pair.member];
        tally.untouched(&self.campaign.golden(example));
        tally.audited += u32::from(pair.audited);
    }

    /// One fault in several stages, or in one whose channels are not apart.
    fn stages(&mut self) {
        let from = self.flow.faulty.keys().next().copied().unwrap_or(0);
        let images = &self.unit.members[0].images;
        for some in images.chunks(self.campaign.batch(from)) {
            let rows: Vec<Row> = some.iter().enumerate().map(|(origin, &image)| Row { image, origin }).collect();
            let finished = self.flow.run(Batch { rows, changes: BTreeMap::new() }, from, true);
            let pairs: Vec<Pair> = some.iter().map(|&image| Pair { member: 0, image, audited: false }).collect();
            self.count(&pairs, &finished.rows, &finished.logits, |_| false);
        }
    }

    /// Faults in what one node gives.
    fn values(&mut self, node: usize) {
        let stages = &self.campaign.executor.plan().stages;
        let from = if node == 0 { 0 } else { stages.iter().take_while(|stage| stage.last != node).count() + 1 };
        let place = self.flow.place(node);
        let [_, channels] = places(place.shape);
        let mut queue = self.queue(node, from);
        let mut whole = Waiting::default();
        for (m, member) in self.unit.members.iter().enumerate() {
            let Acting::Value(fault) = member.acting else { continue };
            let channel = fault.only_channel(place.shape);
            let mut audit = self.audit(member);
            for &image in &member.images {
                let mut faulty = place.of(image).to_vec();
                fault.apply(place.shape, &mut faulty);
                let pair = Pair { member: m, image, audited: false };
                if let Some(channel) = channel {
                    let plane: Vec<f32> = faulty.iter().skip(channel).step_by(channels).copied().collect();
                    self.offer(&mut queue, pair, (channel, &plane), audit.as_mut());
                } else if differ(&faulty, place.of(image)) {
                    whole.pairs.push(pair);
                    whole.dense.extend(faulty);
                } else {
                    self.untouched(pair);
                }
                if whole.pairs.len() >= queue.batch {
                    self.flush(&queue, &mut whole, true);
                }
            }
        }
        self.flush(&queue, &mut whole, true);
        self.finish(queue);
    }

    /// An empty queue of pairs that differ in value `value` and go on at stage `from`.
    fn queue(&self, value: usize, from: usize) -> Queue {
        let place = self.flow.place(value);
        let largest = |image| place.of(image).iter().fold(0.0, |largest: f32, v| largest.max(v.abs()));
        Queue {
            value,
            from,
            batch: self.campaign.batch(from),
            largest: (0..self.unit.chunk.images.len()).map(largest).collect(),
            change: Vec::new(),
            few: Waiting::default(),
            bitwise: Waiting::default(),
        }
    }

    fn audit(&self, member: &Member<'r>) -> Option<Audit<'r>> {
        self.screen.map(|screen| Audit::new(screen.how, member.fault))
    }

    /// Takes a pair in which `channel` now has the numbers `plane`: nothing differs, or its class is out of reach, or it waits for
    /// its batch.
    fn offer(
        &mut self,
        queue: &mut Queue,
        mut pair: Pair,
        (channel, plane): (usize, &[f32]),
        audit: Option<&mut Audit<'_>>,
    ) {
        let place = self.flow.place(queue.value);
        let [_, channels] = places(place.shape);
        let golden = place.of(pair.image).iter().skip(channel).step_by(channels);
        queue.change.clear();
        queue.change.extend(plane.iter().zip(golden).map(|(now, was)| now - was));
        // A difference of equal infinities is NaN: only sound values count as unchanged here, and all else is run.
        if queue.change.iter().all(|d| *d == 0.0) {
            return self.untouched(pair);
        }
        let (largest, example) = (queue.largest[pair.image], self.example(pair.image));
        if let (Some(screen), Some(audit), false) = (self.screen, audit, pair.audited) {
            let margins = self.campaign.margins(example);
            if screen.skips((pair.image, channel, channels), &queue.change, largest, margins) {
                pair.audited = audit.takes(example as u32);
                if !pair.audited {
                    return self.tallies[pair.member].skipped(&self.campaign.golden(example));
                }
            }
        }
        // Bit for bit: the change is large, or no number, or the fault-free outputs are close.
        let sound = plane.iter().all(|v| v.abs() <= LARGE * largest) && !self.campaign.close[example];
        let to = if sound { &mut queue.few } else { &mut queue.bitwise };
        to.push(pair, channel, plane);
        self.flush_full(queue);
    }

    fn flush_full(&mut self, queue: &mut Queue) {
        if queue.few.pairs.len() >= queue.batch {
            self.flush_few(queue);
        }
        if queue.bitwise.pairs.len() >= queue.batch {
            let mut waiting = std::mem::take(&mut queue.bitwise);
            self.flush(queue, &mut waiting, true);
        }
    }

    fn finish(&mut self, mut queue: Queue) {
        self.flush_few(&mut queue);
        let mut waiting = std::mem::take(&mut queue.bitwise);
        self.flush(&queue, &mut waiting, true);
    }

    /// Runs what waits to be run in any order of sums. Pairs whose outcome might depend on it wait once more.
    fn flush_few(&mut self, queue: &mut Queue) {
        let mut waiting = std::mem::take(&mut queue.few);
        for origin in self.flush(queue, &mut waiting, false) {
            let Waiting { pairs, partial, .. } = &waiting;
            queue.bitwise.push(pairs[origin], partial.first[origin], partial.row(origin));
        }
    }

    /// Runs what waits, and counts it but for those of whom the order of sums leaves a doubt.
    fn flush(&mut self, queue: &Queue, waiting: &mut Waiting, bitwise: bool) -> Vec<usize> {
        let Waiting { pairs, partial, dense } = waiting;
        if pairs.is_empty() {
            return Vec::new();
        }
        let rows = pairs.iter().enumerate().map(|(origin, pair)| Row { image: pair.image, origin }).collect();
        let differs = vec![true; pairs.len()];
        let numbers = if dense.is_empty() {
            Numbers::Partial(partial.clone())
        } else {
            Numbers::Dense(self.device.upload(dense))
        };
        dense.clear();
        let changes = BTreeMap::from([(queue.value, Change { numbers, differs })]);
        let finished = self.flow.run(Batch { rows, changes }, queue.from, bitwise);
        let mut doubtful = Vec::new();
        self.count(pairs, &finished.rows, &finished.logits, |(origin, logits)| {
            let doubt = finished.reordered && is_close(logits);
            if doubt {
                doubtful.push(origin);
            }
            doubt
        });
        if !bitwise {
            return doubtful;
        }
        waiting.pairs.clear();
        doubtful
    }

    /// Counts the pairs of a batch: those that reached the outputs, unless `leave_out` says otherwise, and all others as masked.
    fn count(
        &mut self,
        pairs: &[Pair],
        rows: &[Row],
        logits: &[f32],
        mut leave_out: impl FnMut((usize, &[f32])) -> bool,
    ) {
        let mut arrived = vec![false; pairs.len()];
        let classes = self.campaign.weights.network().output_len();
        for (row, logits) in rows.iter().zip(logits.chunks_exact(classes)) {
            arrived[row.origin] = true;
            if !leave_out((row.origin, logits)) {
                let Pair { member, image, audited } = pairs[row.origin];
                let example = self.example(image);
                let tally = &mut self.tallies[member];
                let verdict = tally.count(&self.campaign.golden(example), logits);
                tally.audited += u32::from(audited);
                tally.audit_wrong += u32::from(audited && verdict.critical);
            }
        }
        for (pair, _) in pairs.iter().zip(&arrived).filter(|(_, arrived)| !**arrived) {
            self.untouched(*pair);
        }
    }
}

impl Waiting {
    fn push(&mut self, pair: Pair, channel: usize, plane: &[f32]) {
        self.pairs.push(pair);
        self.partial.width = 1;
        self.partial.first.push(channel);
        self.partial.numbers.extend_from_slice(plane);
    }
}
