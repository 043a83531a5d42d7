//! Batch and layer normalisation.
//!
//! A batch's statistics are a fixed tree: numbers of an image are added in eight interleaved chains, images in order, with
//! the pairwise update of Chan, Golub and `LeVeque` (1983), which does not cancel where the mean is large.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

mod layer;
mod sums;

pub use layer::{layer_norm, layer_norm_backward};
use sums::{Products, Squares, Values, sums};

use super::elementwise::How;
use super::instruction_set::{InstructionSet, Work};
use super::simd::Simd;
use super::spread::{TOUCH, with_scratch};

/// Mean and biased variance of each channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Means.
    pub mean: Vec<f64>,
    /// Variances, divided by the count.
    pub variance: Vec<f64>,
    /// Numbers per channel.
    pub count: usize,
}

/// Sums of an image, or of the images of a batch, over the threads: `work` fills `n c` numbers for each image.
fn per_image(
    how: How,
    (images, per, cost): (usize, usize, usize),
    work: impl Fn(usize, &mut [f32]) + Sync,
    then: impl FnOnce(&[f32]),
) {
    with_scratch(images * per, |partial| {
        let share = how.1.share(images, 16, 1, cost);
        how.1.chunks(partial, share * per, |chunk, partial| {
            for (i, sums) in partial.chunks_exact_mut(per).enumerate() {
                work(chunk * share + i, sums);
            }
        });
        then(partial);
    });
}

/// Mean and variance of each of `c` channels over all places of all `images` images in `x`.
///
/// # Panics
/// If `x` does not consist of such images.
#[must_use]
pub fn statistics(how: How, x: &[f32], images: usize, c: usize) -> Statistics {
    let mut all = Statistics { mean: vec![0.0; c], variance: vec![0.0; c], count: 0 };
    if x.is_empty() {
        return all;
    }
    let len = x.len() / images;
    assert!(images * len == x.len() && len.is_multiple_of(c), "x consists of images of c channels");
    let places = len / c;
    let work = |i: usize, sums: &mut [f32]| moments(how.0, &x[i * len..][..len], c, sums);
    per_image(how, (images, 2 * c, TOUCH * len), work, |partial| all = combined(partial, places, c));
    all
}

/// Mean and variance from each image's [`moments`], images in order.
pub(super) fn combined(partial: &[f32], places: usize, c: usize) -> Statistics {
    let mut all = Statistics { mean: vec![0.0; c], variance: vec![0.0; c], count: 0 };
    for sums in partial.chunks_exact(2 * c) {
        let (n, m) = (all.count as f64, places as f64);
        for (j, (mean, variance)) in all.mean.iter_mut().zip(&mut all.variance).enumerate() {
            let delta = f64::from(sums[j]) - *mean;
            *mean += delta * m / (n + m);
            *variance += f64::from(sums[c + j]) + delta * delta * n * m / (n + m);
        }
        all.count += places;
    }
    let count = all.count as f64;
    all.variance.iter_mut().for_each(|v| *v /= count);
    all
}

/// For an image, the mean of each channel, then the sum of squared differences to it.
pub(super) fn moments(set: InstructionSet, image: &[f32], c: usize, out: &mut [f32]) {
    set.run(Moments { x: image, c, out });
}

/// Mean of each channel, then sum of squared differences to it.
struct Moments<'a, 'b> {
    x: &'a [f32],
    c: usize,
    out: &'b mut [f32],
}

impl Work for Moments<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { x, c, out } = self;
        let (mean, square) = out.split_at_mut(c);
        sums(x.len(), c, [&mut *mean], &Values(x));
        let places = (x.len() / c) as f32;
        for m in mean.iter_mut() {
            *m /= places;
        }
        let mean = &*mean;
        sums(x.len(), c, [square], &Squares { x, mean });
    }
}

