//! The values after dropout.

use super::Dropout;
use crate::device::Device;
use crate::op::arithmetic::{Context, Forward, Kept};
use crate::op::masked::Masked;

impl Dropout {
    /// How it drops values.
    pub(super) fn masked(&self) -> Masked {
        Masked { purpose: "dropout", rate: self.rate, factor: (1.0 / (1.0 - self.rate)) as f32 }
    }
}

impl Forward for Dropout {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], kept: &mut Kept<D>) -> D::Buffer {
        self.masked().forward(cx, x[0], kept)
    }
}
