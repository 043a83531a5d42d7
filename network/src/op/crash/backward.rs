//! The gradient of crashes.

use super::Crash;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};
use crate::op::layout::plain;

impl Backward for Crash {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let Some(Target { buffer, accumulate }) = &mut to.inputs[0] else { return };
        if let Some(factors) = pass.kept.buffers.first() {
            cx.device.multiply(cx.output_len(), pass.dy, factors, *accumulate, buffer);
        } else {
            cx.device.copy(cx.images, &plain(cx.output.iter().product()), pass.dy, *accumulate, buffer);
        }
    }
}
