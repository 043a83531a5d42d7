//! The same outcomes with only what a fault changes computed.
//!
//! Examples are taken a tile at a time, of which all fault-free values are kept. A fault in a weight, bias or normalisation changes
//! one channel of one stage. That channel is computed again for many faults of the stage at once, in the order of a whole run;
//! examples in which it did not change are done. The others go on in batches across faults ([`super::flow`]): what the channel
//! adds to the next layer's sums is added to the fault-free ones, and all that follows is done by the executor's own kernels.
//!
//! Only the sums of that next layer may be rounded otherwise than in a whole run. A pair whose outcome that could reach is run once
//! more, bit for bit: where the change is large beside the fault-free values, where the two largest outputs are close with or
//! without the fault, and where an output is not finite. So verdicts (critical or not) are those of a whole run; among examples
//! that are not critical, a few may be masked here and not there, or the other way round.

use std::collections::BTreeMap;
use std::ops::Range as Span;

use super::Campaign;
use super::acting::{Acting, Channel, Locator};
use super::change::{Change, Numbers, Partial, Row, differ};
use super::fault::{ActivationFault, Run};
use super::flow::{Batch, Flow};
use super::full::inside;
use super::outcome::{Tally, is_close};
use super::tile::{CHUNK, Chunk};
use crate::device::{Buffer, Convolution, Cpu, Device};
use crate::executor::step::Work;
use crate::kernel::{Threads, conv, elementwise, matmul::Around};
use crate::op::arithmetic::{extent, places};

/// Faults of one stage that are computed together: as many as a panel of weights has columns.
const TOGETHER: usize = 32;
/// Bytes that the values around a stage may take for a batch of pairs.
const BATCH: usize = 1 << 20;
/// A change this much larger than the largest fault-free number is carried on bit for bit.
const LARGE: f32 = 64.0;

/// Faults of one place and the examples of one chunk that they are tried on.
struct Unit<'u> {
    chunk: &'u Chunk,
    members: Vec<Member<'u>>,
}

/// A fault, and the places of its examples in the chunk.
struct Member<'u> {
    run: usize,
    acting: &'u Acting<'u>,
    images: Vec<usize>,
}

/// Pairs that wait until there are enough.
#[derive(Default)]
struct Waiting {
    /// Member and place of the example.
    pairs: Vec<(usize, usize)>,
    partial: Partial,
    /// Whole values instead of channels.
    dense: Vec<f32>,
}

/// The examples that runs ask for, and where each run's are.
struct Layout {
    needed: Vec<u32>,
    /// For each run, places in `needed`, ascending; none where it is all of them.
    places: Vec<Option<Vec<usize>>>,
}

