//! The gradient of a global average pooling.

use super::GlobalAvgPool;
use crate::device::{Device, Pooling};
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets, extent};

impl Backward for GlobalAvgPool {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        if let Some(Target { buffer, accumulate }) = &mut to.inputs[0] {
            let pool = Pooling::global(extent(cx.inputs[0]));
            cx.device.pool_backward(cx.images, &pool, pass.x[0], pass.dy, *accumulate, buffer);
        }
    }
}
