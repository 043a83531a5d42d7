//! Steps of optimisers, in one pass over parameters and moments.
//!
//! Parameters, moments and gradient of a tensor are equally long slices. A moment that has shrunk below the smallest normal
//! number becomes zero: it moves no parameter, and processors are slow at denormal numbers.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use rayon::prelude::*;

use super::elementwise::How;
use super::instruction_set::Work;
use super::simd::Simd;
use super::spread::TOUCH;

/// Numbers per task.
const SHARE: usize = 1 << 16;

/// A step of Adam (Kingma and Ba, arXiv 1412.6980), with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the corrected second moment.
    pub eps: f64,
    /// Share of the learning rate that weights shrink by.
    pub weight_decay: f64,
    /// The number of the step, from 1.
    pub step: i32,
}

impl Adam {
    /// The numbers of its rule, rounded once: what is kept of a weight, each moment's decay and what is left of 1, what
    /// corrects the two moments, learning rate and epsilon.
    pub(crate) fn rounded(&self) -> [f32; 9] {
        let correction = |beta: f64| 1.0 / (1.0 - libm::pow(beta, f64::from(self.step)));
        [
            1.0 - self.lr * self.weight_decay,
            self.beta1,
            1.0 - self.beta1,
            self.beta2,
            1.0 - self.beta2,
            correction(self.beta1),
            correction(self.beta2),
            self.lr,
            self.eps,
        ]
        .map(|value| value as f32)
    }
}

/// A step of gradient descent with momentum: `v = momentum v + g`, then `p -= lr v`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Share of the velocity that is kept; 0 for none, and the velocity is then not looked at.
    pub momentum: f64,
    /// Whether to look ahead (Nesterov): `p -= lr (g + momentum v)`.
    pub nesterov: bool,
    /// Adds so much times the parameter to its gradient.
    pub weight_decay: f64,
}

/// A step of `RMSprop` (Hinton's lecture 6e): `s = decay s + (1 - decay) g^2`, then `p -= lr g / sqrt(s + eps)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of squared gradients, and of gradients.
    pub decay: f64,
    /// Added inside the root.
    pub eps: f64,
    /// Share of the last move that is kept, 0 for none.
    pub momentum: f64,
    /// Whether the square of the mean gradient is subtracted inside the root.
    pub centered: bool,
}

/// Moves `parameters` along `gradient`, and the moments `first` and `second` towards it.
///
/// # Panics
/// If the slices are not equally long.
pub fn adam(how: How, by: &Adam, gradient: &[f32], [parameters, first, second]: [&mut [f32]; 3]) {
    let [keep, beta1, rest1, beta2, rest2, correction1, correction2, lr, eps] = by.rounded();
    let rule = AdamRule { keep, beta1, rest1, beta2, rest2, correction1, correction2, lr, eps };
    each(how, rule, gradient, [parameters, first, second]);
}

/// Moves `parameters` against `gradient`; `velocity` may be empty where there is no momentum.
///
/// # Panics
/// If the slices are not equally long.
pub fn sgd(how: How, by: &Sgd, gradient: &[f32], [parameters, velocity]: [&mut [f32]; 2]) {
    let (lr, decay) = (by.lr as f32, by.weight_decay as f32);
    if by.momentum == 0.0 {
        each(how, DescentRule { lr, decay }, gradient, [parameters]);
    } else {
        let rule = MomentumRule { lr, decay, momentum: by.momentum as f32, nesterov: by.nesterov };
        each(how, rule, gradient, [parameters, velocity]);
    }
}

/// Moves `parameters` against `gradient` over its running size; `mean`, the mean gradient, may be empty where nothing is
/// centred.
///
/// # Panics
/// If the slices are not equally long.
pub fn rmsprop(how: How, by: &RmsProp, gradient: &[f32], [parameters, velocity, square, mean]: [&mut [f32]; 4]) {
    let rule = RmsRule {
        lr: by.lr as f32,
        decay: by.decay as f32,
        rest: (1.0 - by.decay) as f32,
        eps: by.eps as f32,
        momentum: by.momentum as f32,
    };
    if by.centered {
        each(how, rule, gradient, [parameters, velocity, square, mean]);
    } else {
        each(how, rule, gradient, [parameters, velocity, square]);
    }
}

/// What becomes of a parameter and its `N - 1` moments.
///
/// A trait and not a closure: closures are not always compiled for the instruction set of the loop around them.
trait Rule<const N: usize>: Copy + Send {
    /// The new numbers; always inlined.
    fn at(self, g: f32, old: [f32; N]) -> [f32; N];
}

