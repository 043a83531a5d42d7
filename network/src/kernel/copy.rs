//! Moving numbers about: transpositions, slices, channels side by side.

use super::spread::{TOUCH, Threads};

/// Numbers copied in four nested loops within each image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strided {
    /// Numbers of an image that is read, and of one that is written.
    pub images: [usize; 2],
    /// Offset in an image that is read, and in one that is written.
    pub offset: [usize; 2],
    /// `(extent, stride when reading, stride when writing)`, outermost first.
    pub loops: [(usize, usize, usize); 3],
}

impl Strided {
    /// Images of shape `[channels, height, width]` from `[height][width][channel]` to `[channel][height][width]`.
    #[must_use]
    pub fn to_channels_first([c, h, w]: [usize; 3]) -> Self {
        let len = c * h * w;
        Self { images: [len; 2], offset: [0; 2], loops: [(c, 1, h * w), (h * w, c, 1), (1, 1, 1)] }
    }

    /// The way back.
    #[must_use]
    pub fn to_channels_last(shape: [usize; 3]) -> Self {
        Self::to_channels_first(shape).reversed()
    }

    /// `channels` numbers from each of `places`, from channel `first` of `wide` ones to a place of their own.
    #[must_use]
    pub const fn slice(places: usize, wide: usize, first: usize, channels: usize) -> Self {
        Self {
            images: [places * wide, places * channels],
            offset: [first, 0],
            loops: [(1, 0, 0), (places, wide, channels), (channels, 1, 1)],
        }
    }

    /// What is read written, and the other way round: the gradient of the copy.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let swap = |[a, b]: [usize; 2]| [b, a];
        Self { images: swap(self.images), offset: swap(self.offset), loops: self.loops.map(|(n, a, b)| (n, b, a)) }
    }

    /// Numbers moved in an image.
    #[must_use]
    pub fn len(&self) -> usize {
        self.loops.iter().map(|l| l.0).product()
    }

    /// Whether nothing is moved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Copies, or adds where `accumulate` says so; what no loop writes keeps its value.
///
/// # Panics
/// If `from` and `to` do not hold equally many images, or a stride leads out of them.
pub fn copy(threads: Threads, how: &Strided, from: &[f32], accumulate: bool, to: &mut [f32]) {
    let [read, write] = how.images;
    if how.is_empty() || to.is_empty() {
        return;
    }
    assert_eq!(from.len() / read, to.len() / write, "equally many images");
    let share = threads.share(to.len() / write, ((1 << 16) / write).max(1), 1, TOUCH * how.len());
    threads.chunks(to, share * write, |chunk, to| {
        let from = &from[chunk * share * read..];
        for (from, to) in from.chunks_exact(read).zip(to.chunks_exact_mut(write)) {
            image(how, from, accumulate, to);
        }
    });
}

fn image(how: &Strided, from: &[f32], accumulate: bool, to: &mut [f32]) {
    let [outer, middle, inner] = how.loops;
    for o in 0..outer.0 {
        for m in 0..middle.0 {
            let a = how.offset[0] + o * outer.1 + m * middle.1;
            let b = how.offset[1] + o * outer.2 + m * middle.2;
            if (inner.1, inner.2) == (1, 1) {
                let (from, to) = (&from[a..][..inner.0], &mut to[b..][..inner.0]);
                if accumulate {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
                } else {
                    to.copy_from_slice(from);
                }
            } else {
                for i in 0..inner.0 {
                    let (value, place) = (from[a + i * inner.1], &mut to[b + i * inner.2]);
                    *place = if accumulate { *place + value } else { value };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_go_first_and_back() {
        let x: Vec<f32> = (0..2 * 24).map(|i| i as f32).collect();
        let (mut y, mut z) = (vec![0.0; 48], vec![1.0; 48]);
        let how = Strided::to_channels_first([2, 3, 4]);
        copy(Threads::Pool, &how, &x, false, &mut y);
        assert_eq!((y[1], y[12], y[24]), (2.0, 1.0, 24.0));
        copy(Threads::Pool, &how.reversed(), &y, true, &mut z);
        assert!(z.iter().zip(&x).all(|(z, x)| (z - x - 1.0).abs() < 1e-9));
    }

    #[test]
    fn a_slice_takes_some_channels_of_every_place() {
        let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let mut y = vec![0.0; 6];
        copy(Threads::One, &Strided::slice(3, 4, 1, 2), &x, false, &mut y);
        assert_eq!(y, [1.0, 2.0, 5.0, 6.0, 9.0, 10.0]);
    }
}