/// For each channel, the sum of `g` and of `g (x - mean)` over all images.
///
/// # Panics
/// If `x` and `g` do not consist of such images.
#[must_use]
pub fn gradient_sums(how: How, x: &[f32], g: &[f32], images: usize, mean: &[f32]) -> [Vec<f64>; 2] {
    let c = mean.len();
    let mut totals = [vec![0.0; c], vec![0.0; c]];
    if x.is_empty() {
        return totals;
    }
    let len = x.len() / images;
    assert!(images * len == x.len() && len.is_multiple_of(c) && g.len() == x.len(), "x and g consist of images");
    let work = |i: usize, sums: &mut [f32]| {
        how.0.run(GradientSums { x: &x[i * len..][..len], g: &g[i * len..][..len], mean, out: sums });
    };
    per_image(how, (images, 2 * c, TOUCH * len), work, |partial| add_up(partial, &mut totals));
    totals
}

/// [`gradient_sums`] of a gradient that first becomes zero wherever not `y > 0`, as behind a rectifier that gave `y`.
///
/// # Panics
/// If the slices do not consist of such images.
#[must_use]
pub fn rectified_gradient_sums(
    how: How,
    (x, y): (&[f32], &[f32]),
    g: &mut [f32],
    images: usize,
    mean: &[f32],
) -> [Vec<f64>; 2] {
    use rayon::prelude::*;
    let c = mean.len();
    let mut totals = [vec![0.0; c], vec![0.0; c]];
    if x.is_empty() {
        return totals;
    }
    let len = x.len() / images;
    assert!(images * len == x.len() && len.is_multiple_of(c), "x consists of images");
    assert!(g.len() == x.len() && y.len() == x.len(), "x, y and g are equally long");
    with_scratch(images * 2 * c, |partial| {
        let work = |(i, (g, sums)): (usize, (&mut [f32], &mut [f32]))| {
            let (x, y) = (&x[i * len..][..len], &y[i * len..][..len]);
            how.0.run(RectifiedSums { x, y, g, mean, out: sums });
        };
        if how.1.for_cost(2 * TOUCH * x.len()).count() == 1 {
            g.chunks_mut(len).zip(partial.chunks_mut(2 * c)).enumerate().for_each(work);
        } else {
            g.par_chunks_mut(len).zip(partial.par_chunks_mut(2 * c)).enumerate().for_each(work);
        }
        add_up(partial, &mut totals);
    });
    totals
}

/// Adds each image's sums to the totals, images in order.
fn add_up(partial: &[f32], totals: &mut [Vec<f64>; 2]) {
    let c = totals[0].len();
    for sums in partial.chunks_exact(2 * c) {
        for (total, sums) in totals.iter_mut().zip(sums.chunks_exact(c)) {
            total.iter_mut().zip(sums).for_each(|(total, sum)| *total += f64::from(*sum));
        }
    }
}

struct RectifiedSums<'a, 'b> {
    x: &'a [f32],
    y: &'a [f32],
    g: &'b mut [f32],
    mean: &'a [f32],
    out: &'b mut [f32],
}

impl Work for RectifiedSums<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { x, y, g, mean, out } = self;
        for (g, y) in g.iter_mut().zip(y) {
            *g = if *y > 0.0 { *g } else { 0.0 };
        }
        GradientSums { x, g, mean, out }.run::<S>();
    }
}

struct GradientSums<'a, 'b> {
    x: &'a [f32],
    g: &'a [f32],
    mean: &'a [f32],
    out: &'b mut [f32],
}

impl Work for GradientSums<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { x, g, mean, out } = self;
        let (sum, product) = out.split_at_mut(mean.len());
        sums(x.len(), mean.len(), [sum, product], &Products { x, g, mean });
    }
}

/// For each channel, the sum over all images and places: the gradient of a bias.
///
/// # Panics
/// If `x` does not consist of such images.
#[must_use]
pub fn channel_sums(how: How, x: &[f32], images: usize, c: usize) -> Vec<f64> {
    let mut totals = vec![0.0; c];
    if x.is_empty() {
        return totals;
    }
    let len = x.len() / images;
    assert!(images * len == x.len() && len.is_multiple_of(c), "x consists of images of c channels");
    if len == c {
        // An image of one place is its own sum.
        add_images(x, &mut totals);
        return totals;
    }
    let work = |i: usize, sums: &mut [f32]| how.0.run(Sums { x: &x[i * len..][..len], out: sums });
    per_image(how, (images, c, TOUCH * len), work, |partial| add_images(partial, &mut totals));
    totals
}

