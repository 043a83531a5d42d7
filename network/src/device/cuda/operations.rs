//! Every operation of [`Device`] as launches of kernels.
#![expect(unsafe_code, reason = "numbers are copied to and from addresses")]

use std::ops::Range;

use super::arguments::{
    CHUNKS, Factors, LANES, MOST, SUMS, all, function, limits, plane_arguments, sizes, tiles, windows,
};
use super::driver::Argument;
use super::kernels::Kernel as Of;
use super::{Buffer, Cuda, LOST, at, maybe};
use crate::activation::Activation;
use crate::device::{
    Adam, Bounds, Convolution, Device, DeviceError, Difference, Fused, Pattern, Planes, Pooling, Product, Slopes,
    Statistics, Strided,
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
    pub(super) weight: Buffer,
}

impl Device for Cuda {
    type Buffer = Buffer;
    type Linear = Linear;
    type Kernel = Kernel;
    type Backward = Kernel;

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
        self.packed(Of::PackForward, conv, weight)
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

    fn pack_backward(&self, conv: &Convolution, weight: &Buffer) -> Kernel {
        self.packed(Of::PackBackward, conv, weight)
    }

    fn convolution_backward_input(
        &self,
        images: usize,
        conv: &Convolution,
        weight: &Kernel,
        dy: &Buffer,
        accumulate: bool,
        dx: &mut Buffer,
    ) {
        let (input, output) = (images * conv.input_len(), images * conv.output_len());
        let weight = at(&weight.weight, conv.weight_len());
        let around = all([&[at(dy, output), weight, accumulate.into(), at(dx, input)], &sizes(conv)]);
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

    fn pick_rows(&self, len: usize, rows: &[u32], from: &Buffer, to: &mut Buffer) {
        let (n, list) = (rows.len() * len, self.numbers(rows.iter().copied()));
        let end = rows.iter().max().map_or(0, |&row| (row as usize + 1) * len);
        self.each(Of::PickRows, n, &[len.into(), at(&list, rows.len()), at(from, end), at(to, n)]);
    }

    fn pick_columns(&self, [rows, columns]: [usize; 2], picks: &[u32], from: &Buffer, to: &mut Buffer) {
        assert!(picks.iter().all(|&pick| (pick as usize) < columns), "columns exist");
        let (n, list) = (rows * picks.len(), self.numbers(picks.iter().copied()));
        let sizes = [columns, picks.len()].map(Argument::from);
        self.each(Of::PickColumns, n, &all([&sizes, &[at(&list, picks.len()), at(from, rows * columns), at(to, n)]]));
    }

    fn take(&self, size: [usize; 2], places: &[[u32; 2]], from: &Buffer) -> Vec<f32> {
        let (n, to) = (places.len(), self.buffer(places.len()));
        let list = self.inside(size, places);
        self.each(Of::Take, n, &[size[1].into(), at(&list, 2 * n), at(from, size[0] * size[1]), at(&to, n)]);
        self.download(&to, n)
    }

    fn put(&self, size: [usize; 2], places: &[[u32; 2]], values: &[f32], to: &mut Buffer) {
        let (n, list) = (places.len(), self.inside(size, places));
        let values = self.upload(values);
        let ends = [at(&list, 2 * n), at(&values, n), at(to, size[0] * size[1])];
        self.each(Of::Put, n, &all([&[size[1].into()], &ends]));
    }

    fn multiply_each(&self, [images, times, len]: [usize; 3], by: &Buffer, g: &mut Buffer) {
        let n = images * times * len;
        self.each(Of::MultiplyEach, n, &[times.into(), len.into(), at(by, images * len), at(g, n)]);
    }

    fn largest(&self, [rows, len]: [usize; 2], x: &Buffer) -> Vec<f32> {
        let to = self.buffer(rows);
        self.each(Of::Largest, rows, &[len.into(), at(x, rows * len), at(&to, rows)]);
        self.download(&to, rows)
    }

    fn differences(
        &self,
        rows: usize,
        planes: &Planes<'_, Buffer>,
        array: &Buffer,
        slopes: Option<Slopes<'_, Buffer>>,
    ) -> Vec<Difference> {
        let members = planes.channels.len();
        let (n, to) = (rows * members, self.buffer(rows * members));
        let list = self.numbers(planes.channels.iter().copied());
        let len = planes.size[0] * planes.size[1];
        let none = [Argument::Address(0); 3];
        let (arrays, outputs, safety) = slopes.map_or((none, 0, 0.0), |s| {
            let gradient = maybe(s.gradient, rows * s.outputs * len);
            ([gradient, at(s.limits, rows), at(s.margins, rows * s.outputs)], s.outputs, s.safety)
        });
        let arguments = all([
            &plane_arguments(rows, planes, &list),
            &[at(array, rows * len), slopes.is_some().into()],
            &arrays,
            &[outputs.into(), safety.into(), at(&to, n)],
        ]);
        self.each(Of::Differences, n, &arguments);
        let difference = |code: f32| match code {
            2.0 => Difference::OutOfReach,
            1.0 => Difference::Some,
            _ => Difference::Same,
        };
        self.download(&to, n).into_iter().map(difference).collect()
    }

    fn put_planes(&self, rows: usize, planes: &Planes<'_, Buffer>, pairs: &[[u32; 2]], to: &mut Buffer) {
        let (list, pair_list) =
            (self.numbers(planes.channels.iter().copied()), self.inside([rows, planes.channels.len()], pairs));
        let (n, len) = (pairs.len() * planes.size[0], planes.size[0] * planes.size[1]);
        let ends = [at(&pair_list, 2 * pairs.len()), at(to, pairs.len() * len)];
        self.each(Of::PutPlanes, n, &all([&plane_arguments(rows, planes, &list), &ends]));
    }
}
