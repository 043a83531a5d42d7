//! The gradients of channels with a factor and an offset.

use super::ScaleShift;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};

impl Backward for ScaleShift {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let ([places, channels], device) = (cx.places(), cx.device);
        if !to.parameters.is_empty() {
            let sums = device.gradient_sums([cx.images, places, channels], &vec![0.0; channels], pass.x[0], pass.dy);
            let [shift, scale] = sums.map(|sums| sums.into_iter().map(|s| s as f32).collect::<Vec<_>>());
            if self.scale {
                device.write(&scale, &mut to.parameters[0]);
            }
            if let (true, Some(last)) = (self.shift, to.parameters.last_mut()) {
                device.write(&shift, last);
            }
        }
        let Some(Target { buffer, accumulate }) = &mut to.inputs[0] else { return };
        let (ones, zeros) = (device.upload(&vec![1.0; channels]), device.zeros(channels));
        let a = if self.scale { &cx.parameters[0] } else { &ones };
        let by = [a, &zeros, &zeros];
        device.combine([cx.images * places, channels], by, (pass.dy, pass.dy), *accumulate, buffer);
    }
}
