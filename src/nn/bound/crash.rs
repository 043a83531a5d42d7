//! The crash bounds b1 to b4 of "Probabilistic Fault Tolerance of Neural Networks in the Continuous Limit" (arXiv 1902.01686).
//!
//! Neurons crash independently: the output of each neuron of layer `l` becomes 0 with probability `p_l`, survivors keep their
//! value. `delta = crashed output - correct output`, per input and output.
//!
//! | bound | says | guarantee | cost per input |
//! |---|---|---|---|
//! | b1, 1-norm | `E sum_k abs(delta_k)` is at most this | certified | one product of norms |
//! | b1, infinity-norm | `E abs(delta_k)` is at most this, for every `k` | certified | one product of norms |
//! | b1, 2-norm | size of the first-order mean | estimate | one product of norms |
//! | b2 mean | `E abs(delta_k)` is at most this | certified | one pass with absolute weights |
//! | b2 std | spread, exact only for a linear last stretch | estimate | one pass with squared weights |
//! | b3 | signed mean and std to first order in the crashed values | estimate | one Jacobian |
//! | b4 | signed mean and std to first order in `p` | estimate | a tail pass per neuron |
//!
//! A layer's weights are `W_l`, of however many linear operations: a convolution, the normalisation behind it, the pooling
//! before it. Each counts as a matrix of its own, so that `abs(W)` of a product is the product of the `abs(W)`; bounds stay
//! bounds, and are the ones of the product itself but where a pooling's windows overlap.
//!
//! Crashes at several layers add to first order: `mean = sum_l mean_l`, `var = sum_l var_l`. The certified bounds follow the
//! recursion `e_l = (1 - p_l) K_l abs(W_l) e_(l-1) + p_l abs(h_l)`, which needs no small `p`.
//! Guarantees are about real arithmetic; compare a measurement in floats with a tolerance for rounding.

use super::chain::{Chain, ChainTrace};
use super::norms::Norm;
use crate::nn::crash_rates::{CrashRatesError, check_crash_rates};
use rayon::prelude::*;

/// Whether a number can be relied on or only expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarantee {
    /// Proven: a measurement beyond it (and beyond its own error) is a bug.
    Certified,
    /// A prediction to first order.
    Estimate,
}

impl Guarantee {
    /// The word written into tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Certified => "certified",
            Self::Estimate => "estimate",
        }
    }
}

/// The variance that one crashing neuron is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Variance {
    /// `p`, as published: over-estimates the standard deviation by `1/sqrt(1 - p)`.
    #[default]
    Published,
    /// `p (1 - p)`, exact for a linear network.
    Binomial,
}

/// The vector whose norm b1 multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NormOf {
    /// The crashing layer's values: the bound that the theory supports.
    #[default]
    CrashedLayer,
    /// The network's input, as the authors' program has it. Not a bound; kept to compare with published numbers.
    Input,
}

/// Choices of form; the defaults are what a new study wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CrashForm {
    /// Variance of one neuron's crash.
    pub variance: Variance,
    /// What b1 takes the norm of.
    pub norm_of: NormOf,
    /// What is not computed, because nobody wants it.
    pub without: Without,
}

/// Bounds that are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Without {
    /// b1, whose norms take long for large layers.
    pub norms: bool,
    /// b3 and b4 with their comparison, which take as many passes as there are neurons.
    pub expansions: bool,
}

/// Mean and standard deviation of delta.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// Of `abs(delta)` for b2, of signed delta for b3 and b4.
    pub mean: f64,
    /// Standard deviation as of a population.
    pub std: f64,
}

/// All bounds for one input.
#[derive(Clone, Debug, PartialEq)]
pub struct CrashBounds {
    /// The uncrashed output.
    pub output: Vec<f64>,
    /// b1 by norm, in the order of [`Norm::ALL`]; empty where it was left out.
    pub b1: Vec<f64>,
    /// One per output.
    pub b2: Vec<Spread>,
    /// One per output; empty where it was left out.
    pub b3: Vec<Spread>,
    /// One per output; empty where it was left out.
    pub b4: Vec<Spread>,
    /// Per output, unless b3 and b4 were left out, whether b3 and b4 differ so much that b3 is not to be trusted: saturated or kinked activations.
    pub taylor_fails: Vec<bool>,
}

