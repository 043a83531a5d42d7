//! Convolutions of 3x3 taps with a quarter of the multiplications.
//!
//! Winograd's minimal filtering F(4x4, 3x3) after Lavin and Gray ("Fast Algorithms for Convolutional Neural Networks", CVPR 2016,
//! section 4.3): an output tile of 4x4 is `A^T [(G w G^T) . (B^T x B)] A`, of which the products, summed over channels, are 36
//! matrix products. The sums are rounded otherwise than those of [`super::forward()`]; by how much goes with the largest number of a
//! tile. So this serves *changes* of an input, whose errors are then as small as they are; tiles without a change cost nothing.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::super::instruction_set::{InstructionSet, Work};
use super::super::matmul::Around;
use super::super::pack::Panels;
use super::super::simd::Simd;
use super::super::spread::with_scratch;
use super::super::tile::{Chain, Finish, Grid, Out, Start, sweep};
use super::geometry::Convolution;

/// Side of a tile of outputs.
const OUT: usize = 4;
/// Side of what such a tile reads.
const IN: usize = OUT + 2;
/// Matrix products.
const POINTS: usize = IN * IN;
/// Bytes of transformed tiles that go through the products together.
const TOGETHER: usize = 448 << 10;
/// Tiles that go together are a multiple of this: of the rows that every instruction set takes at once.
const UNIT: usize = 24;

/// `G`: what a row of three taps is at each point.
const TAPS: [[f64; 3]; IN] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// Weights arranged for [`add_winograd`].
#[derive(Clone, Debug)]
pub struct PackedWinograd {
    conv: Convolution,
    /// For each point the matrix `[input][output]`.
    points: Vec<Panels>,
}

impl PackedWinograd {
    /// Arranges `weight`; `None` for a convolution that is not of 3x3 neighbouring taps at every place over all channels, or so small
    /// that there is nothing to win.
    ///
    /// # Panics
    /// If the weights are not as long as the convolution asks for.
    #[must_use]
    pub fn new(set: InstructionSet, conv: &Convolution, weight: &[f32]) -> Option<Self> {
        let suits = (conv.kernel, conv.stride, conv.dilation, conv.groups) == ([3; 2], [1; 2], [1; 2], 1);
        let (ci, co) = (conv.input[2], conv.outputs);
        if !suits || ci.min(co) < 8 || conv.output_len() == 0 {
            return None;
        }
        assert_eq!(weight.len(), conv.weight_len(), "weights fit the convolution");
        let at = |point: usize, (i, o): (usize, usize)| {
            let taps = &weight[(o * ci + i) * 9..][..9];
            let (down, across) = (TAPS[point / IN], TAPS[point % IN]);
            (0..9).map(|t| down[t / 3] * across[t % 3] * f64::from(taps[t])).sum::<f64>() as f32
        };
        let points = (0..POINTS).map(|point| Panels::fill(ci, co, set.panel(), |i, o| at(point, (i, o)))).collect();
        Some(Self { conv: conv.clone(), points })
    }
}

/// Adds the convolution of the images in `x` to the sums in `y`, then does what `around` says after sums.
///
/// # Panics
/// If `x` and `y` do not hold equally many images of the convolution's sizes.
pub fn add_winograd(set: InstructionSet, weight: &PackedWinograd, x: &[f32], around: &Around<'_>, y: &mut [f32]) {
    let conv = &weight.conv;
    let (input, output) = (conv.input_len(), conv.output_len());
    let images = y.len() / output;
    assert_eq!((x.len(), y.len()), (images * input, images * output), "x and y hold equally many images");
    let channels = conv.input[2] + conv.outputs;
    let together = (TOGETHER / (4 * POINTS * channels) / UNIT).max(1) * UNIT;
    with_scratch(POINTS * together * channels, |scratch| {
        let (inside, sums) = scratch.split_at_mut(POINTS * together * conv.input[2]);
        set.run(Tiles { weight, x, around: *around, y, together, inside, sums });
    });
}

