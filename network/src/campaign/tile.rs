//! Fault-free values of some examples at a time: what every fault's values are compared with and started from.

use super::Campaign;
use crate::device::{Buffer, Cpu, Device};

/// Some examples, and every value of the network for them, in the order inside.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Their numbers.
    pub images: Vec<u32>,
    /// The values that exist: the input, and what each stage gives.
    pub values: Vec<Option<Buffer>>,
}

impl Chunk {
    /// Value `value`, which exists.
    pub(super) fn value(&self, value: usize) -> &Buffer {
        self.values[value].as_ref().expect("a stage reads only what exists")
    }
}

/// Examples that a chunk holds: faults of one stage go through it together, and a thread has one chunk at a time.
pub(super) const CHUNK: usize = 32;

impl Campaign<'_> {
    /// Bytes of the fault-free values of one example.
    pub(super) fn bytes_per_example(&self) -> usize {
        let stages = self.executor.plan().stages.iter().map(|stage| stage.last);
        4 * stages.chain([0]).map(|value| self.executor.len(value)).sum::<usize>()
    }

    /// How many chunks are kept at a time.
    pub(super) fn chunks_at_a_time(&self) -> usize {
        (self.options.memory / (CHUNK * self.bytes_per_example())).max(2 * rayon::current_num_threads())
    }

    /// Runs `images` through the network.
    pub(super) fn chunk(&self, device: &Cpu, images: &[u32]) -> Chunk {
        let (network, plan) = (self.weights.network(), self.executor.plan());
        let mut values: Vec<Option<Buffer>> = network.shapes().iter().map(|_| None).collect();
        values[0] = Some(self.input(device, images));
        for (stage, step) in plan.stages.iter().zip(self.executor.steps()) {
            values[stage.last] = Some(step.run(device, network, stage, images.len(), &values));
        }
        Chunk { images: images.to_vec(), values }
    }

    /// Runs `images` through the network, in chunks.
    pub(super) fn tile(&self, images: &[u32]) -> Vec<Chunk> {
        let chunks: Vec<&[u32]> = images.chunks(CHUNK).collect();
        self.executor.device().spread(chunks.len(), 1, |device, range| self.chunk(device, chunks[range.start]))
    }
}
