//! Functions of single numbers, and factors and offsets for each channel.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::instruction_set::{InstructionSet, Work};
use super::simd::Simd;
use super::spread::{TOUCH, Threads};
use crate::activation::Activation;

/// Numbers per task.
const SHARE: usize = 1 << 14;

/// How kernels run: with which instructions, on which threads.
pub type How = (InstructionSet, Threads);

/// A loop compiled for each instruction set.
struct Loop<F>(F);

impl<F: FnOnce()> Work for Loop<F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        (self.0)();
    }
}

/// Calls `f(x's chunk, y's chunk)` for chunks over the threads.
fn unary((set, threads): How, x: &[f32], y: &mut [f32], f: impl Fn(&[f32], &mut [f32]) + Sync) {
    assert_eq!(x.len(), y.len(), "x and y are equally long");
    let share = threads.share(y.len(), SHARE, 16, TOUCH);
    threads.chunks(y, share, |i, y| {
        let x = &x[i * share..][..y.len()];
        set.run(Loop(|| f(x, y)));
    });
}

/// Calls `f(a's chunk, b's chunk, y's chunk)` for chunks over the threads.
fn binary((set, threads): How, a: &[f32], b: &[f32], y: &mut [f32], f: impl Fn(&[f32], &[f32], &mut [f32]) + Sync) {
    assert!(a.len() == y.len() && b.len() == y.len(), "a, b and y are equally long");
    let share = threads.share(y.len(), SHARE, 16, TOUCH);
    threads.chunks(y, share, |i, y| {
        let (a, b) = (&a[i * share..][..y.len()], &b[i * share..][..y.len()]);
        set.run(Loop(|| f(a, b, y)));
    });
}

/// `y = f(x)`.
///
/// # Panics
/// If the slices are not equally long; so do all functions here.
pub fn activation(how: How, f: Activation, x: &[f32], y: &mut [f32]) {
    unary(how, x, y, |x, y| {
        y.copy_from_slice(x);
        f.apply(y);
    });
}

/// `y = f(y)`.
pub fn activation_in_place((set, threads): How, f: Activation, y: &mut [f32]) {
    let share = threads.share(y.len(), SHARE, 16, TOUCH);
    threads.chunks(y, share, |_, y| set.run(Loop(|| f.apply(y))));
}

/// `dx = f'(x) dy`, or added to `dx`.
pub fn activation_backward(how: How, f: Activation, x: &[f32], dy: &[f32], accumulate: bool, dx: &mut [f32]) {
    binary(how, x, dy, dx, |x, dy, dx| match f {
        Activation::Relu { slope } => {
            let slope = slope as f32;
            zip3(x, dy, dx, accumulate, |x, dy| if x > 0.0 { slope * dy } else { 0.0 });
        }
        _ => zip3(x, dy, dx, accumulate, |x, dy| f.derivative(x) * dy),
    });
}

/// `y = f(a, b)`, or added to `y`.
#[inline(always)]
fn zip3(a: &[f32], b: &[f32], y: &mut [f32], accumulate: bool, f: impl Fn(f32, f32) -> f32) {
    let all = y.iter_mut().zip(a.iter().zip(b));
    if accumulate {
        all.for_each(|(y, (a, b))| *y += f(*a, *b));
    } else {
        all.for_each(|(y, (a, b))| *y = f(*a, *b));
    }
}

/// `g = 0` wherever not `y > 0`.
pub fn rectify_gradient(how: How, y: &[f32], g: &mut [f32]) {
    unary(how, y, g, |y, g| g.iter_mut().zip(y).for_each(|(g, y)| *g = if *y > 0.0 { *g } else { 0.0 }));
}

/// `y = a + b`.
pub fn add(how: How, a: &[f32], b: &[f32], y: &mut [f32]) {
    binary(how, a, b, y, |a, b, y| zip3(a, b, y, false, |a, b| a + b));
}

/// `y += x`.
pub fn accumulate(how: How, x: &[f32], y: &mut [f32]) {
    unary(how, x, y, |x, y| y.iter_mut().zip(x).for_each(|(y, x)| *y += x));
}

/// `y = a b`, or added to `y`.
pub fn multiply(how: How, a: &[f32], b: &[f32], accumulate: bool, y: &mut [f32]) {
    binary(how, a, b, y, |a, b, y| zip3(a, b, y, accumulate, |a, b| a * b));
}

/// What happens to a number after its channel's factor and offset: another is added, then it is clipped (NaN passes).
#[derive(Clone, Copy, Debug)]
pub struct Then<'a> {
    /// Added, laid out as the result.
    pub residual: Option<&'a [f32]>,
    /// Lower and upper limit.
    pub clip: (f32, f32),
}

impl Default for Then<'_> {
    fn default() -> Self {
        Self { residual: None, clip: (f32::NEG_INFINITY, f32::INFINITY) }
    }
}

