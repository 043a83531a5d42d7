//! What operations and executors are written against: memory, and arithmetic on it.
//!
//! [`Cpu`] is the reference. Another device implements the same trait, and nothing else changes. Images are
//! `[row][column][channel]` (see [`crate::kernel`]); buffers may be longer than what an operation touches.

mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod error;
mod pool;

use std::fmt::Debug;
use std::ops::Range;

pub use crate::kernel::conv::Convolution;
pub use crate::kernel::copy::Strided;
pub use crate::kernel::matmul::{Place, Product};
pub use crate::kernel::norm::Statistics;
pub use crate::kernel::optimise::Adam;
pub use crate::kernel::planes::{Difference, Planes, Slopes};
pub use crate::kernel::pool::{Kind, Pooling};
pub use crate::kernel::sparse::Pattern;
pub use cpu::Cpu;
#[cfg(feature = "cuda")]
pub use cuda::Cuda;
pub use error::DeviceError;
pub use pool::Buffer;

use crate::activation::Activation;
use crate::op::Beyond;

/// The limits that change nothing.
pub const UNLIMITED: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

/// What a convolution or linear layer does besides its sums.
#[derive(Debug)]
pub struct Fused<'a, B> {
    /// What sums begin with, a number per output.
    pub bias: Option<&'a B>,
    /// Added to the sums, laid out as the result.
    pub residual: Option<&'a B>,
    /// Lower and upper limit of the result.
    pub clip: (f32, f32),
}

impl<B> Clone for Fused<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Fused<'_, B> {}

impl<B> Default for Fused<'_, B> {
    fn default() -> Self {
        Self { bias: None, residual: None, clip: UNLIMITED }
    }
}

/// Bounds of each channel, and what is put in the place of a value outside of them.
#[derive(Debug)]
pub struct Bounds<'a, B> {
    /// The lower ones.
    pub low: &'a B,
    /// The upper ones.
    pub high: &'a B,
    /// What is put there.
    pub beyond: Beyond,
}

/// Memory and arithmetic of one kind of processor.
pub trait Device: Debug + Sized + Sync {
    /// A row of numbers in its memory.
    type Buffer: Debug + Send + Sync;
    /// Weights of a linear layer, arranged for it.
    type Linear: Debug + Send + Sync;
    /// Weights of a convolution, arranged for it.
    type Kernel: Debug + Send + Sync;
    /// Weights of a convolution, arranged for the gradient of its input.
    type Backward: Debug + Send + Sync;

    /// Whether products with few weights gain by leaving out the others.
    const SPARSE: bool = true;

    /// What went wrong on this thread since it was last asked. Operations themselves say nothing: after a failure the numbers that
    /// follow from it mean nothing, and whoever hands numbers out asks first.
    fn failure(&self) -> Option<DeviceError> {
        None
    }

    /// How many images should go through a network together, whose values for one image take `bytes_per_image` bytes; `most` is
    /// what suits a processor's cache.
    fn together(&self, most: usize, _bytes_per_image: usize) -> usize {
        most
    }

    /// Room for `len` numbers, which are unspecified.
    fn buffer(&self, len: usize) -> Self::Buffer;
    /// Copies to the device, to the start of a buffer.
    fn write(&self, from: &[f32], to: &mut Self::Buffer);
    /// Copies from the start of a buffer.
    fn read(&self, from: &Self::Buffer, to: &mut [f32]);
    /// Sets the first `len` numbers.
    fn fill(&self, value: f32, len: usize, to: &mut Self::Buffer);
    /// Cuts `images` images into blocks of at most `block`, and works through them as suits the device: `f` is told which
    /// images, and gets the device that it should do them on. Results are in the order of the images.
    fn spread<R: Send>(&self, images: usize, block: usize, f: impl Fn(&Self, Range<usize>) -> R + Sync) -> Vec<R>;

