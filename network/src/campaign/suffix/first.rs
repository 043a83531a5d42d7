//! What faults change where they are.

use std::collections::BTreeMap;

use super::super::acting::{Acting, Channel};
use super::super::fault::{ActivationFault, Range};
use super::super::full::inside;
use super::super::outcome::Tally;
use super::super::prepared::Member;
use super::super::screen::Audit;
use super::onward::Rows;
use super::{Pair, Screened, Tile};
use crate::device::{Convolution, Device, Difference, Fused, Planes, Slopes};
use crate::executor::step::Work;
use crate::kernel::planes::reach;
use crate::op::arithmetic::{extent, places};

/// A pair of a fault in numbers of a value and an example that it changes.
struct Changed {
    pair: Pair,
    /// Places in the order inside, and the numbers that are there now.
    numbers: Vec<(usize, f32)>,
    /// By how much they differ.
    by: Vec<f32>,
    /// The channel that all are in, if there is one.
    channel: Option<usize>,
}

impl<D: Device> Tile<'_, '_, D> {
    /// Faults in channels of stage `index`, of one group.
    pub(super) fn channels(
        &self,
        (index, group): (usize, usize),
        members: &[Member<'_, D>],
        screened: Option<&Screened<'_, D>>,
    ) -> Vec<Tally> {
        let mut tallies = vec![Tally::default(); members.len()];
        let channels: Vec<&Channel> = members
            .iter()
            .filter_map(|member| if let Acting::Channel(channel) = member.acting { Some(channel) } else { None })
            .collect();
        let outputs: Vec<u32> = channels.iter().map(|channel| channel.output as u32).collect();
        let mut rows: Vec<u32> = members.iter().flat_map(|member| &member.images).map(|&image| image as u32).collect();
        rows.sort_unstable();
        rows.dedup();
        let value = self.campaign.executor.plan().stages[index].last;
        let size = places(&self.campaign.weights.network().shapes()[value]);
        let numbers = self.planes((index, group), &channels, &outputs, &rows);
        let planes = Planes { numbers: &numbers, size, channels: &outputs };
        let found = self.compare(&planes, &rows, value, screened);
        let mut pairs: Vec<(Pair, [u32; 2])> = Vec::new();
        for (m, member) in members.iter().enumerate() {
            let mut audit = screened.map(|screened| Audit::new(screened.how, member.fault));
            for &image in &member.images {
                let row = rows.binary_search(&(image as u32)).expect("every example was listed");
                let difference = found[row * members.len() + m];
                let pair = Pair { member: m, image, audited: false };
                if difference == Difference::Same {
                    tallies[m].untouched(&self.golden_of(image));
                } else if let Some(pair) =
                    self.unless_left_out(pair, difference == Difference::OutOfReach, audit.as_mut(), &mut tallies)
                {
                    pairs.push((pair, [row as u32, m as u32]));
                }
            }
        }
        for some in pairs.chunks(self.batch) {
            let (pairs, places): (Vec<Pair>, Vec<[u32; 2]>) = some.iter().copied().unzip();
            let change = |y: &mut D::Buffer| self.device.put_planes(rows.len(), &planes, &places, y);
            self.go_on((value, index + 1), &pairs, change, &mut tallies);
        }
        tallies
    }

    /// Takes pairs on from stage `from`; `change` makes of the fault-free rows of value `value` what the faults make of them.
    fn go_on(
        &self,
        (value, from): (usize, usize),
        pairs: &[Pair],
        change: impl FnOnce(&mut D::Buffer),
        tallies: &mut [Tally],
    ) {
        let len = self.campaign.executor.len(value);
        let images: Vec<u32> = pairs.iter().map(|pair| pair.image as u32).collect();
        let mut y = self.device.buffer(images.len() * len);
        self.device.pick_rows(len, &images, self.golden(value), &mut y);
        change(&mut y);
        let mut changed = self.none();
        changed[value] = Some(y);
        self.onward(pairs, from, &BTreeMap::new(), changed, tallies);
    }

    /// The pair, unless it is counted as left out: where it is out of reach and not audited.
    fn unless_left_out(
        &self,
        mut pair: Pair,
        out_of_reach: bool,
        audit: Option<&mut Audit<'_>>,
        tallies: &mut [Tally],
    ) -> Option<Pair> {
        if let (true, Some(audit)) = (out_of_reach, audit) {
            pair.audited = audit.takes(self.images[pair.image]);
            if !pair.audited {
                tallies[pair.member].skipped(&self.golden_of(pair.image));
                return None;
            }
        }
        Some(pair)
    }

    /// How the planes compare with value `value` for the examples at places `rows`.
    fn compare(
        &self,
        planes: &Planes<'_, D::Buffer>,
        rows: &[u32],
        value: usize,
        screened: Option<&Screened<'_, D>>,
    ) -> Vec<Difference> {
        let (device, len) = (self.device, self.campaign.executor.len(value));
        let y = self.rows(rows, len, self.golden(value));
        let Some(screened) = screened else { return device.differences(rows.len(), planes, y.buffer(), None) };
        let outputs = self.campaign.others();
        let gradient = screened.gradient.map(|gradient| self.rows(rows, outputs * len, gradient));
        let margins = self.rows(rows, outputs, screened.margins);
        let limits: Vec<f32> = rows.iter().map(|&row| screened.limit(row as usize)).collect();
        let slopes = Slopes {
            gradient: gradient.as_ref().map(Rows::buffer),
            limits: &device.upload(&limits),
            margins: margins.buffer(),
            outputs,
            safety: screened.how.safety as f32,
        };
        device.differences(rows.len(), planes, y.buffer(), Some(slopes))
    }

    /// What faulty channels of stage `index` give for the examples at places `rows`, `[example][place][member]`; `outputs` are their
    /// numbers.
    fn planes(&self, (index, group): (usize, usize), members: &[&Channel], outputs: &[u32], rows: &[u32]) -> D::Buffer {
        let (executor, device) = (&self.campaign.executor, self.device);
        let (stage, step) = (&executor.plan().stages[index], &executor.steps()[index]);
        let shapes = self.campaign.weights.network().shapes();
        let ([count, channels], n) = (places(&shapes[stage.last]), members.len());
        let input = stage.inputs[0];
        let x = self.rows(rows, executor.len(input), self.golden(input));
        let rounded = step.rounded(device, rows.len() * executor.len(input), x.buffer());
        let x = rounded.as_ref().unwrap_or_else(|| x.buffer());
        let starts: Vec<f32> = members.iter().map(|channel| channel.start).collect();
        let starts = device.upload(&starts);
        let weights: Vec<f32> = members.iter().flat_map(|channel| &channel.weights).copied().collect();
        let weights = device.upload(&weights);
        let residual = stage.residual.map(|value| {
            let from = self.rows(rows, executor.len(value), self.golden(value));
            let mut to = device.buffer(rows.len() * count * n);
            device.pick_columns([rows.len() * count, channels], outputs, from.buffer(), &mut to);
            to
        });
        let fused = Fused { bias: Some(&starts), residual: residual.as_ref(), clip: stage.clip };
        let mut y = device.buffer(rows.len() * count * n);
        let [height, width, inputs] = extent(&shapes[input]);
        match &step.work {
            Work::Convolution(geometry, _) => {
                let ci = geometry.group_inputs();
                let mut own = None;
                if geometry.groups > 1 {
                    let some: Vec<u32> = (group * ci..(group + 1) * ci).map(|channel| channel as u32).collect();
                    let mut to = device.buffer(rows.len() * height * width * ci);
                    device.pick_columns([rows.len() * height * width, inputs], &some, x, &mut to);
                    own = Some(to);
                }
                let x = own.as_ref().unwrap_or(x);
                let together = Convolution { input: [height, width, ci], outputs: n, groups: 1, ..geometry.clone() };
                let kernel = device.pack_kernel(&together, &weights);
                device.convolution(rows.len(), &together, &kernel, x, fused, &mut y);
            }
            Work::Linear(_) => {
                let weight = device.pack_linear(n, inputs, &weights);
                device.linear(rows.len() * count, &weight, x, fused, &mut y);
            }
            // A factor and an offset for each channel.
            Work::Scale(_) | Work::Plain(_) => {
                let mut own = device.buffer(rows.len() * count * n);
                device.pick_columns([rows.len() * count, channels], outputs, x, &mut own);
                device.scale_shift([rows.len() * count, n], &weights, &own, fused, &mut y);
            }
        }
        if let Some(f) = stage.then {
            device.activation_in_place(f, rows.len() * count * n, &mut y);
        }
        y
    }

    /// Faults in numbers of what node `node` gives.
    pub(super) fn numbers(
        &self,
        node: usize,
        members: &[Member<'_, D>],
        screened: Option<&Screened<'_, D>>,
    ) -> Vec<Tally> {
        let mut tallies = vec![Tally::default(); members.len()];
        let (executor, device) = (&self.campaign.executor, self.device);
        let len = executor.len(node);
        let all = device.download(self.golden(node), self.images.len() * len);
        let of = |image: usize| &all[image * len..][..len];
        // Of each example that is asked for, once for all faults.
        let mut ranges: Vec<Option<Range>> = vec![None; self.images.len()];
        let mut changed = Vec::new();
        for (m, member) in members.iter().enumerate() {
            let Acting::Value(fault) = member.acting else { continue };
            for &image in &member.images {
                let pair = Pair { member: m, image, audited: false };
                let range = *ranges[image].get_or_insert_with(|| Range::of(of(image)));
                match self.corrupted(pair, fault, (of(image), range)) {
                    Some(pair) => changed.push(pair),
                    None => tallies[m].untouched(&self.golden_of(image)),
                }
            }
        }
        let out_of_reach = self.out_of_reach(node, &changed, screened);
        let mut audits: Vec<Option<Audit<'_>>> =
            members.iter().map(|member| screened.map(|screened| Audit::new(screened.how, member.fault))).collect();
        let mut left = Vec::with_capacity(changed.len());
        for (mut changed, out_of_reach) in changed.into_iter().zip(out_of_reach) {
            let audit = audits[changed.pair.member].as_mut();
            if let Some(pair) = self.unless_left_out(changed.pair, out_of_reach, audit, &mut tallies) {
                changed.pair = pair;
                left.push(changed);
            }
        }
        let stages = &executor.plan().stages;
        let from = stages.iter().position(|stage| stage.last == node).map_or(0, |index| index + 1);
        for some in left.chunks(self.batch) {
            let pairs: Vec<Pair> = some.iter().map(|changed| changed.pair).collect();
            let numbers = some.iter().zip(0..).flat_map(|(changed, row)| {
                changed.numbers.iter().map(move |(at, number)| ([row, *at as u32], *number))
            });
            let (places, numbers): (Vec<[u32; 2]>, Vec<f32>) = numbers.unzip();
            let change = |y: &mut D::Buffer| device.put([pairs.len(), len], &places, &numbers, y);
            self.go_on((node, from), &pairs, change, &mut tallies);
        }
        tallies
    }

    /// What a fault makes of the numbers `all` of an example, which are in `range`; none where it changes nothing.
    fn corrupted(&self, pair: Pair, fault: &ActivationFault, (all, range): (&[f32], Range)) -> Option<Changed> {
        let shape = &self.campaign.weights.network().shapes()[fault.node];
        let place = |&element: &usize| inside(shape, element);
        let numbers: Vec<(usize, f32)> =
            fault.elements.iter().map(place).map(|at| (at, fault.corrupt.corrupt(all[at], range))).collect();
        let by: Vec<f32> = numbers.iter().map(|(at, now)| now - all[*at]).collect();
        let differs = !by.iter().all(|d| *d == 0.0);
        differs.then(|| Changed { pair, numbers, by, channel: fault.only_channel(shape) })
    }

    /// Which of the pairs, of faults in value `value`, are out of reach.
    fn out_of_reach(&self, value: usize, changed: &[Changed], screened: Option<&Screened<'_, D>>) -> Vec<bool> {
        let Some(screened) = screened else { return vec![false; changed.len()] };
        let [count, channels] = places(&self.campaign.weights.network().shapes()[value]);
        let (others, len) = (self.campaign.others(), count * channels);
        let predicts = |changed: &Changed| {
            let limit = screened.limit(changed.pair.image);
            changed.channel.is_some() && changed.by.iter().all(|d| d.abs() <= limit)
        };
        let Some(gradient) = screened.gradient else { return changed.iter().map(predicts).collect() };
        let mut asked = Vec::new();
        for changed in changed.iter().filter(|changed| predicts(changed)) {
            for other in 0..others {
                let row = (changed.pair.image * others + other) as u32;
                asked.extend(changed.numbers.iter().map(|(at, _)| [row, *at as u32]));
            }
        }
        let slopes = self.device.take([self.images.len() * others, len], &asked, gradient);
        let mut slopes = slopes.iter();
        let each = |changed: &Changed| {
            let mut stays = predicts(changed);
            if stays {
                let place = |at: usize| at / channels;
                let mut change = vec![0.0; count];
                changed.numbers.iter().zip(&changed.by).for_each(|((at, _), d)| change[place(*at)] = *d);
                for margin in self.campaign.margins(self.images[changed.pair.image] as usize) {
                    let mut slope = vec![0.0; count];
                    changed.numbers.iter().zip(&mut slopes).for_each(|((at, _), g)| slope[place(*at)] = *g);
                    stays = stays && screened.how.safety as f32 * reach(&change, &slope) < margin;
                }
            }
            stays
        };
        changed.iter().map(each).collect()
    }
}

impl<D: Device> Screened<'_, D> {
    /// The largest change of a number of the example at place `image` that is predicted by.
    fn limit(&self, image: usize) -> f32 {
        self.how.largest as f32 * self.largest[image]
    }
}
