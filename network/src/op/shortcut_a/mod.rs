//! The shortcut of a residual network that has no parameters (He et al. 2015, "option A").

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, Shape, image, positive};

/// Every `stride`-th row and column, with channels of zeros added evenly before and after the image's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ShortcutA {
    /// Channels that it gives.
    pub channels: usize,
    /// Distance of the rows and columns that it keeps.
    pub stride: usize,
}

impl ShortcutA {
    /// How many channels of zeros come before the image's `channels`; the same number, or one more, comes after.
    #[must_use]
    pub const fn channels_before(&self, channels: usize) -> usize {
        self.channels.saturating_sub(channels) / 2
    }
}

impl Operation for ShortcutA {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        let [channels, height, width] = image(inputs)?;
        let stride = positive("stride", self.stride)?;
        if self.channels < channels {
            let fix = "use at least the input's channels";
            return Err(OpError::Fit { key: "channels", value: self.channels, input: inputs[0].to_vec(), fix });
        }
        Ok(vec![self.channels, height.div_ceil(stride), width.div_ceil(stride)])
    }
}
