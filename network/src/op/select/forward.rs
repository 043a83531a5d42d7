//! The values of one step of a sequence.

use super::Select;
use crate::device::{Device, Strided};
use crate::op::arithmetic::{Context, Forward, Kept};

impl Select {
    /// How it takes the step from a sequence of `steps` by `features`.
    pub(super) const fn copy(&self, [steps, features]: [usize; 2]) -> Strided {
        Strided::slice(1, steps * features, self.index(steps) * features, features)
    }
}

impl Forward for Select {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let mut y = cx.result();
        cx.device.copy(cx.images, &self.copy(cx.places()), x[0], false, &mut y);
        y
    }
}