impl Layout {
    fn new(count: usize, runs: &[Run<'_>]) -> Self {
        let needed: Vec<u32> = if runs.iter().any(|run| run.images.is_none()) {
            (0..count as u32).collect()
        } else {
            let mut all: Vec<u32> = runs.iter().filter_map(|run| run.images).flatten().copied().collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let places = |run: &Run<'_>| {
            run.images.map(|images| {
                let place = |image: &u32| needed.binary_search(image).expect("every example was listed");
                let mut places: Vec<usize> = images.iter().map(place).collect();
                places.sort_unstable();
                places
            })
        };
        let places = runs.iter().map(places).collect();
        Self { needed, places }
    }

    /// The places of a run's examples within chunk `chunk`, which holds `len`.
    fn within(&self, run: usize, chunk: usize, len: usize) -> Vec<usize> {
        let Span { start, end } = chunk * CHUNK..chunk * CHUNK + len;
        match &self.places[run] {
            None => (0..len).collect(),
            Some(places) => {
                let at = |bound: usize| places.partition_point(|&place| place < bound);
                places[at(start)..at(end)].iter().map(|place| place - start).collect()
            }
        }
    }
}

impl Campaign<'_> {
    /// Runs what differs.
    pub(super) fn exact(&self, runs: &[Run<'_>]) -> Vec<Tally> {
        let mut locator = Locator::new(self);
        let acting: Vec<Acting<'_>> = runs.iter().map(|run| locator.locate(run.fault)).collect();
        let layout = Layout::new(self.count, runs);
        let mut tallies = vec![Tally::default(); runs.len()];
        let acts: Vec<usize> = (0..runs.len()).filter(|&run| !matches!(acting[run], Acting::Nothing)).collect();
        for (run, tally) in tallies.iter_mut().enumerate().filter(|(run, _)| matches!(acting[*run], Acting::Nothing)) {
            self.images(&runs[run]).iter().for_each(|&image| tally.untouched(&self.golden(image as usize)));
        }
        let mut groups = acts;
        groups.sort_by_key(|&run| acting[run].place());
        let some = self.chunks_at_a_time();
        for (tile, images) in layout.needed.chunks(some * CHUNK).enumerate() {
            if groups.is_empty() {
                break;
            }
            let chunks = self.tile(images);
            let mut units = Vec::new();
            for (number, chunk) in chunks.iter().enumerate() {
                let member = |&run: &usize| {
                    let images = layout.within(run, tile * some + number, chunk.images.len());
                    (!images.is_empty()).then(|| Member { run, acting: &acting[run], images })
                };
                for group in groups.chunk_by(|&a, &b| acting[a].place() == acting[b].place()) {
                    let mut members = group.iter().filter_map(member).peekable();
                    while members.peek().is_some() {
                        units.push(Unit { chunk, members: members.by_ref().take(TOGETHER).collect() });
                    }
                }
            }
            let device = self.executor.device();
            let done = device.spread(units.len(), 1, |device, range| self.unit(device, &units[range.start]));
            for (unit, done) in units.iter().zip(done) {
                unit.members.iter().zip(done).for_each(|(member, tally)| tallies[member.run].add(&tally));
            }
        }
        tallies
    }

    fn unit(&self, device: &Cpu, unit: &Unit<'_>) -> Vec<Tally> {
        let mut runner = Runner::new(self, device, unit);
        match unit.members[0].acting {
            Acting::Nothing => {}
            Acting::Channel(channel) => runner.channels(channel.stage, channel.group),
            Acting::Value(fault) => runner.values(fault.node),
            Acting::Stages(_) => runner.stages(),
        }
        runner.tallies
    }

    /// Pairs that go through the stages from `from` on together.
    fn batch(&self, from: usize) -> usize {
        let around = |stage: &crate::executor::plan::Stage| {
            self.executor.len(stage.last) + stage.reads().map(|value| self.executor.len(value)).sum::<usize>()
        };
        let largest = self.executor.plan().stages.iter().skip(from).map(around).max().unwrap_or(1);
        (BATCH / (4 * largest.max(1))).clamp(4, 64)
    }
}

impl Acting<'_> {
    /// What faults share that are computed together.
    fn place(&self) -> (usize, usize, usize) {
        match self {
            Self::Nothing => (0, 0, 0),
            Self::Channel(channel) => (1, channel.stage, channel.group),
            Self::Value(fault) => (2, fault.node, 0),
            // Each has its own weights.
            Self::Stages(stages) => (3, std::ptr::from_ref(stages).addr(), 0),
        }
    }
}

/// A unit at work on one thread.
struct Runner<'r, 'c> {
    campaign: &'r Campaign<'c>,
    device: &'r Cpu,
    unit: &'r Unit<'r>,
    flow: Flow<'r, 'c>,
    tallies: Vec<Tally>,
}

/// No stage is faulty.
static SOUND: BTreeMap<usize, crate::executor::step::Step<Cpu>> = BTreeMap::new();

impl<'r, 'c> Runner<'r, 'c> {
    fn new(campaign: &'r Campaign<'c>, device: &'r Cpu, unit: &'r Unit<'r>) -> Self {
        let faulty = match unit.members[0].acting {
            Acting::Stages(stages) => stages,
            _ => &SOUND,
        };
        let flow = Flow::new(campaign, device, unit.chunk, faulty);
        Self { campaign, device, unit, flow, tallies: vec![Tally::default(); unit.members.len()] }
    }

