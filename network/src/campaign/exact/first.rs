//! What faults in channels of one stage change in what that stage gives.

use super::super::acting::{Acting, Channel};
use super::super::change::Row;
use super::{Pair, Runner};
use crate::device::{Convolution, Device};
use crate::executor::step::Work;
use crate::kernel::matmul::Around;
use crate::kernel::{Threads, conv, elementwise};
use crate::op::arithmetic::places;

/// For a factor (a channel, and the number that it multiplies), how far it may change with each example.
type Leeway = ((usize, usize), Vec<Option<f32>>);

impl Runner<'_, '_> {
    /// Faults in channels of one stage.
    pub(super) fn channels(&mut self, index: usize, group: usize) {
        let stage = &self.campaign.executor.plan().stages[index];
        let mut queue = self.queue(stage.last, index + 1);
        let pairs = self.within_reach(index, &queue.largest);
        let mut images: Vec<usize> = pairs.iter().flatten().map(|pair| pair.image).collect();
        images.sort_unstable();
        images.dedup();
        let members: Vec<(&Channel, &Vec<Pair>)> = self
            .unit
            .members
            .iter()
            .zip(&pairs)
            .filter_map(|(member, pairs)| match member.acting {
                Acting::Channel(channel) if !pairs.is_empty() => Some((channel, pairs)),
                _ => None,
            })
            .collect();
        let channels: Vec<&Channel> = members.iter().map(|(channel, _)| *channel).collect();
        let sums = self.first_sums((index, group), &channels, &images);
        let (n, place) = (members.len(), self.flow.place(stage.last));
        let residual = stage.residual.map(|value| self.flow.place(value));
        let [count, outputs] = places(place.shape);
        let mut plane = vec![0.0; count];
        let how = (self.device.instruction_set(), Threads::One);
        for (m, (Channel { output: channel, .. }, pairs)) in members.into_iter().enumerate() {
            let mut audit = self.audit(&self.unit.members[pairs[0].member]);
            for &pair in pairs {
                let at = images.binary_search(&pair.image).expect("every example was listed");
                let sums = sums[at * count * n..][..count * n].iter().skip(m).step_by(n);
                plane.iter_mut().zip(sums).for_each(|(to, sum)| *to = *sum);
                if let Some(residual) = residual {
                    let residual = residual.of(pair.image).iter().skip(*channel).step_by(outputs);
                    plane.iter_mut().zip(residual).for_each(|(to, residual)| *to += residual);
                }
                for v in &mut plane {
                    *v = elementwise::clipped(*v, stage.clip);
                }
                if let Some(f) = stage.then {
                    elementwise::activation_in_place(how, f, &mut plane);
                }
                self.offer(&mut queue, pair, (*channel, &plane), audit.as_mut());
            }
        }
        self.finish(queue);
    }

    /// For each member the pairs that are not out of reach at a glance; all others are counted. `largest` holds for each example the
    /// largest fault-free number of what stage `index` gives.
    fn within_reach(&mut self, index: usize, largest: &[f32]) -> Vec<Vec<Pair>> {
        let stage = &self.campaign.executor.plan().stages[index];
        let [_, channels] = places(self.flow.place(stage.last).shape);
        // Of the number that the last member multiplies otherwise, for each example that was asked about.
        let mut leeway: Option<Leeway> = None;
        let mut all = Vec::with_capacity(self.unit.members.len());
        for (m, member) in self.unit.members.iter().enumerate() {
            let every = member.images.iter().map(|&image| Pair { member: m, image, audited: false });
            let lever = match (member.acting, stage.then) {
                (Acting::Channel(channel), None) => channel.lever.map(|lever| (channel.output, lever)),
                _ => None,
            };
            let (Some(screen), Some(mut audit), Some((channel, lever))) = (self.screen, self.audit(member), lever)
            else {
                all.push(every.collect());
                continue;
            };
            let factor = (channel, lever.at);
            let leeway = match &mut leeway {
                Some((of, leeway)) if *of == factor => leeway,
                other => &mut other.insert((factor, vec![None; self.unit.chunk.images.len()])).1,
            };
            let mut kept = Vec::new();
            for mut pair in every {
                let within = *leeway[pair.image].get_or_insert_with(|| {
                    let margins = self.campaign.margins(self.example(pair.image));
                    let x = self.factors(index, factor, pair.image);
                    screen.leeway((pair.image, channel, channels), &x, largest[pair.image], margins)
                });
                if lever.change.abs() < within {
                    pair.audited = audit.takes(self.example(pair.image) as u32);
                    if !pair.audited {
                        let golden = self.campaign.golden(self.example(pair.image));
                        self.tallies[m].skipped(&golden);
                        continue;
                    }
                }
                kept.push(pair);
            }
            all.push(kept);
        }
        all
    }

