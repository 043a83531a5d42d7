//! The values of a layer normalisation.

use super::LayerNorm;
use crate::device::Device;
use crate::op::arithmetic::{Context, Forward, Kept};

impl Forward for LayerNorm {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let ([places, features], mut y) = (cx.places(), cx.result());
        let parameters = [&cx.parameters[0], &cx.parameters[1]];
        cx.device.layer_norm([cx.images * places, features], self.eps, parameters, x[0], &mut y);
        y
    }
}
