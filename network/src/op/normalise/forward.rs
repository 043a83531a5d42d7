//! The values of normalised data.

use super::Normalise;
use crate::device::Device;
use crate::op::arithmetic::{Context, Forward, Kept};

impl Normalise {
    /// Means and standard deviations of all channels.
    pub(crate) fn numbers(&self, channels: usize) -> (Vec<f32>, Vec<f32>) {
        (0..channels).map(|c| self.at(c)).unzip()
    }
}

impl Forward for Normalise {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], _: &mut Kept<D>) -> D::Buffer {
        let ([places, channels], mut y) = (cx.places(), cx.result());
        let (mean, std) = self.numbers(channels);
        let (mean, std) = (cx.device.upload(&mean), cx.device.upload(&std));
        cx.device.normalise([cx.images * places, channels], &mean, &std, x[0], &mut y);
        y
    }
}