    fn example(&self, image: usize) -> usize {
        self.unit.chunk.images[image] as usize
    }

    /// Counts a pair of which nothing differs any more.
    fn untouched(&mut self, member: usize, image: usize) {
        let example = self.example(image);
        self.tallies[member].untouched(&self.campaign.golden(example));
    }

    /// One fault in several stages, or in one whose channels are not apart.
    fn stages(&mut self) {
        let from = self.flow.faulty.keys().next().copied().unwrap_or(0);
        let images = &self.unit.members[0].images;
        for some in images.chunks(self.campaign.batch(from)) {
            let rows: Vec<Row> = some.iter().enumerate().map(|(origin, &image)| Row { image, origin }).collect();
            let finished = self.flow.run(Batch { rows, changes: BTreeMap::new() }, from, true);
            let pairs: Vec<(usize, usize)> = some.iter().map(|&image| (0, image)).collect();
            self.count(&pairs, &finished.rows, &finished.logits, |_| false);
        }
    }

    /// Faults in what one node gives.
    fn values(&mut self, node: usize) {
        let stages = &self.campaign.executor.plan().stages;
        let from = if node == 0 { 0 } else { stages.iter().take_while(|stage| stage.last != node).count() + 1 };
        let place = self.flow.place(node);
        let [_, channels] = places(place.shape);
        let (mut few, mut bitwise, mut whole) = (Waiting::default(), Waiting::default(), Waiting::default());
        for (m, member) in self.unit.members.iter().enumerate() {
            let Acting::Value(fault) = member.acting else { continue };
            let channel = only_channel(fault, place.shape);
            for &image in &member.images {
                let golden = place.of(image);
                let mut faulty = golden.to_vec();
                fault.apply(place.shape, &mut faulty);
                match channel {
                    _ if !differ(&faulty, golden) => self.untouched(m, image),
                    None => {
                        whole.pairs.push((m, image));
                        whole.dense.extend(faulty);
                    }
                    Some(channel) => {
                        let plane: Vec<f32> = faulty.iter().skip(channel).step_by(channels).copied().collect();
                        let to = if self.is_delicate(&plane, image, node) { &mut bitwise } else { &mut few };
                        to.push((m, image), channel, &plane);
                    }
                }
                self.flush_full(node, from, &mut few, &mut bitwise);
                if whole.pairs.len() >= self.campaign.batch(from) {
                    self.flush(node, from, &mut whole, true, None);
                }
            }
        }
        self.flush(node, from, &mut few, false, Some(&mut bitwise));
        self.flush(node, from, &mut bitwise, true, None);
        self.flush(node, from, &mut whole, true, None);
    }

