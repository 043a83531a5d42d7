//! Max pooling: the largest value of each window.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, Shape};
use crate::op::pooling;
use crate::op::window::Window;

/// The maximum of each window; padding never wins (it counts as minus infinity), and NaN always does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MaxPool {
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// Steps between neighbouring windows, `[rows, columns]`.
    pub stride: [usize; 2],
    /// Rows and columns added at `[top, left, bottom, right]`.
    pub padding: [usize; 4],
}

impl MaxPool {
    /// Square windows that do not overlap.
    #[must_use]
    pub const fn new(kernel: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [kernel; 2], padding: [0; 4] }
    }

    /// The same pooling at `stride`.
    #[must_use]
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// The same pooling with `padding` on every side.
    #[must_use]
    pub const fn padding(self, padding: usize) -> Self {
        Self { padding: [padding; 4], ..self }
    }

    /// The window that it moves over an image.
    #[must_use]
    pub const fn window(&self) -> Window {
        Window { kernel: self.kernel, stride: self.stride, padding: self.padding, dilation: [1; 2] }
    }
}

impl Operation for MaxPool {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        pooling::output(&self.window(), inputs)
    }
}
