//! The values of a plain recurrent layer.

use super::{Nonlinearity, Rnn};
use crate::activation::Activation;
use crate::device::Device;
use crate::op::arithmetic::{Context, Forward, Kept};
use crate::op::recurrent::forward::{Cell, Stack};

impl Rnn {
    /// Its layers.
    pub(super) fn stack(&self) -> Stack {
        let f = match self.nonlinearity {
            Nonlinearity::Tanh => Activation::Tanh,
            Nonlinearity::Relu => Activation::relu(),
        };
        let cell = Cell::Plain(f);
        Stack { cell, hidden: self.hidden, layers: self.layers, bias: self.bias }
    }
}

impl Forward for Rnn {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], kept: &mut Kept<D>) -> D::Buffer {
        self.stack().forward(cx, x[0], kept)
    }
}
