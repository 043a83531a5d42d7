//! The gradients of a linear layer.

use super::Linear;
use crate::device::{Device, Place, Product};
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};

impl Backward for Linear {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let [places, features] = cx.places();
        let size = [cx.images * places, features, self.outputs];
        gradients(cx.device, size, (&cx.parameters[0], pass.x[0], pass.dy), &mut to.inputs[0], to.parameters);
    }
}

/// The gradients of `y = W x + b` over rows, inputs and outputs of `size`: of `x`, if wanted, of `W` and of `b`, as far as
/// there is room for them.
pub(crate) fn gradients<D: Device>(
    device: &D,
    [rows, inputs, outputs]: [usize; 3],
    (weight, x, dy): (&D::Buffer, &D::Buffer, &D::Buffer),
    dx: &mut Option<Target<D>>,
    parameters: &mut [D::Buffer],
) {
    if let Some(Target { buffer, accumulate }) = dx {
        let size = [rows, outputs, inputs];
        let product = Product::one(size, Place::rows(outputs), Place::rows(inputs), Place::rows(inputs));
        device.product(&Product { accumulate: *accumulate, ..product }, dy, weight, buffer);
    }
    if let Some(dw) = parameters.first_mut() {
        let size = [outputs, rows, inputs];
        let product = Product::one(size, Place::transposed(outputs), Place::rows(inputs), Place::rows(inputs));
        device.product(&product, dy, x, dw);
    }
    if let Some(db) = parameters.get_mut(1) {
        bias_gradient(device, [rows, 1, outputs], dy, db);
    }
}

/// The sum of `dy` over images and places, of `size` images, places, channels.
pub(crate) fn bias_gradient<D: Device>(device: &D, size: [usize; 3], dy: &D::Buffer, db: &mut D::Buffer) {
    let sums: Vec<f32> = device.channel_sums(size, dy).into_iter().map(|sum| sum as f32).collect();
    device.write(&sums, db);
}