struct Tiles<'a, 'b> {
    weight: &'a PackedWinograd,
    x: &'a [f32],
    around: Around<'a>,
    y: &'b mut [f32],
    /// How many go through the products together.
    together: usize,
    /// `[point][tile][input]`.
    inside: &'b mut [f32],
    /// `[point][tile][output]`.
    sums: &'b mut [f32],
}

/// Where a tile is: its image, and its first output.
#[derive(Clone, Copy)]
struct Spot {
    image: usize,
    row: usize,
    column: usize,
}

impl Work for Tiles<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self) {
        let [height, width, _] = self.weight.conv.output();
        let images = self.y.len() / self.weight.conv.output_len();
        let mut waiting = Vec::with_capacity(self.together);
        for image in 0..images {
            for row in (0..height).step_by(OUT) {
                for column in (0..width).step_by(OUT) {
                    let spot = Spot { image, row, column };
                    if !self.enter::<S>(spot, waiting.len()) {
                        self.leave::<S>(spot, None);
                        continue;
                    }
                    waiting.push(spot);
                    if waiting.len() == self.together {
                        self.finish::<S>(&mut waiting);
                    }
                }
            }
        }
        self.finish::<S>(&mut waiting);
    }
}

impl Tiles<'_, '_> {
    /// Transforms what tile `spot` reads, as tile number `tile`; whether there is anything but zeros.
    #[expect(unsafe_code, reason = "vectors are loaded and stored through pointers")]
    #[expect(clippy::needless_range_loop, reason = "columns are taken across rows")]
    #[inline(always)]
    fn enter<S: Simd>(&mut self, spot: Spot, tile: usize) -> bool {
        let conv = &self.weight.conv;
        let [height, width, channels] = conv.input;
        let image = &self.x[spot.image * conv.input_len()..][..conv.input_len()];
        let mut offsets = [None; POINTS];
        let mut changed = false;
        for (point, offset) in offsets.iter_mut().enumerate() {
            // Before the first row or column wraps round to far beyond the last.
            let row = (spot.row + point / IN).wrapping_sub(conv.padding[0]);
            let column = (spot.column + point % IN).wrapping_sub(conv.padding[1]);
            if row < height && column < width {
                let at = (row * width + column) * channels;
                *offset = Some(at);
                changed |= differs_from_zero(&image[at..][..channels]);
            }
        }
        if !changed {
            return false;
        }
        let step = self.together * channels;
        let inside = &mut self.inside[..POINTS * step];
        for first in (0..channels).step_by(S::LANES) {
            // SAFETY: loads and stores touch the lanes of the mask alone: channels `first..` of a pixel inside the image, which `offsets`
            // holds, and of tile `tile`, of which there are `together` at each point.
            unsafe {
                let mask = S::mask((channels - first).min(S::LANES));
                let mut half = [[S::splat(0.0); IN]; IN];
                for (row, to) in half.iter_mut().enumerate() {
                    let line: [S::Vector; IN] = std::array::from_fn(|column| match offsets[row * IN + column] {
                        Some(at) => S::load(image.as_ptr().add(at + first), mask),
                        None => S::splat(0.0),
                    });
                    *to = read::<S>(line);
                }
                for column in 0..IN {
                    let line = read::<S>(std::array::from_fn(|row| half[row][column]));
                    for (row, value) in line.into_iter().enumerate() {
                        let to = inside.as_mut_ptr().add((row * IN + column) * step + tile * channels + first);
                        S::store(to, mask, value);
                    }
                }
            }
        }
        true
    }

    /// Multiplies the tiles that wait, and takes them out.
    #[inline(always)]
    fn finish<S: Simd>(&mut self, waiting: &mut Vec<Spot>) {
        let (ci, co) = (self.weight.conv.input[2], self.weight.conv.outputs);
        let grid = Grid::line(waiting.len(), ci, co);
        for (point, panels) in self.weight.points.iter().enumerate() {
            let x = &self.inside[point * self.together * ci..][..waiting.len() * ci];
            let sums = &mut self.sums[point * self.together * co..][..waiting.len() * co];
            for p in 0..panels.count() {
                let (first, lanes) = panels.span(p);
                let chain = Chain::new(x, (&[0], ci, 1), (panels.panel(p), panels.width()));
                let y = sums.get_mut(first..).unwrap_or(&mut []);
                let out = &mut Out { y, columns: lanes, start: Start::Zero, finish: Finish::NOTHING };
                sweep::<S, false>(&chain, &grid, out);
            }
        }
        for (tile, spot) in waiting.drain(..).enumerate() {
            self.leave::<S>(spot, Some(tile));
        }
    }

