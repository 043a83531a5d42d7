//! What of a value differs from the fault-free run, for the examples of a batch.

use super::Campaign;
use super::tile::Chunk;
use crate::device::{Buffer, Cpu, Device};
use crate::op::arithmetic::places;

/// A pair of a fault and an example on its way through the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The example's place in its chunk.
    pub image: usize,
    /// The pair's place in the batch that it started in.
    pub origin: usize,
}

/// A few neighbouring channels that alone differ, other ones for each row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Partial {
    /// The first channel, for each row.
    pub first: Vec<usize>,
    /// How many there are.
    pub width: usize,
    /// Their numbers, `[row][place][channel]`.
    pub numbers: Vec<f32>,
}

/// The numbers of a value in which something differs.
#[derive(Debug)]
pub(super) enum Numbers {
    /// Channels; all else is as without a fault.
    Partial(Partial),
    /// All of them, in the order inside.
    Dense(Buffer),
}

/// A value that differs in some rows.
#[derive(Debug)]
pub(super) struct Change {
    pub numbers: Numbers,
    /// In which rows.
    pub differs: Vec<bool>,
}

/// Whether some number differs by value.
pub(super) fn differ(a: &[f32], b: &[f32]) -> bool {
    // Without an exit within a piece the comparison takes vectors.
    #[expect(clippy::float_cmp, reason = "masked means equal, not close")]
    let piece = |(a, b): (&[f32], &[f32])| a.iter().zip(b).filter(|(a, b)| a != b).count() > 0;
    a.chunks(128).zip(b.chunks(128)).any(piece)
}

impl Partial {
    /// Numbers of one row.
    pub(super) fn len(&self) -> usize {
        self.numbers.len() / self.first.len().max(1)
    }

    /// The numbers of row `row`.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.numbers[row * self.len()..][..self.len()]
    }

    /// Calls `f` with each number of row `row` and the fault-free one; `golden` is the whole value of the row's example, of `channels`
    /// channels.
    fn pairs<'a>(&'a self, row: usize, golden: &'a [f32], channels: usize) -> impl Iterator<Item = (f32, f32)> + 'a {
        let (first, width) = (self.first[row], self.width);
        let numbers = self.row(row).chunks_exact(width).zip(golden.chunks_exact(channels));
        numbers.flat_map(move |(now, was)| now.iter().copied().zip(was[first..first + width].iter().copied()))
    }

    /// Keeps the rows of which `keep` says so.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        let len = self.len();
        let mut kept = 0;
        for (row, _) in keep.iter().enumerate().filter(|(_, keep)| **keep) {
            self.first[kept] = self.first[row];
            self.numbers.copy_within(row * len..(row + 1) * len, kept * len);
            kept += 1;
        }
        self.first.truncate(kept);
        self.numbers.truncate(kept * len);
    }
}

/// A value of a chunk: its number, its shape, and its fault-free numbers.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub shape: &'a [usize],
    pub golden: &'a [f32],
}

impl<'a> Place<'a> {
    /// Value `value` of `chunk`.
    pub(super) fn new(campaign: &'a Campaign<'_>, chunk: &'a Chunk, value: usize) -> Self {
        Self { shape: &campaign.weights.network().shapes()[value], golden: chunk.value(value) }
    }

    /// Numbers of one example.
    pub(super) fn len(self) -> usize {
        self.shape.iter().product()
    }

    /// The fault-free numbers of the example at place `image`.
    pub(super) fn of(self, image: usize) -> &'a [f32] {
        &self.golden[image * self.len()..][..self.len()]
    }

    /// The fault-free numbers of the rows' examples, one after another.
    pub(super) fn gather(self, device: &Cpu, rows: &[Row]) -> Buffer {
        let len = self.len();
        let mut all = device.buffer(rows.len() * len);
        for (row, to) in rows.iter().zip(all.chunks_exact_mut(len.max(1))) {
            to.copy_from_slice(self.of(row.image));
        }
        all
    }

    /// All numbers of the rows, from the channels that differ.
    pub(super) fn complete(self, device: &Cpu, rows: &[Row], partial: &Partial) -> Buffer {
        let ([_, channels], width) = (places(self.shape), partial.width);
        let mut all = self.gather(device, rows);
        for (row, to) in all[..rows.len() * self.len()].chunks_exact_mut(self.len()).enumerate() {
            let first = partial.first[row];
            for (to, numbers) in to.chunks_exact_mut(channels).zip(partial.row(row).chunks_exact(width)) {
                to[first..first + width].copy_from_slice(numbers);
            }
        }
        all
    }

    /// The fault-free numbers of the channels that `like` names.
    pub(super) fn channels(self, rows: &[Row], like: &Partial) -> Vec<f32> {
        let [_, channels] = places(self.shape);
        let each = |(row, at): (usize, &Row)| {
            let first = like.first[row];
            self.of(at.image).chunks_exact(channels).flat_map(move |place| &place[first..first + like.width])
        };
        rows.iter().enumerate().flat_map(each).copied().collect()
    }

    /// By how much channels differ from the fault-free ones; `round` is what products make of each number.
    pub(super) fn difference(self, rows: &[Row], partial: &Partial, round: impl Fn(f32) -> f32) -> Vec<f32> {
        let [_, channels] = places(self.shape);
        let each = |(row, at): (usize, &Row)| {
            let pairs = partial.pairs(row, self.of(at.image), channels);
            pairs.map(|(now, was)| round(now) - round(was)).collect::<Vec<f32>>()
        };
        rows.iter().enumerate().flat_map(each).collect()
    }

    /// By how much the rows' numbers `now` differ from the fault-free ones.
    pub(super) fn change(self, device: &Cpu, rows: &[Row], now: &Buffer) -> Buffer {
        let len = self.len();
        let mut change = device.buffer(rows.len() * len);
        for ((row, to), now) in rows.iter().zip(change.chunks_exact_mut(len.max(1))).zip(now.chunks_exact(len.max(1))) {
            for (to, (now, was)) in to.iter_mut().zip(now.iter().zip(self.of(row.image))) {
                *to = now - was;
            }
        }
        change
    }

    /// In which rows `numbers` differ from the fault-free ones.
    pub(super) fn compare(self, rows: &[Row], numbers: Numbers) -> Change {
        let [_, channels] = places(self.shape);
        let row_differs = |(row, at): (usize, &Row)| match &numbers {
            Numbers::Dense(all) => differ(&all[row * self.len()..][..self.len()], self.of(at.image)),
            // By value, as the classes are defined.
            #[expect(clippy::float_cmp, reason = "masked means equal, not close")]
            Numbers::Partial(partial) => partial.pairs(row, self.of(at.image), channels).any(|(now, was)| now != was),
        };
        let differs = rows.iter().enumerate().map(row_differs).collect();
        Change { numbers, differs }
    }
}

impl Change {
    /// Keeps the rows of which `keep` says so; a row of all numbers is `len` long.
    pub(super) fn retain(&mut self, keep: &[bool], len: usize) {
        let mut flags = keep.iter();
        self.differs.retain(|_| flags.next().is_some_and(|keep| *keep));
        match &mut self.numbers {
            Numbers::Partial(partial) => partial.retain(keep),
            Numbers::Dense(all) => {
                let rows = keep.iter().enumerate().filter(|(_, keep)| **keep).map(|(row, _)| row);
                for (kept, row) in rows.enumerate().filter(|(kept, row)| kept != row) {
                    all.copy_within(row * len..(row + 1) * len, kept * len);
                }
            }
        }
    }
}
