//! Pairs of faults and examples on their way through the network, from where they first differ to the outputs.
//!
//! At each stage only what differs is done, for all pairs of a batch together, and pairs in which nothing that is still to be read
//! differs are dropped: their outputs are the fault-free ones.

use std::collections::BTreeMap;

use super::Campaign;
use super::change::{Change, Numbers, Partial, Place, Row};
use super::tile::Chunk;
use crate::device::{Buffer, Cpu, Device};
use crate::executor::plan::Stage;
use crate::executor::step::{Step, Work};
use crate::kernel::matmul::Around;
use crate::kernel::{Threads, conv, elementwise, matmul, tf32};
use crate::op::arithmetic::places;

/// Multiply-adds of a stage below which doing all of it costs no more than doing what differs.
const WORTHWHILE: u64 = 1 << 15;

/// Some pairs, and the values that differ in them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub rows: Vec<Row>,
    pub changes: BTreeMap<usize, Change>,
}

/// Outputs of the pairs that reached them; of the others they are the fault-free ones.
#[derive(Debug, Default)]
pub(super) struct Finished {
    pub rows: Vec<Row>,
    /// Row-major.
    pub logits: Vec<f32>,
    /// Whether some sums were added up in another order than in a run of the whole network.
    pub reordered: bool,
}

/// What a batch goes through.
pub(super) struct Flow<'a, 'c> {
    pub campaign: &'a Campaign<'c>,
    pub device: &'a Cpu,
    pub chunk: &'a Chunk,
    /// Stages that compute with other numbers.
    pub faulty: &'a BTreeMap<usize, Step<Cpu>>,
}

impl<'a, 'c> Flow<'a, 'c> {
    pub(super) fn new(
        campaign: &'a Campaign<'c>,
        device: &'a Cpu,
        chunk: &'a Chunk,
        faulty: &'a BTreeMap<usize, Step<Cpu>>,
    ) -> Self {
        Self { campaign, device, chunk, faulty }
    }

    /// Takes a batch through stages `from..`; where `bitwise`, every sum is added up as in a run of the whole network.
    pub(super) fn run(&self, mut batch: Batch, from: usize, bitwise: bool) -> Finished {
        let plan = self.campaign.executor.plan();
        let last_faulty = self.faulty.keys().next_back().copied().unwrap_or(0);
        let mut reordered = false;
        for (index, stage) in plan.stages.iter().enumerate().skip(from) {
            let faulty = self.faulty.contains_key(&index);
            if !faulty && !stage.reads().any(|value| batch.changes.contains_key(&value)) {
                continue;
            }
            let numbers = self.stage(index, &mut batch, bitwise, &mut reordered);
            let change = self.place(stage.last).compare(&batch.rows, numbers);
            if change.differs.contains(&true) {
                batch.changes.insert(stage.last, change);
            }
            batch.changes.retain(|&value, _| self.campaign.last_reader[value] > index);
            if index >= last_faulty {
                self.drop_masked(&mut batch);
                if batch.rows.is_empty() {
                    return Finished::default();
                }
            }
        }
        self.finish(batch, reordered)
    }

    fn finish(&self, mut batch: Batch, reordered: bool) -> Finished {
        let network = self.campaign.weights.network();
        let last = network.nodes().len();
        let mut values: Vec<Option<Buffer>> = network.shapes().iter().map(|_| None).collect();
        let source = self.campaign.output();
        values[source] = Some(self.take(&mut batch, source));
        let logits = self.campaign.executor.outside(self.device, last, batch.rows.len(), &values);
        Finished { rows: batch.rows, logits, reordered }
    }

    /// Forgets pairs in which nothing differs.
    fn drop_masked(&self, batch: &mut Batch) {
        let alive = |row: usize| batch.changes.values().any(|change| change.differs[row]);
        let keep: Vec<bool> = (0..batch.rows.len()).map(alive).collect();
        if keep.contains(&false) {
            for (&value, change) in &mut batch.changes {
                change.retain(&keep, self.campaign.executor.len(value));
            }
            let mut flags = keep.iter();
            batch.rows.retain(|_| flags.next().is_some_and(|keep| *keep));
        }
    }

