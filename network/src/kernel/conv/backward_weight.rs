//! The gradient of a convolution's weights.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::super::instruction_set::{InstructionSet, Work};
use super::super::simd::Simd;
use super::super::spread::{TOUCH, Threads, with_scratch};
use super::super::tile::{Chain, Finish, Grid, Out, Start, sweep};
use super::geometry::Convolution;

/// Chunks that a batch is cut into at most; their sums are added in order.
const CHUNKS: usize = 16;
/// Sums that all chunks hold together, at most, where there is more than one.
const SUMS: usize = 1 << 22;
/// Bytes of bordered images and gradients that are worked through together.
const TOGETHER: usize = 256 << 10;

/// The gradient `dw` of the weights, `[output][input of its group][row][column]`, summed over all images of `x` and `dy`, the
/// gradient of the output.
///
/// # Panics
/// If `x` and `dy` do not hold equally many images of the convolution's sizes, or `dw` does not fit.
pub fn backward_weight(
    (set, threads): (InstructionSet, Threads),
    conv: &Convolution,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
) {
    let (input, output, weights) = (conv.input_len(), conv.output_len(), conv.weight_len());
    assert_eq!(dw.len(), weights, "dw fits the weights");
    if input * output == 0 || weights == 0 || x.is_empty() {
        return dw.fill(0.0);
    }
    let images = x.len() / input;
    assert_eq!((x.len(), dy.len()), (images * input, images * output), "x and dy hold equally many images");
    let threads = threads.for_cost(images * conv.multiplications());
    let panels = Panels::of(conv, set.panel());
    // The cut depends on the shapes alone, not on the panels' width: it decides in which order sums are added.
    let chunk = images.div_ceil((SUMS / weights).clamp(1, CHUNKS));
    let all = panels.count() * panels.len;
    with_scratch(images.div_ceil(chunk) * all, |partial| {
        threads.chunks(partial, panels.len, |i, sums| {
            let first = i / panels.count() * chunk;
            let some = chunk.min(images - first);
            let x = &x[first * input..][..some * input];
            let dy = &dy[first * output..][..some * output];
            sums.fill(0.0);
            chunk_of((set, conv, &panels, i % panels.count()), x, dy, sums);
        });
        combine(threads, partial, all);
        panels.unpack(threads, conv, &partial[..all], dw);
    });
}

/// Sums in panels of outputs, each `[tap][input of its group][output]` (depthwise: `[tap][channel]`).
struct Panels {
    /// Outputs of a full panel: the distance between rows of sums.
    width: usize,
    /// Outputs that panels do not cross: those of a group, or all channels of a depthwise convolution.
    columns: usize,
    groups: usize,
    /// Inputs that a row of sums is kept for.
    inputs: usize,
    /// Numbers in a panel.
    len: usize,
}

impl Panels {
    fn of(conv: &Convolution, width: usize) -> Self {
        let (columns, groups, inputs) = if conv.is_depthwise() {
            (conv.outputs, 1, 1)
        } else {
            (conv.group_outputs(), conv.groups, conv.group_inputs())
        };
        Self { width, columns, groups, inputs, len: conv.taps() * inputs * width }
    }

    fn count(&self) -> usize {
        self.groups * self.columns.div_ceil(self.width)
    }

    /// Group of a panel, its first output within the group, and how many it has.
    fn span(&self, panel: usize) -> (usize, usize, usize) {
        let per_group = self.columns.div_ceil(self.width);
        let first = panel % per_group * self.width;
        (panel / per_group, first, self.width.min(self.columns - first))
    }

    /// To the order of the weights.
    fn unpack(&self, threads: Threads, conv: &Convolution, sums: &[f32], dw: &mut [f32]) {
        let (taps, per_output) = (conv.taps(), self.inputs * conv.taps());
        let per_group = self.columns.div_ceil(self.width);
        threads.chunks(dw, self.width * per_output, |chunk, dw| {
            for row in 0..per_output {
                let (i, t) = (row / taps, row % taps);
                for (o, dw) in dw.chunks_exact_mut(per_output).enumerate() {
                    let o = chunk * self.width + o;
                    let (group, column) = (o / self.columns, o % self.columns);
                    let panel = group * per_group + column / self.width;
                    dw[row] = sums[panel * self.len + (t * self.inputs + i) * self.width + column % self.width];
                }
            }
        });
    }
}

