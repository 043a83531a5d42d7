//! Pooling: the largest number or the mean of each window, channel by channel.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

mod maximum;

use std::ops::Range;

use super::elementwise::How;
use super::instruction_set::Work;
use super::simd::Simd;
use super::spread::TOUCH;

/// A pooling of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// Height, width, channels of what it reads.
    pub input: [usize; 3],
    /// Height and width of what it gives.
    pub output: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Distance of neighbouring windows, down and across.
    pub stride: [usize; 2],
    /// Rows above, columns left of the image that windows begin in.
    pub padding: [usize; 2],
    /// Largest or mean.
    pub kind: Kind,
}

/// What is kept of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The largest number; NaN is larger than all.
    Max,
    /// The sum over the window, divided by its area within the image.
    Mean,
    /// The sum over the window, divided by its area with the padding (`[bottom, right]` rows and columns of it).
    MeanOfPadded([usize; 2]),
}

impl Pooling {
    /// One window over the whole image.
    #[must_use]
    pub fn global(input: [usize; 3]) -> Self {
        let kernel = [input[0], input[1]];
        Self { input, output: [1, 1], kernel, stride: kernel, padding: [0, 0], kind: Kind::Mean }
    }

    /// Numbers in an image that it reads.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.input.iter().product()
    }

    /// Numbers in an image that it gives.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.output[0] * self.output[1] * self.input[2]
    }

    /// First and last but one place in direction `i` of window `o`, and its extent with padding.
    fn span(&self, i: usize, o: usize) -> (usize, usize, usize) {
        let first = o * self.stride[i];
        let from = first.saturating_sub(self.padding[i]);
        let to = (first + self.kernel[i]).saturating_sub(self.padding[i]).min(self.input[i]);
        let padded = match self.kind {
            Kind::MeanOfPadded(after) => {
                (first + self.kernel[i]).min(self.input[i] + self.padding[i] + after[i]) - first
            }
            _ => to.saturating_sub(from),
        };
        (from, to.max(from), padded)
    }

    /// All windows, row after row.
    fn windows(&self) -> Vec<Window> {
        let place = |(row, column): (usize, usize)| {
            let ((top, bottom, height), (left, right, across)) = (self.span(0, row), self.span(1, column));
            Window { rows: top..bottom, columns: left..right, area: (height * across).max(1) as f32 }
        };
        let [rows, columns] = self.output;
        (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))).map(place).collect()
    }

    /// Whether every number lies in exactly one window.
    fn is_tiling(&self) -> bool {
        self.padding == [0, 0]
            && (0..2).all(|i| self.stride[i] == self.kernel[i] && self.output[i] * self.stride[i] == self.input[i])
    }
}

/// Where a window lies on the image.
struct Window {
    rows: Range<usize>,
    columns: Range<usize>,
    /// How many numbers its mean is of.
    area: f32,
}

impl Window {
    /// The channels of each row of its places, in an image of `width` columns and `c` channels.
    #[inline(always)]
    fn runs(&self, [width, c]: [usize; 2]) -> impl Iterator<Item = Range<usize>> {
        let columns = self.columns.clone();
        self.rows.clone().map(move |row| (row * width + columns.start) * c..(row * width + columns.end) * c)
    }
}

/// The pooled images `y` of the images `x`.
///
/// # Panics
/// If `x` and `y` do not hold equally many images of the pooling's sizes.
pub fn forward((set, threads): How, pool: &Pooling, x: &[f32], y: &mut [f32]) {
    let (input, output) = (pool.input_len(), pool.output_len());
    if input * output == 0 {
        return;
    }
    assert_eq!(x.len() / input, y.len() / output, "equally many images");
    let share = threads.share(y.len() / output, 16, 1, 2 * TOUCH * input);
    threads.chunks(y, share * output, |chunk, y| {
        let x = &x[chunk * share * input..][..y.len() / output * input];
        match pool.kind {
            Kind::Max => set.run(maximum::Forward { pool, x, y }),
            _ => set.run(Means { pool, x, y }),
        }
    });
}

struct Means<'a, 'b> {
    pool: &'a Pooling,
    x: &'a [f32],
    y: &'b mut [f32],
}

