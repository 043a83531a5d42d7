//! The mean over everything but channels or features.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use crate::op::operation::{OpError, Operation, Shape};

/// `[channels, height, width]` to `[channels]`, and `[time, features]` to `[features]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalAvgPool;

impl Operation for GlobalAvgPool {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        match *inputs[0] {
            [channels, _, _] => Ok(vec![channels]),
            [_, features] => Ok(vec![features]),
            _ => Err(OpError::Rank { wanted: "an image or a sequence", found: inputs[0].to_vec() }),
        }
    }
}
