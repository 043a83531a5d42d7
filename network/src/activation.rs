//! Activation functions: value, derivative and Lipschitz constant.
//!
//! Exponentials come from `libm` in pure Rust rather than from the platform's C library, so that their last bit does not
//! depend on the machine.

use serde::{Deserialize, Serialize};

use super::real::Real;

/// `1 / sqrt(2 pi)`, the height of the normal density.
const FRAC_1_SQRT_TAU: f64 = 0.398_942_280_401_432_7;

/// An elementwise function `h = f(z)` of a pre-activation `z`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Activation {
    /// `f(z) = z`.
    Identity,
    /// `f(z) = max(0, slope z)`; the usual rectifier has slope 1.
    Relu {
        /// Slope on the positive side, which is also the Lipschitz constant; must be positive.
        slope: f64,
    },
    /// `f(z) = z` for positive `z`, else `slope z`.
    LeakyRelu {
        /// Slope on the negative side.
        slope: f64,
    },
    /// `f(z) = 1 / (1 + exp(-gain z))`; with gain `4 K` its Lipschitz constant is `K` (arXiv 1902.01686).
    Sigmoid {
        /// Steepness; the usual logistic function has gain 1.
        gain: f64,
    },
    /// `f(z) = tanh z`.
    Tanh,
    /// `f(z) = ln(1 + exp z)`.
    Softplus,
    /// `f(z) = z` for positive `z`, else `alpha (exp z - 1)` (Clevert et al. 2015).
    Elu {
        /// Minus the limit on the negative side.
        alpha: f64,
    },
    /// `f(z) = max(0, z)^power`.
    RectifiedPower {
        /// The exponent, at least 1.
        power: f64,
    },
    /// `f(z) = z Phi(z)` with the normal distribution function, not its approximation by tanh.
    Gelu,
    /// `f(z) = min(high, max(low, z))`; `ReLU6` has limits 0 and 6.
    Clip {
        /// Lower limit.
        low: f64,
        /// Upper limit.
        high: f64,
    },
}

impl Activation {
    /// The usual rectifier, `max(0, z)`.
    #[must_use]
    pub const fn relu() -> Self {
        Self::Relu { slope: 1.0 }
    }

    /// The usual logistic function, `1 / (1 + exp(-z))`.
    #[must_use]
    pub const fn sigmoid() -> Self {
        Self::Sigmoid { gain: 1.0 }
    }

    /// The rectifier that stops at 6, `min(6, max(0, z))`.
    #[must_use]
    pub const fn relu6() -> Self {
        Self::Clip { low: 0.0, high: 6.0 }
    }

    /// Its name, as files have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu { .. } => "relu",
            Self::LeakyRelu { .. } => "leaky-relu",
            Self::Sigmoid { .. } => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softplus => "softplus",
            Self::Elu { .. } => "elu",
            Self::RectifiedPower { .. } => "rectified-power",
            Self::Gelu => "gelu",
            Self::Clip { .. } => "clip",
        }
    }

    /// `f(z)`.
    #[inline]
    #[must_use]
    pub fn value<T: Real>(self, z: T) -> T {
        match self {
            Self::Identity => z,
            Self::Relu { slope } => rectify(T::from_f64(slope), z),
            Self::LeakyRelu { slope } => {
                if z < T::ZERO {
                    T::from_f64(slope) * z
                } else {
                    z
                }
            }
            Self::Sigmoid { gain } => logistic(T::from_f64(gain) * z),
            Self::Tanh => z.tanh(),
            Self::Softplus => z.max_zero() + (-z.abs()).exp().ln_1p(),
            Self::Elu { alpha } => {
                if z < T::ZERO {
                    T::from_f64(alpha) * z.exp_m1()
                } else {
                    z
                }
            }
            Self::RectifiedPower { power } => z.max_zero().powf(T::from_f64(power)),
            Self::Gelu => gelu(z),
            Self::Clip { low, high } => clip(T::from_f64(low), T::from_f64(high), z),
        }
    }

    /// `f'(z)`, with the derivative of a kink taken from its left (0 for a rectifier at 0).
    #[inline]
    #[must_use]
    pub fn derivative<T: Real>(self, z: T) -> T {
        match self {
            Self::Identity => T::ONE,
            Self::Relu { slope } => {
                if z > T::ZERO {
                    T::from_f64(slope)
                } else {
                    T::ZERO
                }
            }
            Self::LeakyRelu { slope } => {
                if z > T::ZERO {
                    T::ONE
                } else {
                    T::from_f64(slope)
                }
            }
            Self::Sigmoid { gain } => {
                let s = logistic(T::from_f64(gain) * z);
                T::from_f64(gain) * s * (T::ONE - s)
            }
            Self::Tanh => {
                let t = z.tanh();
                T::ONE - t * t
            }
            Self::Softplus => logistic(z),
            Self::Elu { alpha } => {
                if z > T::ZERO {
                    T::ONE
                } else {
                    T::from_f64(alpha) * z.exp()
                }
            }
            Self::RectifiedPower { power } => {
                if z > T::ZERO {
                    T::from_f64(power) * z.powf(T::from_f64(power - 1.0))
                } else {
                    T::ZERO
                }
            }
            Self::Gelu => gelu_derivative(z),
            Self::Clip { low, high } => {
                if z > T::from_f64(low) && z <= T::from_f64(high) {
                    T::ONE
                } else {
                    T::ZERO
                }
            }
        }
    }

    /// Replaces every `z` by `f(z)`, with the choice of function made once.
    pub fn apply<T: Real>(self, values: &mut [T]) {
        match self {
            Self::Identity => {}
            Self::Relu { slope } => {
                let slope = T::from_f64(slope);
                for z in values {
                    *z = rectify(slope, *z);
                }
            }
            _ => {
                for z in values {
                    *z = self.value(*z);
                }
            }
        }
    }

    /// The smallest `K` with `|f(a) - f(b)| <= K |a - b|` for all `a` and `b`.
    #[must_use]
    pub fn lipschitz(self) -> f64 {
        match self {
            Self::Identity | Self::Tanh | Self::Softplus | Self::Clip { .. } => 1.0,
            Self::Relu { slope } => slope.abs(),
            Self::LeakyRelu { slope } => slope.abs().max(1.0),
            Self::Sigmoid { gain } => gain.abs() / 4.0,
            Self::Elu { alpha } => alpha.abs().max(1.0),
            Self::RectifiedPower { power } => {
                if power > 1.0 {
                    f64::INFINITY
                } else {
                    1.0
                }
            }
            // At the inflection point z = sqrt 2: Phi(z) + z phi(z).
            Self::Gelu => 1.128_904_145_118_519,
        }
    }
}

