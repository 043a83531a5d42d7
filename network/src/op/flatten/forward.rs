//! The values of an array as a vector.

use super::Flatten;
use crate::device::Device;
use crate::op::arithmetic::{Context, Forward, Kept};
use crate::op::layout::relayout;

impl Forward for Flatten {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let mut y = cx.result();
        relayout(cx.device, cx.images, (cx.inputs[0], x[0]), cx.output, false, &mut y);
        y
    }
}