/// The larger of `low` and `v`, then the smaller of `high` and that; NaN passes.
#[inline(always)]
fn clipped(v: f32, (low, high): (f32, f32)) -> f32 {
    let v = if low > v { low } else { v };
    if high < v { high } else { v }
}

/// `y = x scale + shift` with a factor and an offset for each channel (product rounded before the sum), then `then`.
///
/// # Panics
/// If the slices do not fit each other.
pub fn scale_shift((set, threads): How, x: &[f32], scale: &[f32], shift: &[f32], then: &Then<'_>, y: &mut [f32]) {
    let c = scale.len();
    assert!(x.len() == y.len() && shift.len() == c, "x and y, scale and shift are equally long");
    assert!(then.residual.is_none_or(|r| r.len() == y.len()), "the residual is as long as y");
    let share = threads.share(y.len(), SHARE, c.max(1), TOUCH);
    threads.chunks(y, share, |i, y| {
        let x = &x[i * share..][..y.len()];
        let residual = then.residual.map(|r| &r[i * share..][..y.len()]);
        set.run(Loop(|| scale_shift_rows(x, scale, shift, residual, then.clip, y)));
    });
}
#[inline(always)]
fn scale_shift_rows(
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    residual: Option<&[f32]>,
    clip: (f32, f32),
    y: &mut [f32],
) {
    let c = scale.len();
    for (p, (x, y)) in x.chunks_exact(c).zip(y.chunks_exact_mut(c)).enumerate() {
        let channels = y.iter_mut().zip(x).zip(scale.iter().zip(shift));
        match residual {
            None => channels.for_each(|((y, x), (scale, shift))| *y = clipped(x * scale + shift, clip)),
            Some(residual) => channels
                .zip(&residual[p * c..])
                .for_each(|(((y, x), (scale, shift)), r)| *y = clipped(x * scale + shift + r, clip)),
        }
    }
}

/// `y = (x - mean) / std` with two numbers for each channel.
///
/// # Panics
/// If the slices do not fit each other.
pub fn normalise((set, threads): How, x: &[f32], mean: &[f32], std: &[f32], y: &mut [f32]) {
    let c = mean.len();
    assert!(x.len() == y.len() && std.len() == c, "x and y, mean and std are equally long");
    let share = threads.share(y.len(), SHARE, c.max(1), TOUCH);
    threads.chunks(y, share, |i, y| {
        let x = &x[i * share..][..y.len()];
        set.run(Loop(|| {
            for (x, y) in x.chunks_exact(c).zip(y.chunks_exact_mut(c)) {
                let channels = y.iter_mut().zip(x).zip(mean.iter().zip(std));
                channels.for_each(|((y, x), (mean, std))| *y = (x - mean) / std);
            }
        }));
    });
}

/// `y += offset`, the same offset for every image.
pub fn add_to_each((set, threads): How, offset: &[f32], y: &mut [f32]) {
    if offset.is_empty() {
        return;
    }
    let share =
        threads.share(y.len() / offset.len(), SHARE / offset.len().min(SHARE), 1, TOUCH * offset.len()) * offset.len();
    threads.chunks(y, share, |_, y| {
        set.run(Loop(|| {
            for image in y.chunks_exact_mut(offset.len()) {
                image.iter_mut().zip(offset).for_each(|(y, o)| *y += o);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn channels_get_their_own_factor_and_offset_and_nan_is_not_clipped_away() {
        let x = [1.0, 2.0, f32::NAN, -4.0];
        for set in InstructionSet::available() {
            let mut y = [0.0; 4];
            let then = Then { residual: Some(&[0.0, 0.0, 0.0, 100.0]), clip: (0.0, 6.0) };
            scale_shift((set, Threads::One), &x, &[2.0, -1.0], &[1.0, 0.5], &then, &mut y);
            assert_eq!((y[0], y[1], y[3]), (3.0, 0.0, 6.0));
            assert!(y[2].is_nan());
        }
    }

    #[test]
    fn every_instruction_set_and_thread_count_gives_the_same_bits() {
        let mut x = vec![0.0; 40_000];
        Stream::new(1, "elementwise", &[]).fill_normal(&mut x, 0.0, 3.0);
        for f in [Activation::relu(), Activation::relu6(), Activation::Tanh, Activation::LeakyRelu { slope: 0.1 }] {
            let wanted: Vec<f32> = x.iter().map(|z| f.value(*z)).collect();
            let slopes: Vec<f32> = x.iter().map(|z| f.derivative(*z) * z).collect();
            for set in InstructionSet::available() {
                for threads in [Threads::One, Threads::Pool] {
                    let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                    activation((set, threads), f, &x, &mut y);
                    activation_backward((set, threads), f, &x, &x, false, &mut dx);
                    assert_eq!((&y, &dx), (&wanted, &slopes));
                }
            }
        }
    }
}
