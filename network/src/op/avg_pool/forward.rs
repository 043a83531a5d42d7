//! The values of an average pooling.

use super::AvgPool;
use crate::device::{Device, Kind};
use crate::op::arithmetic::{Context, Forward, Kept};
use crate::op::pooling;

impl AvgPool {
    /// Which mean it takes.
    pub(crate) const fn kind(&self) -> Kind {
        if self.count_include_pad { Kind::MeanOfPadded([self.padding[2], self.padding[3]]) } else { Kind::Mean }
    }
}

impl Forward for AvgPool {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        pooling::forward(cx, &self.window(), self.kind(), x[0])
    }
}