/// Applies `rule` to all numbers, over the threads.
fn each<R: Rule<N>, const N: usize>((set, threads): How, rule: R, gradient: &[f32], arrays: [&mut [f32]; N])
where
    for<'a, 'b> Step<'a, 'b, R, N>: Work<Output = ()>,
{
    let len = gradient.len();
    assert!(arrays.iter().all(|array| array.len() == len), "slices are equally long");
    let cost = (N + 1) * TOUCH;
    if threads.for_cost(cost * len).count() == 1 {
        return set.run(Step { rule, gradient, arrays });
    }
    let share = threads.share(len, SHARE, 16, cost);
    let mut chunks = arrays.map(|array| array.chunks_mut(share));
    let mut task = |gradient| {
        let arrays = std::array::from_fn(|i| chunks[i].next().unwrap_or_default());
        Step { rule, gradient, arrays }
    };
    let tasks: Vec<Step<'_, '_, R, N>> = gradient.chunks(share).map(&mut task).collect();
    tasks.into_par_iter().for_each(|task| set.run(task));
}

struct Step<'a, 'b, R, const N: usize> {
    rule: R,
    gradient: &'a [f32],
    arrays: [&'b mut [f32]; N],
}

/// One loop for each number of arrays: over an array of iterators it would not become vectors.
macro_rules! step {
    ($n:literal, $($array:ident),+) => {
        impl<R: Rule<$n>> Work for Step<'_, '_, R, $n> {
            type Output = ();

            #[inline(always)]
            fn run<S: Simd>(self) {
                let Self { rule, gradient, arrays: [$($array),+] } = self;
                let len = gradient.len();
                $(let $array = &mut $array[..len];)+
                for i in 0..len {
                    [$($array[i]),+] = rule.at(gradient[i], [$($array[i]),+]);
                }
            }
        }
    };
}

step!(1, p);
step!(2, p, first);
step!(3, p, first, second);
step!(4, p, first, second, third);

/// A moment, or zero where it is as good as that.
#[inline(always)]
fn normal(moment: f32) -> f32 {
    if moment.abs() < f32::MIN_POSITIVE { 0.0 } else { moment }
}

/// Adam's numbers, rounded once.
#[derive(Clone, Copy)]
struct AdamRule {
    keep: f32,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    correction1: f32,
    correction2: f32,
    lr: f32,
    eps: f32,
}

impl Rule<3> for AdamRule {
    #[inline(always)]
    fn at(self, g: f32, [p, m, v]: [f32; 3]) -> [f32; 3] {
        let m = normal(self.beta1 * m + self.rest1 * g);
        let v = normal(self.beta2 * v + self.rest2 * (g * g));
        let root = (v * self.correction2).sqrt() + self.eps;
        [p * self.keep - self.lr * (m * self.correction1) / root, m, v]
    }
}

#[derive(Clone, Copy)]
struct DescentRule {
    lr: f32,
    decay: f32,
}

impl Rule<1> for DescentRule {
    #[inline(always)]
    fn at(self, g: f32, [p]: [f32; 1]) -> [f32; 1] {
        [p - self.lr * (g + self.decay * p)]
    }
}

#[derive(Clone, Copy)]
struct MomentumRule {
    lr: f32,
    decay: f32,
    momentum: f32,
    nesterov: bool,
}

impl Rule<2> for MomentumRule {
    #[inline(always)]
    fn at(self, g: f32, [p, v]: [f32; 2]) -> [f32; 2] {
        let g = g + self.decay * p;
        let v = normal(self.momentum * v + g);
        let by = if self.nesterov { g + self.momentum * v } else { v };
        [p - self.lr * by, v]
    }
}

#[derive(Clone, Copy)]
struct RmsRule {
    lr: f32,
    decay: f32,
    rest: f32,
    eps: f32,
    momentum: f32,
}

impl Rule<3> for RmsRule {
    #[inline(always)]
    fn at(self, g: f32, [p, v, s]: [f32; 3]) -> [f32; 3] {
        let s = normal(self.decay * s + self.rest * (g * g));
        let v = normal(self.momentum * v + g / (s + self.eps).sqrt());
        [p - self.lr * v, v, s]
    }
}

impl Rule<4> for RmsRule {
    #[inline(always)]
    fn at(self, g: f32, [p, v, s, mean]: [f32; 4]) -> [f32; 4] {
        let s = normal(self.decay * s + self.rest * (g * g));
        let mean = normal(self.decay * mean + self.rest * g);
        // Rounding must not make a variance negative.
        let variance = s - mean * mean;
        let variance = if variance > 0.0 { variance } else { 0.0 };
        let v = normal(self.momentum * v + g / (variance + self.eps).sqrt());
        [p - self.lr * v, v, s, mean]
    }
}

#[cfg(test)]
mod tests {
    use super::super::instruction_set::InstructionSet;
    use super::super::spread::Threads;
    use super::*;

