//! The two floating-point types that kernels are written for.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// `f32` or `f64`, with the few functions that networks need.
///
/// Transcendental functions are `libm`'s, in pure Rust: the same bits on every machine.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// Nearest value of this type.
    fn from_f32(value: f32) -> Self;
    /// Exact value.
    fn to_f64(self) -> f64;
    /// Absolute value.
    #[must_use]
    fn abs(self) -> Self;
    /// The larger of this and zero; NaN stays NaN.
    #[must_use]
    fn max_zero(self) -> Self;
    /// `exp`.
    #[must_use]
    fn exp(self) -> Self;
    /// `ln`.
    #[must_use]
    fn ln(self) -> Self;
    /// `ln(1 + x)`.
    #[must_use]
    fn ln_1p(self) -> Self;
    /// `exp(x) - 1`.
    #[must_use]
    fn exp_m1(self) -> Self;
    /// This to the power of `exponent`.
    #[must_use]
    fn powf(self, exponent: Self) -> Self;
    /// The complementary error function.
    #[must_use]
    fn erfc(self) -> Self;
    /// `tanh`.
    #[must_use]
    fn tanh(self) -> Self;
    /// Correctly rounded square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// Whether this is NaN.
    fn is_nan(self) -> bool;
    /// Whether this is neither NaN nor infinite.
    fn is_finite(self) -> bool;
}

macro_rules! real {
    ($type:ty, $from_f64:expr, $from_f32:expr, $exp:path, $ln:path, $ln_1p:path, $tanh:path, $exp_m1:path, $powf:path, $erfc:path) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline]
            fn from_f64(value: f64) -> Self {
                $from_f64(value)
            }
            #[inline]
            fn from_f32(value: f32) -> Self {
                $from_f32(value)
            }
            #[inline]
            fn to_f64(self) -> f64 {
                self.into()
            }
            #[inline]
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline]
            fn max_zero(self) -> Self {
                if self < 0.0 { 0.0 } else { self }
            }
            #[inline]
            fn exp(self) -> Self {
                $exp(self)
            }
            #[inline]
            fn ln(self) -> Self {
                $ln(self)
            }
            #[inline]
            fn ln_1p(self) -> Self {
                $ln_1p(self)
            }
            #[inline]
            fn tanh(self) -> Self {
                $tanh(self)
            }
            #[inline]
            fn exp_m1(self) -> Self {
                $exp_m1(self)
            }
            #[inline]
            fn powf(self, exponent: Self) -> Self {
                $powf(self, exponent)
            }
            #[inline]
            fn erfc(self) -> Self {
                $erfc(self)
            }
            #[inline]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline]
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            #[inline]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}

real!(
    f32,
    |v: f64| v as f32,
    |v: f32| v,
    libm::expf,
    libm::logf,
    libm::log1pf,
    libm::tanhf,
    libm::expm1f,
    libm::powf,
    libm::erfcf
);
real!(f64, |v: f64| v, f64::from, libm::exp, libm::log, libm::log1p, libm::tanh, libm::expm1, libm::pow, libm::erfc);
