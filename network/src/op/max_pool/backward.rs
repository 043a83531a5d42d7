//! The gradient of a max pooling.

use super::MaxPool;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};

impl Backward for MaxPool {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        if let Some(Target { buffer, accumulate }) = &mut to.inputs[0] {
            let pool = self.geometry(cx.inputs[0], cx.output);
            cx.device.pool_backward(cx.images, &pool, pass.x[0], pass.dy, *accumulate, buffer);
        }
    }
}
