//! The values after crashes.

use super::Crash;
use crate::device::Device;
use crate::op::arithmetic::{Context, Forward, Kept};
use crate::op::masked::Masked;

impl Crash {
    /// How it drops values.
    pub(super) fn masked(&self) -> Masked {
        Masked { purpose: "crash", rate: self.rate, factor: 1.0 }
    }
}

impl Forward for Crash {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], kept: &mut Kept<D>) -> D::Buffer {
        self.masked().forward(cx, x[0], kept)
    }
}
