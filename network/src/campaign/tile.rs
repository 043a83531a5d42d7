//! Fault-free values of some examples at a time: what every fault's values are compared with and started from.

use std::sync::OnceLock;

use super::Campaign;
use super::exact::BATCH;
use super::prepared::TOGETHER;
use crate::device::{Buffer, Cpu, Device, UNLIMITED};
use crate::executor::plan::Stage;
use crate::op::arithmetic::places;

/// Some examples, and every value of the network for them, in the order inside.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Their numbers.
    pub images: Vec<u32>,
    /// The values that exist: the input, and what each stage gives.
    pub values: Vec<Option<Buffer>>,
    /// What each stage sums up, before residual and limits; computed once somebody needs it.
    sums: Vec<OnceLock<Buffer>>,
}

impl Chunk {
    /// Value `value`, which exists.
    pub(super) fn value(&self, value: usize) -> &Buffer {
        self.values[value].as_ref().expect("a stage reads only what exists")
    }

    /// What stage `index` sums up, before residual and limits.
    pub(super) fn sums(&self, campaign: &Campaign<'_>, device: &Cpu, index: usize) -> &Buffer {
        self.sums[index].get_or_init(|| {
            let executor = &campaign.executor;
            let whole = executor.plan().stages[index].clone();
            let stage = Stage { residual: None, clip: UNLIMITED, then: None, ..whole };
            let (network, images) = (campaign.weights.network(), self.images.len());
            executor.steps()[index].run(device, network, &stage, images, &self.values)
        })
    }
}

/// Examples that a chunk holds: faults of one stage go through it together, and a thread has one chunk at a time.
pub(super) const CHUNK: usize = 32;

impl Campaign<'_> {
    /// Bytes of the fault-free values of one example, and of the sums before them.
    fn bytes_per_example(&self) -> usize {
        let stages = self.executor.plan().stages.iter().map(|stage| stage.last);
        8 * stages.chain([0]).map(|value| self.executor.len(value)).sum::<usize>()
    }

    /// The bytes that an exact campaign takes at most besides weights and examples, by its parts: the values of a tile, and for
    /// each thread the sums of a unit and the values of a batch on its way.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let shapes = self.weights.network().shapes();
        let largest = shapes.iter().map(|shape| shape.iter().product::<usize>()).max().unwrap_or(0);
        let places = shapes.iter().map(|shape| places(shape)[0]).max().unwrap_or(0);
        let unit = 4 * CHUNK * (2 * places * TOGETHER + 2 * largest);
        // A value may be wide and stay alive over many stages.
        let batch = 8 * BATCH.max(4 * 4 * 3 * largest);
        let tile = self.chunks_at_a_time().min(self.count.div_ceil(CHUNK)) * CHUNK * self.bytes_per_example();
        tile + rayon::current_num_threads() * (unit + batch)
    }

    /// How many chunks are kept at a time.
    pub(super) fn chunks_at_a_time(&self) -> usize {
        (self.options.memory / (CHUNK * self.bytes_per_example())).max(2 * rayon::current_num_threads())
    }

    /// Runs `images` through the network.
    pub(super) fn chunk(&self, device: &Cpu, images: &[u32]) -> Chunk {
        let sums = self.executor.plan().stages.iter().map(|_| OnceLock::new()).collect();
        Chunk { images: images.to_vec(), values: self.values(device, images), sums }
    }

    /// Runs `images` through the network, in chunks.
    pub(super) fn tile(&self, images: &[u32]) -> Vec<Chunk> {
        let chunks: Vec<&[u32]> = images.chunks(CHUNK).collect();
        self.executor.device().spread(chunks.len(), 1, |device, range| self.chunk(device, chunks[range.start]))
    }
}
