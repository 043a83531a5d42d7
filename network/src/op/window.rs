//! Where a window of a convolution or a pooling lies, and how many places it has.

use serde::{Deserialize, Serialize};

use super::operation::{OpError, positive};

/// A window that moves over an image, `[height, width]` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// Steps between neighbouring places.
    pub stride: [usize; 2],
    /// Rows and columns added at `[top, left, bottom, right]`.
    pub padding: [usize; 4],
    /// Distance of the window's rows and columns, 1 for a window without holes.
    pub dilation: [usize; 2],
}

/// No extent of a window may exceed this; it keeps sums and products of hostile settings from overflowing.
const MAX_EXTENT: usize = 1 << 24;

impl Window {
    /// A square window at stride 1, without padding.
    #[must_use]
    pub const fn square(kernel: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [1; 2], padding: [0; 4], dilation: [1; 2] }
    }

    /// The same window with the padding that Keras and ONNX call "same" (`SAME_UPPER`) on an image of `height` x `width`:
    /// `ceil(extent / stride)` places, the odd row or column of padding at the end.
    #[must_use]
    pub fn same(mut self, height: usize, width: usize) -> Self {
        for (axis, extent) in [height, width].into_iter().enumerate() {
            let stride = self.stride[axis].max(1);
            let reach = self.reach()[axis];
            let total = (extent.div_ceil(stride).saturating_sub(1) * stride + reach).saturating_sub(extent);
            self.padding[axis] = total / 2;
            self.padding[axis + 2] = total - total / 2;
        }
        self
    }

    /// Rows and columns from the window's first to its last element, `dilation (kernel - 1) + 1`.
    #[must_use]
    pub fn reach(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.dilation[axis].saturating_mul(self.kernel[axis].saturating_sub(1)).saturating_add(1))
    }

    /// How many elements the window has.
    #[must_use]
    pub fn area(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// How many places it has on an image, `floor((extent + padding - reach) / stride) + 1` along each axis.
    ///
    /// # Errors
    /// Where a setting is zero or absurd, or the window is larger than the padded image.
    pub fn places(&self, height: usize, width: usize) -> Result<[usize; 2], OpError> {
        for axis in 0..2 {
            positive("kernel", self.kernel[axis])?;
            positive("stride", self.stride[axis])?;
            positive("dilation", self.dilation[axis])?;
        }
        let settings = [self.kernel, self.stride, self.dilation];
        if let Some(value) = settings.iter().flatten().chain(&self.padding).find(|&&value| value > MAX_EXTENT) {
            let value = value.to_string();
            return Err(OpError::Setting { key: "window", value, fix: "use extents below 16 million" });
        }
        let window = self.reach();
        let [top, left, bottom, right] = self.padding;
        let image = [height + top + bottom, width + left + right];
        if window[0] > image[0] || window[1] > image[1] {
            return Err(OpError::Window { window, image });
        }
        Ok([0, 1].map(|axis| (image[axis] - window[axis]) / self.stride[axis] + 1))
    }

    /// The places of a pooling window, each of which must cover some of the image itself.
    ///
    /// # Errors
    /// As [`Window::places`], and where padding is as wide as the window.
    pub fn pooling_places(&self, height: usize, width: usize) -> Result<[usize; 2], OpError> {
        let places = self.places(height, width)?;
        for axis in 0..2 {
            let padding = self.padding[axis].max(self.padding[axis + 2]);
            if padding >= self.kernel[axis] {
                let fix = "pad a pooling by less than its kernel, so that no window lies in the padding alone";
                return Err(OpError::Setting { key: "padding", value: padding.to_string(), fix });
            }
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_the_published_formula() {
        let window = |kernel, stride, pad, dilation| Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [pad; 4],
            dilation: [dilation; 2],
        };
        // Extents of torch.nn.Conv2d for the same settings.
        for (settings, image, wanted) in [
            (window(3, 1, 1, 1), 32, 32),
            (window(3, 2, 1, 1), 32, 16),
            (window(3, 2, 1, 1), 25, 13),
            (window(5, 1, 0, 1), 28, 24),
            (window(3, 1, 2, 2), 10, 10),
            (window(2, 2, 0, 1), 25, 12),
        ] {
            assert_eq!(settings.places(image, image).unwrap(), [wanted; 2], "{settings:?}");
        }
    }

    #[test]
    fn same_padding_puts_the_odd_row_at_the_end() {
        let window = Window { stride: [2; 2], ..Window::square(3) };
        assert_eq!(window.same(32, 32).padding, [0, 0, 1, 1]);
        assert_eq!(window.same(32, 32).places(32, 32).unwrap(), [16, 16]);
        assert_eq!(Window::square(3).same(32, 31).padding, [1, 1, 1, 1]);
        let pointwise = Window { stride: [2; 2], ..Window::square(1) };
        assert_eq!(pointwise.same(32, 32).padding, [0; 4]);
    }

    #[test]
    fn absurd_windows_are_errors() {
        assert!(Window::square(0).places(4, 4).is_err());
        assert!(Window::square(5).places(4, 4).is_err());
        assert!(Window { dilation: [usize::MAX; 2], ..Window::square(3) }.places(4, 4).is_err());
        assert!(Window { padding: [usize::MAX; 4], ..Window::square(3) }.places(4, 4).is_err());
    }
}
