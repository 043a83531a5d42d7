//! The gradient of a softmax.

use super::Softmax;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};

impl Backward for Softmax {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        if let Some(Target { buffer, accumulate }) = &mut to.inputs[0] {
            let [places, features] = cx.places();
            cx.device.softmax_backward([cx.images * places, features], pass.y, pass.dy, *accumulate, buffer);
        }
    }
}
