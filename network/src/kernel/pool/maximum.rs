//! The largest number of each window, and its gradient: vectors of channels.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::super::instruction_set::Work;
use super::super::simd::Simd;
use super::{Pooling, Window};

/// Neighbouring channels, at most a vector of them.
struct Block<S: Simd> {
    first: usize,
    count: usize,
    mask: S::Mask,
}

#[expect(unsafe_code, reason = "vectors are loaded and stored through pointers")]
impl<S: Simd> Block<S> {
    #[inline(always)]
    fn new(first: usize, channels: usize) -> Self {
        let count = S::LANES.min(channels - first);
        // SAFETY: only code that was compiled for the instruction set, and so runs where there is one, has blocks.
        Self { first, count, mask: unsafe { S::mask(count) } }
    }

    #[inline(always)]
    fn splat(value: f32) -> S::Vector {
        // SAFETY: as in `new`.
        unsafe { S::splat(value) }
    }

    /// The numbers of the place that starts at `at`.
    #[inline(always)]
    fn load(&self, from: &[f32], at: usize) -> S::Vector {
        let from = &from[at + self.first..][..self.count];
        // SAFETY: the slice has as many numbers as the mask has lanes.
        unsafe { S::load(from.as_ptr(), self.mask) }
    }

    #[inline(always)]
    fn store(&self, to: &mut [f32], at: usize, value: S::Vector) {
        let to = &mut to[at + self.first..][..self.count];
        // SAFETY: the slice has as many numbers as the mask has lanes.
        unsafe { S::store(to.as_mut_ptr(), self.mask, value) }
    }

    /// The larger one, NaN being larger than all; of equals the earlier.
    #[inline(always)]
    fn larger(earlier: S::Vector, later: S::Vector) -> S::Vector {
        // SAFETY: as in `new`.
        unsafe { S::larger(later, earlier) }
    }

    /// What `x` gets of the gradient that is left, and what is left then: all and nothing where it is the maximum.
    #[inline(always)]
    fn share(x: S::Vector, best: S::Vector, left: S::Vector) -> (S::Vector, S::Vector) {
        // SAFETY: as in `new`.
        unsafe {
            let zero = S::splat(0.0);
            (S::same(x, best, left, zero), S::same(x, best, zero, left))
        }
    }

    #[inline(always)]
    fn add(a: S::Vector, b: S::Vector) -> S::Vector {
        // SAFETY: as in `new`.
        unsafe { S::add(a, b) }
    }

    /// The largest numbers of a window, in an image of that width and so many channels.
    #[inline(always)]
    fn largest(&self, x: &[f32], [width, c]: [usize; 2], window: &Window) -> S::Vector {
        let mut best = Self::splat(f32::NEG_INFINITY);
        for row in window.rows.clone() {
            for column in window.columns.clone() {
                best = Self::larger(best, self.load(x, (row * width + column) * c));
            }
        }
        best
    }
}

pub(super) struct Forward<'a, 'b> {
    pub pool: &'a Pooling,
    pub x: &'a [f32],
    pub y: &'b mut [f32],
}

impl Work for Forward<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { pool, x, y } = self;
        let [_, width, c] = pool.input;
        let windows = pool.windows();
        for (x, y) in x.chunks_exact(pool.input_len()).zip(y.chunks_exact_mut(pool.output_len())) {
            for first in (0..c).step_by(S::LANES) {
                let block = Block::<S>::new(first, c);
                for (at, window) in (0..).step_by(c).zip(&windows) {
                    block.store(y, at, block.largest(x, [width, c], window));
                }
            }
        }
    }
}

pub(super) struct Backward<'a, 'b> {
    pub pool: &'a Pooling,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    /// Whether windows tile the image, and gradients replace what `dx` holds.
    pub replace: bool,
    pub dx: &'b mut [f32],
}

impl Work for Backward<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { pool, x, dy, replace, dx } = self;
        let [_, width, c] = pool.input;
        let windows = pool.windows();
        let images = x.chunks_exact(pool.input_len()).zip(dy.chunks_exact(pool.output_len().max(1)));
        for ((x, dy), dx) in images.zip(dx.chunks_exact_mut(pool.input_len())) {
            for first in (0..c).step_by(S::LANES) {
                let block = Block::<S>::new(first, c);
                for (at, window) in (0..).step_by(c).zip(&windows) {
                    let best = block.largest(x, [width, c], window);
                    let mut rest = block.load(dy, at);
                    for row in window.rows.clone() {
                        for column in window.columns.clone() {
                            let place = (row * width + column) * c;
                            let (given, left_over) = Block::<S>::share(block.load(x, place), best, rest);
                            rest = left_over;
                            let before = if replace { Block::<S>::splat(0.0) } else { block.load(dx, place) };
                            block.store(dx, place, Block::<S>::add(before, given));
                        }
                    }
                }
            }
        }
    }
}