impl CrashBounds {
    /// The guarantee of b1 for a norm under a form.
    #[must_use]
    pub fn b1_guarantee(norm: Norm, form: CrashForm) -> Guarantee {
        match (norm, form.norm_of) {
            (Norm::One | Norm::Infinity, NormOf::CrashedLayer) => Guarantee::Certified,
            _ => Guarantee::Estimate,
        }
    }
}

/// What makes crash rates or inputs unusable.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CrashError {
    /// The rates are not one probability per layer.
    #[error(transparent)]
    Rates(#[from] CrashRatesError),
    /// The inputs do not come in whole rows.
    #[error("cut {got} input values into rows of {width}: give a multiple")]
    Inputs {
        /// Values given.
        got: usize,
        /// Width of the network's input.
        width: usize,
    },
}

/// The bounds for every row of `inputs` (rows of the network's input width, one after the other).
///
/// `rates[l]` is the crash probability of a neuron of layer `l`: 0 the input, 1 the first hidden layer, the last one the output.
/// Rows are shared out over the current rayon pool; the result does not depend on it.
///
/// # Errors
/// [`CrashError`] for rates that are not one probability per layer and for inputs that are not whole rows.
pub fn crash_bounds(
    chain: &Chain,
    inputs: &[f64],
    rates: &[f64],
    form: CrashForm,
) -> Result<Vec<CrashBounds>, CrashError> {
    check_crash_rates(rates, chain.depth() + 1)?;
    let width = chain.width(0);
    if !inputs.len().is_multiple_of(width) {
        return Err(CrashError::Inputs { got: inputs.len(), width });
    }
    let layers = if form.without.norms { &[] } else { chain.layers() };
    let norms: Vec<[f64; 3]> = layers.par_iter().map(|layer| Norm::ALL.map(|norm| norm.of_layer(layer))).collect();
    let setting = Setting { chain, rates, form, norms: &norms };
    Ok(inputs.par_chunks_exact(width).map(|x| setting.bounds(x)).collect())
}

/// What does not change from row to row.
struct Setting<'a> {
    chain: &'a Chain,
    rates: &'a [f64],
    form: CrashForm,
    /// Per layer, Lipschitz constant times weight norm, in the order of [`Norm::ALL`].
    norms: &'a [[f64; 3]],
}

