//! What every operation does: values forward, gradients backward, and both of them defined in double precision.
//!
//! Images are `[row][column][channel]` inside (see [`crate::kernel`]), vectors and sequences as they are.

use crate::device::{Device, Fused, Statistics};
use crate::random::Stream;

/// What training's random draws depend on, besides node, image and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Randomness {
    /// The seed of the run.
    pub seed: u64,
    /// The number of the step.
    pub step: u64,
    /// The number of the first image within the batch, where a batch comes in parts.
    pub first: u64,
}

/// Where an operation is done, and on what.
pub(crate) struct Context<'a, D: Device> {
    pub device: &'a D,
    /// Images in the batch.
    pub images: usize,
    /// The node's number, which random draws depend on.
    pub node: usize,
    /// Shapes of one image of each input.
    pub inputs: &'a [&'a [usize]],
    /// Shape of one image of the output.
    pub output: &'a [usize],
    /// Parameters, in the operation's order.
    pub parameters: &'a [D::Buffer],
    /// Set in training; without it statistics are the running ones, and nothing is dropped.
    pub random: Option<Randomness>,
    /// Statistics of the first input, where its own operation has taken them already.
    pub batch: Option<&'a Statistics>,
    /// Whether the output's statistics are wanted in [`Kept::statistics`]; only convolutions are asked for them.
    pub wants_statistics: bool,
}

impl<D: Device> Context<'_, D> {
    /// Numbers in all images of input `i`.
    pub(crate) fn input_len(&self, i: usize) -> usize {
        self.images * self.inputs[i].iter().product::<usize>()
    }

    /// Numbers in all images of the output.
    pub(crate) fn output_len(&self) -> usize {
        self.images * self.output.iter().product::<usize>()
    }

    /// Places and channels of the first input.
    pub(crate) fn places(&self) -> [usize; 2] {
        places(self.inputs[0])
    }

    /// Room for the output.
    pub(crate) fn result(&self) -> D::Buffer {
        self.device.buffer(self.output_len())
    }
}

/// Places and channels of an array: rows and columns of an image, or steps of a sequence, and what is at each.
pub(crate) fn places(shape: &[usize]) -> [usize; 2] {
    match *shape {
        [c, h, w] => [h * w, c],
        [t, f] => [t, f],
        _ => [1, shape.iter().product()],
    }
}

/// Height, width and channels of an array: sequences are columns of one place each.
pub(crate) fn extent(shape: &[usize]) -> [usize; 3] {
    match *shape {
        [c, h, w] => [h, w, c],
        [t, f] => [t, 1, f],
        _ => [1, 1, shape.iter().product()],
    }
}

/// What forward keeps for backward, besides inputs and output.
pub(crate) struct Kept<D: Device> {
    pub buffers: Vec<D::Buffer>,
    /// A batch's statistics, which also move the running ones.
    pub statistics: Option<Statistics>,
}

impl<D: Device> Default for Kept<D> {
    fn default() -> Self {
        Self { buffers: Vec::new(), statistics: None }
    }
}

/// What backward knows of the way forward, and the gradient of the output.
pub(crate) struct Pass<'a, D: Device> {
    pub x: &'a [&'a D::Buffer],
    pub y: &'a D::Buffer,
    pub kept: &'a Kept<D>,
    pub dy: &'a D::Buffer,
    /// For each channel the sums of `dy` and of `dy (x - mean)`, where a batch normalisation's have been taken already.
    pub sums: Option<[Vec<f64>; 2]>,
}

/// A gradient to write, or to add to.
pub(crate) struct Target<D: Device> {
    pub buffer: D::Buffer,
    pub accumulate: bool,
}

/// The gradients that are asked for.
pub(crate) struct Targets<'a, D: Device> {
    /// For each input; `None` where nobody wants it.
    pub inputs: &'a mut [Option<Target<D>>],
    /// For each parameter, to be written; empty where nobody wants them.
    pub parameters: &'a mut [D::Buffer],
}

/// From inputs to output.
pub(crate) trait Forward {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], kept: &mut Kept<D>) -> D::Buffer;
}

/// From the gradient of the output to those of inputs and parameters.
pub(crate) trait Backward {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>);
}

/// The plain definition of an operation, in double precision on row-major `[channel][row][column]` arrays.
pub trait Reference {
    /// The output for `images` images; `shapes` are those of one image of each input.
    fn reference(&self, given: &Given<'_>) -> Vec<f64>;
}

/// What a definition is applied to.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Images in the batch.
    pub images: usize,
    /// The node's number, which random draws depend on.
    pub node: usize,
    /// Shapes of one image of each input.
    pub shapes: &'a [&'a [usize]],
    /// The inputs.
    pub x: &'a [&'a [f64]],
    /// The parameters.
    pub parameters: &'a [&'a [f64]],
    /// Set in training.
    pub random: Option<Randomness>,
}

/// The numbers by which training multiplies the values of one node, `len` for each image: 0 with probability `rate`, else
/// `kept`. Each image has a stream of its own.
pub(crate) fn mask(
    purpose: &str,
    random: Randomness,
    node: usize,
    (rate, kept): (f64, f32),
    len: usize,
    all: &mut [f32],
) {
    use rayon::prelude::*;
    all.par_chunks_mut(len.max(1)).enumerate().for_each(|(image, values)| {
        let indices = [random.step, node as u64, random.first + image as u64];
        let mut stream = Stream::new(random.seed, purpose, &indices);
        for value in values {
            *value = if stream.bernoulli(rate) { 0.0 } else { kept };
        }
    });
}

/// Limits that keep an activation's values: a rectifier of slope 1, or clipping.
pub(crate) fn limits(f: crate::Activation) -> Option<(f32, f32)> {
    match f {
        crate::Activation::Relu { slope: 1.0 } => Some((0.0, f32::INFINITY)),
        crate::Activation::Clip { low, high } => Some((low as f32, high as f32)),
        _ => None,
    }
}

/// What an operation that can be fused with others does: sums or normalises, then adds a residual and clips.
pub(crate) trait ForwardFused {
    fn forward_fused<D: Device>(
        &self,
        cx: &Context<'_, D>,
        x: &D::Buffer,
        fused: Fused<'_, D::Buffer>,
        kept: &mut Kept<D>,
    ) -> D::Buffer;
}
