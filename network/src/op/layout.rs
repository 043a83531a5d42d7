//! Between row-major arrays, as users and files have them, and the order inside, where channels of images vary fastest.

use crate::device::{Device, Strided};

/// How images of `shape` are rearranged from the order inside to row-major; `None` where the orders are the same.
pub(crate) fn to_row_major(shape: &[usize]) -> Option<Strided> {
    match *shape {
        [c, h, w] if c > 1 && h * w > 1 => Some(Strided::to_channels_first([c, h, w])),
        _ => None,
    }
}

/// All `len` numbers of each image as they are.
pub(crate) const fn plain(len: usize) -> Strided {
    Strided::slice(1, len, 0, len)
}

/// Copies (or adds) the same row-major values from the order inside for shape `from` to that for shape `to`.
pub(crate) fn relayout<D: Device>(
    device: &D,
    images: usize,
    (from, x): (&[usize], &D::Buffer),
    to: &[usize],
    accumulate: bool,
    y: &mut D::Buffer,
) {
    let len = from.iter().product();
    match (to_row_major(from), to_row_major(to)) {
        (Some(_), Some(_)) if from == to => device.copy(images, &plain(len), x, accumulate, y),
        (Some(first), Some(second)) => {
            let mut between = device.buffer(images * len);
            device.copy(images, &first, x, false, &mut between);
            device.copy(images, &second.reversed(), &between, accumulate, y);
        }
        (Some(first), None) => device.copy(images, &first, x, accumulate, y),
        (None, Some(second)) => device.copy(images, &second.reversed(), x, accumulate, y),
        (None, None) => device.copy(images, &plain(len), x, accumulate, y),
    }
}