    pub(super) fn place(&self, value: usize) -> Place<'a> {
        Place::new(self.campaign, self.chunk, value)
    }

    fn stage(&self, index: usize, batch: &mut Batch, bitwise: bool, reordered: &mut bool) -> Numbers {
        if !self.faulty.contains_key(&index) {
            if let Some(partial) = self.kept(index, batch) {
                return Numbers::Partial(partial);
            }
            let reorder = |batch: &mut Batch| self.added(index, batch).or_else(|| self.shifted(index, batch));
            if let Some(y) = (!bitwise).then(|| reorder(batch)).flatten() {
                *reordered = true;
                return Numbers::Dense(y);
            }
        }
        Numbers::Dense(self.whole(index, batch))
    }

    /// All numbers of a value; to be given back by [`Flow::put_back`].
    fn take(&self, batch: &mut Batch, value: usize) -> Buffer {
        match batch.changes.get_mut(&value).map(|change| &mut change.numbers) {
            None => self.place(value).gather(self.device, &batch.rows),
            Some(Numbers::Partial(partial)) => self.place(value).complete(self.device, &batch.rows, partial),
            Some(Numbers::Dense(all)) => std::mem::replace(all, self.device.buffer(0)),
        }
    }

    fn put_back(batch: &mut Batch, value: usize, buffer: Option<Buffer>) {
        if let (Some(Change { numbers: Numbers::Dense(all), .. }), Some(buffer)) =
            (batch.changes.get_mut(&value), buffer)
        {
            *all = buffer;
        }
    }

    /// The whole stage again.
    fn whole(&self, index: usize, batch: &mut Batch) -> Buffer {
        let (network, executor) = (self.campaign.weights.network(), &self.campaign.executor);
        let stage = &executor.plan().stages[index];
        let step = self.faulty.get(&index).unwrap_or(&executor.steps()[index]);
        let mut values: Vec<Option<Buffer>> = network.shapes().iter().map(|_| None).collect();
        for value in stage.reads() {
            if values[value].is_none() {
                values[value] = Some(self.take(batch, value));
            }
        }
        let y = step.run(self.device, network, stage, batch.rows.len(), &values);
        for value in stage.reads() {
            Self::put_back(batch, value, values[value].take());
        }
        y
    }

    /// The stage's fault-free sums with what the channels that differ add to them; `None` where that is not possible or not
    /// worthwhile.
    fn added(&self, index: usize, batch: &mut Batch) -> Option<Buffer> {
        let (campaign, device) = (self.campaign, self.device);
        let (network, executor) = (campaign.weights.network(), &campaign.executor);
        let (stage, step) = (&executor.plan().stages[index], &executor.steps()[index]);
        let Numbers::Partial(partial) = &batch.changes.get(&stage.inputs[0])?.numbers else { return None };
        let suits = match &step.work {
            Work::Convolution(..) => partial.width == 1,
            Work::Linear(_) => true,
            _ => false,
        };
        if !suits || network.macs_of(stage.head) < WORTHWHILE {
            return None;
        }
        let round = |x: f32| if step.tf32 { tf32::round(x) } else { x };
        let x = self.place(stage.inputs[0]).difference(&batch.rows, partial, round);
        let first = partial.first.clone();
        let (set, [count, _]) = (device.instruction_set(), places(&network.shapes()[stage.last]));
        Some(self.onto_sums(index, batch, |around, y| match &step.work {
            Work::Convolution(geometry, kernel) => conv::add_channel(set, geometry, kernel, &first, &x, around, y),
            Work::Linear(weight) => matmul::add_rows(set, (count, &first), &x, weight, around, y),
            _ => {}
        }))
    }

    /// The stage's fault-free sums with the convolution of the whole change of what it reads; `None` where that is not possible.
    fn shifted(&self, index: usize, batch: &mut Batch) -> Option<Buffer> {
        let (campaign, device) = (self.campaign, self.device);
        let stage = &campaign.executor.plan().stages[index];
        if campaign.executor.steps()[index].tf32 {
            return None;
        }
        let Numbers::Dense(now) = &batch.changes.get(&stage.inputs[0])?.numbers else { return None };
        let weights = campaign.winograd(index)?;
        let x = self.place(stage.inputs[0]).change(device, &batch.rows, now);
        let x = &x[..batch.rows.len() * campaign.executor.len(stage.inputs[0])];
        let add = |around: &Around<'_>, y: &mut [f32]| {
            conv::add_winograd(device.instruction_set(), weights, x, around, y);
        };
        Some(self.onto_sums(index, batch, add))
    }

    /// Stage `index` where `add` adds something to its fault-free sums, and does what is to be done after sums.
    fn onto_sums(&self, index: usize, batch: &mut Batch, add: impl FnOnce(&Around<'_>, &mut [f32])) -> Buffer {
        let stage = &self.campaign.executor.plan().stages[index];
        let shape = &self.campaign.weights.network().shapes()[stage.last];
        let mut y = Place { shape, golden: self.sums(index) }.gather(self.device, &batch.rows);
        let residual = stage.residual.map(|value| self.take(batch, value));
        let len = batch.rows.len() * shape.iter().product::<usize>();
        let around = Around { residual: residual.as_ref().map(|r| &r[..len]), clip: stage.clip, ..Around::default() };
        add(&around, &mut y[..len]);
        if let Some(value) = stage.residual {
            Self::put_back(batch, value, residual);
        }
        if let Some(f) = stage.then {
            self.device.activation_in_place(f, len, &mut y);
        }
        y
    }

    /// Fault-free sums of stage `index` for the whole chunk.
    fn sums(&self, index: usize) -> &'a Buffer {
        self.chunk.sums(self.campaign, self.device, index)
    }

    /// The stage on the channels that differ alone, where all others stay as they are; the bits are those of the whole stage.
    fn kept(&self, index: usize, batch: &Batch) -> Option<Partial> {
        let (network, executor) = (self.campaign.weights.network(), &self.campaign.executor);
        let (stage, step) = (&executor.plan().stages[index], &executor.steps()[index]);
        let partial = |value: usize| match &batch.changes.get(&value)?.numbers {
            Numbers::Partial(partial) => Some(partial),
            Numbers::Dense(_) => None,
        };
        let set = self.device.instruction_set();
        match &step.work {
            Work::Plain(_) => super::keep::plain(self, &network.nodes()[stage.head - 1].op, stage, batch),
            Work::Scale(scale) => {
                let x = partial(stage.inputs[0])?;
                let channel = |i: usize| x.first[i / x.len()] + i % x.width;
                let shift = |channel: usize| step.bias.as_ref().map_or(0.0, |bias| bias[channel]);
                let scaled = |(i, x): (usize, &f32)| x * scale[channel(i)] + shift(channel(i));
                let numbers = x.numbers.iter().enumerate().map(scaled).collect();
                self.finished(stage, batch, Partial { numbers, ..x.clone() })
            }
            Work::Convolution(geometry, kernel) if geometry.is_depthwise() => {
                let x = partial(stage.inputs[0])?;
                let [height, width, _] = geometry.output();
                let mut numbers = vec![0.0; x.first.len() * height * width];
                let starts: Vec<f32> =
                    x.first.iter().map(|&channel| step.bias.as_ref().map_or(0.0, |bias| bias[channel])).collect();
                let mut rounded = x.numbers.clone();
                if step.tf32 {
                    tf32::round_all(&mut rounded);
                }
                conv::one_channel(set, geometry, kernel, (&x.first, &starts), &rounded, &mut numbers);
                self.finished(stage, batch, Partial { numbers, ..x.clone() })
            }
            Work::Convolution(..) | Work::Linear(_) => {
                if batch.changes.contains_key(&stage.inputs[0]) {
                    return None;
                }
                let residual = partial(stage.residual?)?.clone();
                let place = Place { shape: &network.shapes()[stage.last], golden: self.sums(index) };
                let numbers = place.channels(&batch.rows, &residual);
                self.finished(stage, batch, Partial { numbers, ..residual })
            }
        }
    }

    /// Sums of single channels with what the stage does after sums; `None` where the residual differs in other channels.
    fn finished(&self, stage: &Stage, batch: &Batch, mut sums: Partial) -> Option<Partial> {
        if let Some(value) = stage.residual {
            let golden;
            let residual = match batch.changes.get(&value).map(|change| &change.numbers) {
                None => {
                    golden = self.place(value).channels(&batch.rows, &sums);
                    &golden
                }
                Some(Numbers::Partial(p)) if p.first == sums.first && p.width == sums.width => &p.numbers,
                Some(_) => return None,
            };
            for (sum, residual) in sums.numbers.iter_mut().zip(residual) {
                *sum += residual;
            }
        }
        for sum in &mut sums.numbers {
            *sum = elementwise::clipped(*sum, stage.clip);
        }
        if let Some(f) = stage.then {
            elementwise::activation_in_place((self.device.instruction_set(), Threads::One), f, &mut sums.numbers);
        }
        Some(sums)
    }
}
