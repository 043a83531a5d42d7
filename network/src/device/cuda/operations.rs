//! Every operation of [`Device`] as launches of kernels.
#![expect(unsafe_code, reason = "numbers are copied to and from addresses")]

use std::ops::Range;

use super::driver::Argument;
use super::kernels::Kernel as Of;
use super::{Buffer, Cuda, LOST, at, maybe};
use crate::activation::Activation;
use crate::device::{
    Adam, Bounds, Convolution, Device, DeviceError, Fused, Kind, Pattern, Pooling, Product, Statistics, Strided,
};
use crate::op::Beyond;

/// Weights of a linear layer, as they are.
#[derive(Debug)]
pub struct Linear {
    weight: Buffer,
    outputs: usize,
    inputs: usize,
}

/// Weights of a convolution, `[group][tap][input][output]`; of a depthwise one as they are.
#[derive(Debug)]
pub struct Kernel {
    weight: Buffer,
}

/// Chunks that a batch is cut into at most for the gradient of a convolution's weights, and the sums that they hold together: those
/// of the CPU, whose order of summation that is.
const CHUNKS: usize = 16;
const SUMS: usize = 1 << 22;
/// Images that go through a network together at most.
const MOST: usize = 4096;
/// Channels of a block of the kernels that sum over places; `LANES` in `norm.cu`.
const LANES: usize = 32;

/// Rows and columns of a tile of sums for a result of so many columns; `BY_WIDTH` in `tile.cuh`.
const fn tile_of(columns: usize) -> [usize; 2] {
    match columns {
        0..=16 => [128, 16],
        17..=32 => [128, 32],
        _ => [64, 64],
    }
}

/// Tiles of a result.
const fn tiles(rows: usize, columns: usize) -> usize {
    let [high, wide] = tile_of(columns);
    rows.div_ceil(high) * columns.div_ceil(wide)
}

/// Numbers from the start of a buffer that a matrix reaches.
const fn reach(offset: usize, sizes: [usize; 2], steps: [usize; 2]) -> usize {
    if sizes[0] == 0 || sizes[1] == 0 { 0 } else { offset + (sizes[0] - 1) * steps[0] + (sizes[1] - 1) * steps[1] + 1 }
}

/// `offset` numbers further on.
fn beyond(argument: Argument, offset: usize) -> Argument {
    match argument {
        Argument::Address(address) if address != LOST && address != 0 => {
            Argument::Address(address + (offset * size_of::<f32>()) as u64)
        }
        other => other,
    }
}

