//! The gradient of an average pooling.

use super::AvgPool;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Targets};
use crate::op::pooling;

impl Backward for AvgPool {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        pooling::backward(cx, &self.window(), self.kind(), pass, to);
    }
}
