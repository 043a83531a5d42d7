//! The gradient of a max pooling.

use super::MaxPool;
use crate::device::{Device, Kind};
use crate::op::arithmetic::{Backward, Context, Pass, Targets};
use crate::op::pooling;

impl Backward for MaxPool {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        pooling::backward(cx, &self.window(), Kind::Max, pass, to);
    }
}
