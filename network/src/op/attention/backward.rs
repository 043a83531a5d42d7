//! The gradients of self-attention.

use super::Attention;
use super::forward::Of;
use crate::device::{Device, Fused};
use crate::op::arithmetic::{Backward, Context, Pass, Target, Targets};
use crate::op::linear::backward::gradients;

impl Backward for Attention {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        let (at, device, p) = (self.layout(cx), cx.device, cx.parameters);
        let (rows, f) = (at.images * at.steps, at.features);
        let [stacked, shares, heads] = &pass.kept.buffers[..] else { return };
        let (inner, outer) = to.parameters.split_at_mut(to.parameters.len() / 2);
        let target = |len| Some(Target { buffer: device.buffer(len), accumulate: false });
        let mut dheads = target(rows * f);
        gradients(device, [rows, f, f], (&p[2], heads, pass.dy), &mut dheads, outer);
        let Some(Target { buffer: dheads, .. }) = dheads else { return };

        let [score_rows, steps] = at.scores();
        let (mut a, mut b) = (device.buffer(score_rows * steps), device.buffer(score_rows * steps));
        let mut dstacked = device.buffer(3 * rows * f);
        device.product(&at.product((Of::Heads, false), (Of::Value, true), Of::Scores), &dheads, stacked, &mut a);
        device.product(&at.product((Of::Scores, true), (Of::Heads, false), Of::Value), shares, &dheads, &mut dstacked);
        device.softmax_backward(at.scores(), shares, &a, false, &mut b);
        device.scale_shift(at.scores(), &at.scale(device), &b, Fused::default(), &mut a);
        device.product(&at.product((Of::Scores, false), (Of::Key, false), Of::Query), &a, stacked, &mut dstacked);
        device.product(&at.product((Of::Scores, true), (Of::Query, false), Of::Key), &a, stacked, &mut dstacked);
        gradients(device, [rows, f, 3 * f], (&p[0], pass.x[0], &dstacked), &mut to.inputs[0], inner);
    }
}
