//! The gradient of a sum: each term takes all of it.

use super::Add;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};
use crate::op::layout::plain;

impl Backward for Add {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let how = plain(cx.output.iter().product());
        for Target { buffer, accumulate } in to.inputs.iter_mut().flatten() {
            cx.device.copy(cx.images, &how, pass.dy, *accumulate, buffer);
        }
    }
}