/// Adds the chunks' sums, in order, to the first one's.
fn combine(threads: Threads, partial: &mut [f32], all: usize) {
    let (first, rest) = partial.split_at_mut(all);
    let share = threads.share(all, 1 << 14, 16, TOUCH * rest.len() / all);
    threads.chunks(first, share, |i, sums| {
        for other in rest.chunks_exact(all) {
            for (sum, value) in sums.iter_mut().zip(&other[i * share..]) {
                *sum += value;
            }
        }
    });
}

/// The sums of a panel over a chunk's images, in their order, on this thread.
fn chunk_of(
    (set, conv, panels, panel): (InstructionSet, &Convolution, &Panels, usize),
    x: &[f32],
    dy: &[f32],
    sums: &mut [f32],
) {
    let (input, output, border) = (conv.input_len(), conv.output_len(), conv.bordered());
    let together = (TOGETHER / (4 * (border.len() + output))).max(1);
    let (group, first, _) = panels.span(panel);
    // Whole vectors are read, and the last pixel's last ones may end beyond it.
    let beyond = if conv.is_depthwise() {
        0
    } else {
        panels.width.saturating_sub(conv.outputs - group * panels.columns - first)
    };
    for (x, dy) in x.chunks(together * input).zip(dy.chunks(together * output)) {
        with_tail(dy, beyond, |dy| {
            if border.is_plain() {
                return set.run(Images { conv, panels, panel, x, dy, sums });
            }
            with_scratch(x.len() / input * border.len(), |bordered| {
                for (image, to) in x.chunks_exact(input).zip(bordered.chunks_exact_mut(border.len())) {
                    border.fill(image, to);
                }
                set.run(Images { conv, panels, panel, x: bordered, dy, sums });
            });
        });
    }
}

/// Lends `values` with `beyond` zeros behind them.
fn with_tail(values: &[f32], beyond: usize, f: impl FnOnce(&[f32])) {
    if beyond == 0 {
        return f(values);
    }
    with_scratch(values.len() + beyond, |longer| {
        longer[..values.len()].copy_from_slice(values);
        longer[values.len()..].fill(0.0);
        f(longer);
    });
}

/// Bordered images and the gradients of their outputs.
struct Images<'a, 'b> {
    conv: &'a Convolution,
    panels: &'a Panels,
    panel: usize,
    x: &'a [f32],
    dy: &'a [f32],
    sums: &'b mut [f32],
}

impl Work for Images<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { conv, panels, panel, x, dy, sums } = self;
        let (border, [ho, wo, co]) = (conv.bordered(), conv.output());
        let (c, row) = (border.channels, border.width * border.channels);
        let rows: Vec<usize> =
            (0..x.len() / border.len() * ho).map(|i| i / ho * border.len() + i % ho * conv.stride[0] * row).collect();
        // One row of sums for each tap and, unless the product is lane by lane, each input.
        let (inputs, width) = (panels.inputs, panels.width);
        let grid = Grid {
            loops: [
                (conv.kernel[0], conv.dilation[0] * row, conv.kernel[1] * inputs * width),
                (conv.kernel[1], conv.dilation[1] * c, inputs * width),
                (inputs, 1, width),
            ],
        };
        let (group, first, columns) = panels.span(panel);
        let products = (&rows[..], wo, conv.stride[1] * c);
        let b = (&dy[group * panels.columns + first..], co);
        let mut out = Out { y: sums, columns, start: Start::Stored, finish: Finish::NOTHING };
        if conv.is_depthwise() {
            sweep::<S, true>(&Chain::new(&x[first..], products, b), &grid, &mut out);
        } else {
            sweep::<S, false>(&Chain::new(&x[group * inputs..], products, b), &grid, &mut out);
        }
    }
}
