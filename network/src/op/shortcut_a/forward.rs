//! The values of a shortcut without parameters.

use super::ShortcutA;
use crate::device::{Device, Strided};
use crate::op::arithmetic::{Context, Forward, Kept, extent};

impl ShortcutA {
    /// How it takes its values from an image of shape `input`.
    pub(super) fn copy(&self, input: &[usize], output: &[usize]) -> Strided {
        let ([height, width, channels], [rows, columns, wide]) = (extent(input), extent(output));
        Strided {
            images: [height * width * channels, rows * columns * wide],
            offset: [0, self.channels_before(channels)],
            loops: [
                (rows, self.stride * width * channels, columns * wide),
                (columns, self.stride * channels, wide),
                (channels, 1, 1),
            ],
        }
    }
}

impl Forward for ShortcutA {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let mut y = cx.result();
        if self.channels > cx.inputs[0][0] {
            cx.device.fill(0.0, cx.output_len(), &mut y);
        }
        cx.device.copy(cx.images, &self.copy(cx.inputs[0], cx.output), x[0], false, &mut y);
        y
    }
}
