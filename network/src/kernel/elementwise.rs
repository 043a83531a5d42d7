//! Functions of single numbers, and factors and offsets for each channel.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::instruction_set::{InstructionSet, Work};
use super::simd::Simd;
use super::spread::{TOUCH, Threads};
use crate::activation::Activation;
use crate::op::Beyond;

/// Numbers per task.
const SHARE: usize = 1 << 14;

/// How kernels run: with which instructions, on which threads.
pub type How = (InstructionSet, Threads);

/// What becomes of a number `y` and those that it meets.
///
/// A trait and not a closure: closures are not always compiled for the instruction set of the loop around them.
trait Pointwise<const N: usize>: Copy + Sync {
    /// The new `y`; always inlined.
    fn at(self, x: [f32; N], y: f32) -> f32;
}

/// A pointwise loop.
struct Points<'a, 'b, F, const N: usize> {
    f: F,
    x: [&'a [f32]; N],
    y: &'b mut [f32],
}

impl<F: Pointwise<1>> Work for Points<'_, '_, F, 1> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        for (y, x) in self.y.iter_mut().zip(self.x[0]) {
            *y = self.f.at([*x], *y);
        }
    }
}

impl<F: Pointwise<2>> Work for Points<'_, '_, F, 2> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let [a, b] = self.x;
        for (y, (a, b)) in self.y.iter_mut().zip(a.iter().zip(b)) {
            *y = self.f.at([*a, *b], *y);
        }
    }
}

/// Applies `f` to all numbers, over the threads.
fn points<F: Pointwise<N>, const N: usize>((set, threads): How, f: F, x: [&[f32]; N], y: &mut [f32])
where
    for<'a, 'b> Points<'a, 'b, F, N>: Work,
{
    assert!(x.iter().all(|x| x.len() == y.len()), "slices are equally long");
    let share = threads.share(y.len(), SHARE, 16, TOUCH);
    threads.chunks(y, share, |i, y| {
        let x = x.map(|x| &x[i * share..][..y.len()]);
        set.run(Points { f, x, y });
    });
}

/// `max(0, slope x)`; NaN passes.
#[derive(Clone, Copy)]
struct Rectified {
    slope: f32,
}

impl Pointwise<1> for Rectified {
    #[inline(always)]
    fn at(self, [x]: [f32; 1], _: f32) -> f32 {
        if x < 0.0 { 0.0 } else { self.slope * x }
    }
}

/// The gradient of a rectifier.
#[derive(Clone, Copy)]
struct RectifiedSlope {
    slope: f32,
    accumulate: bool,
}

impl Pointwise<2> for RectifiedSlope {
    #[inline(always)]
    fn at(self, [x, dy]: [f32; 2], dx: f32) -> f32 {
        let value = if x > 0.0 { self.slope * dy } else { 0.0 };
        if self.accumulate { dx + value } else { value }
    }
}

/// Any function.
#[derive(Clone, Copy)]
struct Value {
    f: Activation,
}

impl Pointwise<1> for Value {
    #[inline(always)]
    fn at(self, [x]: [f32; 1], _: f32) -> f32 {
        self.f.value(x)
    }
}

/// The gradient of any function.
#[derive(Clone, Copy)]
struct Slope {
    f: Activation,
    accumulate: bool,
}

impl Pointwise<2> for Slope {
    #[inline(always)]
    fn at(self, [x, dy]: [f32; 2], dx: f32) -> f32 {
        let value = self.f.derivative(x) * dy;
        if self.accumulate { dx + value } else { value }
    }
}

/// Zero wherever not `x > 0`.
#[derive(Clone, Copy)]
struct Masked;

impl Pointwise<1> for Masked {
    #[inline(always)]
    fn at(self, [x]: [f32; 1], g: f32) -> f32 {
        if x > 0.0 { g } else { 0.0 }
    }
}

/// A sum.
#[derive(Clone, Copy)]
struct Sum;

impl Pointwise<2> for Sum {
    #[inline(always)]
    fn at(self, [a, b]: [f32; 2], _: f32) -> f32 {
        a + b
    }
}

/// Added to what is there.
#[derive(Clone, Copy)]
struct Added;

impl Pointwise<1> for Added {
    #[inline(always)]
    fn at(self, [x]: [f32; 1], y: f32) -> f32 {
        y + x
    }
}

/// A product.
#[derive(Clone, Copy)]
struct Times {
    accumulate: bool,
}

impl Pointwise<2> for Times {
    #[inline(always)]
    fn at(self, [a, b]: [f32; 2], y: f32) -> f32 {
        if self.accumulate { y + a * b } else { a * b }
    }
}

