//! The gradient of an image as a sequence.

use super::Tokens;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};
use crate::op::layout::plain;

impl Backward for Tokens {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        if let Some(Target { buffer, accumulate }) = &mut to.inputs[0] {
            cx.device.copy(cx.images, &plain(cx.output.iter().product()), pass.dy, *accumulate, buffer);
        }
    }
}
