//! The processor that this program runs on.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::pool::{Buffer, Pool};
use super::{
    Adam, Bounds, Convolution, Device, Difference, Fused, Pattern, Planes, Pooling, Product, Slopes, Statistics,
    Strided,
};
use crate::activation::Activation;
use crate::kernel::elementwise::{Limits, Then};
use crate::kernel::matmul::{Around, Matrix, Packed};
use crate::kernel::norm::Combination;
use crate::kernel::{
    InstructionSet, Threads, conv, copy, elementwise, lstm, matmul, norm, optimise, pick, planes, pool, softmax, sparse,
};

/// All threads of the current rayon pool, with the best instructions there are.
#[derive(Clone, Debug)]
pub struct Cpu {
    set: InstructionSet,
    threads: Threads,
    pool: Arc<Pool>,
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Cpu {
    /// The best that this processor can do.
    #[must_use]
    pub fn new() -> Self {
        Self::with(InstructionSet::detect())
    }

    /// With instructions of a chosen set; results have the same bits with any.
    #[must_use]
    pub fn with(set: InstructionSet) -> Self {
        Self { set, threads: Threads::Pool, pool: Arc::default() }
    }

    /// The instructions it uses.
    #[must_use]
    pub const fn instruction_set(&self) -> InstructionSet {
        self.set
    }

    const fn how(&self) -> (InstructionSet, Threads) {
        (self.set, self.threads)
    }
}

/// The kernels' form of what is fused; the residual is as long as the result.
fn around<'a>(fused: &Fused<'a, Buffer>, len: usize) -> Around<'a> {
    Around {
        accumulate: false,
        bias: fused.bias.map(|b| &**b),
        residual: fused.residual.map(|r| &r[..len]),
        clip: fused.clip,
    }
}

/// The kernels' form of bounds.
fn limits<'a>(bounds: &Bounds<'a, Buffer>, channels: usize) -> Limits<'a> {
    Limits { low: &bounds.low[..channels], high: &bounds.high[..channels], beyond: bounds.beyond }
}

/// The kernels' form of planes of `rows` rows.
fn numbers<'a>(planes: &Planes<'a, Buffer>, rows: usize) -> Planes<'a, [f32]> {
    let Planes { numbers, size, channels } = *planes;
    Planes { numbers: &numbers[..rows * size[0] * channels.len()], size, channels }
}

impl Device for Cpu {
    type Buffer = Buffer;
    type Linear = Packed;
    type Kernel = conv::PackedForward;
    type Backward = conv::PackedBackward;

    fn buffer(&self, len: usize) -> Buffer {
        self.pool.take(len)
    }

    fn write(&self, from: &[f32], to: &mut Buffer) {
        to[..from.len()].copy_from_slice(from);
    }

    fn read(&self, from: &Buffer, to: &mut [f32]) {
        to.copy_from_slice(&from[..to.len()]);
    }

    fn fill(&self, value: f32, len: usize, to: &mut Buffer) {
        to[..len].fill(value);
    }

    fn spread<R: Send>(&self, images: usize, block: usize, f: impl Fn(&Self, Range<usize>) -> R + Sync) -> Vec<R> {
        let block = self.threads.share(images, block, 1, usize::MAX);
        let work = |i: usize| {
            self.pool.with_child(|pool| {
                let one = Self { set: self.set, threads: Threads::One, pool: Arc::clone(pool) };
                f(&one, i * block..images.min((i + 1) * block))
            })
        };
        let blocks = images.div_ceil(block);
        if self.threads.count() == 1 || blocks <= 1 {
            (0..blocks).map(work).collect()
        } else {
            (0..blocks).into_par_iter().map(work).collect()
        }
    }

