//! The values of long short-term memory.

use super::Lstm;
use crate::device::Device;
use crate::op::arithmetic::{Context, Forward, Kept};
use crate::op::recurrent::forward::{Cell, Stack};

impl Lstm {
    /// Its layers.
    pub(super) fn stack(&self) -> Stack {
        let cell = Cell::Lstm;
        Stack { cell, hidden: self.hidden, layers: self.layers, bias: self.bias }
    }
}

impl Forward for Lstm {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], kept: &mut Kept<D>) -> D::Buffer {
        self.stack().forward(cx, x[0], kept)
    }
}
