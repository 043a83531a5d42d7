//! The gradients of a convolution.

use super::Conv2d;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets, places};
use crate::op::linear::backward::bias_gradient;

impl Backward for Conv2d {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let (conv, device) = (self.geometry(cx.inputs[0]), cx.device);
        if let Some(Target { buffer, accumulate }) = &mut to.inputs[0] {
            let weight = device.pack_backward(&conv, &cx.parameters[0]);
            device.convolution_backward_input(cx.images, &conv, &weight, pass.dy, *accumulate, buffer);
        }
        if let Some(dw) = to.parameters.first_mut() {
            device.convolution_backward_weight(cx.images, &conv, pass.x[0], pass.dy, dw);
        }
        if let Some(db) = to.parameters.get_mut(1) {
            let [places, channels] = places(cx.output);
            bias_gradient(device, [cx.images, places, channels], pass.dy, db);
        }
    }
}