    fn enter<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        if self.threads.count() == 1 || rayon::current_thread_index().is_some() { f() } else { rayon::scope(|_| f()) }
    }

    fn download(&self, from: &Buffer, len: usize) -> Vec<f32> {
        from[..len].to_vec()
    }

    fn copy(&self, images: usize, how: &Strided, from: &Buffer, accumulate: bool, to: &mut Buffer) {
        let [read, write] = how.images.map(|len| images * len);
        copy::copy(self.threads, how, &from[..read], accumulate, &mut to[..write]);
    }

    fn product(&self, how: &Product, a: &Buffer, b: &Buffer, c: &mut Buffer) {
        matmul::product(self.how(), how, a, b, c);
    }

    fn pack_linear(&self, outputs: usize, inputs: usize, weight: &Buffer) -> Packed {
        let weight = Matrix::rows(&weight[..outputs * inputs], inputs);
        Packed::new(self.set, weight.transposed(), inputs, outputs)
    }

    fn linear(&self, rows: usize, weight: &Packed, x: &Buffer, fused: Fused<'_, Buffer>, y: &mut Buffer) {
        let (inputs, len) = (weight.depth(), rows * weight.columns());
        let x = Matrix::rows(&x[..rows * inputs], inputs);
        matmul::matmul(self.how(), rows, x, weight, &around(&fused, len), &mut y[..len]);
    }

    fn linear_once(
        &self,
        [rows, inputs, outputs]: [usize; 3],
        weight: &Buffer,
        x: &Buffer,
        fused: Fused<'_, Buffer>,
        y: &mut Buffer,
    ) {
        // Arranging the smaller of the two factors costs less.
        if fused.residual.is_some() || 2 * rows > outputs {
            return self.linear(rows, &self.pack_linear(outputs, inputs, weight), x, fused, y);
        }
        let bias = fused.bias.map(|b| &**b);
        let weight = &weight[..outputs * inputs];
        let (x, y) = (&x[..rows * inputs], &mut y[..rows * outputs]);
        matmul::linear_transposed(self.how(), [rows, inputs, outputs], weight, x, (bias, fused.clip), y);
    }

    fn transpose(&self, [rows, columns]: [usize; 2], from: &Buffer, to: &mut Buffer) {
        let len = rows * columns;
        sparse::transpose(self.how(), [rows, columns], &from[..len], &mut to[..len]);
    }

    fn sparse_forward(
        &self,
        (pattern, rows): (&Pattern, usize),
        weight: &Buffer,
        x: &Buffer,
        fused: Fused<'_, Buffer>,
        y: &mut Buffer,
    ) {
        let (outputs, inputs) = pattern.size();
        let (x, y) = (&x[..rows * inputs], &mut y[..rows * outputs]);
        let around = (fused.bias.map(|b| &b[..outputs]), fused.clip);
        sparse::forward(self.how(), (pattern, rows), &weight[..pattern.kept()], x, around, y);
    }

    fn sparse_backward_input(
        &self,
        (pattern, rows): (&Pattern, usize),
        weight: &Buffer,
        dy: &Buffer,
        accumulate: bool,
        dx: &mut Buffer,
    ) {
        let (outputs, inputs) = pattern.size();
        let (dy, dx) = (&dy[..rows * outputs], &mut dx[..rows * inputs]);
        sparse::backward_input(self.how(), (pattern, rows), &weight[..pattern.kept()], dy, accumulate, dx);
    }

    fn sparse_backward_weight(&self, (pattern, rows): (&Pattern, usize), x: &Buffer, dy: &Buffer, dw: &mut Buffer) {
        let (outputs, inputs) = pattern.size();
        let (x, dy) = (&x[..rows * inputs], &dy[..rows * outputs]);
        sparse::backward_weight(self.how(), (pattern, rows), x, dy, &mut dw[..pattern.kept()]);
    }

    fn pack_kernel(&self, conv: &Convolution, weight: &Buffer) -> conv::PackedForward {
        conv::PackedForward::new(self.set, conv, &weight[..conv.weight_len()])
    }

    fn convolution(
        &self,
        images: usize,
        conv: &Convolution,
        weight: &conv::PackedForward,
        x: &Buffer,
        fused: Fused<'_, Buffer>,
        y: &mut Buffer,
    ) {
        let (x, len) = (&x[..images * conv.input_len()], images * conv.output_len());
        conv::forward(self.how(), conv, weight, x, &around(&fused, len), &mut y[..len]);
    }

    fn convolution_with_statistics(
        &self,
        images: usize,
        conv: &Convolution,
        weight: &conv::PackedForward,
        x: &Buffer,
        bias: Option<&Buffer>,
        y: &mut Buffer,
    ) -> Statistics {
        let (x, len) = (&x[..images * conv.input_len()], images * conv.output_len());
        let around = around(&Fused { bias, ..Fused::default() }, len);
        conv::forward_with_statistics(self.how(), conv, weight, x, &around, &mut y[..len])
    }

    fn pack_backward(&self, conv: &Convolution, weight: &Buffer) -> conv::PackedBackward {
        conv::PackedBackward::new(self.set, conv, &weight[..conv.weight_len()])
    }

    fn convolution_backward_input(
        &self,
        images: usize,
        conv: &Convolution,
        weight: &conv::PackedBackward,
        dy: &Buffer,
        accumulate: bool,
        dx: &mut Buffer,
    ) {
        let (dy, dx) = (&dy[..images * conv.output_len()], &mut dx[..images * conv.input_len()]);
        conv::backward_input(self.how(), conv, weight, dy, accumulate, dx);
    }

    fn convolution_backward_weight(&self, images: usize, conv: &Convolution, x: &Buffer, dy: &Buffer, dw: &mut Buffer) {
        let (x, dy) = (&x[..images * conv.input_len()], &dy[..images * conv.output_len()]);
        conv::backward_weight(self.how(), conv, x, dy, &mut dw[..conv.weight_len()]);
    }

    fn pool(&self, images: usize, pool: &Pooling, x: &Buffer, y: &mut Buffer) {
        let (x, y) = (&x[..images * pool.input_len()], &mut y[..images * pool.output_len()]);
        pool::forward(self.how(), pool, x, y);
    }

    fn pool_backward(&self, images: usize, pool: &Pooling, x: &Buffer, dy: &Buffer, accumulate: bool, dx: &mut Buffer) {
        let (input, output) = (images * pool.input_len(), images * pool.output_len());
        pool::backward(self.how(), pool, &x[..input], &dy[..output], accumulate, &mut dx[..input]);
    }

    fn activation(&self, f: Activation, len: usize, x: &Buffer, y: &mut Buffer) {
        elementwise::activation(self.how(), f, &x[..len], &mut y[..len]);
    }

    fn activation_in_place(&self, f: Activation, len: usize, y: &mut Buffer) {
        elementwise::activation_in_place(self.how(), f, &mut y[..len]);
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
        elementwise::activation_backward(self.how(), f, &x[..len], &dy[..len], accumulate, &mut dx[..len]);
    }

    fn rectify_gradient(&self, len: usize, y: &Buffer, g: &mut Buffer) {
        elementwise::rectify_gradient(self.how(), &y[..len], &mut g[..len]);
    }

    fn add(&self, len: usize, a: &Buffer, b: &Buffer, y: &mut Buffer) {
        elementwise::add(self.how(), &a[..len], &b[..len], &mut y[..len]);
    }

    fn accumulate(&self, len: usize, x: &Buffer, y: &mut Buffer) {
        elementwise::accumulate(self.how(), &x[..len], &mut y[..len]);
    }

    fn multiply(&self, len: usize, a: &Buffer, b: &Buffer, accumulate: bool, y: &mut Buffer) {
        elementwise::multiply(self.how(), &a[..len], &b[..len], accumulate, &mut y[..len]);
    }

    fn add_to_each(&self, images: usize, len: usize, offset: &Buffer, y: &mut Buffer) {
        elementwise::add_to_each(self.how(), &offset[..len], &mut y[..images * len]);
    }

    fn scale_shift(
        &self,
        [places, channels]: [usize; 2],
        scale: &Buffer,
        x: &Buffer,
        fused: Fused<'_, Buffer>,
        y: &mut Buffer,
    ) {
        let len = places * channels;
        let zeros;
        let shift = if let Some(shift) = fused.bias {
            &shift[..channels]
        } else {
            zeros = vec![0.0; channels];
            &zeros
        };
        let then = Then { residual: fused.residual.map(|r| &r[..len]), clip: fused.clip };
        elementwise::scale_shift(self.how(), &x[..len], &scale[..channels], shift, &then, &mut y[..len]);
    }

    fn normalise(&self, [places, channels]: [usize; 2], mean: &Buffer, std: &Buffer, x: &Buffer, y: &mut Buffer) {
        let len = places * channels;
        elementwise::normalise(self.how(), &x[..len], &mean[..channels], &std[..channels], &mut y[..len]);
    }

    fn clamp(&self, [places, channels]: [usize; 2], bounds: Bounds<'_, Buffer>, x: &Buffer, y: &mut Buffer) {
        let len = places * channels;
        elementwise::clamp(self.how(), limits(&bounds, channels), &x[..len], &mut y[..len]);
    }

    fn clamp_in_place(&self, [places, channels]: [usize; 2], bounds: Bounds<'_, Buffer>, y: &mut Buffer) {
        elementwise::clamp_in_place(self.how(), limits(&bounds, channels), &mut y[..places * channels]);
    }

    fn clamp_backward(
        &self,
        [places, channels]: [usize; 2],
        bounds: Bounds<'_, Buffer>,
        (x, dy): (&Buffer, &Buffer),
        accumulate: bool,
        dx: &mut Buffer,
    ) {
        let len = places * channels;
        let limits = limits(&bounds, channels);
        elementwise::clamp_backward(self.how(), limits, &x[..len], &dy[..len], accumulate, &mut dx[..len]);
    }

    fn statistics(&self, [images, places, c]: [usize; 3], x: &Buffer) -> Statistics {
        norm::statistics(self.how(), &x[..images * places * c], images, c)
    }

    fn gradient_sums(&self, [images, places, c]: [usize; 3], mean: &[f32], x: &Buffer, g: &Buffer) -> [Vec<f64>; 2] {
        let len = images * places * c;
        norm::gradient_sums(self.how(), &x[..len], &g[..len], images, mean)
    }

    fn rectified_gradient_sums(
        &self,
        [images, places, c]: [usize; 3],
        mean: &[f32],
        x: &Buffer,
        y: &Buffer,
        g: &mut Buffer,
    ) -> [Vec<f64>; 2] {
        let len = images * places * c;
        norm::rectified_gradient_sums(self.how(), (&x[..len], &y[..len]), &mut g[..len], images, mean)
    }

    fn channel_sums(&self, [images, places, c]: [usize; 3], x: &Buffer) -> Vec<f64> {
        norm::channel_sums(self.how(), &x[..images * places * c], images, c)
    }

    fn combine(
        &self,
        [places, channels]: [usize; 2],
        [a, b, s]: [&Buffer; 3],
        (x, g): (&Buffer, &Buffer),
        accumulate: bool,
        dx: &mut Buffer,
    ) {
        let len = places * channels;
        let by = Combination { a: &a[..channels], b: &b[..channels], s: &s[..channels] };
        norm::combine(self.how(), &by, &x[..len], &g[..len], accumulate, &mut dx[..len]);
    }

    fn adam(&self, len: usize, by: &Adam, gradient: &Buffer, [values, first, second]: [&mut Buffer; 3]) {
        let all = [&mut values[..len], &mut first[..len], &mut second[..len]];
        optimise::adam(self.how(), by, &gradient[..len], all);
    }

    fn softmax(&self, [rows, len]: [usize; 2], x: &Buffer, y: &mut Buffer) {
        softmax::softmax(self.threads, len, &x[..rows * len], &mut y[..rows * len]);
    }

    fn softmax_backward(&self, [rows, len]: [usize; 2], y: &Buffer, dy: &Buffer, accumulate: bool, dx: &mut Buffer) {
        let all = rows * len;
        softmax::softmax_backward(self.threads, len, &y[..all], &dy[..all], accumulate, &mut dx[..all]);
    }

    fn layer_norm(&self, [rows, len]: [usize; 2], eps: f64, [weight, bias]: [&Buffer; 2], x: &Buffer, y: &mut Buffer) {
        let all = rows * len;
        norm::layer_norm(self.how(), eps, &weight[..len], &bias[..len], &x[..all], &mut y[..all]);
    }

    fn layer_norm_backward(
        &self,
        [rows, len]: [usize; 2],
        (eps, weight): (f64, &Buffer),
        (x, dy): (&Buffer, &Buffer),
        (accumulate, dx): (bool, &mut Buffer),
        [dw, db]: [&mut Buffer; 2],
    ) {
        let all = rows * len;
        let (x, dy, dx) = (&x[..all], &dy[..all], &mut dx[..all]);
        let parameters = (&mut dw[..len], &mut db[..len]);
        norm::layer_norm_backward(self.how(), (eps, &weight[..len]), (x, dy), accumulate, dx, parameters);
    }

    fn lstm_cell(&self, size: [usize; 2], gates: &mut Buffer, [c]: [&Buffer; 1], [after, h]: [&mut Buffer; 2]) {
        let len = size[0] * size[1];
        lstm::cell(size[1], &mut gates[..4 * len], &c[..len], &mut after[..len], &mut h[..len]);
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
        let len = size[0] * size[1];
        let cells = (&before[..len], &after[..len]);
        lstm::cell_backward(size[1], &gates[..4 * len], cells, &dh[..len], &mut dc[..len], &mut dgates[..4 * len]);
    }

    fn pick_rows(&self, len: usize, rows: &[u32], from: &Buffer, to: &mut Buffer) {
        pick::rows(len, rows, from, &mut to[..rows.len() * len]);
    }

    fn pick_columns(&self, [rows, columns]: [usize; 2], picks: &[u32], from: &Buffer, to: &mut Buffer) {
        pick::columns(columns, picks, &from[..rows * columns], &mut to[..rows * picks.len()]);
    }

    fn take(&self, [rows, len]: [usize; 2], places: &[[u32; 2]], from: &Buffer) -> Vec<f32> {
        pick::take(len, places, &from[..rows * len])
    }

    fn put(&self, [rows, len]: [usize; 2], places: &[[u32; 2]], values: &[f32], to: &mut Buffer) {
        pick::put(len, places, values, &mut to[..rows * len]);
    }

    fn multiply_each(&self, [images, times, len]: [usize; 3], by: &Buffer, g: &mut Buffer) {
        pick::multiply_each([times, len], &by[..images * len], &mut g[..images * times * len]);
    }

    fn largest(&self, [rows, len]: [usize; 2], x: &Buffer) -> Vec<f32> {
        pick::largest(len, &x[..rows * len])
    }

    fn differences(
        &self,
        rows: usize,
        planes: &Planes<'_, Buffer>,
        array: &Buffer,
        slopes: Option<Slopes<'_, Buffer>>,
    ) -> Vec<Difference> {
        let [count, channels] = planes.size;
        let slopes = slopes.map(|s| Slopes {
            gradient: s.gradient.map(|gradient| &gradient[..rows * s.outputs * count * channels]),
            limits: &s.limits[..rows],
            margins: &s.margins[..rows * s.outputs],
            outputs: s.outputs,
            safety: s.safety,
        });
        planes::differences(&numbers(planes, rows), &array[..rows * count * channels], slopes)
    }

    fn put_planes(&self, rows: usize, planes: &Planes<'_, Buffer>, pairs: &[[u32; 2]], to: &mut Buffer) {
        let [count, channels] = planes.size;
        planes::put(&numbers(planes, rows), pairs, &mut to[..pairs.len() * count * channels]);
    }
}
