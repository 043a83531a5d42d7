//! The definition of an average pooling; padding is counted only in windows that do not reach beyond it.

use super::AvgPool;
use crate::op::arithmetic::{Given, Reference};
use crate::op::max_pool::reference::windows;

impl Reference for AvgPool {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let area = (self.kernel[0] * self.kernel[1]) as f64;
        let mean = |values: Vec<f64>| {
            let divisor = if self.count_include_pad { area } else { values.len() as f64 };
            values.iter().sum::<f64>() / divisor
        };
        windows(&self.window(), given).into_iter().map(mean).collect()
    }
}
