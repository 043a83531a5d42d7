//! The values of an array with an offset of every element.

use super::Position;
use crate::device::Device;
use crate::op::arithmetic::{Context, Forward, Kept};
use crate::op::layout::{plain, to_row_major};

impl Forward for Position {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let (mut y, len, device) = (cx.result(), cx.output.iter().product(), cx.device);
        device.copy(cx.images, &plain(len), x[0], false, &mut y);
        if let Some(how) = to_row_major(cx.output) {
            let mut inside = device.buffer(len);
            device.copy(1, &how.reversed(), &cx.parameters[0], false, &mut inside);
            device.add_to_each(cx.images, len, &inside, &mut y);
        } else {
            device.add_to_each(cx.images, len, &cx.parameters[0], &mut y);
        }
        y
    }
}
