//! The gradient of a convolution's input.
//!
//! Input place `i` of residue `r = (i + padding) mod stride` is reached by the taps `k` with `k dilation = r (mod stride)` and
//! no others. So each residue is a convolution of its own, of stride 1, over the gradient of the output with a border.
//! Where the input has few channels, [`super::scatter`] does the same sums in the same order.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::super::instruction_set::{InstructionSet, Work};
use super::super::pack::Panels;
use super::super::simd::Simd;
use super::super::spread::{Threads, with_scratch};
use super::super::tile::{Chain, Finish, Grid, Out, Start, sweep};
use super::geometry::{Bordered, Convolution};
use super::scatter::{Scattered, scatter};

/// Weights arranged for [`backward_input`].
#[derive(Clone, Debug)]
pub struct PackedBackward(Way);

#[derive(Clone, Debug)]
enum Way {
    Gather(Gathered),
    Scatter(Scattered),
}

/// Inputs that gather what reached them.
#[derive(Clone, Debug)]
struct Gathered {
    phases: Vec<Phase>,
    border: Bordered,
}

/// The inputs of one pair of residues.
#[derive(Clone, Debug)]
struct Phase {
    /// First input place, down and across.
    first: [usize; 2],
    /// How many there are.
    count: [usize; 2],
    /// Offset of the first one's origin in the bordered gradient.
    origin: usize,
    /// Offsets of the taps from there.
    taps: Vec<usize>,
    /// One for each group: columns are inputs, rows `[tap][output]`. Depthwise: one in all, rows are taps.
    groups: Vec<Panels>,
}

/// One direction of a phase: places, and for each tap where in the bordered gradient it reads.
struct Line {
    first: usize,
    count: usize,
    /// `(tap, place of the gradient that the first input reads)`, without the border.
    taps: Vec<(usize, isize)>,
}

/// The lines of all residues in direction `i`, and the border that they need before and after.
fn lines(conv: &Convolution, i: usize) -> (Vec<Line>, usize, usize) {
    let (stride, dilation, low) = (conv.stride[i], conv.dilation[i], conv.padding[i]);
    let (size, outputs) = (conv.input[i], conv.output()[i]);
    let (mut before, mut after) = (0, 0);
    let mut all = Vec::new();
    for residue in 0..stride {
        let first = (residue + stride - low % stride) % stride;
        if first >= size {
            continue;
        }
        let count = (size - first).div_ceil(stride);
        let origin = ((first + low) / stride) as isize;
        let reached = (0..conv.kernel[i]).filter(|k| k * dilation % stride == residue);
        let taps: Vec<_> = reached.map(|k| (k, origin - (k * dilation / stride) as isize)).collect();
        for &(_, place) in &taps {
            before = before.max(-place);
            after = after.max(place + count as isize - outputs as isize);
        }
        all.push(Line { first, count, taps });
    }
    (all, before.max(0) as usize, after.max(0) as usize)
}

impl PackedBackward {
    /// Arranges `weight`.
    ///
    /// # Panics
    /// If it is not as long as the convolution asks for.
    #[must_use]
    pub fn new(set: InstructionSet, conv: &Convolution, weight: &[f32]) -> Self {
        assert_eq!(weight.len(), conv.weight_len(), "weights fit the convolution");
        if Scattered::suits(conv) {
            return Self(Way::Scatter(Scattered::new(set, conv, weight)));
        }
        let [ho, wo, channels] = conv.output();
        let ((down, top, bottom), (across, left, right)) = (lines(conv, 0), lines(conv, 1));
        let border =
            Bordered { height: top + ho + bottom, width: left + wo + right, channels, top, left, inner: [ho, wo] };
        let phases = down
            .iter()
            .flat_map(|d| across.iter().map(move |a| (d, a)))
            .map(|(d, a)| Phase::new(set, conv, weight, &border, d, a))
            .collect();
        Self(Way::Gather(Gathered { phases, border }))
    }
}

