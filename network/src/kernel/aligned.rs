//! Memory that starts on a cache line, so that no vector load straddles two.

use std::ops::{Deref, DerefMut};

/// Numbers in a cache line.
const LINE: usize = 16;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// A fixed number of `f32`, aligned to 64 bytes; a slice in all other respects.
#[derive(Clone, Default)]
pub struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

impl Aligned {
    /// `len` zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        Self { lines: vec![Line([0.0; LINE]); len.div_ceil(LINE)], len }
    }

    /// Makes room for `len` numbers, whose values are then unspecified.
    pub fn reshape(&mut self, len: usize) {
        if len.div_ceil(LINE) > self.lines.len() {
            self.lines.resize(len.div_ceil(LINE), Line([0.0; LINE]));
        }
        self.len = len;
    }

    /// How many numbers fit without a new allocation.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.lines.len() * LINE
    }
}

impl From<&[f32]> for Aligned {
    fn from(values: &[f32]) -> Self {
        let mut aligned = Self::zeros(values.len());
        aligned.copy_from_slice(values);
        aligned
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        #[expect(unsafe_code, reason = "a slice of lines is a slice of their numbers")]
        // SAFETY: `Line` is `repr(C)` over `[f32; LINE]` without padding, and `len` never exceeds the lines' numbers.
        unsafe {
            std::slice::from_raw_parts(self.lines.as_ptr().cast::<f32>(), self.len)
        }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        #[expect(unsafe_code, reason = "a slice of lines is a slice of their numbers")]
        // SAFETY: as in `deref`, and the borrow of `self` is exclusive.
        unsafe {
            std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast::<f32>(), self.len)
        }
    }
}

impl std::fmt::Debug for Aligned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.deref().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_starts_on_a_cache_line_and_has_the_length_asked_for() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let buffer = Aligned::zeros(len);
            assert_eq!(buffer.len(), len);
            assert!(len == 0 || buffer.as_ptr().addr().is_multiple_of(64));
        }
        let mut buffer = Aligned::from(&[1.0, 2.0][..]);
        buffer.reshape(40);
        assert_eq!((buffer.len(), buffer[1]), (40, 2.0));
    }
}
