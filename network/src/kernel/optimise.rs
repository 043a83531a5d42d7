//! Steps of optimisers, in one pass over parameters and moments.

use super::elementwise::How;
use super::instruction_set::Work;
use super::simd::Simd;
use super::spread::TOUCH;

/// Numbers per task.
const SHARE: usize = 1 << 14;

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

/// The numbers of a step, rounded once.
#[derive(Clone, Copy)]
struct Rounded {
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

/// Moves `parameters` along `gradient`, and the moments `first` and `second` towards it.
///
/// # Panics
/// If the slices are not equally long.
pub fn adam((set, threads): How, by: &Adam, gradient: &[f32], [parameters, first, second]: [&mut [f32]; 3]) {
    use rayon::prelude::*;
    let len = gradient.len();
    assert!(parameters.len() == len && first.len() == len && second.len() == len, "slices are equally long");
    let by = Rounded {
        keep: (1.0 - by.lr * by.weight_decay) as f32,
        beta1: by.beta1 as f32,
        rest1: (1.0 - by.beta1) as f32,
        beta2: by.beta2 as f32,
        rest2: (1.0 - by.beta2) as f32,
        correction1: (1.0 / (1.0 - libm::pow(by.beta1, f64::from(by.step)))) as f32,
        correction2: (1.0 / (1.0 - libm::pow(by.beta2, f64::from(by.step)))) as f32,
        lr: by.lr as f32,
        eps: by.eps as f32,
    };
    let step = |(((gradient, parameters), first), second)| set.run(Step { by, gradient, parameters, first, second });
    if threads.for_cost(4 * TOUCH * len).count() == 1 {
        return step((((gradient, parameters), first), second));
    }
    let share = threads.share(len, 4 * SHARE, 16, 4 * TOUCH);
    gradient
        .par_chunks(share)
        .zip(parameters.par_chunks_mut(share))
        .zip(first.par_chunks_mut(share))
        .zip(second.par_chunks_mut(share))
        .for_each(step);
}

struct Step<'a, 'b> {
    by: Rounded,
    gradient: &'a [f32],
    parameters: &'b mut [f32],
    first: &'b mut [f32],
    second: &'b mut [f32],
}

impl Work for Step<'_, '_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "it must be compiled anew for each instruction set")]
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { by, gradient, parameters, first, second } = self;
        let moments = first.iter_mut().zip(second);
        for ((g, p), (m, v)) in gradient.iter().zip(parameters).zip(moments) {
            *m = by.beta1 * *m + by.rest1 * g;
            *v = by.beta2 * *v + by.rest2 * (g * g);
            let root = (*v * by.correction2).sqrt() + by.eps;
            *p = *p * by.keep - by.lr * (*m * by.correction1) / root;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::instruction_set::InstructionSet;
    use super::super::spread::Threads;
    use super::*;

    #[test]
    fn adam_follows_its_paper_with_the_same_bits_everywhere() {
        let start: Vec<f32> = (0..40_000).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut results = Vec::new();
        for set in InstructionSet::available() {
            for threads in [Threads::One, Threads::Pool] {
                let (mut p, mut m, mut v) = (start.clone(), vec![0.0; start.len()], vec![0.0; start.len()]);
                for step in 1..=5 {
                    let g: Vec<f32> = p.iter().map(|p| p - 0.5).collect();
                    let by = Adam { lr: 0.05, beta1: 0.9, beta2: 0.999, eps: 1e-3, weight_decay: 0.1, step };
                    adam((set, threads), &by, &g, [&mut p, &mut m, &mut v]);
                }
                results.push(p);
            }
        }
        assert!(results.iter().all(|r| *r == results[0]));
        for (start, found) in start.iter().zip(&results[0]).step_by(997) {
            let (mut p, mut m, mut v) = (f64::from(*start), 0.0, 0.0);
            for t in 1..=5 {
                let g = p - 0.5;
                m = 0.9 * m + 0.1 * g;
                v = 0.999 * v + 0.001 * g * g;
                let (c1, c2) = (1.0 - 0.9_f64.powi(t), 1.0 - 0.999_f64.powi(t));
                p -= 0.05 * (m / c1) / ((v / c2).sqrt() + 1e-3) + 0.05 * 0.1 * p;
            }
            assert!((f64::from(*found) - p).abs() < 1e-5, "{found} instead of {p}");
        }
    }
}