    /// Adds the sums of tile number `tile`, if it has any, and does what is to be done after sums.
    #[expect(unsafe_code, reason = "vectors are loaded and stored through pointers")]
    #[expect(clippy::needless_range_loop, reason = "columns are taken across rows")]
    #[inline(always)]
    fn leave<S: Simd>(&mut self, spot: Spot, tile: Option<usize>) {
        let conv = &self.weight.conv;
        let [height, width, channels] = conv.output();
        let (rows, columns) = (OUT.min(height - spot.row), OUT.min(width - spot.column));
        let start = spot.image * conv.output_len() + (spot.row * width + spot.column) * channels;
        let end = start + ((rows - 1) * width + columns) * channels;
        let y = &mut self.y[start..end];
        let residual = self.around.residual.map(|residual| &residual[start..end]);
        let step = self.together * channels;
        let sums = &self.sums[..POINTS * step];
        for first in (0..channels).step_by(S::LANES) {
            // SAFETY: loads and stores touch the lanes of the mask alone: channels `first..` of tile `tile`, of which there are `together` at
            // each point, and of outputs of the tile that exist, all of which lie in `y` and the residual.
            unsafe {
                let mask = S::mask((channels - first).min(S::LANES));
                let mut half = [[S::splat(0.0); OUT]; IN];
                if let Some(tile) = tile {
                    for (row, to) in half.iter_mut().enumerate() {
                        let at = |column| sums.as_ptr().add((row * IN + column) * step + tile * channels + first);
                        *to = write::<S>(std::array::from_fn(|column| S::load(at(column), mask)));
                    }
                }
                let (low, high) = (S::splat(self.around.clip.0), S::splat(self.around.clip.1));
                for column in 0..columns {
                    let line = write::<S>(std::array::from_fn(|row| half[row][column]));
                    for (row, sum) in line.into_iter().enumerate().take(rows) {
                        let at = (row * width + column) * channels + first;
                        let mut value = S::add(sum, S::load(y.as_ptr().add(at), mask));
                        if let Some(residual) = residual {
                            value = S::add(value, S::load(residual.as_ptr().add(at), mask));
                        }
                        S::store(y.as_mut_ptr().add(at), mask, S::min(high, S::max(low, value)));
                    }
                }
            }
        }
    }
}

/// Whether some number is not zero; NaN is not.
fn differs_from_zero(x: &[f32]) -> bool {
    // Without an exit within a piece the comparison takes vectors.
    x.iter().filter(|v| **v != 0.0).count() > 0
}

/// `B^T` times a row of pixels.
///
/// # Safety
/// As for all of [`Simd`].
#[expect(unsafe_code, reason = "instructions that not every processor has")]
#[inline(always)]
unsafe fn read<S: Simd>(d: [S::Vector; IN]) -> [S::Vector; IN] {
    // SAFETY: the caller vouches for the processor.
    unsafe {
        let times = |factor: f32, a, b| S::mul_add(S::splat(factor), a, b);
        let even = times(-4.0, d[2], d[4]);
        let odd = times(-4.0, d[1], d[3]);
        let (inner, slope) = (times(-1.0, d[2], d[4]), times(-1.0, d[1], d[3]));
        [
            times(4.0, d[0], times(-5.0, d[2], d[4])),
            S::add(even, odd),
            times(-1.0, odd, even),
            times(2.0, slope, inner),
            times(-2.0, slope, inner),
            times(4.0, d[1], times(-5.0, d[3], d[5])),
        ]
    }
}

