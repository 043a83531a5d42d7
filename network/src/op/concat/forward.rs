//! The values of arrays side by side.

use super::Concat;
use crate::device::{Device, Strided};
use crate::op::arithmetic::{Context, Forward, Kept, places};

/// For each input, how its channels are taken from the result.
pub(super) fn slices(inputs: &[&[usize]], output: &[usize]) -> Vec<Strided> {
    let [count, wide] = places(output);
    let mut first = 0;
    let mut slice = |input: &&[usize]| {
        let channels = places(input)[1];
        first += channels;
        Strided::slice(count, wide, first - channels, channels)
    };
    inputs.iter().map(&mut slice).collect()
}

impl Forward for Concat {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let mut y = cx.result();
        for (slice, x) in slices(cx.inputs, cx.output).iter().zip(x) {
            cx.device.copy(cx.images, &slice.reversed(), x, false, &mut y);
        }
        y
    }
}