/// Number and settings of a function, as `elementwise.cu` has them.
fn function(f: Activation) -> [Argument; 3] {
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
fn sizes(conv: &Convolution) -> [Argument; 16] {
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
fn windows(pool: &Pooling) -> [Argument; 14] {
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
fn all<const N: usize>(parts: [&[Argument]; N]) -> Vec<Argument> {
    parts.concat()
}

/// The two numbers of bounds.
fn limits((low, high): (f32, f32)) -> [Argument; 2] {
    [low.into(), high.into()]
}

/// A product of which both factors may be anywhere.
struct Factors<'a> {
    how: Product,
    a: &'a Buffer,
    b: &'a Buffer,
    fused: Fused<'a, Buffer>,
    bias_by_row: bool,
}

impl Cuda {
    fn multiply_matrices(&self, factors: &Factors<'_>, c: &mut Buffer) {
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

    fn packed(&self, kernel: Of, conv: &Convolution, weight: &Buffer) -> Buffer {
        let n = conv.weight_len();
        let to = self.buffer(n);
        let sizes = [conv.taps(), conv.group_inputs(), conv.group_outputs()].map(Argument::from);
        self.each(kernel, n, &all([&sizes, &[at(weight, n), at(&to, n)]]));
        to
    }

    /// A copy of the first `len` numbers.
    fn copied(&self, from: &Buffer, len: usize) -> Buffer {
        let mut to = self.buffer(len);
        self.copy(1, &Strided::slice(1, len, 0, len), from, false, &mut to);
        to
    }

    /// Numbers in double precision.
    fn doubles(&self, from: &Buffer, len: usize) -> Vec<f64> {
        let words = self.download(from, 2 * len);
        let double = |pair: &[f32]| f64::from_bits(u64::from(pair[1].to_bits()) << 32 | u64::from(pair[0].to_bits()));
        words.chunks_exact(2).map(double).collect()
    }

    /// Sums over places for each image, by `kernel`, then over images: `many` for each channel.
    fn sums(&self, kernel: Of, [images, places, c]: [usize; 3], many: usize, before: &[Argument]) -> Vec<f64> {
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
    fn whole(&self, pattern: &Pattern, kept: &Buffer) -> Buffer {
        let (outputs, inputs) = pattern.size();
        let matrix = self.zeros(outputs * inputs);
        let places = self.places(pattern);
        let n = pattern.kept();
        self.each(Of::Scatter, n, &[at(&places, n), at(kept, n), at(&matrix, outputs * inputs)]);
        matrix
    }

    fn places(&self, pattern: &Pattern) -> Buffer {
        let places: Vec<f32> = pattern.places().iter().map(|&place| f32::from_bits(place as u32)).collect();
        self.upload(&places)
    }

    /// Mean and one over the standard deviation of each row.
    fn row_statistics(&self, [rows, len]: [usize; 2], eps: f64, x: &Buffer) -> Buffer {
        let out = self.buffer(2 * rows);
        let arguments = [len.into(), Argument::Double(eps), at(x, rows * len), at(&out, 2 * rows)];
        self.each(Of::RowStatistics, rows, &arguments);
        out
    }
}

impl Device for Cuda {
    type Buffer = Buffer;
    type Linear = Linear;
    type Kernel = Kernel;

    const SPARSE: bool = false;

    fn buffer(&self, len: usize) -> Buffer {
        self.home.take(len)
    }

    fn failure(&self) -> Option<DeviceError> {
        self.home.take_failure()
    }

    /// As many as fill half of the memory that is free.
    fn together(&self, _: usize, bytes_per_image: usize) -> usize {
        self.release();
        let memory = self.memory();
        memory.map_or(1, |memory| (memory.free / 2 / bytes_per_image.max(1)).clamp(1, MOST))
    }

    fn write(&self, from: &[f32], to: &mut Buffer) {
        if from.is_empty() {
            return;
        }
        let Argument::Address(address) = at(to, from.len()) else { return };
        if address == LOST || self.home.is_broken() {
            return self.lost();
        }
        // SAFETY: the buffer has room for as many numbers.
        let done = unsafe { self.home.driver.write(from, address) };
        self.home.checked(done);
    }

    fn read(&self, from: &Buffer, to: &mut [f32]) {
        if to.is_empty() {
            return;
        }
        let Argument::Address(address) = at(from, to.len()) else { return };
        if address == LOST || self.home.is_broken() {
            return self.lost();
        }
        // SAFETY: the buffer holds as many numbers.
        let done = unsafe { self.home.driver.read(address, to) };
        self.home.checked(done);
    }

    fn fill(&self, value: f32, len: usize, to: &mut Buffer) {
        self.each(Of::Fill, len, &[value.into(), at(to, len)]);
    }

    fn spread<R: Send>(&self, images: usize, block: usize, f: impl Fn(&Self, Range<usize>) -> R + Sync) -> Vec<R> {
        let block = block.max(1);
        (0..images.div_ceil(block)).map(|i| f(self, i * block..images.min((i + 1) * block))).collect()
    }

    fn copy(&self, images: usize, how: &Strided, from: &Buffer, accumulate: bool, to: &mut Buffer) {
        let [read, write] = how.images;
        if how.is_empty() {
            return;
        }
        let farthest =
            |by: fn(&(usize, usize, usize)) -> usize| how.loops.iter().map(|l| (l.0 - 1) * by(l)).sum::<usize>();
        let ends = [how.offset[0] + farthest(|l| l.1), how.offset[1] + farthest(|l| l.2)];
        assert!(ends[0] < read && ends[1] < write, "no stride leads out of an image");
        let loops = how.loops.map(|(n, read, write)| [n, read, write].map(Argument::from)).concat();
        let sizes = [read, write, how.offset[0], how.offset[1]].map(Argument::from);
        let ends = [at(from, images * read), accumulate.into(), at(to, images * write)];
        self.each(Of::Copy, images * how.len(), &all([&ends, &sizes, &loops]));
    }

    fn product(&self, how: &Product, a: &Buffer, b: &Buffer, c: &mut Buffer) {
        self.multiply_matrices(&Factors { how: *how, a, b, fused: Fused::default(), bias_by_row: false }, c);
    }

    fn pack_linear(&self, outputs: usize, inputs: usize, weight: &Buffer) -> Linear {
        Linear { weight: self.copied(weight, outputs * inputs), outputs, inputs }
    }

    fn linear(&self, rows: usize, weight: &Linear, x: &Buffer, fused: Fused<'_, Buffer>, y: &mut Buffer) {
        self.linear_once([rows, weight.inputs, weight.outputs], &weight.weight, x, fused, y);
    }

    fn linear_once(
        &self,
        [rows, inputs, outputs]: [usize; 3],
        weight: &Buffer,
        x: &Buffer,
        fused: Fused<'_, Buffer>,
        y: &mut Buffer,
    ) {
        use crate::device::Place;
        let how =
            Product::one([rows, inputs, outputs], Place::rows(inputs), Place::transposed(inputs), Place::rows(outputs));
        self.multiply_matrices(&Factors { how, a: x, b: weight, fused, bias_by_row: false }, y);
    }

    fn transpose(&self, [rows, columns]: [usize; 2], from: &Buffer, to: &mut Buffer) {
        let loops = [(1, 0, 0), (columns, 1, rows), (rows, columns, 1)];
        self.copy(1, &Strided { images: [rows * columns; 2], offset: [0; 2], loops }, from, false, to);
    }

    /// The dense product with the weights scattered among zeros.
    fn sparse_forward(
        &self,
        (pattern, rows): (&Pattern, usize),
        weight: &Buffer,
        x: &Buffer,
        fused: Fused<'_, Buffer>,
        y: &mut Buffer,
    ) {
        use crate::device::Place;
        let (outputs, inputs) = pattern.size();
        let weight = self.whole(pattern, weight);
        let how = Product::one([outputs, inputs, rows], Place::rows(inputs), Place::rows(rows), Place::rows(rows));
        self.multiply_matrices(&Factors { how, a: &weight, b: x, fused, bias_by_row: true }, y);
    }

    fn sparse_backward_input(
        &self,
        (pattern, rows): (&Pattern, usize),
        weight: &Buffer,
        dy: &Buffer,
        accumulate: bool,
        dx: &mut Buffer,
    ) {
        use crate::device::Place;
        let (outputs, inputs) = pattern.size();
        let weight = self.whole(pattern, weight);
        let how =
            Product::one([inputs, outputs, rows], Place::transposed(inputs), Place::rows(rows), Place::rows(rows));
        self.product(&Product { accumulate, ..how }, &weight, dy, dx);
    }

    fn sparse_backward_weight(&self, (pattern, rows): (&Pattern, usize), x: &Buffer, dy: &Buffer, dw: &mut Buffer) {
        use crate::device::Place;
        let (outputs, inputs) = pattern.size();
        let mut matrix = self.buffer(outputs * inputs);
        let how =
            Product::one([outputs, rows, inputs], Place::rows(rows), Place::transposed(rows), Place::rows(inputs));
        self.product(&how, dy, x, &mut matrix);
        let (places, n) = (self.places(pattern), pattern.kept());
        self.each(Of::Gather, n, &[at(&places, n), at(&matrix, outputs * inputs), at(dw, n)]);
    }

    fn pack_kernel(&self, conv: &Convolution, weight: &Buffer) -> Kernel {
        let plain = conv.is_depthwise();
        let packed = || self.packed(Of::PackForward, conv, weight);
        Kernel { weight: if plain { self.copied(weight, conv.weight_len()) } else { packed() } }
    }

    fn convolution(
        &self,
        images: usize,
        conv: &Convolution,
        weight: &Kernel,
        x: &Buffer,
        fused: Fused<'_, Buffer>,
        y: &mut Buffer,
    ) {
        let (input, output) = (images * conv.input_len(), images * conv.output_len());
        let around = all([
            &[at(x, input), at(&weight.weight, conv.weight_len()), maybe(fused.bias, conv.outputs)],
            &[maybe(fused.residual, output)],
            &limits(fused.clip),
            &[at(y, output)],
            &sizes(conv),
        ]);
        if conv.is_depthwise() {
            return self.each(Of::Depthwise, output, &around);
        }
        let blocks = tiles(output / conv.outputs.max(1), conv.group_outputs()) * conv.groups;
        self.launch(Of::Convolution, blocks, &all([&[images.into()], &around]));
    }

    fn convolution_backward_input(
        &self,
        images: usize,
        conv: &Convolution,
        weight: &Buffer,
        dy: &Buffer,
        accumulate: bool,
        dx: &mut Buffer,
    ) {
        let (input, output) = (images * conv.input_len(), images * conv.output_len());
        let packed;
        let weight = if conv.is_depthwise() {
            weight
        } else {
            packed = self.packed(Of::PackBackward, conv, weight);
            &packed
        };
        let around =
            all([&[at(dy, output), at(weight, conv.weight_len()), accumulate.into(), at(dx, input)], &sizes(conv)]);
        if conv.is_depthwise() {
            return self.each(Of::DepthwiseBackwardInput, input, &around);
        }
        let blocks = tiles(input / conv.input[2].max(1), conv.group_inputs()) * conv.groups;
        self.launch(Of::ConvolutionBackwardInput, blocks, &all([&[images.into()], &around]));
    }

    fn convolution_backward_weight(&self, images: usize, conv: &Convolution, x: &Buffer, dy: &Buffer, dw: &mut Buffer) {
        let (input, output, n) = (images * conv.input_len(), images * conv.output_len(), conv.weight_len());
        if input * output == 0 {
            return self.fill(0.0, n, dw);
        }
        let chunk = images.div_ceil((SUMS / n).clamp(1, CHUNKS));
        let chunks = images.div_ceil(chunk);
        let partial = self.buffer(chunks * n);
        let ends = [at(x, input), at(dy, output), at(&partial, chunks * n)];
        let (taps, inputs, outputs) = (conv.taps(), conv.group_inputs(), conv.group_outputs());
        let order = if conv.is_depthwise() {
            let arguments = all([&[images.into(), chunk.into()], &ends, &sizes(conv)]);
            self.each(Of::DepthwiseBackwardWeight, chunks * n, &arguments);
            [1, 1, n]
        } else {
            let blocks = tiles(taps * inputs, outputs) * conv.groups * chunks;
            let arguments = all([&[images, chunk, conv.groups].map(Argument::from), &ends, &sizes(conv)]);
            self.launch(Of::ConvolutionBackwardWeight, blocks, &arguments);
            [taps, inputs, outputs]
        };
        let order = order.map(Argument::from);
        self.each(Of::AddChunks, n, &all([&[chunks.into()], &order, &[at(&partial, chunks * n), at(dw, n)]]));
    }

    fn pool(&self, images: usize, pool: &Pooling, x: &Buffer, y: &mut Buffer) {
        let (input, output) = (images * pool.input_len(), images * pool.output_len());
        self.each(Of::Pool, output, &all([&[at(x, input), at(y, output)], &windows(pool)]));
    }

    fn pool_backward(&self, images: usize, pool: &Pooling, x: &Buffer, dy: &Buffer, accumulate: bool, dx: &mut Buffer) {
        let (input, output) = (images * pool.input_len(), images * pool.output_len());
        let ends = [at(x, input), at(dy, output), accumulate.into(), at(dx, input)];
        self.each(Of::PoolBackward, input, &all([&ends, &windows(pool)]));
    }

    fn activation(&self, f: Activation, len: usize, x: &Buffer, y: &mut Buffer) {
        self.each(Of::Activation, len, &all([&function(f), &[at(x, len), at(y, len)]]));
    }

    fn activation_in_place(&self, f: Activation, len: usize, y: &mut Buffer) {
        self.each(Of::Activation, len, &all([&function(f), &[at(y, len), at(y, len)]]));
    }

    fn activation_backward(
        &self,
        f: Activation,
        len: usize,
        x: &Buffer,
        dy: &Buffer,
        accumulate: bool,
        dx: &mut Buffer,
    ) {
        let ends = [at(x, len), at(dy, len), accumulate.into(), at(dx, len)];
        self.each(Of::ActivationBackward, len, &all([&function(f), &ends]));
    }

    fn rectify_gradient(&self, len: usize, y: &Buffer, g: &mut Buffer) {
        self.each(Of::RectifyGradient, len, &[at(y, len), at(g, len)]);
    }

    fn add(&self, len: usize, a: &Buffer, b: &Buffer, y: &mut Buffer) {
        self.each(Of::Add, len, &[at(a, len), at(b, len), at(y, len)]);
    }

    fn accumulate(&self, len: usize, x: &Buffer, y: &mut Buffer) {
        self.each(Of::Add, len, &[at(y, len), at(x, len), at(y, len)]);
    }

    fn multiply(&self, len: usize, a: &Buffer, b: &Buffer, accumulate: bool, y: &mut Buffer) {
        self.each(Of::Multiply, len, &[at(a, len), at(b, len), accumulate.into(), at(y, len)]);
    }

    fn add_to_each(&self, images: usize, len: usize, offset: &Buffer, y: &mut Buffer) {
        self.each(Of::AddToEach, images * len, &[len.into(), at(offset, len), at(y, images * len)]);
    }

    fn scale_shift(
        &self,
        [places, channels]: [usize; 2],
        scale: &Buffer,
        x: &Buffer,
        fused: Fused<'_, Buffer>,
        y: &mut Buffer,
    ) {
        let n = places * channels;
        let factors = [channels.into(), at(x, n), at(scale, channels), maybe(fused.bias, channels)];
        let rest = [&[maybe(fused.residual, n)][..], &limits(fused.clip), &[at(y, n)]];
        self.each(Of::ScaleShift, n, &all([&factors, &rest.concat()]));
    }

    fn normalise(&self, [places, channels]: [usize; 2], mean: &Buffer, std: &Buffer, x: &Buffer, y: &mut Buffer) {
        let n = places * channels;
        self.each(Of::Normalise, n, &[channels.into(), at(mean, channels), at(std, channels), at(x, n), at(y, n)]);
    }

    fn clamp(&self, [places, channels]: [usize; 2], bounds: Bounds<'_, Buffer>, x: &Buffer, y: &mut Buffer) {
        let (n, zero) = (places * channels, bounds.beyond == Beyond::Zero);
        let ends = [at(bounds.low, channels), at(bounds.high, channels), at(x, n), at(y, n)];
        self.each(Of::Clamp, n, &all([&[channels.into(), zero.into()], &ends]));
    }

    fn clamp_in_place(&self, [places, channels]: [usize; 2], bounds: Bounds<'_, Buffer>, y: &mut Buffer) {
        let (n, zero) = (places * channels, bounds.beyond == Beyond::Zero);
        let ends = [at(bounds.low, channels), at(bounds.high, channels), at(y, n), at(y, n)];
        self.each(Of::Clamp, n, &all([&[channels.into(), zero.into()], &ends]));
    }

    fn clamp_backward(
        &self,
        [places, channels]: [usize; 2],
        bounds: Bounds<'_, Buffer>,
        (x, dy): (&Buffer, &Buffer),
        accumulate: bool,
        dx: &mut Buffer,
    ) {
        let n = places * channels;
        let (low, high) = (at(bounds.low, channels), at(bounds.high, channels));
        let ends = [at(x, n), at(dy, n), accumulate.into(), at(dx, n)];
        self.each(Of::ClampBackward, n, &all([&[channels.into(), low, high], &ends]));
    }

    fn statistics(&self, [images, places, c]: [usize; 3], x: &Buffer) -> Statistics {
        let n = images * places * c;
        if n == 0 {
            return Statistics { mean: vec![0.0; c], variance: vec![0.0; c], count: 0 };
        }
        let (partial, totals) = (self.buffer(2 * images * c), self.buffer(4 * c));
        let moments = [places.into(), c.into(), at(x, n), at(&partial, 2 * images * c)];
        self.launch(Of::Moments, images * c.div_ceil(LANES), &moments);
        let combine = [images.into(), places.into(), at(&partial, 2 * images * c), at(&totals, 4 * c)];
        self.each(Of::CombineMoments, c, &combine);
        let mut mean = self.doubles(&totals, 2 * c);
        let variance = mean.split_off(c);
        Statistics { mean, variance, count: images * places }
    }

    fn gradient_sums(&self, size: [usize; 3], mean: &[f32], x: &Buffer, g: &Buffer) -> [Vec<f64>; 2] {
        let (n, c) = (size.iter().product(), size[2]);
        let mean = self.upload(mean);
        let mut sums = self.sums(Of::GradientSums, size, 2, &[at(&mean, c), at(x, n), at(g, n)]);
        let products = sums.split_off(c);
        [sums, products]
    }

    fn channel_sums(&self, size: [usize; 3], x: &Buffer) -> Vec<f64> {
        self.sums(Of::ChannelSums, size, 1, &[at(x, size.iter().product())])
    }

    fn combine(
        &self,
        [places, channels]: [usize; 2],
        by: [&Buffer; 3],
        (x, g): (&Buffer, &Buffer),
        accumulate: bool,
        dx: &mut Buffer,
    ) {
        let n = places * channels;
        let by = by.map(|factor| at(factor, channels));
        let ends = [at(x, n), at(g, n), accumulate.into(), at(dx, n)];
        self.each(Of::Combine, n, &all([&[channels.into()], &by, &ends]));
    }

    fn adam(&self, len: usize, by: &Adam, gradient: &Buffer, arrays: [&mut Buffer; 3]) {
        let numbers = by.rounded().map(Argument::from);
        let arrays = arrays.map(|array| at(array, len));
        self.each(Of::Adam, len, &all([&numbers, &[at(gradient, len)], &arrays]));
    }

    fn softmax(&self, [rows, len]: [usize; 2], x: &Buffer, y: &mut Buffer) {
        if len > 0 {
            self.each(Of::Softmax, rows, &[len.into(), at(x, rows * len), at(y, rows * len)]);
        }
    }

    fn softmax_backward(&self, [rows, len]: [usize; 2], y: &Buffer, dy: &Buffer, accumulate: bool, dx: &mut Buffer) {
        let n = rows * len;
        self.each(Of::SoftmaxBackward, rows, &[len.into(), at(y, n), at(dy, n), accumulate.into(), at(dx, n)]);
    }

    fn layer_norm(&self, [rows, len]: [usize; 2], eps: f64, [weight, bias]: [&Buffer; 2], x: &Buffer, y: &mut Buffer) {
        let n = rows * len;
        let statistics = self.row_statistics([rows, len], eps, x);
        let ends = [at(&statistics, 2 * rows), at(weight, len), at(bias, len), at(x, n), at(y, n)];
        self.each(Of::LayerNorm, n, &all([&[len.into()], &ends]));
    }

    fn layer_norm_backward(
        &self,
        [rows, len]: [usize; 2],
        (eps, weight): (f64, &Buffer),
        (x, dy): (&Buffer, &Buffer),
        (accumulate, dx): (bool, &mut Buffer),
        [dw, db]: [&mut Buffer; 2],
    ) {
        let n = rows * len;
        let (statistics, means) = (self.row_statistics([rows, len], eps, x), self.buffer(2 * rows));
        let rows_at = at(&statistics, 2 * rows);
        let (x, dy, means) = (at(x, n), at(dy, n), at(&means, 2 * rows));
        self.each(Of::LayerNormMeans, rows, &[len.into(), rows_at, at(weight, len), x, dy, means]);
        let ends = [at(weight, len), x, dy, accumulate.into(), at(dx, n)];
        self.each(Of::LayerNormBackward, n, &all([&[len.into(), rows_at, means], &ends]));
        self.each(Of::LayerNormParameters, len, &[rows.into(), rows_at, x, dy, at(dw, len), at(db, len)]);
    }

    fn lstm_cell(&self, size: [usize; 2], gates: &mut Buffer, [c]: [&Buffer; 1], [after, h]: [&mut Buffer; 2]) {
        let n = size[0] * size[1];
        self.each(Of::LstmCell, n, &[size[1].into(), at(gates, 4 * n), at(c, n), at(after, n), at(h, n)]);
    }

    fn lstm_cell_backward(
        &self,
        size: [usize; 2],
        gates: &Buffer,
        [before, after]: [&Buffer; 2],
        dh: &Buffer,
        dc: &mut Buffer,
        dgates: &mut Buffer,
    ) {
        let n = size[0] * size[1];
        let known = [at(gates, 4 * n), at(before, n), at(after, n), at(dh, n)];
        self.each(Of::LstmCellBackward, n, &all([&[size[1].into()], &known, &[at(dc, n), at(dgates, 4 * n)]]));
    }
}
