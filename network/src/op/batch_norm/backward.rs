//! The gradients of a batch normalisation.

use super::BatchNorm;
use crate::device::Device;
use crate::op::arithmetic::{Backward, Context, Kept, Pass, Target, Targets};

/// Makes `dy` zero where the rectifier behind gave nothing, `y`, and takes the sums that backward needs.
pub(crate) fn rectified_sums<D: Device>(
    cx: &Context<'_, D>,
    (x, y, kept): (&D::Buffer, &D::Buffer, &Kept<D>),
    dy: &mut D::Buffer,
) -> [Vec<f64>; 2] {
    let [places, channels] = cx.places();
    let mean = means(cx, kept);
    cx.device.rectified_gradient_sums([cx.images, places, channels], &mean, x, y, dy)
}

/// The means that the way forward subtracted.
fn means<D: Device>(cx: &Context<'_, D>, kept: &Kept<D>) -> Vec<f32> {
    match &kept.statistics {
        Some(batch) => batch.mean.iter().map(|m| *m as f32).collect(),
        None => cx.device.download(&cx.parameters[2], cx.places()[1]),
    }
}

impl Backward for BatchNorm {
    /// With `z = (x - mean) inverse` and `m` numbers per channel: `dx = weight inverse (dy - mean(dy) - z mean(dy z))`, or
    /// `weight inverse dy` where statistics are fixed; arXiv 1502.03167, section 3.
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let ([places, channels], device) = (cx.places(), cx.device);
        let host = |i: usize| device.download(&cx.parameters[i], channels);
        let batch = pass.kept.statistics.as_ref();
        let normal = batch.map_or_else(|| self.of_running(&host(2), &host(3)), |batch| self.of_batch(batch));
        let (weight, x) = (host(0), pass.x[0]);
        let size = [cx.images, places, channels];
        let taken = || device.gradient_sums(size, &means(cx, pass.kept), x, pass.dy);
        let [sums, products] = pass.sums.clone().unwrap_or_else(taken);
        if let [dw, db, rest @ ..] = to.parameters {
            let dz: Vec<f32> = products.iter().zip(&normal.inverse).map(|(p, i)| (p * i) as f32).collect();
            device.write(&dz, dw);
            device.write(&sums.iter().map(|s| *s as f32).collect::<Vec<_>>(), db);
            for buffer in rest {
                device.fill(0.0, channels, buffer);
            }
        }
        let Some(Target { buffer, accumulate }) = &mut to.inputs[0] else { return };
        let mut by = [vec![0.0f32; channels], vec![0.0; channels], vec![0.0; channels]];
        let count = (cx.images * places) as f64;
        for j in 0..channels {
            let inverse = normal.inverse[j];
            let a = f64::from(weight[j]) * inverse;
            let s = if batch.is_some() { -a * inverse * inverse * products[j] / count } else { 0.0 };
            let b = if batch.is_some() { -a * sums[j] / count - s * normal.mean[j] } else { 0.0 };
            (by[0][j], by[1][j], by[2][j]) = (a as f32, b as f32, s as f32);
        }
        let [a, b, s] = by.map(|values| device.upload(&values));
        device.combine([cx.images * places, channels], [&a, &b, &s], (x, pass.dy), *accumulate, buffer);
    }
}
