//! The definition of a max pooling.

use super::MaxPool;
use crate::op::arithmetic::{Given, Reference};
use crate::op::window::Window;

impl Reference for MaxPool {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        windows(&self.window(), given).into_iter().map(|w| w.into_iter().fold(f64::NEG_INFINITY, f64::max)).collect()
    }
}

/// What each window holds of the image itself, for each output in turn.
pub(crate) fn windows(window: &Window, given: &Given<'_>) -> Vec<Vec<f64>> {
    let [c, h, w] = [given.shapes[0][0], given.shapes[0][1], given.shapes[0][2]];
    let [ho, wo] = window.places(h, w).expect("the graph accepted the window");
    let mut all = Vec::new();
    for at in 0..given.images * c * ho * wo {
        let (image, oy, ox) = (at / wo / ho, at / wo % ho, at % wo);
        let mut values = Vec::new();
        for k in 0..window.kernel[0] * window.kernel[1] {
            let y = (oy * window.stride[0] + k / window.kernel[1]).wrapping_sub(window.padding[0]);
            let x = (ox * window.stride[1] + k % window.kernel[1]).wrapping_sub(window.padding[1]);
            if y < h && x < w {
                values.push(given.x[0][(image * h + y) * w + x]);
            }
        }
        all.push(values);
    }
    all
}
