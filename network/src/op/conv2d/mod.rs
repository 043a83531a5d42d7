//! A two-dimensional convolution (cross-correlation, as every framework has it).

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, ParameterSpec, Role, Shape, image, positive};
use crate::op::window::Window;

/// A convolution with `W` of shape `[outputs, channels / groups, kernel height, kernel width]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Conv2d {
    /// Channels that it gives.
    pub outputs: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Steps between neighbouring outputs, `[rows, columns]`.
    pub stride: [usize; 2],
    /// Rows and columns of zeros at `[top, left, bottom, right]`.
    pub padding: [usize; 4],
    /// Distance of the kernel's rows and columns.
    pub dilation: [usize; 2],
    /// Groups of channels that do not see one another; as many as channels for a depthwise convolution.
    pub groups: usize,
    /// Whether it adds a bias to each channel.
    pub bias: bool,
}

impl Conv2d {
    /// A square kernel at stride 1, without padding, groups or bias.
    #[must_use]
    pub const fn new(outputs: usize, kernel: usize) -> Self {
        Self { outputs, kernel: [kernel; 2], stride: [1; 2], padding: [0; 4], dilation: [1; 2], groups: 1, bias: false }
    }

    /// The same convolution at `stride`.
    #[must_use]
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// The same convolution with `padding` zeros on every side.
    #[must_use]
    pub const fn padding(self, padding: usize) -> Self {
        Self { padding: [padding; 4], ..self }
    }

    /// The same convolution in `groups`.
    #[must_use]
    pub const fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// The same convolution with or without a bias.
    #[must_use]
    pub const fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// The window that it moves over an image.
    #[must_use]
    pub const fn window(&self) -> Window {
        Window { kernel: self.kernel, stride: self.stride, padding: self.padding, dilation: self.dilation }
    }
}

impl Operation for Conv2d {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        let [channels, height, width] = image(inputs)?;
        positive("outputs", self.outputs)?;
        let groups = positive("groups", self.groups)?;
        if !channels.is_multiple_of(groups) || !self.outputs.is_multiple_of(groups) {
            let fix = "use a number that divides both the input's channels and `outputs`";
            return Err(OpError::Fit { key: "groups", value: groups, input: inputs[0].to_vec(), fix });
        }
        let [rows, columns] = self.window().places(height, width)?;
        Ok(vec![self.outputs, rows, columns])
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let channels = inputs[0][0] / self.groups;
        let area = self.kernel[0].saturating_mul(self.kernel[1]);
        let (fan_in, fan_out) = (channels.saturating_mul(area), self.outputs.saturating_mul(area));
        let shape = vec![self.outputs, channels, self.kernel[0], self.kernel[1]];
        let weight = ParameterSpec::new("weight", shape, Role::Weight, fan_in, fan_out);
        let bias = ParameterSpec::new("bias", vec![self.outputs], Role::Bias, fan_in, fan_out);
        if self.bias { vec![weight, bias] } else { vec![weight] }
    }

    fn macs(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        let window = (inputs[0][0] / self.groups).saturating_mul(self.kernel[0]).saturating_mul(self.kernel[1]);
        (output.iter().product::<usize>() as u64).saturating_mul(window as u64)
    }
}
