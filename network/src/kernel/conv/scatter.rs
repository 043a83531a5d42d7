//! The gradient of an input of few channels.
//!
//! The channels alone would fill a part of a vector. But what an output gives to a row of its kernel's taps lies side by side
//! in the input: taps times channels. So outputs, from right to left, add to such rows, each a product of the output's
//! gradient with the weights; those below each other never touch the same row and share a tile. An input is reached by its
//! taps in ascending order, as in [`super::backward_input()`]: the bits are the same.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::super::elementwise::How;
use super::super::instruction_set::{InstructionSet, Work};
use super::super::pack::Panels;
use super::super::simd::Simd;
use super::super::spread::with_scratch;
use super::super::tile::{Chain, Finish, Grid, Out, Start, sweep};
use super::geometry::{Bordered, Convolution};

/// Input channels from which a vector of them is filled well enough.
const MANY: usize = 12;
/// Bytes of gradients that are worked through together.
const TOGETHER: usize = 64 << 10;

/// Weights arranged for [`scatter`]: for each row of the kernel a matrix of `[output]` by `[tap across][input]`.
#[derive(Clone, Debug)]
pub(super) struct Scattered {
    rows: Vec<Panels>,
    border: Bordered,
}

impl Scattered {
    /// Whether a convolution gains by it.
    pub(super) fn suits(conv: &Convolution) -> bool {
        conv.groups == 1 && conv.input[2] < MANY && conv.kernel[1] > 1 && conv.dilation[1] == 1
    }

    pub(super) fn new(set: InstructionSet, conv: &Convolution, weight: &[f32]) -> Self {
        let (ci, [down, across]) = (conv.input[2], conv.kernel);
        let row = |y: usize| {
            Panels::fill(conv.outputs, across * ci, set.panel(), |o, column| {
                weight[((o * ci + column % ci) * down + y) * across + column / ci]
            })
        };
        Self { rows: (0..down).map(row).collect(), border: conv.bordered() }
    }
}

/// The gradient of the input for all images, or added to `dx`; the slices hold equally many images, which are not empty.
pub(super) fn scatter(
    (set, threads): How,
    conv: &Convolution,
    weight: &Scattered,
    dy: &[f32],
    accumulate: bool,
    dx: &mut [f32],
) {
    let (input, output, border) = (conv.input_len(), conv.output_len(), &weight.border);
    let share = threads.share(dx.len() / input, 16, 1, conv.multiplications());
    let together = (TOGETHER / (4 * (border.len() + output))).max(1);
    threads.chunks(dx, share * input, |chunk, dx| {
        let dy = &dy[chunk * share * output..];
        for (dx, dy) in dx.chunks_mut(together * input).zip(dy.chunks(together * output)) {
            let images = dx.len() / input;
            let dy = &dy[..images * output];
            if !accumulate {
                dx.fill(0.0);
            }
            if border.is_plain() {
                set.run(Images { conv, weight, dy, dx });
                continue;
            }
            with_scratch(images * border.len(), |bordered| {
                for (image, to) in dx.chunks_exact(input).zip(bordered.chunks_exact_mut(border.len())) {
                    border.fill(image, to);
                }
                set.run(Images { conv, weight, dy, dx: bordered });
                for (image, from) in dx.chunks_exact_mut(input).zip(bordered.chunks_exact(border.len())) {
                    border.inside(from, image);
                }
            });
        }
    });
}

/// Gradients of outputs, and of the bordered images that they are added to.
struct Images<'a, 'b> {
    conv: &'a Convolution,
    weight: &'a Scattered,
    dy: &'a [f32],
    dx: &'b mut [f32],
}

impl Work for Images<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { conv, weight, dy, dx } = self;
        let ([ho, wo, co], border) = (conv.output(), &weight.border);
        let (c, row) = (border.channels, border.width * border.channels);
        let images = (dx.len() / border.len(), ho * wo * co, border.len());
        let grid = Grid { loops: [(1, 0, 0), images, (ho, wo * co, conv.stride[0] * row)] };
        for (y, panels) in weight.rows.iter().enumerate() {
            for p in 0..panels.count() {
                let (first, columns) = panels.span(p);
                for x in (0..wo).rev() {
                    let chain = Chain::new(&dy[x * co..], (&[0], co, 1), (panels.panel(p), panels.width()));
                    let to = &mut dx[y * conv.dilation[0] * row + x * conv.stride[1] * c + first..];
                    let mut out = Out { y: to, columns, start: Start::Stored, finish: Finish::NOTHING };
                    sweep::<S, false>(&chain, &grid, &mut out);
                }
            }
        }
    }
}