/// `y = f(x)`.
///
/// # Panics
/// If the slices are not equally long; so do all functions here.
pub fn activation(how: How, f: Activation, x: &[f32], y: &mut [f32]) {
    match f {
        Activation::Relu { slope } => points(how, Rectified { slope: slope as f32 }, [x], y),
        _ => points(how, Value { f }, [x], y),
    }
}

/// `y = f(y)`.
pub fn activation_in_place((_, threads): How, f: Activation, y: &mut [f32]) {
    let share = threads.share(y.len(), SHARE, 16, TOUCH);
    threads.chunks(y, share, |_, y| f.apply(y));
}

/// `dx = f'(x) dy`, or added to `dx`.
pub fn activation_backward(how: How, f: Activation, x: &[f32], dy: &[f32], accumulate: bool, dx: &mut [f32]) {
    match f {
        Activation::Relu { slope } => points(how, RectifiedSlope { slope: slope as f32, accumulate }, [x, dy], dx),
        _ => points(how, Slope { f, accumulate }, [x, dy], dx),
    }
}

/// `g = 0` wherever not `y > 0`.
pub fn rectify_gradient(how: How, y: &[f32], g: &mut [f32]) {
    points(how, Masked, [y], g);
}

/// `y = a + b`.
pub fn add(how: How, a: &[f32], b: &[f32], y: &mut [f32]) {
    points(how, Sum, [a, b], y);
}

/// `y += x`.
pub fn accumulate(how: How, x: &[f32], y: &mut [f32]) {
    points(how, Added, [x], y);
}

/// `y = a b`, or added to `y`.
pub fn multiply(how: How, a: &[f32], b: &[f32], accumulate: bool, y: &mut [f32]) {
    points(how, Times { accumulate }, [a, b], y);
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
pub(crate) fn clipped(v: f32, (low, high): (f32, f32)) -> f32 {
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
        set.run(ScaleShift { x, scale, shift, residual, clip: then.clip, y });
    });
}
struct ScaleShift<'a, 'b> {
    x: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    residual: Option<&'a [f32]>,
    clip: (f32, f32),
    y: &'b mut [f32],
}

impl Work for ScaleShift<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { x, scale, shift, residual, clip, y } = self;
        let c = scale.len();
        for (p, (x, y)) in x.chunks_exact(c).zip(y.chunks_exact_mut(c)).enumerate() {
            let channels = y.iter_mut().zip(x).zip(scale.iter().zip(shift));
            if let Some(residual) = residual {
                for (((y, x), (scale, shift)), r) in channels.zip(&residual[p * c..]) {
                    *y = clipped(x * scale + shift + r, clip);
                }
            } else {
                for ((y, x), (scale, shift)) in channels {
                    *y = clipped(x * scale + shift, clip);
                }
            }
        }
    }
}

/// `y = (x - mean) / std` with two numbers for each channel.
///
/// # Panics
/// If the slices do not fit each other.
pub fn normalise((_, threads): How, x: &[f32], mean: &[f32], std: &[f32], y: &mut [f32]) {
    let c = mean.len();
    assert!(x.len() == y.len() && std.len() == c, "x and y, mean and std are equally long");
    let share = threads.share(y.len(), SHARE, c.max(1), TOUCH);
    threads.chunks(y, share, |i, y| {
        let x = &x[i * share..][..y.len()];
        for (x, y) in x.chunks_exact(c).zip(y.chunks_exact_mut(c)) {
            for ((y, x), (mean, std)) in y.iter_mut().zip(x).zip(mean.iter().zip(std)) {
                *y = (x - mean) / std;
            }
        }
    });
}

/// Bounds of each channel, and what is put in the place of a value outside of them.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// The lower ones.
    pub low: &'a [f32],
    /// The upper ones.
    pub high: &'a [f32],
    /// What is put there.
    pub beyond: Beyond,
}

/// A loop over channels with bounds.
struct Channels<'a, 'b, F> {
    f: F,
    limits: Limits<'a>,
    x: Option<&'a [f32]>,
    y: &'b mut [f32],
}

impl<F: Pointwise<3>> Work for Channels<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { f, limits: Limits { low, high, .. }, x, y } = self;
        for (p, y) in y.chunks_exact_mut(low.len()).enumerate() {
            let bounds = low.iter().zip(high);
            if let Some(x) = x {
                for ((y, x), (low, high)) in y.iter_mut().zip(&x[p * low.len()..]).zip(bounds) {
                    *y = f.at([*x, *low, *high], *y);
                }
            } else {
                for (y, (low, high)) in y.iter_mut().zip(bounds) {
                    *y = f.at([*y, *low, *high], *y);
                }
            }
        }
    }
}

