//! The values of a sum.

use super::Add;
use crate::device::Device;
use crate::op::arithmetic::{Context, Forward, Kept};

impl Forward for Add {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let (mut y, len) = (cx.result(), cx.output_len());
        cx.device.add(len, x[0], x[1], &mut y);
        for x in &x[2..] {
            cx.device.accumulate(len, x, &mut y);
        }
        y
    }
}
