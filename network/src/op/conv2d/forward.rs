//! The values of a convolution.

use super::Conv2d;
use crate::device::{Convolution, Device, Fused};
use crate::op::arithmetic::{Context, Forward, ForwardFused, Kept, extent};

impl Conv2d {
    /// Its sizes on images of `shape`, `[channels, height, width]`.
    pub(crate) fn geometry(&self, shape: &[usize]) -> Convolution {
        Convolution {
            input: extent(shape),
            outputs: self.outputs,
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        }
    }
}

impl Forward for Conv2d {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], kept: &mut Kept<D>) -> D::Buffer {
        self.forward_fused(cx, x[0], Fused::default(), kept)
    }
}

impl ForwardFused for Conv2d {
    fn forward_fused<D: Device>(
        &self,
        cx: &Context<'_, D>,
        x: &D::Buffer,
        fused: Fused<'_, D::Buffer>,
        kept: &mut Kept<D>,
    ) -> D::Buffer {
        let conv = self.geometry(cx.inputs[0]);
        let kernel = cx.device.pack_kernel(&conv, &cx.parameters[0]);
        let fused = Fused { bias: cx.parameters.get(1), ..fused };
        let mut y = cx.result();
        if cx.wants_statistics {
            let statistics = cx.device.convolution_with_statistics(cx.images, &conv, &kernel, x, fused.bias, &mut y);
            kept.statistics = Some(statistics);
        } else {
            cx.device.convolution(cx.images, &conv, &kernel, x, fused, &mut y);
        }
        y
    }
}
