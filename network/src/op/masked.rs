//! What dropout and crashes share: values multiplied by random factors in training, and left alone in inference.

use crate::device::Device;
use crate::op::arithmetic::{Context, Given, Kept, Pass, Randomness, Target, Targets, mask, places};
use crate::op::layout::plain;

/// How values are dropped.
pub(crate) struct Masked {
    /// What the random draws are for.
    pub purpose: &'static str,
    /// The probability that a value becomes zero.
    pub rate: f64,
    /// What the others are multiplied by.
    pub factor: f32,
}

impl Masked {
    /// The factors of all values of `images` images of `len` numbers.
    fn factors(&self, random: Randomness, node: usize, images: usize, len: usize) -> Vec<f32> {
        let mut factors = vec![0.0; images * len];
        mask(self.purpose, random, node, (self.rate, self.factor), len, &mut factors);
        factors
    }

    /// The values times their factors, which are kept for the way back.
    pub(crate) fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &D::Buffer, kept: &mut Kept<D>) -> D::Buffer {
        let (mut y, len) = (cx.result(), cx.output.iter().product());
        if let Some(random) = cx.random {
            let factors = cx.device.upload(&self.factors(random, cx.node, cx.images, len));
            cx.device.multiply(cx.images * len, x, &factors, false, &mut y);
            kept.buffers.push(factors);
        } else {
            cx.device.copy(cx.images, &plain(len), x, false, &mut y);
        }
        y
    }

    /// The definition: each value times its factor, which belongs to its place inside.
    pub(crate) fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let Some(random) = given.random else { return given.x[0].to_vec() };
        let [places, channels] = places(given.shapes[0]);
        let (len, image) = (places * channels, given.shapes[0].len() == 3);
        let factors = self.factors(random, given.node, given.images, len);
        let inside = |i: usize| if image { i / len * len + i % places * channels + i % len / places } else { i };
        given.x[0].iter().enumerate().map(|(i, x)| x * f64::from(factors[inside(i)])).collect()
    }
}

/// The gradient of the input: that of the output times the factors that were kept, if any were.
pub(crate) fn backward<D: Device>(cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
    let Some(Target { buffer, accumulate }) = &mut to.inputs[0] else { return };
    if let Some(factors) = pass.kept.buffers.first() {
        cx.device.multiply(cx.output_len(), pass.dy, factors, *accumulate, buffer);
    } else {
        cx.device.copy(cx.images, &plain(cx.output.iter().product()), pass.dy, *accumulate, buffer);
    }
}
