//! Which rows each update sees.

use super::config::{Length, TrainConfig};
use crate::nn::examples::Examples;
use crate::nn::random::Stream;

/// The rows of each update; each epoch visits every row once in an order of its own.
#[derive(Debug)]
pub(super) struct Batches {
    seed: u64,
    rows: usize,
    batch: usize,
    total: u64,
    /// The order of the epoch that was last asked about.
    order: Option<(u64, Vec<usize>)>,
}

impl Batches {
    /// The batches of a training on `data`, which has rows.
    pub(super) fn new(config: &TrainConfig, data: &Examples) -> Self {
        let (seed, rows, batch) = (config.seed, data.rows(), config.batch);
        let mut batches = Self { seed, rows, batch, total: 0, order: None };
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

    /// The rows of update `step`, from 0.
    pub(super) fn rows(&mut self, step: u64) -> Vec<usize> {
        let (epoch, within) = (step / self.per_epoch(), (step % self.per_epoch()) as usize);
        let order = match self.order.take() {
            Some((of, order)) if of == epoch => order,
            _ => Stream::new(self.seed, "train/shuffle", &[epoch]).permutation(self.rows),
        };
        let first = within * self.batch;
        let rows = order[first..(first + self.batch).min(self.rows)].to_vec();
        self.order = Some((epoch, order));
        rows
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
        assert_eq!(batches(50_000, 60, Length::Epochs(1)).rows(833).len(), 20);
    }

    #[test]
    fn an_epoch_visits_every_row_once_and_the_next_in_another_order() {
        let mut batches = batches(10, 4, Length::Steps(7));
        let all: Vec<Vec<usize>> = (0..batches.total()).map(|step| batches.rows(step)).collect();
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2, 4, 4, 2, 4]);
        let (mut first, mut second) = (all[..3].concat(), all[3..6].concat());
        assert_ne!(first, second);
        first.sort_unstable();
        second.sort_unstable();
        assert_eq!(first, (0..10).collect::<Vec<_>>());
        assert_eq!(second, first);
        assert_eq!(batches.rows(2), all[2], "in whatever order they are asked for");
    }
}
