//! Sizes of a convolution, and images with a border.

/// A convolution of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Height, width, channels of what it reads.
    pub input: [usize; 3],
    /// Channels of what it gives.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Distance of neighbouring outputs in the input, down and across; positive.
    pub stride: [usize; 2],
    /// Zeros around the input: top, left, bottom, right.
    pub padding: [usize; 4],
    /// Distance of neighbouring taps, down and across; positive.
    pub dilation: [usize; 2],
    /// Groups of channels that do not see each other; divides inputs and outputs.
    pub groups: usize,
}

impl Convolution {
    /// Height, width and channels of what it gives.
    #[must_use]
    pub fn output(&self) -> [usize; 3] {
        let side = |i: usize| {
            let padded = self.input[i] + self.padding[i] + self.padding[i + 2];
            let span = self.dilation[i] * (self.kernel[i] - 1) + 1;
            if padded < span { 0 } else { (padded - span) / self.stride[i] + 1 }
        };
        [side(0), side(1), self.outputs]
    }

    /// Numbers in an image that it reads.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.input.iter().product()
    }

    /// Numbers in an image that it gives.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.output().iter().product()
    }

    /// Numbers in its weights.
    #[must_use]
    pub fn weight_len(&self) -> usize {
        self.outputs * self.group_inputs() * self.taps()
    }

    /// Multiply-adds for an image.
    #[must_use]
    pub fn multiplications(&self) -> usize {
        self.output_len() * self.taps() * self.group_inputs()
    }

    /// Channels that an output sees.
    #[must_use]
    pub fn group_inputs(&self) -> usize {
        self.input[2] / self.groups
    }

    /// Outputs of a group.
    #[must_use]
    pub fn group_outputs(&self) -> usize {
        self.outputs / self.groups
    }

    /// Places of the kernel.
    #[must_use]
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Whether each channel is convolved on its own into one channel.
    #[must_use]
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.input[2] && self.groups == self.outputs
    }

    /// For each place of what it gives the number of an image that weight `at` of output `output` is multiplied with; none where that is
    /// outside.
    pub(crate) fn read_by(&self, output: usize, at: usize) -> impl Iterator<Item = Option<usize>> {
        let ([height, width, channels], [rows, columns, _]) = (self.input, self.output());
        let channel = output / self.group_outputs() * self.group_inputs() + at / self.taps();
        let tap = at % self.taps();
        let place = move |tap: usize, i: usize, along: usize| {
            // Before the first one wraps round to far beyond the last.
            (i * self.stride[along] + tap * self.dilation[along]).wrapping_sub(self.padding[along])
        };
        (0..rows * columns).map(move |i| {
            let (row, column) =
                (place(tap / self.kernel[1], i / columns, 0), place(tap % self.kernel[1], i % columns, 1));
            (row < height && column < width).then(|| (row * width + column) * channels + channel)
        })
    }

    /// Offset of tap `t` in a bordered image.
    pub(super) fn tap_offset(&self, t: usize) -> usize {
        let (down, across) = (t / self.kernel[1] * self.dilation[0], t % self.kernel[1] * self.dilation[1]);
        (down * self.bordered().width + across) * self.input[2]
    }

    /// The input with its border.
    pub(super) fn bordered(&self) -> Bordered {
        let [h, w, c] = self.input;
        let [top, left, bottom, right] = self.padding;
        Bordered { height: top + h + bottom, width: left + w + right, channels: c, top, left, inner: [h, w] }
    }
}

/// An image with zeros around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bordered {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub top: usize,
    pub left: usize,
    /// Height and width of what is inside.
    pub inner: [usize; 2],
}

impl Bordered {
    /// Numbers in it.
    pub(super) fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether there is no border at all.
    pub(super) fn is_plain(&self) -> bool {
        [self.height, self.width] == self.inner
    }

    /// Writes `image` with its border to `to`; rows beyond the inner ones are border.
    pub(super) fn fill(&self, image: &[f32], to: &mut [f32]) {
        let (row, c) = (self.width * self.channels, self.channels);
        let inner = self.inner[1] * c;
        let (before, after) = (self.left * c, self.left * c + inner);
        to[..self.top * row].fill(0.0);
        for y in 0..self.inner[0] {
            let line = &mut to[(self.top + y) * row..][..row];
            line[..before].fill(0.0);
            line[before..after].copy_from_slice(&image[y * inner..][..inner]);
            line[after..].fill(0.0);
        }
        to[(self.top + self.inner[0]) * row..self.len()].fill(0.0);
    }

    /// Writes what is inside of `from` to `image`.
    pub(super) fn inside(&self, from: &[f32], image: &mut [f32]) {
        let (row, inner) = (self.width * self.channels, self.inner[1] * self.channels);
        for (y, line) in image.chunks_exact_mut(inner).enumerate() {
            line.copy_from_slice(&from[(self.top + y) * row + self.left * self.channels..][..inner]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_as_large_as_pytorch_says() {
        let conv = |input, kernel, stride, padding, dilation| Convolution {
            input,
            outputs: 7,
            kernel,
            stride,
            padding,
            dilation,
            groups: 1,
        };
        assert_eq!(conv([32, 32, 3], [3, 3], [1, 1], [1; 4], [1, 1]).output(), [32, 32, 7]);
        assert_eq!(conv([32, 32, 3], [3, 3], [2, 2], [1; 4], [1, 1]).output(), [16, 16, 7]);
        assert_eq!(conv([224, 224, 3], [7, 7], [2, 2], [3; 4], [1, 1]).output(), [112, 112, 7]);
        assert_eq!(conv([9, 11, 1], [3, 2], [2, 3], [0, 1, 2, 0], [2, 1]).output(), [4, 4, 7]);
        assert_eq!(conv([2, 2, 1], [3, 3], [1, 1], [0; 4], [1, 1]).output(), [0, 0, 7]);
    }
}
