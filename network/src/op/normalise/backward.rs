//! The gradient of data before their normalisation.

use super::Normalise;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};

impl Backward for Normalise {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let Some(Target { buffer, accumulate }) = &mut to.inputs[0] else { return };
        let ([places, channels], device) = (cx.places(), cx.device);
        let inverse: Vec<f32> = self.numbers(channels).1.into_iter().map(|std| 1.0 / std).collect();
        let (a, zeros) = (device.upload(&inverse), device.zeros(channels));
        // The input itself takes no part; its factor is zero, so the gradient stands in for it.
        let by = [&a, &zeros, &zeros];
        device.combine([cx.images * places, channels], by, (pass.dy, pass.dy), *accumulate, buffer);
    }
}
