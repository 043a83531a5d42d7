//! The gradient of a shortcut without parameters.

use super::ShortcutA;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};

impl Backward for ShortcutA {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let Some(Target { buffer, accumulate }) = &mut to.inputs[0] else { return };
        if !*accumulate && self.stride > 1 {
            cx.device.fill(0.0, cx.input_len(0), buffer);
        }
        let how = self.copy(cx.inputs[0], cx.output).reversed();
        cx.device.copy(cx.images, &how, pass.dy, *accumulate, buffer);
    }
}
