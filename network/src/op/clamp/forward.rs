//! The values within bounds.

use super::Clamp;
use crate::device::{Bounds, Device};
use crate::op::arithmetic::{Context, Forward, Kept};

impl Clamp {
    /// Bounds of all `channels` channels.
    pub(crate) fn bounds<D: Device>(self, cx: &Context<'_, D>) -> [D::Buffer; 2] {
        let [_, channels] = cx.places();
        [0, 1].map(|which| {
            let given = cx.device.download(&cx.parameters[which], if self.per_channel { channels } else { 1 });
            cx.device.upload(&self.of_channels(&given, 0..channels))
        })
    }
}

impl Forward for Clamp {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let ([places, channels], mut y) = (cx.places(), cx.result());
        let [low, high] = &self.bounds(cx);
        let bounds = Bounds { low, high, beyond: self.beyond };
        cx.device.clamp([cx.images * places, channels], bounds, x[0], &mut y);
        y
    }
}