impl Setting<'_> {
    fn bounds(&self, x: &[f64]) -> CrashBounds {
        let trace = self.chain.trace(x);
        let Without { norms, expansions } = self.form.without;
        let b3 = if expansions { Vec::new() } else { self.taylor(&trace) };
        let (b4, scale) = if expansions { (Vec::new(), Vec::new()) } else { self.single_crashes(&trace) };
        let taylor_fails = b3.iter().zip(&b4).zip(scale).map(|((b3, b4), scale)| far_apart(*b3, *b4, scale)).collect();
        CrashBounds {
            b1: if norms { Vec::new() } else { self.norm_products(&trace) },
            b2: self.absolute_values(&trace),
            b3,
            b4,
            taylor_fails,
            output: trace.h.last().cloned().unwrap_or_default(),
        }
    }

    /// b1: `e_l = (1 - p_l) K_l norm(W_l) e_(l-1) + p_l norm(h_l)`.
    fn norm_products(&self, trace: &ChainTrace) -> Vec<f64> {
        let product = |which: usize| {
            let norm_of = |l: usize| match self.form.norm_of {
                NormOf::CrashedLayer => Norm::ALL[which].of_vector(&trace.h[l]),
                NormOf::Input => Norm::ALL[which].of_vector(&trace.h[0]),
            };
            let start = self.rates[0] * norm_of(0);
            (1..).zip(self.norms).fold(start, |e, (l, norms)| {
                let p = self.rates[l];
                (1.0 - p) * norms[which] * e + if p > 0.0 { p * norm_of(l) } else { 0.0 }
            })
        };
        (0..Norm::ALL.len()).map(product).collect()
    }

    /// b2: the recursion of the module's head for the mean; its first-order twin with squares for the variance.
    fn absolute_values(&self, trace: &ChainTrace) -> Vec<Spread> {
        let mut mean: Vec<f64> = trace.h[0].iter().map(|h| self.rates[0] * h.abs()).collect();
        let mut var: Vec<f64> = trace.h[0].iter().map(|h| self.neuron_variance(0) * h * h).collect();
        for (l, layer) in (1..).zip(self.chain.layers()) {
            let (p, k) = (self.rates[l], layer.activation.lipschitz());
            mean = layer.apply(mean, f64::abs);
            var = layer.apply(var, |w| w * w);
            for ((m, v), h) in mean.iter_mut().zip(&mut var).zip(&trace.h[l]) {
                *m = (1.0 - p) * k * *m + p * h.abs();
                *v = k * k * *v + self.neuron_variance(l) * h * h;
            }
        }
        mean.into_iter().zip(var).map(|(mean, v)| Spread { mean, std: v.sqrt() }).collect()
    }

    /// b3: `mean = -sum_l p_l sum_i J_i h_i`, `var = sum_l p_l sum_i (J_i h_i)^2`.
    fn taylor(&self, trace: &ChainTrace) -> Vec<Spread> {
        let lowest = self.rates.iter().position(|p| *p > 0.0).unwrap_or(self.chain.depth());
        let jacobians = self.chain.jacobians(trace, lowest);
        let per_output = |k: usize| {
            let effects = (lowest..).zip(&jacobians).filter(|(l, _)| self.rates[*l] > 0.0);
            let (mean, var) = effects.fold((0.0, 0.0), |(mean, var), (l, j)| {
                let effect = |(j, h): (&f64, &f64)| j * h;
                let pairs = || j[k].iter().zip(&trace.h[l]).map(effect);
                let (first, second): (f64, f64) = (pairs().sum(), pairs().map(|e| e * e).sum());
                (mean - self.rates[l] * first, var + self.neuron_variance(l) * second)
            });
            Spread { mean, std: var.sqrt() }
        };
        (0..self.chain.width(self.chain.depth())).map(per_output).collect()
    }

    /// b4, and beside it `sum_l p_l sum_i abs(d_i)`, the size of the mean before effects of both signs cancel.
    fn single_crashes(&self, trace: &ChainTrace) -> (Vec<Spread>, Vec<f64>) {
        let outputs = self.chain.width(self.chain.depth());
        let mut sums = vec![(0.0, 0.0, 0.0); outputs];
        for l in (0..=self.chain.depth()).filter(|l| self.rates[*l] > 0.0) {
            for i in 0..self.chain.width(l) {
                let effect = self.crash_of(trace, l, i);
                for ((mean, var, size), d) in sums.iter_mut().zip(effect) {
                    *mean += self.rates[l] * d;
                    *size += self.rates[l] * d.abs();
                    *var += self.neuron_variance(l) * d * d;
                }
            }
        }
        sums.into_iter().map(|(mean, var, size): (f64, f64, f64)| (Spread { mean, std: var.sqrt() }, size)).unzip()
    }

    /// Delta of every output when neuron `i` of layer `l` alone crashes.
    fn crash_of(&self, trace: &ChainTrace, l: usize, i: usize) -> Vec<f64> {
        let h = trace.h[l][i];
        let y = &trace.h[self.chain.depth()];
        if l == self.chain.depth() {
            return (0..y.len()).map(|k| if k == i { -h } else { 0.0 }).collect();
        }
        if h == 0.0 {
            return vec![0.0; y.len()];
        }
        // One input of the next layer becomes zero.
        let change = self.chain.layers()[l].change(i, -h);
        let z = trace.z[l].iter().zip(change).map(|(z, change)| z + change).collect();
        let crashed = self.chain.output_from_preactivation(l + 1, z);
        crashed.iter().zip(y).map(|(c, y)| c - y).collect()
    }

    fn neuron_variance(&self, l: usize) -> f64 {
        let p = self.rates[l];
        match self.form.variance {
            Variance::Published => p,
            Variance::Binomial => p * (1.0 - p),
        }
    }
}

/// A quarter apart: trained continuous networks stay within about 12 % in std, saturated ones are off by a factor of two.
fn far_apart(b3: Spread, b4: Spread, mean_scale: f64) -> bool {
    const TOLERANCE: f64 = 0.25;
    (b3.std - b4.std).abs() > TOLERANCE * b3.std.max(b4.std) || (b3.mean - b4.mean).abs() > TOLERANCE * mean_scale
}
