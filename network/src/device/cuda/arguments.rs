//! What kernels are given, and steps that several operations share.

use super::driver::Argument;
use super::kernels::Kernel as Of;
use super::operations::Kernel;
use super::{Buffer, Cuda, LOST, at, maybe};
use crate::activation::Activation;
use crate::device::{Convolution, Device, Fused, Kind, Pattern, Planes, Pooling, Product, Strided};

/// Chunks that a batch is cut into at most for the gradient of a convolution's weights, and the sums that they hold together: those
/// of the CPU, whose order of summation that is.
pub(super) const CHUNKS: usize = 16;
pub(super) const SUMS: usize = 1 << 22;
/// Images that go through a network together at most.
pub(super) const MOST: usize = 4096;
/// Channels of a block of the kernels that sum over places; `LANES` in `norm.cu`.
pub(super) const LANES: usize = 32;

/// Rows and columns of a tile of sums for a result of so many columns; `BY_WIDTH` in `tile.cuh`.
pub(super) const fn tile_of(columns: usize) -> [usize; 2] {
    match columns {
        0..=16 => [128, 16],
        17..=32 => [128, 32],
        _ => [64, 64],
    }
}

/// Tiles of a result.
pub(super) const fn tiles(rows: usize, columns: usize) -> usize {
    let [high, wide] = tile_of(columns);
    rows.div_ceil(high) * columns.div_ceil(wide)
}

/// Numbers from the start of a buffer that a matrix reaches.
pub(super) const fn reach(offset: usize, sizes: [usize; 2], steps: [usize; 2]) -> usize {
    if sizes[0] == 0 || sizes[1] == 0 { 0 } else { offset + (sizes[0] - 1) * steps[0] + (sizes[1] - 1) * steps[1] + 1 }
}

/// `offset` numbers further on.
pub(super) fn beyond(argument: Argument, offset: usize) -> Argument {
    match argument {
        Argument::Address(address) if address != LOST && address != 0 => {
            Argument::Address(address + (offset * size_of::<f32>()) as u64)
        }
        other => other,
    }
}

/// Number and settings of a function, as `elementwise.cu` has them.
pub(super) fn function(f: Activation) -> [Argument; 3] {
    let (number, a, b): (usize, f64, f64) = match f {
        Activation::Identity => (0, 0.0, 0.0),
        Activation::Relu { slope } => (1, slope, 0.0),
        Activation::LeakyRelu { slope } => (2, slope, 0.0),
        Activation::Sigmoid { gain } => (3, gain, 0.0),
        Activation::Tanh => (4, 0.0, 0.0),
        Activation::Softplus => (5, 0.0, 0.0),
        Activation::Elu { alpha } => (6, alpha, 0.0),
        Activation::RectifiedPower { power } => (7, power, power - 1.0),
        Activation::Gelu => (8, 0.0, 0.0),
        Activation::Clip { low, high } => (9, low, high),
    };
    [number.into(), (a as f32).into(), (b as f32).into()]
}

/// A convolution's sizes of one group, as `convolution.cu` has them.
pub(super) fn sizes(conv: &Convolution) -> [Argument; 16] {
    let ([height, width, channels], [rows, columns, outputs]) = (conv.input, conv.output());
    let [top, left, ..] = conv.padding;
    [
        height,
        width,
        channels,
        rows,
        columns,
        outputs,
        conv.kernel[1],
        conv.taps(),
        conv.stride[0],
        conv.stride[1],
        top,
        left,
        conv.dilation[0],
        conv.dilation[1],
        conv.group_inputs(),
        conv.group_outputs(),
    ]
    .map(Argument::from)
}

/// A pooling's sizes, as `pool.cu` has them.
pub(super) fn windows(pool: &Pooling) -> [Argument; 14] {
    let (kind, [bottom, right]): (usize, _) = match pool.kind {
        Kind::Max => (0, [0, 0]),
        Kind::Mean => (1, [0, 0]),
        Kind::MeanOfPadded(after) => (2, after),
    };
    let [height, width, channels] = pool.input;
    [
        height,
        width,
        channels,
        pool.output[0],
        pool.output[1],
        pool.kernel[0],
        pool.kernel[1],
        pool.stride[0],
        pool.stride[1],
        pool.padding[0],
        pool.padding[1],
        kind,
        bottom,
        right,
    ]
    .map(Argument::from)
}

/// Arguments one after the other.
pub(super) fn all<const N: usize>(parts: [&[Argument]; N]) -> Vec<Argument> {
    parts.concat()
}

/// The two numbers of bounds.
pub(super) fn limits((low, high): (f32, f32)) -> [Argument; 2] {
    [low.into(), high.into()]
}

/// A product of which both factors may be anywhere.
pub(super) struct Factors<'a> {
    pub how: Product,
    pub a: &'a Buffer,
    pub b: &'a Buffer,
    pub fused: Fused<'a, Buffer>,
    pub bias_by_row: bool,
}

