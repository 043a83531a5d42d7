//! The gradient of an array in another shape.

use super::Reshape;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};
use crate::op::layout::relayout;

impl Backward for Reshape {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        if let Some(Target { buffer, accumulate }) = &mut to.inputs[0] {
            relayout(cx.device, cx.images, (cx.output, pass.dy), cx.inputs[0], *accumulate, buffer);
        }
    }
}
