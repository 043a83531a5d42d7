//! The gradients of arrays side by side: each takes its own channels.

use super::Concat;
use super::forward::slices;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};

impl Backward for Concat {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        for (slice, target) in slices(cx.inputs, cx.output).iter().zip(to.inputs.iter_mut()) {
            if let Some(Target { buffer, accumulate }) = target {
                cx.device.copy(cx.images, slice, pass.dy, *accumulate, buffer);
            }
        }
    }
}
