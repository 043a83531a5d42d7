//! An image as a sequence of its places, for attention and recurrent layers.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use crate::op::operation::{OpError, Operation, Shape, image, value_count};

/// `[channels, height, width]` to `[height * width, channels]`: a transposition, row after row of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens;

impl Operation for Tokens {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        let [channels, height, width] = image(inputs)?;
        let places = value_count(&[height, width]).ok_or_else(|| OpError::TooLarge(inputs[0].to_vec()))?;
        Ok(vec![places, channels])
    }
}
