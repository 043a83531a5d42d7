//! The values after dropout.

use super::Dropout;
use crate::device::Device;
use crate::op::arithmetic::{Context, Forward, Kept, Randomness, mask};
use crate::op::layout::plain;

impl Dropout {
    /// The factors of all values of `images` images of `len` numbers.
    pub(super) fn factors(&self, random: Randomness, node: usize, images: usize, len: usize) -> Vec<f32> {
        let mut factors = vec![0.0; images * len];
        mask("dropout", random, node, (self.rate, (1.0 / (1.0 - self.rate)) as f32), len, &mut factors);
        factors
    }
}

impl Forward for Dropout {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], kept: &mut Kept<D>) -> D::Buffer {
        let (mut y, len) = (cx.result(), cx.output.iter().product());
        if let Some(random) = cx.random {
            let factors = cx.device.upload(&self.factors(random, cx.node, cx.images, len));
            cx.device.multiply(cx.images * len, x[0], &factors, false, &mut y);
            kept.buffers.push(factors);
        } else {
            cx.device.copy(cx.images, &plain(len), x[0], false, &mut y);
        }
        y
    }
}
