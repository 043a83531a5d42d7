//! Sums over the places of an image, a chain of additions for each lane of a few vectors.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

/// Channels whose sums are kept in registers together.
const BLOCK: usize = 16;
/// Interleaved chains of a sum.
const CHAINS: usize = 8;

/// For each channel of `c`, the sum of `terms`, over the places of an image; a
/// block is up to [`BLOCK`] neighbours.
#[inline(always)]
pub(super) fn sums<const N: usize>(len: usize, c: usize, mut out: [&mut [f32]; N], terms: &impl Terms<N>) {
    let places = len / c;
    for first in (0..c).step_by(BLOCK) {
        let count = BLOCK.min(c - first);
        let mut acc = [[[0.0f32; BLOCK]; CHAINS]; N];
        for group in (0..places).step_by(CHAINS) {
            for chain in 0..CHAINS {
                if group + chain < places {
                    let values = terms.at(Lanes { first, count }, Lanes { first: (group + chain) * c + first, count });
                    for (acc, values) in acc.iter_mut().zip(values) {
                        for (sum, value) in acc[chain].iter_mut().zip(values) {
                            *sum += value;
                        }
                    }
                }
            }
        }
        for (out, acc) in out.iter_mut().zip(&acc) {
            for (lane, to) in out[first..first + count].iter_mut().enumerate() {
                let pair = |i: usize| acc[i][lane] + acc[i + 1][lane];
                *to = (pair(0) + pair(2)) + (pair(4) + pair(6));
            }
        }
    }
}

/// What is added up.
///
/// A trait and not a closure: closures are not always compiled for the instruction set of the loop around them.
pub(super) trait Terms<const N: usize> {
    /// The terms of a block of channels at one place, whose numbers are `numbers`; always inlined.
    fn at(&self, channels: Lanes, numbers: Lanes) -> [[f32; BLOCK]; N];
}

/// The numbers themselves.
pub(super) struct Values<'a>(pub(super) &'a [f32]);

impl Terms<1> for Values<'_> {
    #[inline(always)]
    fn at(&self, _: Lanes, numbers: Lanes) -> [[f32; BLOCK]; 1] {
        [numbers.of(self.0)]
    }
}

/// Squared differences to the means.
pub(super) struct Squares<'a> {
    pub(super) x: &'a [f32],
    pub(super) mean: &'a [f32],
}

impl Terms<1> for Squares<'_> {
    #[inline(always)]
    fn at(&self, channels: Lanes, numbers: Lanes) -> [[f32; BLOCK]; 1] {
        let (mut x, mean) = (numbers.of(self.x), channels.of(self.mean));
        for (x, mean) in x.iter_mut().zip(mean) {
            *x = (*x - mean) * (*x - mean);
        }
        [x]
    }
}

/// A gradient, and its products with differences to the means.
pub(super) struct Products<'a> {
    pub(super) x: &'a [f32],
    pub(super) g: &'a [f32],
    pub(super) mean: &'a [f32],
}

impl Terms<2> for Products<'_> {
    #[inline(always)]
    fn at(&self, channels: Lanes, numbers: Lanes) -> [[f32; BLOCK]; 2] {
        let (g, mut x, mean) = (numbers.of(self.g), numbers.of(self.x), channels.of(self.mean));
        for (x, (g, mean)) in x.iter_mut().zip(g.iter().zip(mean)) {
            *x = g * (*x - mean);
        }
        [g, x]
    }
}

/// Neighbouring numbers of a slice.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    first: usize,
    count: usize,
}

impl Lanes {
    /// The numbers, and zeros beyond them.
    #[inline(always)]
    fn of(self, from: &[f32]) -> [f32; BLOCK] {
        let from = &from[self.first..self.first + self.count];
        match from.first_chunk::<BLOCK>() {
            Some(all) => *all,
            None => padded(from),
        }
    }
}

/// A few numbers, and zeros beyond them.
#[inline(always)]
fn padded(from: &[f32]) -> [f32; BLOCK] {
    let mut values = [0.0; BLOCK];
    for (i, value) in values.iter_mut().enumerate() {
        *value = if i < from.len() { from[i] } else { 0.0 };
    }
    values
}
