//! Pairs of a fault and an example that need no run, because the example's class is out of the fault's reach.
//!
//! The lead of the predicted class over another one changes, to first order, by the sum over places of what the fault changes there
//! times the gradient of that lead. The change itself is exact: it is taken behind the limits and functions of the faulted stage.
//! A pair is skipped, as not critical, where for every other class `safety` times the sum of the *sizes* of these products stays
//! below the lead (so that no change is trusted to cancel another), and where the change is at most `largest` times the largest
//! fault-free number of that value. One backward pass for each class gives the gradients of all faults on an example.
//!
//! Most pairs are skipped at a glance: where one weight is faulty, the change is no larger than the weight's times what it is
//! multiplied with, so that one sum for each weight, example and class tells for all its faults how large they may be
//! ([`Screen::leeway`]).
//!
//! A prediction is no proof. So a share of the pairs that would be skipped, drawn by fault and example, is run all the same, and
//! outcomes say how many of these were critical. A skipped pair may in truth be masked: in a screened campaign `masked` is a lower
//! bound.

use super::exact::Runner;
use super::fault::{Fault, Run};
use super::gradient::{Margins, Reverse};
use super::outcome::Tally;
use super::prepared::{Prepared, Unit};
use super::tile::{CHUNK, Chunk};
use super::{Campaign, CampaignError};
use crate::device::{Cpu, Device};
use crate::kernel::planes::reach;
use crate::random::Stream;

/// How pairs are screened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Screening {
    /// The share of pairs to be skipped that is run all the same, in 0..=1.
    pub audit: f64,
    /// By how much the predicted change may be too small; at least 1.
    pub safety: f64,
    /// The largest change that is predicted at all, as a multiple of the largest fault-free number.
    pub largest: f64,
    /// What the audited pairs are drawn from.
    pub seed: u64,
}

impl Default for Screening {
    fn default() -> Self {
        Self { audit: 0.001, safety: 2.0, largest: 1.0, seed: 0 }
    }
}

/// Rows of gradients that go back together, at most.
const ROWS: usize = 288;

impl Screening {
    /// Whether the settings make sense.
    pub(super) fn check(&self) -> Result<(), CampaignError> {
        let refused = |key, value, fix| Err(CampaignError::Screening { key, value, fix });
        if !(0.0..=1.0).contains(&self.audit) {
            return refused("audit", self.audit, "use a share in 0..=1");
        }
        if !(self.safety >= 1.0 && self.safety.is_finite()) {
            return refused("safety", self.safety, "use a factor of at least 1");
        }
        if !(self.largest >= 0.0 && self.largest.is_finite()) {
            return refused("largest", self.largest, "use a multiple that is not negative");
        }
        Ok(())
    }
}

/// The gradients that the pairs of one value are screened by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen<'s> {
    pub how: &'s Screening,
    /// `[example][channel][other class][place]`; none where the value reaches no output.
    pub gradient: Option<&'s [f32]>,
}

impl Screen<'_> {
    /// Whether a change of `change` (for each place) in channel `channel` of `channels` is out of reach of `margins` for the example at
    /// place `image`. `largest` is the largest fault-free number.
    pub(super) fn skips(
        &self,
        (image, channel, channels): (usize, usize, usize),
        change: &[f32],
        largest: f32,
        margins: impl ExactSizeIterator<Item = f32>,
    ) -> bool {
        let limit = self.how.largest as f32 * largest;
        // NaN is not within any limit.
        if !change.iter().all(|d| d.abs() <= limit) {
            return false;
        }
        let Some(gradient) = self.gradient else { return true };
        let count = margins.len() * change.len();
        let rows = &gradient[(image * channels + channel) * count..][..count];
        let safety = self.how.safety as f32;
        rows.chunks_exact(change.len()).zip(margins).all(|(row, margin)| safety * reach(change, row) < margin)
    }
}

impl Screen<'_> {
    /// How large a change of a factor may be that a channel's sums are made with, for [`Screen::skips`] to skip it whatever the stage cuts off
    /// after sums. `x` is what it is multiplied with at each place.
    pub(super) fn leeway(
        &self,
        (image, channel, channels): (usize, usize, usize),
        x: &[f32],
        largest: f32,
        margins: impl ExactSizeIterator<Item = f32>,
    ) -> f32 {
        let most = x.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
        let limit = if most == 0.0 { f32::INFINITY } else { self.how.largest as f32 * largest / most };
        let Some(gradient) = self.gradient else { return limit };
        let count = margins.len() * x.len();
        let rows = &gradient[(image * channels + channel) * count..][..count];
        let safety = self.how.safety as f32;
        let each = rows.chunks_exact(x.len()).zip(margins).map(|(row, margin)| match reach(x, row) {
            0.0 if margin > 0.0 => f32::INFINITY,
            reach => margin / (safety * reach),
        });
        each.fold(limit, f32::min)
    }
}

