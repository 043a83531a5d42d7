//! What one channel contributes to a convolution: a change of it is carried on without doing all other channels again.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::super::instruction_set::{InstructionSet, Work};
use super::super::matmul::Around;
use super::super::simd::Simd;
use super::super::spread::with_scratch;
use super::super::tile::{Chain, Grid, Out, Start, sweep};
use super::forward::PackedForward;
use super::geometry::Convolution;

/// For each image `i`, adds to the sums in `y` what `x` (a plane for each image) gives as channel `channels[i]` of the input, then
/// does what `around` says after sums. Outputs of other groups get no more than that.
///
/// # Panics
/// If `x` and `y` do not hold an image for each channel, or a channel does not exist.
pub fn add_channel(
    set: InstructionSet,
    conv: &Convolution,
    weight: &PackedForward,
    channels: &[usize],
    x: &[f32],
    around: &Around<'_>,
    y: &mut [f32],
) {
    let (plane, output) = (conv.input[0] * conv.input[1], conv.output_len());
    assert_eq!((x.len(), y.len()), (channels.len() * plane, channels.len() * output), "an image for each channel");
    with_scratch(plane_of(conv).bordered().len(), |scratch| {
        set.run(Planes { conv, weight, channels, x, around: *around, y, scratch, only: false });
    });
}

/// For each image `i`, output `channels[i]` of a depthwise convolution from that channel of the input alone; planes in, planes out.
/// Sums begin with `starts[i]`, and have the bits of the whole convolution.
///
/// # Panics
/// As [`add_channel`], or if the convolution is not depthwise.
pub fn one_channel(
    set: InstructionSet,
    conv: &Convolution,
    weight: &PackedForward,
    (channels, starts): (&[usize], &[f32]),
    x: &[f32],
    y: &mut [f32],
) {
    assert!(conv.is_depthwise(), "outputs read the channel of their own number alone");
    let [height, width, _] = conv.output();
    let plane = conv.input[0] * conv.input[1];
    assert_eq!((x.len(), y.len()), (channels.len() * plane, channels.len() * height * width), "a plane each");
    for (y, start) in y.chunks_exact_mut((height * width).max(1)).zip(starts) {
        y.fill(*start);
    }
    with_scratch(plane_of(conv).bordered().len(), |scratch| {
        set.run(Planes { conv, weight, channels, x, around: Around::default(), y, scratch, only: true });
    });
}

/// The convolution of one channel.
fn plane_of(conv: &Convolution) -> Convolution {
    Convolution { input: [conv.input[0], conv.input[1], 1], outputs: 1, groups: 1, ..conv.clone() }
}

struct Planes<'a, 'b> {
    conv: &'a Convolution,
    weight: &'a PackedForward,
    channels: &'a [usize],
    x: &'a [f32],
    around: Around<'a>,
    y: &'b mut [f32],
    /// Room for a bordered plane.
    scratch: &'b mut [f32],
    /// Whether `y` holds the output of the channel's own number alone.
    only: bool,
}

impl Work for Planes<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { conv, weight, channels, x, around, y, scratch: bordered, only } = self;
        let plane = plane_of(conv);
        let (border, [ho, wo, _]) = (plane.bordered(), plane.output());
        let taps: Vec<usize> = (0..plane.taps()).map(|t| plane.tap_offset(t)).collect();
        let co = if only { 1 } else { conv.outputs };
        let [down, across] = conv.stride;
        let grid = if [ho, wo] == [border.height, border.width] {
            Grid::line(ho * wo, 1, co)
        } else {
            Grid { loops: [(1, 0, 0), (ho, down * border.width, wo * co), (wo, across, co)] }
        };
        let (len, output) = (conv.input[0] * conv.input[1], ho * wo * co);
        for (i, &channel) in channels.iter().enumerate() {
            border.fill(&x[i * len..][..len], bordered);
            let y = &mut y[i * output..][..output];
            let around = Around { residual: around.residual.map(|r| &r[i * output..][..output]), ..around };
            if only {
                let (panel, lane, width) = weight.lane(channel);
                let chain = Chain::new(bordered, (&taps, 1, 1), (&panel[lane..], width));
                let finish = around.finish(0);
                // Lane by lane, as beyond this channel's weights there may be none.
                sweep::<S, true>(&chain, &grid, &mut Out { y, columns: 1, start: Start::Stored, finish });
            } else {
                all_outputs::<S>(conv, weight, channel, (bordered, &taps), &grid, &around, y);
            }
        }
    }
}