/// Adds a number for each channel of each image to the totals, images in order.
fn add_images(sums: &[f32], totals: &mut [f64]) {
    for image in sums.chunks_exact(totals.len()) {
        totals.iter_mut().zip(image).for_each(|(total, sum)| *total += f64::from(*sum));
    }
}

struct Sums<'a, 'b> {
    x: &'a [f32],
    out: &'b mut [f32],
}

impl Work for Sums<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (x, c) = (self.x, self.out.len());
        sums(x.len(), c, [self.out], &Values(x));
    }
}

/// `dx = g a + b + x s` with three numbers for each channel, or added to `dx`: how a batch normalisation's gradient goes on.
#[derive(Clone, Copy, Debug)]
pub struct Combination<'a> {
    /// Factor of the gradient.
    pub a: &'a [f32],
    /// Offset.
    pub b: &'a [f32],
    /// Factor of the input.
    pub s: &'a [f32],
}

/// Applies the combination.
///
/// # Panics
/// If the slices do not fit each other.
pub fn combine((set, threads): How, by: &Combination<'_>, x: &[f32], g: &[f32], accumulate: bool, dx: &mut [f32]) {
    let c = by.a.len();
    assert!(x.len() == dx.len() && g.len() == dx.len() && by.b.len() == c && by.s.len() == c, "slices fit");
    let share = threads.share(dx.len(), 1 << 14, c.max(1), TOUCH);
    threads.chunks(dx, share, |i, dx| {
        let (x, g) = (&x[i * share..][..dx.len()], &g[i * share..][..dx.len()]);
        set.run(Combine { by: *by, x, g, accumulate, dx });
    });
}

struct Combine<'a, 'b> {
    by: Combination<'a>,
    x: &'a [f32],
    g: &'a [f32],
    accumulate: bool,
    dx: &'b mut [f32],
}

impl Work for Combine<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { by, x, g, accumulate, dx } = self;
        let c = by.a.len();
        for ((dx, x), g) in dx.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(g.chunks_exact(c)) {
            let channels = dx.iter_mut().zip(x.iter().zip(g)).zip(by.a.iter().zip(by.b.iter().zip(by.s)));
            for ((dx, (x, g)), (a, (b, s))) in channels {
                let value = g * a + b + x * s;
                *dx = if accumulate { *dx + value } else { value };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::InstructionSet;
    use crate::kernel::Threads;
    use crate::random::Stream;

    #[test]
    fn statistics_are_those_of_two_passes_in_double_precision_with_the_same_bits_everywhere() {
        for (images, places, c) in [(1, 1, 1), (5, 33, 3), (3, 64, 16), (7, 9, 35), (60, 1, 20)] {
            let mut x = vec![0.0; images * places * c];
            Stream::new(1, "norm", &[c as u64]).fill_normal(&mut x, 300.0, 0.5);
            let reference = statistics((InstructionSet::detect(), Threads::Pool), &x, images, c);
            for set in InstructionSet::available() {
                assert_eq!(statistics((set, Threads::One), &x, images, c), reference);
            }
            let n = (images * places) as f64;
            for j in 0..c {
                let of =
                    |f: &dyn Fn(f64) -> f64| x.iter().skip(j).step_by(c).map(|v| f(f64::from(*v))).sum::<f64>() / n;
                let mean = of(&|v| v);
                let variance = of(&|v| (v - mean) * (v - mean));
                assert!((reference.mean[j] - mean).abs() < 1e-4, "{} {mean}", reference.mean[j]);
                assert!((reference.variance[j] - variance).abs() < 1e-4 * variance + 1e-9);
            }
            let sums = channel_sums((InstructionSet::detect(), Threads::Pool), &x, images, c);
            assert!(sums.iter().zip(&reference.mean).all(|(s, m)| (s / n - m).abs() < 1e-3));
        }
    }
}