    /// Faults in channels of one stage.
    fn channels(&mut self, index: usize, group: usize) {
        let stage = &self.campaign.executor.plan().stages[index];
        let mut images: Vec<usize> = self.unit.members.iter().flat_map(|member| &member.images).copied().collect();
        images.sort_unstable();
        images.dedup();
        let sums = self.first_sums(index, group, &images);
        let (value, from, n) = (stage.last, index + 1, self.unit.members.len());
        let place = self.flow.place(value);
        let residual = stage.residual.map(|value| self.flow.place(value));
        let [count, channels] = places(place.shape);
        let (mut few, mut bitwise) = (Waiting::default(), Waiting::default());
        let mut plane = vec![0.0; count];
        let how = (self.device.instruction_set(), Threads::One);
        for (m, member) in self.unit.members.iter().enumerate() {
            let Acting::Channel(Channel { channel, .. }) = member.acting else { continue };
            for &image in &member.images {
                let at = images.binary_search(&image).expect("every example was listed");
                let sums = sums[at * count * n..][..count * n].iter().skip(m).step_by(n);
                plane.iter_mut().zip(sums).for_each(|(to, sum)| *to = *sum);
                if let Some(residual) = residual {
                    let residual = residual.of(image).iter().skip(*channel).step_by(channels);
                    plane.iter_mut().zip(residual).for_each(|(to, residual)| *to += residual);
                }
                plane.iter_mut().for_each(|v| *v = elementwise::clipped(*v, stage.clip));
                if let Some(f) = stage.then {
                    elementwise::activation_in_place(how, f, &mut plane);
                }
                let golden = place.of(image).iter().skip(*channel).step_by(channels);
                // By value, as the classes are defined.
                #[expect(clippy::float_cmp, reason = "masked means equal, not close")]
                let same = plane.iter().zip(golden).all(|(now, was)| now == was);
                if same {
                    self.untouched(m, image);
                    continue;
                }
                let to = if self.is_delicate(&plane, image, value) { &mut bitwise } else { &mut few };
                to.push((m, image), *channel, &plane);
                self.flush_full(value, from, &mut few, &mut bitwise);
            }
        }
        self.flush(value, from, &mut few, false, Some(&mut bitwise));
        self.flush(value, from, &mut bitwise, true, None);
    }

    /// Sums of the members' channels for examples `images`, `[example][place][member]`, each in the order of a whole run.
    fn first_sums(&self, index: usize, group: usize, images: &[usize]) -> Vec<f32> {
        let executor = &self.campaign.executor;
        let (stage, step) = (&executor.plan().stages[index], &executor.steps()[index]);
        let place = self.flow.place(stage.inputs[0]);
        let rows: Vec<Row> = images.iter().map(|&image| Row { image, origin: 0 }).collect();
        let n = self.unit.members.len();
        let members = || {
            self.unit.members.iter().filter_map(|member| match member.acting {
                Acting::Channel(channel) => Some(channel),
                _ => None,
            })
        };
        let starts: Vec<f32> = members().map(|channel| channel.start).collect();
        let geometry = match &step.work {
            Work::Convolution(geometry, _) => geometry.clone(),
            Work::Linear(_) => {
                let [count, features] = places(place.shape);
                pointwise([count, 1, features], n)
            }
            _ => {
                // A factor and an offset.
                let [count, channels] = places(place.shape);
                let mut sums = Vec::with_capacity(images.len() * count * n);
                for image in images {
                    for x in place.of(*image).chunks_exact(channels) {
                        sums.extend(members().map(|c| x[c.channel] * c.weights[0] + c.start));
                    }
                }
                return sums;
            }
        };
        let ci = geometry.group_inputs();
        let x = place.gather(self.device, &rows);
        let len = images.len() * place.len();
        let x = step.rounded(self.device, len, &x).unwrap_or(x);
        let x = if geometry.groups == 1 {
            x
        } else {
            slice(self.device, &x[..len], place.len(), extent(place.shape)[2], group * ci..(group + 1) * ci)
        };
        let together =
            Convolution { input: [geometry.input[0], geometry.input[1], ci], outputs: n, groups: 1, ..geometry };
        let weights: Vec<f32> = members().flat_map(|channel| &channel.weights).copied().collect();
        let set = self.device.instruction_set();
        let packed = conv::PackedForward::new(set, &together, &weights);
        let mut sums = vec![0.0; images.len() * together.output_len()];
        let around = Around { bias: Some(&starts), ..Around::default() };
        let x = &x[..images.len() * together.input_len()];
        conv::forward((set, Threads::One), &together, &packed, x, &around, &mut sums);
        sums
    }

    /// Whether a pair must be carried on bit for bit: the change is large, or the fault-free outputs are close.
    fn is_delicate(&self, plane: &[f32], image: usize, value: usize) -> bool {
        let largest = |values: &[f32]| values.iter().fold(0.0, |largest: f32, v| largest.max(v.abs()));
        let golden = largest(self.flow.place(value).of(image));
        plane.iter().any(|v| !(v.abs() <= LARGE * golden)) || self.campaign.close[self.example(image)]
    }