/// The nearest number within bounds; the lower bound for NaN.
#[derive(Clone, Copy)]
struct Nearest;

impl Pointwise<3> for Nearest {
    #[inline(always)]
    fn at(self, [x, low, high]: [f32; 3], _: f32) -> f32 {
        let x = if x > low { x } else { low };
        if x < high { x } else { high }
    }
}

/// Zero outside of bounds.
#[derive(Clone, Copy)]
struct Inside;

impl Pointwise<3> for Inside {
    #[inline(always)]
    fn at(self, [x, low, high]: [f32; 3], _: f32) -> f32 {
        if (low..=high).contains(&x) { x } else { 0.0 }
    }
}

/// 1 within bounds, 0 elsewhere.
#[derive(Clone, Copy)]
struct Passes;

impl Pointwise<3> for Passes {
    #[inline(always)]
    fn at(self, [x, low, high]: [f32; 3], _: f32) -> f32 {
        if x > low && x <= high { 1.0 } else { 0.0 }
    }
}

/// Applies `f` to all numbers and the bounds of their channels, over the threads.
fn channels<F: Pointwise<3>>((set, threads): How, f: F, limits: Limits<'_>, x: Option<&[f32]>, y: &mut [f32]) {
    let c = limits.low.len();
    assert!(limits.high.len() == c && x.is_none_or(|x| x.len() == y.len()), "x and y, low and high are equally long");
    let share = threads.share(y.len(), SHARE, c.max(1), TOUCH);
    threads.chunks(y, share, |i, y| {
        let x = x.map(|x| &x[i * share..][..y.len()]);
        set.run(Channels { f, limits, x, y });
    });
}

/// `y = x` within the bounds of its channel.
///
/// # Panics
/// If the slices do not fit each other; so do the next two functions.
pub fn clamp(how: How, limits: Limits<'_>, x: &[f32], y: &mut [f32]) {
    match limits.beyond {
        Beyond::Bound => channels(how, Nearest, limits, Some(x), y),
        Beyond::Zero => channels(how, Inside, limits, Some(x), y),
    }
}

/// `y = y` within the bounds of its channel.
pub fn clamp_in_place(how: How, limits: Limits<'_>, y: &mut [f32]) {
    match limits.beyond {
        Beyond::Bound => channels(how, Nearest, limits, None, y),
        Beyond::Zero => channels(how, Inside, limits, None, y),
    }
}

/// `dx = dy` where `low < x <= high` and 0 elsewhere, or added to `dx`.
pub fn clamp_backward(how: How, limits: Limits<'_>, x: &[f32], dy: &[f32], accumulate: bool, dx: &mut [f32]) {
    let mut passes = vec![0.0; x.len()];
    channels(how, Passes, limits, Some(x), &mut passes);
    multiply(how, &passes, dy, accumulate, dx);
}

/// `y += offset`, the same offset for every image.
pub fn add_to_each((set, threads): How, offset: &[f32], y: &mut [f32]) {
    if offset.is_empty() {
        return;
    }
    let share = threads.share(y.len() / offset.len(), SHARE / offset.len().min(SHARE), 1, TOUCH * offset.len());
    threads.chunks(y, share * offset.len(), |_, y| {
        for image in y.chunks_exact_mut(offset.len()) {
            set.run(Points { f: Added, x: [offset], y: image });
        }
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
    fn nothing_leaves_its_bounds_and_nan_ends_there() {
        let x = [0.5, 9.0, f32::NAN, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -2.0, 2.0];
        let (low, high) = ([0.0, -1.0], [1.0, 2.0]);
        for set in InstructionSet::available() {
            for (beyond, wanted) in [
                (Beyond::Bound, [0.5, 2.0, 0.0, -1.0, 1.0, -1.0, 0.0, 2.0]),
                (Beyond::Zero, [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]),
            ] {
                let limits = Limits { low: &low, high: &high, beyond };
                let (mut y, mut again) = ([7.0; 8], x);
                clamp((set, Threads::One), limits, &x, &mut y);
                clamp_in_place((set, Threads::One), limits, &mut again);
                assert_eq!([y, again].map(|y| y.map(f32::to_bits)), [wanted.map(f32::to_bits); 2]);
                let mut dx = [1.0; 8];
                clamp_backward((set, Threads::One), limits, &x, &[3.0; 8], true, &mut dx);
                assert_eq!(dx.map(|dx| dx as i32), [4, 1, 1, 1, 1, 1, 1, 4]);
            }
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
