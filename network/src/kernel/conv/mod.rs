//! Two-dimensional convolutions: values, gradient of the input, gradient of the weights.
//!
//! Direct, without a matrix of patches: each image is given its border of zeros in scratch memory, and the taps of the
//! kernel become offsets into it; changes of an input also go the way of [`add_winograd`]. Weights are `[output][input of its group][row][column]`, as `PyTorch` has them.

mod backward_input;
mod backward_weight;
mod channel;
mod forward;
mod geometry;
mod scatter;
#[cfg(test)]
mod tests;
mod winograd;

pub use backward_input::{PackedBackward, backward_input};
pub use backward_weight::backward_weight;
pub use channel::{add_channel, one_channel};
pub use forward::{PackedForward, forward, forward_with_statistics};
pub use geometry::Convolution;
pub use winograd::{PackedWinograd, add_winograd};