    /// What number `at` of channel `channel` of stage `index` is multiplied with at each place of example `image`.
    fn factors(&self, index: usize, (channel, at): (usize, usize), image: usize) -> Vec<f32> {
        let executor = &self.campaign.executor;
        let (stage, step) = (&executor.plan().stages[index], &executor.steps()[index]);
        let [count, _] = places(self.flow.place(stage.last).shape);
        let place = self.flow.place(stage.inputs[0]);
        let ([_, inputs], x) = (places(place.shape), place.of(image));
        match &step.work {
            Work::Convolution(geometry, _) if at < geometry.group_inputs() * geometry.taps() => {
                geometry.read_by(channel, at).map(|offset| offset.map_or(0.0, |offset| x[offset])).collect()
            }
            Work::Linear(_) if at < inputs => x.iter().skip(at).step_by(inputs).copied().collect(),
            Work::Scale(_) if at == 0 => x.iter().skip(channel).step_by(inputs).copied().collect(),
            _ => vec![1.0; count],
        }
    }

    /// Sums of `members`, channels of stage `index`, for examples `images`, `[example][place][member]`, each in the order of a whole run.
    fn first_sums(&self, (index, group): (usize, usize), members: &[&Channel], images: &[usize]) -> Vec<f32> {
        let executor = &self.campaign.executor;
        let (stage, step) = (&executor.plan().stages[index], &executor.steps()[index]);
        let place = self.flow.place(stage.inputs[0]);
        let rows: Vec<Row> = images.iter().map(|&image| Row { image, origin: 0 }).collect();
        let n = members.len();
        if rows.is_empty() {
            return Vec::new();
        }
        let starts: Vec<f32> = members.iter().map(|channel| channel.start).collect();
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
                        sums.extend(members.iter().map(|c| x[c.output] * c.weights[0] + c.start));
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
            let [count, channels] = places(place.shape);
            let some: Vec<u32> = (group * ci..(group + 1) * ci).map(|channel| channel as u32).collect();
            let mut own = self.device.buffer(images.len() * count * ci);
            self.device.pick_columns([images.len() * count, channels], &some, &x, &mut own);
            own
        };
        let together =
            Convolution { input: [geometry.input[0], geometry.input[1], ci], outputs: n, groups: 1, ..geometry };
        let weights: Vec<f32> = members.iter().flat_map(|channel| &channel.weights).copied().collect();
        let set = self.device.instruction_set();
        let packed = conv::PackedForward::new(set, &together, &weights);
        let mut sums = vec![0.0; images.len() * together.output_len()];
        let around = Around { bias: Some(&starts), ..Around::default() };
        let x = &x[..images.len() * together.input_len()];
        conv::forward((set, Threads::One), &together, &packed, x, &around, &mut sums);
        sums
    }
}

/// A linear layer as a convolution of single places.
fn pointwise(input: [usize; 3], outputs: usize) -> Convolution {
    Convolution { input, outputs, kernel: [1; 2], stride: [1; 2], padding: [0; 4], dilation: [1; 2], groups: 1 }
}