/// `A^T` times a row of products.
///
/// # Safety
/// As for all of [`Simd`].
#[expect(unsafe_code, reason = "instructions that not every processor has")]
#[inline(always)]
unsafe fn write<S: Simd>(m: [S::Vector; IN]) -> [S::Vector; OUT] {
    // SAFETY: the caller vouches for the processor.
    unsafe {
        let times = |factor: f32, a, b| S::mul_add(S::splat(factor), a, b);
        let (near, far) = (S::add(m[1], m[2]), S::add(m[3], m[4]));
        let (near_slope, far_slope) = (times(-1.0, m[2], m[1]), times(-1.0, m[4], m[3]));
        [
            S::add(m[0], S::add(near, far)),
            times(2.0, far_slope, near_slope),
            times(4.0, far, near),
            times(8.0, far_slope, S::add(near_slope, m[5])),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::spread::Threads;
    use super::super::{PackedForward, forward};
    use super::*;
    use crate::random::Stream;

    fn random(purpose: &str, len: usize) -> Vec<f32> {
        let mut values = vec![0.0; len];
        Stream::new(1, purpose, &[]).fill_normal(&mut values, 0.0, 1.0);
        values
    }

    fn conv(input: [usize; 3], outputs: usize, padding: [usize; 4]) -> Convolution {
        Convolution { input, outputs, kernel: [3; 2], stride: [1; 2], padding, dilation: [1; 2], groups: 1 }
    }

    #[test]
    fn what_is_added_is_the_convolution() {
        for conv in [
            conv([8, 8, 16], 24, [1; 4]),
            conv([7, 5, 9], 37, [1; 4]),
            conv([9, 6, 8], 8, [0, 2, 1, 0]),
            conv([3, 3, 64], 64, [0; 4]),
            conv([33, 32, 8], 16, [1; 4]),
        ] {
            let x = random("x", 3 * conv.input_len());
            let (weight, start) = (random("w", conv.weight_len()), random("y", 3 * conv.output_len()));
            let residual = random("r", start.len());
            for set in InstructionSet::available() {
                let around = Around { residual: Some(&residual), clip: (-9.0, 9.0), ..Around::default() };
                let (mut wanted, mut found) = (start.clone(), start.clone());
                let accumulating = Around { accumulate: true, ..around };
                let direct = PackedForward::new(set, &conv, &weight);
                forward((set, Threads::One), &conv, &direct, &x, &accumulating, &mut wanted);
                let packed = PackedWinograd::new(set, &conv, &weight).expect("it suits");
                add_winograd(set, &packed, &x, &around, &mut found);
                // Errors go with what is summed: here some hundred products of the size of 1.
                let largest = (9 * conv.input[2]) as f32;
                let worst = wanted.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 3e-6 * largest, "{conv:?} {} {worst}", set.name());
            }
        }
    }

    #[test]
    fn tiles_without_a_change_keep_the_bits_of_the_sums() {
        let conv = conv([16, 16, 8], 8, [1; 4]);
        let (weight, start) = (random("w", conv.weight_len()), random("y", conv.output_len()));
        let mut x = vec![0.0; conv.input_len()];
        x[(9 * 16 + 9) * 8 + 3] = 1.0;
        for set in InstructionSet::available() {
            let packed = PackedWinograd::new(set, &conv, &weight).expect("it suits");
            let mut found = start.clone();
            add_winograd(set, &packed, &x, &Around::default(), &mut found);
            for (place, (now, was)) in found.chunks(8).zip(start.chunks(8)).enumerate() {
                let near = (8..12).contains(&(place / 16)) && (8..12).contains(&(place % 16));
                assert!(near || now == was, "{} {place}", set.name());
            }
            assert_ne!(found, start);
        }
    }

    #[test]
    fn other_convolutions_are_left_to_the_direct_way() {
        let set = InstructionSet::available()[0];
        let suits = conv([8, 8, 8], 8, [1; 4]);
        let weight = vec![0.0; suits.weight_len()];
        assert!(PackedWinograd::new(set, &suits, &weight).is_some());
        for other in [
            Convolution { stride: [2; 2], ..suits.clone() },
            Convolution { groups: 2, ..suits.clone() },
            Convolution { dilation: [1, 2], ..suits.clone() },
            Convolution { kernel: [1, 3], ..suits.clone() },
            Convolution { outputs: 3, ..suits },
        ] {
            assert!(PackedWinograd::new(set, &other, &vec![0.0; other.weight_len()]).is_none(), "{other:?}");
        }
    }
}
