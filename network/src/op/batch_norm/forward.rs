//! The values of a batch normalisation.

use super::BatchNorm;
use crate::device::{Device, Fused, Statistics};
use crate::op::arithmetic::{Context, Forward, ForwardFused, Kept};

/// For each channel: mean, one over the standard deviation.
pub(crate) struct Normal {
    pub mean: Vec<f64>,
    pub inverse: Vec<f64>,
}

impl BatchNorm {
    /// From a batch's statistics.
    pub(crate) fn of_batch(&self, statistics: &Statistics) -> Normal {
        let inverse = statistics.variance.iter().map(|v| 1.0 / (v + self.eps).sqrt()).collect();
        Normal { mean: statistics.mean.clone(), inverse }
    }

    /// From running statistics.
    pub(crate) fn of_running(&self, mean: &[f32], variance: &[f32]) -> Normal {
        let inverse = variance.iter().map(|v| 1.0 / (f64::from(*v) + self.eps).sqrt()).collect();
        Normal { mean: mean.iter().map(|m| f64::from(*m)).collect(), inverse }
    }

    /// The running mean and variance after a batch: moved by `momentum` towards its mean and unbiased variance.
    pub(crate) fn moved(&self, running: [&[f32]; 2], batch: &Statistics) -> [Vec<f32>; 2] {
        let towards = |old: f32, new: f64| ((1.0 - self.momentum) * f64::from(old) + self.momentum * new) as f32;
        let unbiased = batch.count as f64 / (batch.count as f64 - 1.0).max(1.0);
        let mean = running[0].iter().zip(&batch.mean).map(|(old, new)| towards(*old, *new)).collect();
        let variance = running[1].iter().zip(&batch.variance).map(|(old, v)| towards(*old, v * unbiased)).collect();
        [mean, variance]
    }
}

impl Normal {
    /// The factor and the offset of each channel that normalise, scale by `weight` and shift by `bias`.
    pub(crate) fn scale_shift(&self, weight: &[f32], bias: &[f32]) -> [Vec<f32>; 2] {
        let scale = self.inverse.iter().zip(weight).map(|(i, w)| i * f64::from(*w));
        let shift = scale.clone().zip(&self.mean).zip(bias).map(|((s, m), b)| (f64::from(*b) - m * s) as f32).collect();
        [scale.map(|s| s as f32).collect(), shift]
    }
}

impl Forward for BatchNorm {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], kept: &mut Kept<D>) -> D::Buffer {
        self.forward_fused(cx, x[0], Fused::default(), kept)
    }
}

impl ForwardFused for BatchNorm {
    fn forward_fused<D: Device>(
        &self,
        cx: &Context<'_, D>,
        x: &D::Buffer,
        fused: Fused<'_, D::Buffer>,
        kept: &mut Kept<D>,
    ) -> D::Buffer {
        let ([places, channels], device) = (cx.places(), cx.device);
        let host = |i: usize| device.download(&cx.parameters[i], channels);
        let normal = if cx.random.is_some() {
            let taken = || device.statistics([cx.images, places, channels], x);
            let statistics = cx.batch.cloned().unwrap_or_else(taken);
            let normal = self.of_batch(&statistics);
            kept.statistics = Some(statistics);
            normal
        } else {
            self.of_running(&host(2), &host(3))
        };
        let [scale, shift] = normal.scale_shift(&host(0), &host(1)).map(|values| device.upload(&values));
        let mut y = cx.result();
        let fused = Fused { bias: Some(&shift), ..fused };
        device.scale_shift([cx.images * places, channels], &scale, x, fused, &mut y);
        y
    }
}
