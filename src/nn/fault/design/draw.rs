//! Random choices without replacement.

use std::collections::BTreeMap;

use crate::nn::random::Stream;

/// `count` different numbers below `population` in random order, by a Fisher-Yates shuffle that is cut short; `stratum` tells
/// apart the draws of different strata.
pub(super) fn draw(population: u64, count: u64, seed: u64, stratum: u64) -> Vec<u64> {
    let mut random = Stream::new(seed, "fault-sample", &[stratum]);
    // The array being shuffled, holding only what differs from `a[i] = i`.
    let mut moved: BTreeMap<u64, u64> = BTreeMap::new();
    (0..count.min(population))
        .map(|i| {
            let j = i + random.below(population - i);
            let at_i = moved.remove(&i).unwrap_or(i);
            if i == j { at_i } else { moved.insert(j, at_i).unwrap_or(j) }
        })
        .collect()
}

/// `count` of `of` examples, in their order, drawn anew for fault `number`; `None` where that would be all of them.
///
/// They must differ from fault to fault: with the same few examples for all faults, what those examples have in common would
/// not average out.
#[must_use]
pub fn images_of(number: u64, count: usize, of: usize, seed: u64) -> Option<Vec<u32>> {
    (count < of).then(|| draw_images(of as u64, count as u64, seed, number))
}

pub(super) fn draw_images(population: u64, count: u64, seed: u64, number: u64) -> Vec<u32> {
    let mut random = Stream::new(seed, "fault-images", &[number]);
    // Floyd's method: as many draws as images, without a table of the others.
    let mut images = std::collections::BTreeSet::new();
    for last in population - count..population {
        let drawn = random.below(last + 1);
        if !images.insert(drawn) {
            images.insert(last);
        }
    }
    images.into_iter().map(|image| image as u32).collect()
}
