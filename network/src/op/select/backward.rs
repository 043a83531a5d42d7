//! The gradient of one step of a sequence.

use super::Select;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};

impl Backward for Select {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let Some(Target { buffer, accumulate }) = &mut to.inputs[0] else { return };
        if !*accumulate {
            cx.device.fill(0.0, cx.input_len(0), buffer);
        }
        cx.device.copy(cx.images, &self.copy(cx.places()).reversed(), pass.dy, *accumulate, buffer);
    }
}
