//! Where an element of an array is.

/// The index of the row-major element `at` of an array of `shape`.
#[must_use]
pub fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (place, extent) in index.iter_mut().zip(shape).rev() {
        *place = at % extent;
        at /= extent;
    }
    index
}

/// The row-major position of `index` in an array of `shape`; `None` where it lies outside.
#[must_use]
pub fn ravel(index: &[usize], shape: &[usize]) -> Option<usize> {
    if index.len() != shape.len() {
        return None;
    }
    index.iter().zip(shape).try_fold(0, |at, (i, extent)| (i < extent).then_some(at * extent + i))
}
