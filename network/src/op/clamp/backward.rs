//! The gradient of values within bounds: it passes where the value did.

use super::Clamp;
use crate::device::{Bounds, Device};
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};

impl Backward for Clamp {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let Some(Target { buffer, accumulate }) = &mut to.inputs[0] else { return };
        let [places, channels] = cx.places();
        let [low, high] = &self.bounds(cx);
        let bounds = Bounds { low, high, beyond: self.beyond };
        cx.device.clamp_backward([cx.images * places, channels], bounds, (pass.x[0], pass.dy), *accumulate, buffer);
    }
}
