//! What poolings share: their shape, their sizes, and how they reach the device.

use crate::device::{Device, Kind, Pooling};
use crate::op::arithmetic::{Context, Pass, Target, Targets, extent};
use crate::op::operation::{OpError, Shape, image};
use crate::op::window::Window;

/// The shape that a pooling with `window` gives for an image.
pub(crate) fn output(window: &Window, inputs: &[&[usize]]) -> Result<Shape, OpError> {
    let [channels, height, width] = image(inputs)?;
    let [rows, columns] = window.pooling_places(height, width)?;
    Ok(vec![channels, rows, columns])
}

/// A pooling between images of shapes `input` and `output`.
pub(crate) fn geometry(window: &Window, kind: Kind, input: &[usize], output: &[usize]) -> Pooling {
    let [height, width, _] = extent(output);
    let [top, left, ..] = window.padding;
    Pooling {
        input: extent(input),
        output: [height, width],
        kernel: window.kernel,
        stride: window.stride,
        padding: [top, left],
        kind,
    }
}

/// The values of a pooling.
pub(crate) fn forward<D: Device>(cx: &Context<'_, D>, window: &Window, kind: Kind, x: &D::Buffer) -> D::Buffer {
    let mut y = cx.result();
    cx.device.pool(cx.images, &geometry(window, kind, cx.inputs[0], cx.output), x, &mut y);
    y
}

/// The gradient of a pooling's input.
pub(crate) fn backward<D: Device>(
    cx: &Context<'_, D>,
    window: &Window,
    kind: Kind,
    pass: &Pass<'_, D>,
    to: &mut Targets<'_, D>,
) {
    if let Some(Target { buffer, accumulate }) = &mut to.inputs[0] {
        let pool = geometry(window, kind, cx.inputs[0], cx.output);
        cx.device.pool_backward(cx.images, &pool, pass.x[0], pass.dy, *accumulate, buffer);
    }
}
