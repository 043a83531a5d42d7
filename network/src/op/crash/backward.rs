//! The gradient of crashes.

use super::Crash;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Pass, Targets};
use crate::op::masked;

impl Backward for Crash {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        masked::backward(cx, pass, to);
    }
}
