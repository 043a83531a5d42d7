//! Which instructions a kernel may use, found out at run time.

use std::sync::OnceLock;

use super::simd::{Portable, Simd};

/// The widest instruction set that kernels exist for and this processor has; narrower ones can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstructionSet(Choice);

/// Only [`InstructionSet`] makes one of these, after asking the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// A computation written once, for any instruction set.
///
/// `run` and what it calls in inner loops must be `#[inline(always)]`, or they are compiled for the baseline.
pub(super) trait Work {
    /// What comes out.
    type Output;
    /// The computation, with vectors of `S`.
    fn run<S: Simd>(self) -> Self::Output;
}

impl InstructionSet {
    /// The best one on this processor.
    #[must_use]
    pub fn detect() -> Self {
        static BEST: OnceLock<InstructionSet> = OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// All that this processor has, best first, without those that `DURESS_INSTRUCTIONS` (`portable` or `avx2`) leaves out:
    /// tests of narrow sets on wide processors. Results do not depend on it.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let widest = widest();
        Self::present().into_iter().filter(|set| set.rank() <= widest).collect()
    }

    /// All that this processor has, best first.
    fn present() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma") {
                found.push(Self(Choice::Avx512));
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Self(Choice::Avx2));
            }
        }
        found.push(Self(Choice::Portable));
        found
    }

    /// The name that people know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2 => "AVX2",
            Choice::Portable => "portable",
        }
    }

    /// Its place among the sets, the narrowest being 0.
    const fn rank(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512 => 2,
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2 => 1,
            Choice::Portable => 0,
        }
    }

    /// Outputs in the panels that weights are packed in: two vectors.
    #[must_use]
    pub const fn panel(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512 => 32,
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2 => 16,
            Choice::Portable => 2 * Portable::LANES,
        }
    }

    /// Does the work with this instruction set.
    pub(super) fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512 => {
                #[expect(unsafe_code, reason = "a call across instruction sets")]
                // SAFETY: this choice is made only where the processor was found to have both features.
                unsafe {
                    avx512(work)
                }
            }
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2 => {
                #[expect(unsafe_code, reason = "a call across instruction sets")]
                // SAFETY: as above.
                unsafe {
                    avx2(work)
                }
            }
            Choice::Portable => work.run::<Portable>(),
        }
    }
}

/// The rank of the widest set that the environment lets kernels have.
fn widest() -> usize {
    static WIDEST: OnceLock<usize> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "the kernels' own door: it is read before any study is")]
    *WIDEST.get_or_init(|| match std::env::var("DURESS_INSTRUCTIONS").as_deref() {
        Ok("portable") => 0,
        Ok("avx2") => 1,
        _ => usize::MAX,
    })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn avx512<W: Work>(work: W) -> W::Output {
    work.run::<super::simd::Avx512>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<W: Work>(work: W) -> W::Output {
    work.run::<super::simd::Avx2>()
}
