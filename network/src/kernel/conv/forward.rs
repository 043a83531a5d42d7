//! The values of a convolution.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::super::instruction_set::{InstructionSet, Work};
use super::super::matmul::Around;
use super::super::norm::{self, Statistics};
use super::super::pack::Panels;
use super::super::simd::Simd;
use super::super::spread::{Threads, with_scratch};
use super::super::tile::{Chain, Grid, Out, sweep};
use super::geometry::Convolution;

/// Bytes of bordered images that go through one panel of weights after another together.
const TOGETHER: usize = 512 << 10;

/// Weights arranged for [`forward`].
#[derive(Clone, Debug)]
pub struct PackedForward {
    /// One for each group: columns are outputs, rows `[tap][input]`. Depthwise: one in all, rows are taps.
    groups: Vec<Panels>,
    /// Offsets in a bordered image from which `depth` numbers are read: taps, or rows of taps that follow each other.
    taps: Vec<usize>,
    depth: usize,
}

impl PackedForward {
    /// Arranges `weight`.
    ///
    /// # Panics
    /// If it is not as long as the convolution asks for.
    #[must_use]
    pub fn new(set: InstructionSet, conv: &Convolution, weight: &[f32]) -> Self {
        assert_eq!(weight.len(), conv.weight_len(), "weights fit the convolution");
        let (ci, co, count) = (conv.group_inputs(), conv.group_outputs(), conv.taps());
        let taps = (0..count).map(|t| conv.tap_offset(t));
        if conv.is_depthwise() {
            let panels = Panels::fill(count, conv.outputs, set.panel(), |t, o| weight[o * count + t]);
            return Self { groups: vec![panels], taps: taps.collect(), depth: 1 };
        }
        let together = if conv.groups == 1 && conv.dilation[1] == 1 { conv.kernel[1] } else { 1 };
        let (taps, depth) = (taps.step_by(together).collect(), together * ci);
        let group = |g: usize| {
            Panels::fill(count * ci, co, set.panel(), |r, o| weight[((g * co + o) * ci + r % ci) * count + r / ci])
        };
        Self { groups: (0..conv.groups).map(group).collect(), taps, depth }
    }

    /// The panels of group `g`: the numbers of each, its first output within the group, how many it has, and the distance of its
    /// rows.
    pub(super) fn panels_of(&self, g: usize) -> impl Iterator<Item = (&[f32], usize, usize, usize)> {
        let panels = &self.groups[g];
        (0..panels.count()).map(|p| (panels.panel(p), panels.span(p).0, panels.span(p).1, panels.width()))
    }

    /// The panel with output `output` of a depthwise convolution, the output's place in a row, and the distance of rows.
    pub(super) fn lane(&self, output: usize) -> (&[f32], usize, usize) {
        let width = self.groups[0].width();
        (self.groups[0].panel(output / width), output % width, width)
    }
}

/// `y = conv(x)` for all images in `x`, with bias, residual and limits as `around` says.
///
/// # Panics
/// If `x` and `y` do not hold equally many images of the convolution's sizes.
pub fn forward(
    (set, threads): (InstructionSet, Threads),
    conv: &Convolution,
    weight: &PackedForward,
    x: &[f32],
    around: &Around<'_>,
    y: &mut [f32],
) {
    let (input, output) = (conv.input_len(), conv.output_len());
    if output == 0 || input == 0 {
        return;
    }
    let images = y.len() / output;
    assert_eq!((x.len(), y.len()), (images * input, images * output), "x and y hold equally many images");
    let share = threads.share(images, 16, 1, conv.multiplications());
    threads.chunks(y, share * output, |chunk, y| {
        let first = chunk * share;
        let x = &x[first * input..][..y.len() / output * input];
        let around = Around { residual: around.residual.map(|r| &r[first * output..][..y.len()]), ..*around };
        some_images(set, conv, weight, x, &around, y);
    });
}