impl Cuda {
    /// The product, with what is done besides.
    pub(super) fn multiply_matrices(&self, factors: &Factors<'_>, c: &mut Buffer) {
        let Factors { how, a, b, fused, bias_by_row } = factors;
        let ([rows, depth, columns], [outer, inner]) = (how.size, how.batch);
        let batch = outer.0 * inner.0;
        if rows * columns * batch == 0 {
            return;
        }
        let last =
            |by: fn(&(usize, usize, usize, usize)) -> usize| how.batch.iter().map(|l| (l.0 - 1) * by(l)).sum::<usize>();
        let reaches = [
            last(|l| l.1) + reach(how.a.offset, [rows, depth], [how.a.row_step, how.a.column_step]),
            last(|l| l.2) + reach(how.b.offset, [depth, columns], [how.b.row_step, how.b.column_step]),
            last(|l| l.3) + reach(how.c.offset, [rows, columns], [how.c.row_step, 1]),
        ];
        let arguments = all([
            &[beyond(at(a, reaches[0]), how.a.offset), how.a.row_step.into(), how.a.column_step.into()],
            &[beyond(at(b, reaches[1]), how.b.offset), how.b.row_step.into(), how.b.column_step.into()],
            &[beyond(at(c, reaches[2]), how.c.offset), how.c.row_step.into()],
            &[rows, depth, columns, inner.0, outer.1, inner.1, outer.2, inner.2, outer.3, inner.3].map(Argument::from),
            &[maybe(fused.bias, if *bias_by_row { rows } else { columns }), (*bias_by_row).into()],
            &[maybe(fused.residual, reaches[2])],
            &limits(fused.clip),
            &[how.accumulate.into()],
        ]);
        self.launch(Of::Product, tiles(rows, columns) * batch, &arguments);
    }

    /// The weights of a convolution as the kernel that `kernel` packs for reads them.
    pub(super) fn packed(&self, kernel: Of, conv: &Convolution, weight: &Buffer) -> Kernel {
        let n = conv.weight_len();
        if conv.is_depthwise() {
            return Kernel { weight: self.copied(weight, n) };
        }
        let to = self.buffer(n);
        let sizes = [conv.taps(), conv.group_inputs(), conv.group_outputs()].map(Argument::from);
        self.each(kernel, n, &all([&sizes, &[at(weight, n), at(&to, n)]]));
        Kernel { weight: to }
    }

    /// A copy of the first `len` numbers.
    pub(super) fn copied(&self, from: &Buffer, len: usize) -> Buffer {
        let mut to = self.buffer(len);
        self.copy(1, &Strided::slice(1, len, 0, len), from, false, &mut to);
        to
    }

    /// Numbers in double precision.
    pub(super) fn doubles(&self, from: &Buffer, len: usize) -> Vec<f64> {
        let words = self.download(from, 2 * len);
        let double = |pair: &[f32]| f64::from_bits(u64::from(pair[1].to_bits()) << 32 | u64::from(pair[0].to_bits()));
        words.chunks_exact(2).map(double).collect()
    }

    /// Sums over places for each image, by `kernel`, then over images: `many` for each channel.
    pub(super) fn sums(
        &self,
        kernel: Of,
        [images, places, c]: [usize; 3],
        many: usize,
        before: &[Argument],
    ) -> Vec<f64> {
        let n = many * c;
        if images * places * c == 0 {
            return vec![0.0; n];
        }
        let (partial, totals) = (self.buffer(images * n), self.buffer(2 * n));
        let arguments = all([&[places.into(), c.into()], before, &[at(&partial, images * n)]]);
        self.launch(kernel, images * c.div_ceil(LANES), &arguments);
        self.each(Of::AddImages, n, &[images.into(), at(&partial, images * n), at(&totals, 2 * n)]);
        self.doubles(&totals, n)
    }

    /// Whole weights from those that are kept, zeros elsewhere; and where the kept ones are.
    pub(super) fn whole(&self, pattern: &Pattern, kept: &Buffer) -> Buffer {
        let (outputs, inputs) = pattern.size();
        let matrix = self.zeros(outputs * inputs);
        let places = self.places(pattern);
        let n = pattern.kept();
        self.each(Of::Scatter, n, &[at(&places, n), at(kept, n), at(&matrix, outputs * inputs)]);
        matrix
    }

    pub(super) fn places(&self, pattern: &Pattern) -> Buffer {
        self.numbers(pattern.places().iter().map(|&place| place as u32))
    }

    /// Whole numbers, as kernels read them.
    pub(super) fn numbers(&self, numbers: impl IntoIterator<Item = u32>) -> Buffer {
        self.upload(&numbers.into_iter().map(f32::from_bits).collect::<Vec<f32>>())
    }

    /// Mean and one over the standard deviation of each row.
    pub(super) fn row_statistics(&self, [rows, len]: [usize; 2], eps: f64, x: &Buffer) -> Buffer {
        let out = self.buffer(2 * rows);
        let arguments = [len.into(), Argument::Double(eps), at(x, rows * len), at(&out, 2 * rows)];
        self.each(Of::RowStatistics, rows, &arguments);
        out
    }

    /// Places `[row, place in it]` of an array of `size`, as kernels read them.
    pub(super) fn inside(&self, size: [usize; 2], places: &[[u32; 2]]) -> Buffer {
        let inside = |place: &[u32; 2]| place.iter().zip(size).all(|(&at, size)| (at as usize) < size);
        assert!(places.iter().all(inside), "places are in the array");
        self.numbers(places.iter().flatten().copied())
    }
}

/// What the kernels of `planes` begin with; `list` holds the channels.
pub(super) fn plane_arguments(rows: usize, planes: &Planes<'_, Buffer>, list: &Buffer) -> [Argument; 5] {
    let ([count, channels], members) = (planes.size, planes.channels.len());
    assert!(planes.channels.iter().all(|&channel| (channel as usize) < channels), "channels exist");
    let numbers = at(planes.numbers, rows * count * members);
    [count.into(), channels.into(), members.into(), at(list, members), numbers]
}
