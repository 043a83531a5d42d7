//! The gradients of an array with an offset of every element.

use super::Position;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};
use crate::op::layout::{plain, relayout};
use crate::op::linear::backward::bias_gradient;

impl Backward for Position {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let (len, device) = (cx.output.iter().product(), cx.device);
        if let Some(dw) = to.parameters.first_mut() {
            let mut inside = device.buffer(len);
            bias_gradient(device, [cx.images, 1, len], pass.dy, &mut inside);
            let whole = [len];
            let row_major = crate::op::layout::to_row_major(cx.output).is_some();
            let to_shape: &[usize] = if row_major { &whole } else { cx.output };
            relayout(device, 1, (cx.output, &inside), to_shape, false, dw);
        }
        if let Some(Target { buffer, accumulate }) = &mut to.inputs[0] {
            device.copy(cx.images, &plain(len), pass.dy, *accumulate, buffer);
        }
    }
}