/// `max(0, slope z)` that lets NaN through: a fault must not be hidden by the comparison.
#[inline]
fn rectify<T: Real>(slope: T, z: T) -> T {
    if z < T::ZERO { T::ZERO } else { slope * z }
}

/// `1 / (1 + exp(-z))`, without overflow on either side.
#[inline]
fn logistic<T: Real>(z: T) -> T {
    let e = (-z.abs()).exp();
    let tail = e / (T::ONE + e);
    if z < T::ZERO { tail } else { T::ONE - tail }
}

/// `min(high, max(low, z))` that lets NaN through.
#[inline]
fn clip<T: Real>(low: T, high: T, z: T) -> T {
    if z < low {
        low
    } else if z > high {
        high
    } else {
        z
    }
}

/// `z Phi(z)`, which is `z / 2 erfc(-z / sqrt 2)`; minus infinity gives its limit, 0.
#[inline]
fn gelu<T: Real>(z: T) -> T {
    let tail = (z * T::from_f64(-std::f64::consts::FRAC_1_SQRT_2)).erfc();
    if tail == T::ZERO { T::ZERO } else { z * T::from_f64(0.5) * tail }
}

/// `Phi(z) + z phi(z)`.
#[inline]
fn gelu_derivative<T: Real>(z: T) -> T {
    let half = T::from_f64(0.5);
    let normal = (-(z * z) * half).exp() * T::from_f64(FRAC_1_SQRT_TAU);
    let slope = if normal == T::ZERO { T::ZERO } else { z * normal };
    half * (z * T::from_f64(-std::f64::consts::FRAC_1_SQRT_2)).erfc() + slope
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Activation; 11] = [
        Activation::Identity,
        Activation::Relu { slope: 1.0 },
        Activation::Relu { slope: 2.5 },
        Activation::LeakyRelu { slope: 0.1 },
        Activation::Sigmoid { gain: 4.0 },
        Activation::Tanh,
        Activation::Softplus,
        Activation::Elu { alpha: 1.5 },
        Activation::RectifiedPower { power: 1.0 },
        Activation::Gelu,
        Activation::Clip { low: -1.0, high: 2.0 },
    ];

    #[test]
    fn every_derivative_agrees_with_finite_differences() {
        for f in ALL {
            for z in [-3.1, -0.7, -0.01, 0.02, 0.9, 4.4] {
                let step = 1e-6;
                let difference = (f.value(z + step) - f.value(z - step)) / (2.0 * step);
                assert!((f.derivative(z) - difference).abs() < 1e-8, "{f:?} at {z}");
            }
        }
    }

    #[test]
    fn no_derivative_exceeds_the_lipschitz_constant_and_some_point_nears_it() {
        for f in ALL {
            let steepest = (-4000..4000).map(|i| f.derivative(f64::from(i) * 0.005).abs()).fold(0.0, f64::max);
            assert!(steepest <= f.lipschitz() + 1e-12 && steepest > 0.999 * f.lipschitz(), "{f:?} {steepest}");
        }
    }

    #[test]
    fn nan_and_infinity_are_not_hidden() {
        for f in ALL {
            assert!(f.value(f64::NAN).is_nan(), "{f:?}");
            assert!(!f.value(f32::MAX).is_nan() && !f.value(-f32::MAX).is_nan(), "{f:?}");
            assert!(!f.value(f64::INFINITY).is_nan() && !f.value(f64::NEG_INFINITY).is_nan(), "{f:?}");
        }
    }
}
