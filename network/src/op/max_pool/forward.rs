//! The values of a max pooling.

use super::MaxPool;
use crate::device::{Device, Kind};
use crate::op::arithmetic::{Context, Forward, Kept};
use crate::op::pooling;

impl Forward for MaxPool {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        pooling::forward(cx, &self.window(), Kind::Max, x[0])
    }
}