/// [`forward`], and the mean and variance of each output over all images, taken while an image is still in the cache.
///
/// # Panics
/// As [`forward`].
pub fn forward_with_statistics(
    (set, threads): (InstructionSet, Threads),
    conv: &Convolution,
    weight: &PackedForward,
    x: &[f32],
    around: &Around<'_>,
    y: &mut [f32],
) -> Statistics {
    use rayon::prelude::*;
    let (input, output, c) = (conv.input_len(), conv.output_len(), conv.outputs);
    if output == 0 || x.is_empty() {
        return Statistics::default();
    }
    assert!(around.residual.is_none(), "statistics are of the sums alone");
    let images = y.len() / output;
    assert_eq!((x.len(), y.len()), (images * input, images * output), "x and y hold equally many images");
    let share = threads.share(images, 16, 1, conv.multiplications());
    with_scratch(images * 2 * c, |partial| {
        let work = |(x, (y, partial)): (&[f32], (&mut [f32], &mut [f32]))| {
            let images = x.chunks(input).zip(y.chunks_mut(output).zip(partial.chunks_mut(2 * c)));
            for (x, (y, partial)) in images {
                some_images(set, conv, weight, x, around, y);
                norm::moments(set, y, c, partial);
            }
        };
        if threads.count() == 1 || share >= images {
            work((x, (y, &mut *partial)));
        } else {
            let y_and_partial = y.par_chunks_mut(share * output).zip(partial.par_chunks_mut(share * 2 * c));
            x.par_chunks(share * input).zip(y_and_partial).for_each(work);
        }
        norm::combined(partial, output / c, c)
    })
}

/// A few images on this thread, as many together as fit the cache.
fn some_images(
    set: InstructionSet,
    conv: &Convolution,
    weight: &PackedForward,
    x: &[f32],
    around: &Around<'_>,
    y: &mut [f32],
) {
    let (input, output, border) = (conv.input_len(), conv.output_len(), conv.bordered());
    let together = (TOGETHER / (4 * border.len())).max(1);
    for (i, (x, y)) in x.chunks(together * input).zip(y.chunks_mut(together * output)).enumerate() {
        let first = i * together * output;
        let around = Around { residual: around.residual.map(|r| &r[first..][..y.len()]), ..*around };
        if border.is_plain() {
            set.run(Images { conv, weight, x, around, y });
            continue;
        }
        with_scratch(x.len() / input * border.len(), |bordered| {
            for (image, to) in x.chunks_exact(input).zip(bordered.chunks_exact_mut(border.len())) {
                border.fill(image, to);
            }
            set.run(Images { conv, weight, x: bordered, around, y });
        });
    }
}

/// Bordered images through all panels of weights.
struct Images<'a, 'b> {
    conv: &'a Convolution,
    weight: &'a PackedForward,
    x: &'a [f32],
    around: Around<'a>,
    y: &'b mut [f32],
}

impl Work for Images<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { conv, weight, x, around, y } = self;
        let (border, [ho, wo, co]) = (conv.bordered(), conv.output());
        let (c, row) = (border.channels, border.width * border.channels);
        let (images, [down, across]) = (x.len() / border.len(), conv.stride);
        // An image whose rows follow each other without a gap is one long row, which leaves fewer rows over.
        let grid = if [ho, wo] == [border.height, border.width] {
            Grid { loops: [(1, 0, 0), (1, 0, 0), (images * ho * wo, c, co)] }
        } else {
            Grid { loops: [(images, border.len(), ho * wo * co), (ho, down * row, wo * co), (wo, across * c, co)] }
        };
        let (ci, co_group) = (conv.group_inputs(), conv.group_outputs());
        for (g, panels) in weight.groups.iter().enumerate() {
            for p in 0..panels.count() {
                let (first, lanes) = panels.span(p);
                let packed = (panels.panel(p), panels.width());
                if conv.is_depthwise() {
                    let chain = Chain::new(&x[first..], (&weight.taps, weight.depth, 1), packed);
                    let (start, finish) = (around.start(first), around.finish(first));
                    sweep::<S, true>(&chain, &grid, &mut Out { y: &mut y[first..], columns: lanes, start, finish });
                } else {
                    let chain = Chain::new(&x[g * ci..], (&weight.taps, weight.depth, 1), packed);
                    let first = g * co_group + first;
                    let (start, finish) = (around.start(first), around.finish(first));
                    sweep::<S, false>(&chain, &grid, &mut Out { y: &mut y[first..], columns: lanes, start, finish });
                }
            }
        }
    }
}