    /// Does work of many small parts where their threads are reached without detours.
    fn enter<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        f()
    }

    /// Copies to the device.
    fn upload(&self, values: &[f32]) -> Self::Buffer {
        let mut buffer = self.buffer(values.len());
        self.write(values, &mut buffer);
        buffer
    }

    /// `len` zeros.
    fn zeros(&self, len: usize) -> Self::Buffer {
        let mut buffer = self.buffer(len);
        self.fill(0.0, len, &mut buffer);
        buffer
    }

    /// The first `len` numbers.
    fn download(&self, from: &Self::Buffer, len: usize) -> Vec<f32> {
        let mut values = vec![0.0; len];
        self.read(from, &mut values);
        values
    }

    /// Copies numbers about in each image, or adds them.
    fn copy(&self, images: usize, how: &Strided, from: &Self::Buffer, accumulate: bool, to: &mut Self::Buffer);

    /// Products of matrices.
    fn product(&self, how: &Product, a: &Self::Buffer, b: &Self::Buffer, c: &mut Self::Buffer);
    /// Arranges the `outputs x inputs` matrix `weight`.
    fn pack_linear(&self, outputs: usize, inputs: usize, weight: &Self::Buffer) -> Self::Linear;
    /// `y = W x` for `rows` rows.
    fn linear(
        &self,
        rows: usize,
        weight: &Self::Linear,
        x: &Self::Buffer,
        fused: Fused<'_, Self::Buffer>,
        y: &mut Self::Buffer,
    );
    /// [`Device::linear`] with weights that are used once; the same bits. `size` is rows, inputs, outputs.
    fn linear_once(
        &self,
        size: [usize; 3],
        weight: &Self::Buffer,
        x: &Self::Buffer,
        fused: Fused<'_, Self::Buffer>,
        y: &mut Self::Buffer,
    ) {
        let [rows, inputs, outputs] = size;
        self.linear(rows, &self.pack_linear(outputs, inputs, weight), x, fused, y);
    }

    /// `from`, of `size` rows and columns, transposed.
    fn transpose(&self, size: [usize; 2], from: &Self::Buffer, to: &mut Self::Buffer);
    /// `y = W x` with the kept weights of a matrix, bias and limits; `x` is `[input][row]` and `y` is `[output][row]`. The
    /// second of `of` is the rows.
    fn sparse_forward(
        &self,
        of: (&Pattern, usize),
        weight: &Self::Buffer,
        x: &Self::Buffer,
        fused: Fused<'_, Self::Buffer>,
        y: &mut Self::Buffer,
    );
    /// The gradient of its input, or adds it: from `[output][row]` to `[input][row]`.
    fn sparse_backward_input(
        &self,
        of: (&Pattern, usize),
        weight: &Self::Buffer,
        dy: &Self::Buffer,
        accumulate: bool,
        dx: &mut Self::Buffer,
    );
    /// The gradient of its kept weights, from `[input][row]` and `[output][row]`.
    fn sparse_backward_weight(&self, of: (&Pattern, usize), x: &Self::Buffer, dy: &Self::Buffer, dw: &mut Self::Buffer);

    /// Arranges the weights of a convolution.
    fn pack_kernel(&self, conv: &Convolution, weight: &Self::Buffer) -> Self::Kernel;
    /// The values of a convolution.
    fn convolution(
        &self,
        images: usize,
        conv: &Convolution,
        weight: &Self::Kernel,
        x: &Self::Buffer,
        fused: Fused<'_, Self::Buffer>,
        y: &mut Self::Buffer,
    );
    /// [`Device::convolution`] with a bias, and mean and variance of each output over the batch.
    fn convolution_with_statistics(
        &self,
        images: usize,
        conv: &Convolution,
        weight: &Self::Kernel,
        x: &Self::Buffer,
        bias: Option<&Self::Buffer>,
        y: &mut Self::Buffer,
    ) -> Statistics {
        self.convolution(images, conv, weight, x, Fused { bias, ..Fused::default() }, y);
        let [height, width, channels] = conv.output();
        self.statistics([images, height * width, channels], y)
    }
    /// Arranges the weights of a convolution for [`Device::convolution_backward_input`].
    fn pack_backward(&self, conv: &Convolution, weight: &Self::Buffer) -> Self::Backward;
    /// The gradient of a convolution's input, or adds it.
    fn convolution_backward_input(
        &self,
        images: usize,
        conv: &Convolution,
        weight: &Self::Backward,
        dy: &Self::Buffer,
        accumulate: bool,
        dx: &mut Self::Buffer,
    );
    /// The gradient of a convolution's weights.
    fn convolution_backward_weight(
        &self,
        images: usize,
        conv: &Convolution,
        x: &Self::Buffer,
        dy: &Self::Buffer,
        dw: &mut Self::Buffer,
    );

    /// The values of a pooling.
    fn pool(&self, images: usize, pool: &Pooling, x: &Self::Buffer, y: &mut Self::Buffer);
    /// The gradient of a pooling's input, or adds it.
    fn pool_backward(
        &self,
        images: usize,
        pool: &Pooling,
        x: &Self::Buffer,
        dy: &Self::Buffer,
        accumulate: bool,
        dx: &mut Self::Buffer,
    );

    /// `y = f(x)`.
    fn activation(&self, f: Activation, len: usize, x: &Self::Buffer, y: &mut Self::Buffer);
    /// `y = f(y)`.
    fn activation_in_place(&self, f: Activation, len: usize, y: &mut Self::Buffer);
    /// `dx = f'(x) dy`, or adds it.
    fn activation_backward(
        &self,
        f: Activation,
        len: usize,
        x: &Self::Buffer,
        dy: &Self::Buffer,
        accumulate: bool,
        dx: &mut Self::Buffer,
    );
    /// `g = 0` wherever not `y > 0`: the gradient of a rectifier from its output, in place.
    fn rectify_gradient(&self, len: usize, y: &Self::Buffer, g: &mut Self::Buffer);
    /// `y = a + b`.
    fn add(&self, len: usize, a: &Self::Buffer, b: &Self::Buffer, y: &mut Self::Buffer);
    /// `y += x`.
    fn accumulate(&self, len: usize, x: &Self::Buffer, y: &mut Self::Buffer);
    /// `y = a b`, or adds it.
    fn multiply(&self, len: usize, a: &Self::Buffer, b: &Self::Buffer, accumulate: bool, y: &mut Self::Buffer);
    /// `y += offset` for every image, `len` numbers each.
    fn add_to_each(&self, images: usize, len: usize, offset: &Self::Buffer, y: &mut Self::Buffer);
    /// `y = x scale + shift` (the product rounded) over `places` times `channels` numbers, then residual and limits; the bias
    /// of `fused` is the shift.
    fn scale_shift(
        &self,
        size: [usize; 2],
        scale: &Self::Buffer,
        x: &Self::Buffer,
        fused: Fused<'_, Self::Buffer>,
        y: &mut Self::Buffer,
    );
    /// `y = (x - mean) / std` over `places` times `channels` numbers.
    fn normalise(
        &self,
        size: [usize; 2],
        mean: &Self::Buffer,
        std: &Self::Buffer,
        x: &Self::Buffer,
        y: &mut Self::Buffer,
    );

    /// `y = x` within the bounds of its channel, over `places` times `channels` numbers; see [`Beyond`].
    fn clamp(&self, size: [usize; 2], bounds: Bounds<'_, Self::Buffer>, x: &Self::Buffer, y: &mut Self::Buffer);
    /// [`Device::clamp`] of `y` itself.
    fn clamp_in_place(&self, size: [usize; 2], bounds: Bounds<'_, Self::Buffer>, y: &mut Self::Buffer);
    /// `dx = dy` where `low < x <= high` and 0 elsewhere, or adds it.
    fn clamp_backward(
        &self,
        size: [usize; 2],
        bounds: Bounds<'_, Self::Buffer>,
        x_and_dy: (&Self::Buffer, &Self::Buffer),
        accumulate: bool,
        dx: &mut Self::Buffer,
    );

    /// Mean and variance of each channel; `size` is images, places, channels.
    fn statistics(&self, size: [usize; 3], x: &Self::Buffer) -> Statistics;
    /// For each channel the sum of `g`, and of `g (x - mean)`.
    fn gradient_sums(&self, size: [usize; 3], mean: &[f32], x: &Self::Buffer, g: &Self::Buffer) -> [Vec<f64>; 2];
    /// [`Device::rectify_gradient`] of `g`, then [`Device::gradient_sums`].
    fn rectified_gradient_sums(
        &self,
        size: [usize; 3],
        mean: &[f32],
        x: &Self::Buffer,
        y: &Self::Buffer,
        g: &mut Self::Buffer,
    ) -> [Vec<f64>; 2] {
        self.rectify_gradient(size.iter().product(), y, g);
        self.gradient_sums(size, mean, x, g)
    }
    /// For each channel the sum over images and places.
    fn channel_sums(&self, size: [usize; 3], x: &Self::Buffer) -> Vec<f64>;
    /// `dx = g a + b + x s` with three numbers for each channel, or adds it; `size` is places, channels.
    fn combine(
        &self,
        size: [usize; 2],
        by: [&Self::Buffer; 3],
        x_and_g: (&Self::Buffer, &Self::Buffer),
        accumulate: bool,
        dx: &mut Self::Buffer,
    );

    /// A step of Adam: moves `len` parameters along their gradient, and the two moments towards it.
    fn adam(&self, len: usize, by: &Adam, gradient: &Self::Buffer, parameters_and_moments: [&mut Self::Buffer; 3]);

    /// Softmax over rows of `size[1]` numbers.
    fn softmax(&self, size: [usize; 2], x: &Self::Buffer, y: &mut Self::Buffer);
    /// Its gradient from its output, or adds it.
    fn softmax_backward(
        &self,
        size: [usize; 2],
        y: &Self::Buffer,
        dy: &Self::Buffer,
        accumulate: bool,
        dx: &mut Self::Buffer,
    );
    /// Layer normalisation over rows of `size[1]` numbers; weight and bias.
    fn layer_norm(
        &self,
        size: [usize; 2],
        eps: f64,
        parameters: [&Self::Buffer; 2],
        x: &Self::Buffer,
        y: &mut Self::Buffer,
    );
    /// Its gradient, or adds it; those of weight and bias are added.
    fn layer_norm_backward(
        &self,
        size: [usize; 2],
        eps_and_weight: (f64, &Self::Buffer),
        x_and_dy: (&Self::Buffer, &Self::Buffer),
        accumulate_and_dx: (bool, &mut Self::Buffer),
        parameters: [&mut Self::Buffer; 2],
    );
    /// A step of long short-term memory for `size[0]` images of `size[1]` units. `gates` (`i f g o`) holds sums and is left
    /// with the gates' values; `c` holds the cells before and after.
    fn lstm_cell(&self, size: [usize; 2], gates: &mut Self::Buffer, c: [&Self::Buffer; 1], out: [&mut Self::Buffer; 2]);
    /// Its gradient: from `dh`, the gates' values and the cells before and after, to the gradient of the gates' sums. `dc` holds
    /// the gradient of the cells afterwards and is left with that of the cells before.
    fn lstm_cell_backward(
        &self,
        size: [usize; 2],
        gates: &Self::Buffer,
        c: [&Self::Buffer; 2],
        dh: &Self::Buffer,
        dc: &mut Self::Buffer,
        dgates: &mut Self::Buffer,
    );

    /// Row `rows[i]` of `from` becomes row `i` of `to`; rows are `len` long.
    fn pick_rows(&self, len: usize, rows: &[u32], from: &Self::Buffer, to: &mut Self::Buffer);
    /// The numbers at `picks` of each of `size[0]` rows of `size[1]` numbers.
    fn pick_columns(&self, size: [usize; 2], picks: &[u32], from: &Self::Buffer, to: &mut Self::Buffer);
    /// The numbers at places `[row, place in it]`; `size` is rows and their length.
    fn take(&self, size: [usize; 2], places: &[[u32; 2]], from: &Self::Buffer) -> Vec<f32>;
    /// Puts numbers at places `[row, place in it]`, none of them twice; `size` is rows and their length.
    fn put(&self, size: [usize; 2], places: &[[u32; 2]], values: &[f32], to: &mut Self::Buffer);
    /// Multiplies each row of `g`, of which every image has `size[1]`, by the image's row of `by`; `size` is images, rows of an
    /// image, length of a row.
    fn multiply_each(&self, size: [usize; 3], by: &Self::Buffer, g: &mut Self::Buffer);
    /// The largest size of a number in each of `size[0]` rows of `size[1]` numbers; NaN is passed over.
    fn largest(&self, size: [usize; 2], x: &Self::Buffer) -> Vec<f32>;
    /// How the numbers of each member compare with their channel of `array` in each of `rows` rows, `[row][member]`.
    fn differences(
        &self,
        rows: usize,
        planes: &Planes<'_, Self::Buffer>,
        array: &Self::Buffer,
        slopes: Option<Slopes<'_, Self::Buffer>>,
    ) -> Vec<Difference>;
    /// Puts the numbers of pairs of a row (of `rows`) and a member into the arrays `to`, one for each pair.
    fn put_planes(&self, rows: usize, planes: &Planes<'_, Self::Buffer>, pairs: &[[u32; 2]], to: &mut Self::Buffer);
}