    fn flush_full(&mut self, value: usize, from: usize, few: &mut Waiting, bitwise: &mut Waiting) {
        let batch = self.campaign.batch(from);
        if few.pairs.len() >= batch {
            self.flush(value, from, few, false, Some(bitwise));
        }
        if bitwise.pairs.len() >= batch {
            self.flush(value, from, bitwise, true, None);
        }
    }

    /// Runs what waits. Pairs whose outcome might depend on the order of sums are put into `again`.
    fn flush(&mut self, value: usize, from: usize, waiting: &mut Waiting, bitwise: bool, again: Option<&mut Waiting>) {
        let Waiting { pairs, partial, dense } = std::mem::take(waiting);
        if pairs.is_empty() {
            return;
        }
        let rows = pairs.iter().enumerate().map(|(origin, &(_, image))| Row { image, origin }).collect();
        let differs = vec![true; pairs.len()];
        let numbers = if dense.is_empty() {
            Numbers::Partial(partial.clone())
        } else {
            Numbers::Dense(self.device.upload(&dense))
        };
        let changes = BTreeMap::from([(value, Change { numbers, differs })]);
        let finished = self.flow.run(Batch { rows, changes }, from, bitwise);
        let mut doubtful = Vec::new();
        self.count(&pairs, &finished.rows, &finished.logits, |(origin, logits)| {
            let doubt = finished.reordered && is_close(logits);
            if doubt {
                doubtful.push(origin);
            }
            doubt
        });
        if let Some(again) = again {
            for origin in doubtful {
                again.push(pairs[origin], partial.first[origin], partial.row(origin));
            }
        }
    }

    /// Counts the pairs of a batch: those that reached the outputs, unless `leave_out` says otherwise, and all others as masked.
    fn count(
        &mut self,
        pairs: &[(usize, usize)],
        rows: &[Row],
        logits: &[f32],
        mut leave_out: impl FnMut((usize, &[f32])) -> bool,
    ) {
        let mut arrived = vec![false; pairs.len()];
        let classes = self.campaign.weights.network().output_len();
        for (row, logits) in rows.iter().zip(logits.chunks_exact(classes)) {
            arrived[row.origin] = true;
            if !leave_out((row.origin, logits)) {
                let (member, image) = pairs[row.origin];
                let example = self.example(image);
                self.tallies[member].count(&self.campaign.golden(example), logits);
            }
        }
        for (&(member, image), _) in pairs.iter().zip(&arrived).filter(|(_, arrived)| !**arrived) {
            self.untouched(member, image);
        }
    }
}

impl Waiting {
    fn push(&mut self, pair: (usize, usize), channel: usize, plane: &[f32]) {
        self.pairs.push(pair);
        self.partial.width = 1;
        self.partial.first.push(channel);
        self.partial.numbers.extend_from_slice(plane);
    }
}

/// A linear layer as a convolution of single places.
fn pointwise(input: [usize; 3], outputs: usize) -> Convolution {
    Convolution { input, outputs, kernel: [1; 2], stride: [1; 2], padding: [0; 4], dilation: [1; 2], groups: 1 }
}

/// Some channels of each place.
fn slice(device: &Cpu, x: &[f32], len: usize, channels: usize, some: Span<usize>) -> Buffer {
    let places = x.chunks_exact(len).flat_map(|image| image.chunks_exact(channels));
    device.upload(&places.flat_map(|place| &place[some.clone()]).copied().collect::<Vec<f32>>())
}

/// The channel that all elements of a fault are in, if there is one.
fn only_channel(fault: &ActivationFault, shape: &[usize]) -> Option<usize> {
    let [_, channels] = places(shape);
    let mut found = fault.elements.iter().map(|&element| inside(shape, element) % channels);
    let first = found.next()?;
    found.all(|other| other == first).then_some(first)
}
