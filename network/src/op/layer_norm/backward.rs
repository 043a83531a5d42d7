//! The gradients of a layer normalisation.

use super::LayerNorm;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Targets};

impl Backward for LayerNorm {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let ([places, features], device) = (cx.places(), cx.device);
        let size = [cx.images * places, features];
        let mut unwanted = [device.buffer(0), device.buffer(features), device.buffer(features)];
        let [nowhere, spare @ ..] = &mut unwanted;
        let dx = if let Some(target) = &mut to.inputs[0] {
            (target.accumulate, &mut target.buffer)
        } else {
            *nowhere = device.buffer(cx.output_len());
            (false, nowhere)
        };
        let parameters = match to.parameters {
            [dw, db] => [dw, db],
            _ => spare.each_mut(),
        };
        let [dw, db] = parameters;
        device.fill(0.0, features, dw);
        device.fill(0.0, features, db);
        let weight = (self.eps, &cx.parameters[0]);
        device.layer_norm_backward(size, weight, (pass.x[0], pass.dy), dx, [dw, db]);
    }
}
