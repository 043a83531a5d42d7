//! The gradients of long short-term memory.

use super::Lstm;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Targets};

impl Backward for Lstm {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        self.stack().backward(cx, pass, to);
    }
}
