//! The values of a linear layer.

use super::Linear;
use crate::device::{Device, Fused};
use crate::op::arithmetic::{Context, Forward, ForwardFused, Kept};

impl Forward for Linear {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], kept: &mut Kept<D>) -> D::Buffer {
        self.forward_fused(cx, x[0], Fused::default(), kept)
    }
}

impl ForwardFused for Linear {
    fn forward_fused<D: Device>(
        &self,
        cx: &Context<'_, D>,
        x: &D::Buffer,
        fused: Fused<'_, D::Buffer>,
        _: &mut Kept<D>,
    ) -> D::Buffer {
        let [places, features] = cx.places();
        let fused = Fused { bias: cx.parameters.get(1), ..fused };
        let mut y = cx.result();
        cx.device.linear_once([cx.images * places, features, self.outputs], &cx.parameters[0], x, fused, &mut y);
        y
    }
}