/// Examples whose audits are drawn together.
const DRAWN: u32 = 64;

/// Which examples of one fault are audited.
pub(super) struct Audit<'a> {
    how: &'a Screening,
    /// What the fault is: numbers that name it and nothing else.
    name: Vec<u64>,
    block: Option<u32>,
    draws: [bool; DRAWN as usize],
}

impl<'a> Audit<'a> {
    pub(super) fn new(how: &'a Screening, fault: &Fault) -> Self {
        let name = match fault {
            Fault::Stored(numbers) => {
                numbers.iter().flat_map(|s| [s.parameter as u64, s.element as u64, s.value.to_bits().into()]).collect()
            }
            Fault::Activation(fault) => {
                [fault.node].iter().chain(&fault.elements).map(|&number| number as u64).collect()
            }
        };
        Self { how, name, block: None, draws: [false; DRAWN as usize] }
    }

    /// Whether example `image` is.
    pub(super) fn takes(&mut self, image: u32) -> bool {
        let block = image / DRAWN;
        if self.block != Some(block) {
            self.block = Some(block);
            let indices: Vec<u64> = self.name.iter().copied().chain([block.into()]).collect();
            let mut stream = Stream::new(self.how.seed, "audit", &indices);
            self.draws.iter_mut().for_each(|draw| *draw = stream.bernoulli(self.how.audit));
        }
        self.draws[(image % DRAWN) as usize]
    }
}

impl Campaign<'_> {
    /// Runs what differs, where the class is within reach.
    pub(super) fn screened(&self, runs: &[Run<'_>], how: &Screening) -> Vec<Tally> {
        let prepared = Prepared::new(self, runs);
        let mut tallies = prepared.untouched(self, runs);
        if prepared.groups.is_empty() {
            return tallies;
        }
        let reversed = self.reversed();
        let len = (ROWS / self.others().max(1)).clamp(1, CHUNK);
        let needed: Vec<&[u32]> = prepared.needed.chunks(len).collect();
        let done = self.executor.device().spread(needed.len(), 1, |device, range| {
            let chunk = self.chunk(device, needed[range.start]);
            self.screened_chunk(device, &chunk, &reversed, how, &prepared.units(&chunk, range.start * len, runs))
        });
        for (run, tally) in done.into_iter().flatten() {
            tallies[run].add(&tally);
        }
        tallies
    }

    fn screened_chunk(
        &self,
        device: &Cpu,
        chunk: &Chunk,
        reversed: &[Reverse<Cpu>],
        how: &Screening,
        units: &[Unit<'_>],
    ) -> Vec<(usize, Tally)> {
        let mut tallies = Vec::new();
        let mut margins = Margins::new(self, device, (&chunk.images, &chunk.values), reversed);
        let mut screened: Vec<&Unit<'_>> = Vec::new();
        for unit in units {
            match unit.members[0].acting.value(self.executor.plan()) {
                Some(_) => screened.push(unit),
                None => tallies.extend(Runner::new(self, device, unit, None).run()),
            }
        }
        let stages = &self.executor.plan().stages;
        for value in (0..stages.len()).rev().map(|index| stages[index].last).chain([0]) {
            if screened.is_empty() {
                break;
            }
            let (here, later): (Vec<&Unit<'_>>, Vec<&Unit<'_>>) = screened
                .into_iter()
                .partition(|unit| unit.members[0].acting.value(self.executor.plan()) == Some(value));
            screened = later;
            if !here.is_empty() {
                let gradient = margins.of(value);
                let screen = Screen { how, gradient: gradient.as_deref() };
                for unit in here {
                    tallies.extend(Runner::new(self, device, unit, Some(screen)).run());
                }
            }
            if let Some(index) = stages.iter().position(|stage| stage.last == value) {
                margins.back(index);
            }
        }
        tallies
    }
}

impl<D: Device> Campaign<'_, D> {
    /// How many classes there are besides the predicted one.
    pub(super) fn others(&self) -> usize {
        self.weights.network().output_len().saturating_sub(1)
    }

    /// By how much the prediction for example `image` leads each other class.
    pub(super) fn margins(&self, image: usize) -> impl ExactSizeIterator<Item = f32> {
        let golden = self.golden(image);
        let lead = golden.logits[golden.predicted];
        let others: Vec<f32> =
            golden.logits.iter().enumerate().filter(|(j, _)| *j != golden.predicted).map(|(_, z)| lead - z).collect();
        others.into_iter()
    }
}
