//! Which rows each update sees.

use super::config::{Length, TrainConfig};
use crate::nn::examples::Examples;
use crate::nn::random::Stream;

/// The rows of one update after another; each epoch visits every row once in an order of its own.
pub(super) struct Batches {
    seed: u64,
    rows: usize,
    batch: usize,
    step: u64,
    total: u64,
    order: Vec<usize>,
}

impl Batches {
    /// The batches of a training on `data`, which has rows.
    pub(super) fn new(config: &TrainConfig, data: &Examples) -> Self {
        let mut batches =
            Self { seed: config.seed, rows: data.rows(), batch: config.batch, step: 0, total: 0, order: Vec::new() };
        batches.total = match config.length {
            Length::Epochs(epochs) => epochs.saturating_mul(batches.per_epoch()),
            Length::Steps(steps) => steps,
        };
        batches
    }

    /// Updates in a pass over the rows; the last may be short.
    pub(super) fn per_epoch(&self) -> u64 {
        self.rows.div_ceil(self.batch) as u64
    }

    /// Updates in the whole training.
    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

impl Iterator for Batches {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        if self.step == self.total {
            return None;
        }
        let (epoch, within) = (self.step / self.per_epoch(), (self.step % self.per_epoch()) as usize);
        if within == 0 {
            self.order = Stream::new(self.seed, "train/shuffle", &[epoch]).permutation(self.rows);
        }
        self.step += 1;
        let first = within * self.batch;
        Some(self.order[first..(first + self.batch).min(self.rows)].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(rows: usize, batch: usize, length: Length) -> Batches {
        let data = Examples { features: 1, x: vec![0.0; rows], ..Examples::default() };
        Batches::new(&TrainConfig { batch, length, seed: 3, ..TrainConfig::default() }, &data)
    }

    #[test]
    fn the_published_training_has_834_batches_an_epoch_and_the_last_has_20_rows() {
        let all = batches(50_000, 60, Length::Epochs(60));
        assert_eq!((all.per_epoch(), all.total()), (834, 50_040));
        assert_eq!(batches(50_000, 60, Length::Epochs(1)).last().map(|rows| rows.len()), Some(20));
    }

    #[test]
    fn an_epoch_visits_every_row_once_and_the_next_in_another_order() {
        let all: Vec<Vec<usize>> = batches(10, 4, Length::Steps(7)).collect();
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2, 4, 4, 2, 4]);
        let (mut first, mut second) = (all[..3].concat(), all[3..6].concat());
        assert_ne!(first, second);
        first.sort_unstable();
        second.sort_unstable();
        assert_eq!(first, (0..10).collect::<Vec<_>>());
        assert_eq!(second, first);
    }
}