/// Adds a bordered plane's part to all outputs of an image.
#[inline(always)]
fn all_outputs<S: Simd>(
    conv: &Convolution,
    weight: &PackedForward,
    channel: usize,
    (x, taps): (&[f32], &[usize]),
    grid: &Grid,
    around: &Around<'_>,
    y: &mut [f32],
) {
    let (ci, co) = (conv.group_inputs(), conv.group_outputs());
    for g in 0..conv.groups {
        // A chain without taps leaves the sums of the other groups as they are.
        let taps = if g == channel / ci { taps } else { &[] };
        for (panel, first, lanes, width) in weight.panels_of(g) {
            let chain = Chain::new(x, (taps, 1, 1), (&panel[channel % ci * width..], ci * width));
            let first = g * co + first;
            let finish = around.finish(first);
            let out = &mut Out { y: &mut y[first..], columns: lanes, start: Start::Stored, finish };
            sweep::<S, false>(&chain, grid, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::spread::Threads;
    use super::super::forward;
    use super::*;
    use crate::random::Stream;

    fn random(purpose: &str, len: usize) -> Vec<f32> {
        let mut values = vec![0.0; len];
        // Small whole numbers, of which sums are exact in any order.
        Stream::new(1, purpose, &[]).fill_uniform(&mut values, -8.0, 8.0);
        values.iter().map(|v: &f32| v.round()).collect()
    }

    fn conv(kernel: usize, stride: usize, groups: usize, channels: [usize; 2]) -> Convolution {
        Convolution {
            input: [7, 6, channels[0]],
            outputs: channels[1],
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 4],
            dilation: [1; 2],
            groups,
        }
    }

    #[test]
    fn a_changed_channel_gives_the_convolution_of_the_changed_input() {
        for conv in [conv(3, 1, 1, [6, 40]), conv(3, 2, 2, [6, 8]), conv(1, 1, 1, [5, 3]), conv(5, 2, 1, [2, 33])] {
            let x = random("x", 2 * conv.input_len());
            let (weight, residual) = (random("w", conv.weight_len()), random("r", 2 * conv.output_len()));
            let plane = random("change", 2 * 42);
            let channels = [1, conv.input[2] - 1];
            let mut changed = x.clone();
            for (i, channel) in channels.iter().enumerate() {
                for p in 0..42 {
                    changed[(i * 42 + p) * conv.input[2] + channel] += plane[i * 42 + p];
                }
            }
            for set in InstructionSet::available() {
                let packed = PackedForward::new(set, &conv, &weight);
                let around = Around { residual: Some(&residual), clip: (-90.0, 90.0), ..Around::default() };
                let (mut wanted, mut found) = (vec![0.0; residual.len()], vec![0.0; residual.len()]);
                forward((set, Threads::One), &conv, &packed, &changed, &around, &mut wanted);
                forward((set, Threads::One), &conv, &packed, &x, &Around::default(), &mut found);
                add_channel(set, &conv, &packed, &channels, &plane, &around, &mut found);
                assert_eq!(found, wanted, "{conv:?} {}", set.name());
            }
        }
    }

    #[test]
    fn a_depthwise_channel_has_the_bits_of_the_whole() {
        let conv = conv(3, 2, 37, [37, 37]);
        let mut x = vec![0.0; conv.input_len()];
        Stream::new(2, "x", &[]).fill_normal(&mut x, 0.0, 1.0);
        let (mut weight, bias) = (random("w", conv.weight_len()), random("b", 37));
        weight[36 * 9] = 0.3;
        for set in InstructionSet::available() {
            let packed = PackedForward::new(set, &conv, &weight);
            let mut whole = vec![0.0; conv.output_len()];
            let around = Around { bias: Some(&bias), ..Around::default() };
            forward((set, Threads::One), &conv, &packed, &x, &around, &mut whole);
            for channel in [0, 33, 36] {
                let plane: Vec<f32> = x.iter().skip(channel).step_by(37).copied().collect();
                let wanted: Vec<f32> = whole.iter().skip(channel).step_by(37).copied().collect();
                let mut found = vec![0.0; wanted.len()];
                one_channel(set, &conv, &packed, (&[channel], &bias[channel..=channel]), &plane, &mut found);
                assert_eq!(found, wanted, "{channel} {}", set.name());
            }
        }
    }
}
