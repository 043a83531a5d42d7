//! The values of a softmax.

use super::Softmax;
use crate::device::Device;
use crate::op::arithmetic::{Context, Forward, Kept};

impl Forward for Softmax {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let ([places, features], mut y) = (cx.places(), cx.result());
        cx.device.softmax([cx.images * places, features], x[0], &mut y);
        y
    }
}