impl Work for Means<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { pool, x, y } = self;
        let [_, width, c] = pool.input;
        let windows = pool.windows();
        for (x, y) in x.chunks_exact(pool.input_len()).zip(y.chunks_exact_mut(pool.output_len())) {
            for (out, window) in y.chunks_exact_mut(c).zip(&windows) {
                out.fill(0.0);
                for run in window.runs([width, c]) {
                    for place in x[run].chunks_exact(c) {
                        out.iter_mut().zip(place).for_each(|(y, x)| *y += x);
                    }
                }
                for y in out {
                    *y /= window.area;
                }
            }
        }
    }
}

/// The gradient `dx` of the input from that of the output, or added to `dx`; of equal maxima the first one takes all.
///
/// # Panics
/// If the slices do not hold equally many images of the pooling's sizes.
pub fn backward((set, threads): How, pool: &Pooling, x: &[f32], dy: &[f32], accumulate: bool, dx: &mut [f32]) {
    let (input, output) = (pool.input_len(), pool.output_len());
    if input == 0 {
        return;
    }
    assert!(x.len() == dx.len() && dy.len() / output.max(1) == dx.len() / input, "equally many images");
    let share = threads.share(dx.len() / input, 16, 1, 4 * TOUCH * input);
    threads.chunks(dx, share * input, |chunk, dx| {
        let images = dx.len() / input;
        let (x, dy) = (&x[chunk * share * input..][..dx.len()], &dy[chunk * share * output..][..images * output]);
        let replace = !accumulate && pool.kind == Kind::Max && pool.is_tiling();
        if !accumulate && !replace {
            dx.fill(0.0);
        }
        match pool.kind {
            Kind::Max => set.run(maximum::Backward { pool, x, dy, replace, dx }),
            _ => set.run(MeansBackward { pool, dy, dx }),
        }
    });
}

struct MeansBackward<'a, 'b> {
    pool: &'a Pooling,
    dy: &'a [f32],
    dx: &'b mut [f32],
}

impl Work for MeansBackward<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { pool, dy, dx } = self;
        let [_, width, c] = pool.input;
        let windows = pool.windows();
        for (dx, dy) in dx.chunks_exact_mut(pool.input_len()).zip(dy.chunks_exact(pool.output_len().max(1))) {
            for (dy, window) in dy.chunks_exact(c).zip(&windows) {
                for run in window.runs([width, c]) {
                    for place in dx[run].chunks_exact_mut(c) {
                        place.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy / window.area);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::instruction_set::InstructionSet;
    use super::super::spread::Threads;
    use super::*;

    fn pool(kind: Kind, padding: usize) -> Pooling {
        let output = if padding == 0 { [1, 2] } else { [2, 3] };
        Pooling { input: [3, 4, 1], output, kernel: [2, 2], stride: [2, 2], padding: [padding; 2], kind }
    }

    #[test]
    fn windows_give_their_largest_and_their_mean() {
        let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
        for set in InstructionSet::available() {
            let how = (set, Threads::One);
            let run = |kind, padding| {
                let p = pool(kind, padding);
                let mut y = vec![0.0; p.output_len()];
                forward(how, &p, &x, &mut y);
                y
            };
            assert_eq!(run(Kind::Max, 0), [5.0, 7.0]);
            assert_eq!(run(Kind::Mean, 0), [2.5, 4.5]);
            assert_eq!(run(Kind::Max, 1), [0.0, 2.0, 3.0, 8.0, 10.0, 11.0]);
            assert_eq!(run(Kind::Mean, 1), [0.0, 1.5, 3.0, 6.0, 7.5, 9.0]);
            assert_eq!(run(Kind::MeanOfPadded([1, 1]), 1), [0.0, 0.75, 0.75, 3.0, 7.5, 4.5]);
        }
    }

    #[test]
    fn the_first_of_equal_maxima_takes_the_gradient_and_nan_wins() {
        let how = (InstructionSet::detect(), Threads::One);
        let p = pool(Kind::Max, 0);
        let mut dx = [0.0; 12];
        backward(how, &p, &[1.0; 12], &[3.0, 4.0], false, &mut dx);
        assert_eq!((dx[0], dx[2]), (3.0, 4.0));
        let mut x = [1.0; 12];
        x[5] = f32::NAN;
        let mut y = [0.0; 2];
        forward(how, &p, &x, &mut y);
        assert!(y[0].is_nan() && (y[1] - 1.0).abs() < 1e-9);
        backward(how, &p, &x, &[3.0, 4.0], false, &mut dx);
        assert_eq!((dx[0], dx[5]), (0.0, 3.0));
    }
}
