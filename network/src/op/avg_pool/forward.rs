//! The values of an average pooling.

use super::AvgPool;
use crate::device::{Device, Kind, Pooling};
use crate::op::arithmetic::{Context, Forward, Kept, extent};

impl AvgPool {
    /// Its sizes between images of shapes `input` and `output`.
    pub(crate) fn geometry(&self, input: &[usize], output: &[usize]) -> Pooling {
        let [height, width, _] = extent(output);
        Pooling {
            input: extent(input),
            output: [height, width],
            kernel: self.kernel,
            stride: self.stride,
            padding: [self.padding[0], self.padding[1]],
            kind: if self.count_include_pad {
                Kind::MeanOfPadded([self.padding[2], self.padding[3]])
            } else {
                Kind::Mean
            },
        }
    }
}

impl Forward for AvgPool {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let mut y = cx.result();
        cx.device.pool(cx.images, &self.geometry(cx.inputs[0], cx.output), x[0], &mut y);
        y
    }
}
