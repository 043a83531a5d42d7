//! The values of recurrent layers, step after step for all images at once.

use crate::activation::Activation;
use crate::device::{Device, Fused, Place, Product, Strided};
use crate::op::arithmetic::{Context, Kept};

/// What happens at each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell {
    /// A function of the sums.
    Plain(Activation),
    /// Gates and a cell.
    Lstm,
}

impl Cell {
    /// Rows of sums for each unit.
    pub(crate) const fn gates(self) -> usize {
        match self {
            Self::Plain(_) => 1,
            Self::Lstm => 4,
        }
    }
}

/// Sizes of recurrent layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack {
    pub cell: Cell,
    pub hidden: usize,
    pub layers: usize,
    pub bias: bool,
}

/// What one layer keeps of one step, [`Stack::KEPT`] buffers.
pub(super) struct Step<'a, B> {
    /// Plain: the sums. Gated: the gates' values.
    pub sums: &'a B,
    /// The outputs.
    pub h: &'a B,
    /// The cells, where there are any.
    pub c: &'a B,
}

/// What `layer` kept of `step`.
pub(super) fn kept<B>(buffers: &[B], steps: usize, layer: usize, step: usize) -> Step<'_, B> {
    let at = layer * (steps * Stack::KEPT + 1) + step * Stack::KEPT;
    Step { sums: &buffers[at], h: &buffers[at + 1], c: &buffers[at + 2] }
}

/// The outputs of `layer` at all steps, which the next layer reads; empty for the last layer.
pub(super) fn outputs<B>(buffers: &[B], steps: usize, layer: usize) -> &B {
    &buffers[layer * (steps * Stack::KEPT + 1) + steps * Stack::KEPT]
}

impl Stack {
    /// Buffers kept for a step.
    const KEPT: usize = 3;

    /// Parameters of a layer.
    pub(super) const fn parameters(&self) -> usize {
        if self.bias { 4 } else { 2 }
    }

    /// Runs all layers on `x`.
    pub(crate) fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &D::Buffer, kept: &mut Kept<D>) -> D::Buffer {
        let ([steps, mut features], device, n) = (cx.places(), cx.device, cx.images);
        let mut last: Option<D::Buffer> = None;
        for layer in 0..self.layers {
            let p = &cx.parameters[layer * self.parameters()..];
            let (wide, rows) = (self.cell.gates() * self.hidden, n * steps);
            let mut sums = device.buffer(rows * wide);
            let fused = Fused { bias: self.bias.then(|| &p[2]), ..Fused::default() };
            device.linear_once([rows, features, wide], &p[0], last.as_ref().unwrap_or(x), fused, &mut sums);
            let mut y = device.buffer(rows * self.hidden);
            let first = kept.buffers.len();
            for t in 0..steps {
                let step = self.step(cx, p, (&sums, t), kept.buffers[first..].chunks(Self::KEPT).last());
                let into = Strided::slice(1, steps * self.hidden, t * self.hidden, self.hidden).reversed();
                device.copy(n, &into, &step[1], false, &mut y);
                kept.buffers.extend(step);
            }
            // A layer's outputs are the next one's inputs, and backward wants them.
            if let Some(previous) = last.replace(y) {
                let at = (layer - 1) * (steps * Self::KEPT + 1) + steps * Self::KEPT;
                kept.buffers[at] = previous;
            }
            kept.buffers.push(device.buffer(0));
            features = self.hidden;
        }
        last.unwrap_or_else(|| device.buffer(0))
    }

    /// One step of one layer: its sums or gates, outputs and cells.
    fn step<D: Device>(
        &self,
        cx: &Context<'_, D>,
        p: &[D::Buffer],
        (all, t): (&D::Buffer, usize),
        before: Option<&[D::Buffer]>,
    ) -> [D::Buffer; 3] {
        let (steps, device, n, hidden) = (cx.places()[0], cx.device, cx.images, self.hidden);
        let wide = self.cell.gates() * hidden;
        let (mut sums, mut h) = (device.buffer(n * wide), device.buffer(n * hidden));
        device.copy(n, &Strided::slice(1, steps * wide, t * wide, wide), all, false, &mut sums);
        if let Some([_, h, _]) = before {
            let product =
                Product::one([n, hidden, wide], Place::rows(hidden), Place::transposed(hidden), Place::rows(wide));
            device.product(&Product { accumulate: true, ..product }, h, &p[1], &mut sums);
        }
        if self.bias {
            device.add_to_each(n, wide, &p[3], &mut sums);
        }
        match self.cell {
            Cell::Plain(f) => {
                device.activation(f, n * hidden, &sums, &mut h);
                [sums, h, device.buffer(0)]
            }
            Cell::Lstm => {
                let mut c = device.buffer(n * hidden);
                let zeros;
                let earlier = if let Some([_, _, c]) = before {
                    c
                } else {
                    zeros = device.zeros(n * hidden);
                    &zeros
                };
                device.lstm_cell([n, hidden], &mut sums, [earlier], [&mut c, &mut h]);
                [sums, h, c]
            }
        }
    }
}
