//! The values of channels with a factor and an offset.

use super::ScaleShift;
use crate::device::{Device, Fused};
use crate::op::arithmetic::{Context, Forward, Kept};

impl Forward for ScaleShift {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let ([places, channels], mut y) = (cx.places(), cx.result());
        let ones;
        let scale = if self.scale {
            &cx.parameters[0]
        } else {
            ones = cx.device.upload(&vec![1.0; channels]);
            &ones
        };
        let bias = if self.shift { cx.parameters.last() } else { None };
        let fused = Fused { bias, ..Fused::default() };
        cx.device.scale_shift([cx.images * places, channels], scale, x[0], fused, &mut y);
        y
    }
}
