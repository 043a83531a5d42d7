//! The gradients of recurrent layers, from the last step to the first.

use super::forward::{Cell, Stack, Step, kept, outputs};
use crate::device::{Device, Place, Product, Strided};
use crate::op::arithmetic::{Context, Pass, Target, Targets};
use crate::op::linear::backward::gradients;

impl Stack {
    /// Runs all layers backward.
    pub(crate) fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let ([steps, features], device) = (cx.places(), cx.device);
        let (rows, wide) = (cx.images * steps, self.cell.gates() * self.hidden);
        let mut dy: Option<D::Buffer> = None;
        for layer in (0..self.layers).rev() {
            let p = &cx.parameters[layer * self.parameters()..];
            let own = layer * self.parameters()..(layer + 1) * self.parameters();
            let grads = to.parameters.get_mut(own).unwrap_or_default();
            let dsums = self.through_time(cx, (pass, layer), p, dy.as_ref().unwrap_or(pass.dy), grads);
            let (x, inputs) = match layer {
                0 => (pass.x[0], features),
                _ => (outputs(&pass.kept.buffers, steps, layer - 1), self.hidden),
            };
            // The weights of the inputs and their bias lie at 0 and 2, those of the outputs at 1 and 3.
            let mut own: Vec<D::Buffer> = Vec::new();
            if !grads.is_empty() {
                own.push(device.buffer(wide * inputs));
                own.push(device.buffer(wide));
            }
            let weights = (&p[0], x, &dsums);
            if layer == 0 {
                gradients(device, [rows, inputs, wide], weights, &mut to.inputs[0], &mut own);
            } else {
                let mut dx = Some(Target { buffer: device.buffer(rows * inputs), accumulate: false });
                gradients(device, [rows, inputs, wide], weights, &mut dx, &mut own);
                dy = dx.map(|target| target.buffer);
            }
            if let (Some(bias), Some(weight)) = (own.pop(), own.pop()) {
                if self.bias {
                    device.copy(1, &Strided::slice(1, wide, 0, wide), &bias, false, &mut grads[3]);
                    grads[2] = bias;
                }
                grads[0] = weight;
            }
        }
    }

    /// The gradient of a layer's sums at all steps; writes that of the weights of its outputs.
    fn through_time<D: Device>(
        &self,
        cx: &Context<'_, D>,
        (pass, layer): (&Pass<'_, D>, usize),
        p: &[D::Buffer],
        dy: &D::Buffer,
        grads: &mut [D::Buffer],
    ) -> D::Buffer {
        let (steps, device, n, hidden) = (cx.places()[0], cx.device, cx.images, self.hidden);
        let wide = self.cell.gates() * hidden;
        let mut all = device.buffer(n * steps * wide);
        let (mut dh, mut dc) = (device.buffer(n * hidden), device.zeros(n * hidden));
        let mut dsums = device.buffer(n * wide);
        if let Some(dw) = grads.get_mut(1) {
            device.fill(0.0, wide * hidden, dw);
        }
        for t in (0..steps).rev() {
            let of = |t: usize| kept(&pass.kept.buffers, steps, layer, t);
            let earlier = t.checked_sub(1).map(of);
            let slice = Strided::slice(1, steps * hidden, t * hidden, hidden);
            device.copy(n, &slice, dy, t + 1 < steps, &mut dh);
            self.cell_backward(cx, (&of(t), earlier.as_ref()), &dh, &mut dc, &mut dsums);
            device.copy(n, &Strided::slice(1, steps * wide, t * wide, wide).reversed(), &dsums, false, &mut all);
            let Some(earlier) = earlier else { continue };
            let back = Product::one([n, wide, hidden], Place::rows(wide), Place::rows(hidden), Place::rows(hidden));
            device.product(&back, &dsums, &p[1], &mut dh);
            if let Some(dw) = grads.get_mut(1) {
                let (a, b) = (Place::transposed(wide), Place::rows(hidden));
                let product = Product::one([wide, n, hidden], a, b, Place::rows(hidden));
                device.product(&Product { accumulate: true, ..product }, &dsums, earlier.h, dw);
            }
        }
        all
    }

    /// One step back: from the gradient of the outputs to that of the sums.
    fn cell_backward<D: Device>(
        &self,
        cx: &Context<'_, D>,
        (now, earlier): (&Step<'_, D::Buffer>, Option<&Step<'_, D::Buffer>>),
        dh: &D::Buffer,
        dc: &mut D::Buffer,
        dsums: &mut D::Buffer,
    ) {
        let (device, size) = (cx.device, [cx.images, self.hidden]);
        match self.cell {
            Cell::Plain(f) => device.activation_backward(f, size[0] * size[1], now.sums, dh, false, dsums),
            Cell::Lstm => {
                let zeros;
                let before = if let Some(earlier) = earlier {
                    earlier.c
                } else {
                    zeros = device.zeros(size[0] * size[1]);
                    &zeros
                };
                device.lstm_cell_backward(size, now.sums, [before, now.c], dh, dc, dsums);
            }
        }
    }
}