    const COUNT: usize = 200_000;

    /// Where five steps of `rule` along the gradient `p - 0.5` lead from: with the same bits everywhere, and as `wanted`
    /// says in double precision.
    fn follow<const N: usize>(
        rule: impl Fn(How, i32, &[f32], &mut [f32], [&mut [f32]; N]) + Sync,
        wanted: impl Fn(i32, f64, f64, &mut [f64; N]) -> f64,
    ) {
        let start: Vec<f32> = (0..COUNT).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut results = Vec::new();
        for set in InstructionSet::available() {
            for threads in [1, 2, 5] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let (mut p, mut moments) = (start.clone(), std::array::from_fn::<_, N, _>(|_| vec![0.0; COUNT]));
                for step in 1..=5 {
                    let g: Vec<f32> = p.iter().map(|p| p - 0.5).collect();
                    let moments = moments.each_mut().map(Vec::as_mut_slice);
                    pool.install(|| rule((set, Threads::Pool), step, &g, &mut p, moments));
                }
                results.push((p, moments));
            }
        }
        assert!(results.iter().all(|r| *r == results[0]));
        for (start, found) in start.iter().zip(&results[0].0).step_by(9973) {
            let (mut p, mut moments) = (f64::from(*start), [0.0; N]);
            for t in 1..=5 {
                p = wanted(t, p - 0.5, p, &mut moments);
            }
            assert!((f64::from(*found) - p).abs() < 1e-5, "{found} instead of {p}");
        }
    }

    #[test]
    fn adam_follows_its_paper_with_the_same_bits_everywhere() {
        follow(
            |how, step, g, p, [m, v]| {
                let by = Adam { lr: 0.05, beta1: 0.9, beta2: 0.999, eps: 1e-3, weight_decay: 0.1, step };
                adam(how, &by, g, [p, m, v]);
            },
            |t, g, p, [m, v]| {
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                let (c1, c2) = (1.0 - 0.9_f64.powi(t), 1.0 - 0.999_f64.powi(t));
                p - 0.05 * (*m / c1) / ((*v / c2).sqrt() + 1e-3) - 0.05 * 0.1 * p
            },
        );
    }

    #[test]
    fn descent_follows_its_definition_with_and_without_momentum() {
        for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
            follow(
                |how, _, g, p, [v]| {
                    sgd(how, &Sgd { lr: 0.1, momentum, nesterov, weight_decay: 0.01 }, g, [p, v]);
                },
                |_, g, p, [v]| {
                    let g = g + 0.01 * p;
                    *v = momentum * *v + g;
                    p - 0.1 * if nesterov { g + momentum * *v } else { *v }
                },
            );
        }
    }

    #[test]
    fn rmsprop_follows_its_definition_centred_or_not() {
        for centered in [false, true] {
            follow(
                |how, _, g, p, [v, s, mean]| {
                    let by = RmsProp { lr: 0.01, decay: 0.9, eps: 1e-3, momentum: 0.5, centered };
                    rmsprop(how, &by, g, [p, v, s, mean]);
                },
                |_, g, p, [v, s, mean]| {
                    *s = 0.9 * *s + 0.1 * g * g;
                    *mean = if centered { 0.9 * *mean + 0.1 * g } else { 0.0 };
                    *v = 0.5 * *v + g / (*s - *mean * *mean + 1e-3).sqrt();
                    p - 0.01 * *v
                },
            );
        }
    }

    #[test]
    fn moments_that_no_gradient_feeds_end_at_zero_and_never_linger_as_denormals() {
        let how = (InstructionSet::detect(), Threads::One);
        let first: Vec<f32> = (0..40).map(|i| 0.7_f32.powi(i)).collect();
        let (mut p, mut m, mut v, mut velocity) = (vec![1.0; 40], vec![0.0; 40], vec![0.0; 40], vec![0.0; 40]);
        for step in 1..=1500 {
            let g = if step == 1 { first.clone() } else { vec![0.0; 40] };
            let by = Adam { lr: 0.01, beta1: 0.9, beta2: 0.9, eps: 1e-8, weight_decay: 0.0, step };
            adam(how, &by, &g, [&mut p, &mut m, &mut v]);
            let by = Sgd { lr: 0.01, momentum: 0.9, nesterov: false, weight_decay: 0.0 };
            sgd(how, &by, &g, [&mut p, &mut velocity]);
            assert!([&m, &v, &velocity].into_iter().flatten().all(|moment| !moment.is_subnormal()), "{step}");
        }
        assert!([m, v, velocity].into_iter().flatten().all(|moment| moment.to_bits() == 0));
    }
}
