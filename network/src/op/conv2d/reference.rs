//! The definition of a convolution.

use super::Conv2d;
use crate::op::arithmetic::{Given, Reference};

impl Reference for Conv2d {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let [c, h, w] = [given.shapes[0][0], given.shapes[0][1], given.shapes[0][2]];
        let [ho, wo] = self.window().places(h, w).expect("the graph accepted the window");
        let (gi, go) = (c / self.groups, self.outputs / self.groups);
        let mut y = Vec::with_capacity(given.images * self.outputs * ho * wo);
        for at in 0..given.images * self.outputs * ho * wo {
            let (n, o) = (at / wo / ho / self.outputs, at / wo / ho % self.outputs);
            let (oy, ox) = (at / wo % ho, at % wo);
            let mut sum = given.parameters.get(1).map_or(0.0, |bias| bias[o]);
            for k in 0..gi * self.kernel[0] * self.kernel[1] {
                let (i, ky, kx) =
                    (k / self.kernel[1] / self.kernel[0], k / self.kernel[1] % self.kernel[0], k % self.kernel[1]);
                let y = (oy * self.stride[0] + ky * self.dilation[0]).wrapping_sub(self.padding[0]);
                let x = (ox * self.stride[1] + kx * self.dilation[1]).wrapping_sub(self.padding[1]);
                if y < h && x < w {
                    let weight = given.parameters[0][o * gi * self.kernel[0] * self.kernel[1] + k];
                    sum += given.x[0][((n * c + o / go * gi + i) * h + y) * w + x] * weight;
                }
            }
            y.push(sum);
        }
        y
    }
}
