//! The gradient of an elementwise function.

use crate::activation::Activation;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};

impl Backward for Activation {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        if let Some(Target { buffer, accumulate }) = &mut to.inputs[0] {
            cx.device.activation_backward(*self, cx.output_len(), pass.x[0], pass.dy, *accumulate, buffer);
        }
    }
}