impl Phase {
    fn new(
        set: InstructionSet,
        conv: &Convolution,
        weight: &[f32],
        border: &Bordered,
        down: &Line,
        across: &Line,
    ) -> Self {
        let pairs: Vec<_> = down.taps.iter().flat_map(|d| across.taps.iter().map(move |a| (*d, *a))).collect();
        let offset = |place: isize, border: usize| (place + border as isize) as usize;
        let taps: Vec<usize> = pairs
            .iter()
            .map(|((_, y), (_, x))| (offset(*y, border.top) * border.width + offset(*x, border.left)) * border.channels)
            .collect();
        let origin = taps.iter().copied().min().unwrap_or(0);
        let kernel_tap = |t: usize| pairs[t].0.0 * conv.kernel[1] + pairs[t].1.0;
        let (ci, co, count) = (conv.group_inputs(), conv.group_outputs(), conv.taps());
        let groups = if conv.is_depthwise() {
            vec![Panels::fill(taps.len(), conv.outputs, set.panel(), |t, c| weight[c * count + kernel_tap(t)])]
        } else {
            let group = |g: usize| {
                Panels::fill(taps.len() * co, ci, set.panel(), |r, i| {
                    weight[((g * co + r % co) * ci + i) * count + kernel_tap(r / co)]
                })
            };
            (0..conv.groups).map(group).collect()
        };
        Self {
            first: [down.first, across.first],
            count: [down.count, across.count],
            origin,
            taps: taps.into_iter().map(|t| t - origin).collect(),
            groups,
        }
    }
}

/// The gradient `dx` of the input from the gradient `dy` of the output, for all images; added to what `dx` holds where
/// `accumulate` says so.
///
/// # Panics
/// If `dx` and `dy` do not hold equally many images of the convolution's sizes.
pub fn backward_input(
    (set, threads): (InstructionSet, Threads),
    conv: &Convolution,
    weight: &PackedBackward,
    dy: &[f32],
    accumulate: bool,
    dx: &mut [f32],
) {
    let (input, output) = (conv.input_len(), conv.output_len());
    if input == 0 {
        return;
    }
    let images = dx.len() / input;
    assert_eq!((dx.len(), dy.len()), (images * input, images * output), "dx and dy hold equally many images");
    if output == 0 {
        if !accumulate {
            dx.fill(0.0);
        }
        return;
    }
    let weight = match &weight.0 {
        Way::Gather(weight) => weight,
        Way::Scatter(weight) => return scatter((set, threads), conv, weight, dy, accumulate, dx),
    };
    let share = threads.share(images, (512 << 10) / (4 * weight.border.len().max(1)), 1, conv.multiplications());
    threads.chunks(dx, share * input, |chunk, dx| {
        let dy = &dy[chunk * share * output..][..dx.len() / input * output];
        if weight.border.is_plain() {
            set.run(Images { conv, weight, dy, accumulate, dx });
            return;
        }
        with_scratch(dx.len() / input * weight.border.len(), |bordered| {
            for (image, to) in dy.chunks_exact(output).zip(bordered.chunks_exact_mut(weight.border.len())) {
                weight.border.fill(image, to);
            }
            set.run(Images { conv, weight, dy: bordered, accumulate, dx });
        });
    });
}

/// Bordered gradients through all phases.
struct Images<'a, 'b> {
    conv: &'a Convolution,
    weight: &'a Gathered,
    dy: &'a [f32],
    accumulate: bool,
    dx: &'b mut [f32],
}

impl Work for Images<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { conv, weight, dy, accumulate, dx } = self;
        let ([h, w, c], border) = (conv.input, &weight.border);
        let (ci, co) = (conv.group_inputs(), conv.group_outputs());
        let start = if accumulate { Start::Stored } else { Start::Zero };
        for phase in &weight.phases {
            let grid = Grid {
                loops: [
                    (dx.len() / (h * w * c), border.len(), h * w * c),
                    (phase.count[0], border.width * border.channels, conv.stride[0] * w * c),
                    (phase.count[1], border.channels, conv.stride[1] * c),
                ],
            };
            let dx = &mut dx[(phase.first[0] * w + phase.first[1]) * c..];
            let dy = &dy[phase.origin..];
            for (g, panels) in phase.groups.iter().enumerate() {
                for p in 0..panels.count() {
                    let (first, lanes) = panels.span(p);
                    let packed = (panels.panel(p), panels.width());
                    let to = &mut dx[g * ci + first..];
                    let mut out = Out { y: to, columns: lanes, start, finish: Finish::NOTHING };
                    if conv.is_depthwise() {
                        sweep::<S, true>(&Chain::new(&dy[first..], (&phase.taps, 1, 1), packed), &grid, &mut out);
                    } else {
                        sweep::<S, false>(&Chain::new(&dy[g * co..], (&phase.taps, co, 1), packed), &grid, &mut out);
                    }
                }
            }
        }
    }
}
