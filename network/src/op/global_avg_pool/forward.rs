//! The values of a global average pooling.

use super::GlobalAvgPool;
use crate::device::{Device, Pooling};
use crate::op::arithmetic::{Context, Forward, Kept, extent};

impl Forward for GlobalAvgPool {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let mut y = cx.result();
        cx.device.pool(cx.images, &Pooling::global(extent(cx.inputs[0])), x[0], &mut y);
        y
    }
}
