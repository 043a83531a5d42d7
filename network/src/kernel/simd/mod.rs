//! Vectors of `f32`, one type per instruction set, behind one trait.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]
#![expect(unsafe_code, reason = "loads and stores through pointers, and instructions that not every processor has")]

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

/// Vectors of one instruction set.
///
/// # Safety
/// Every function must be called on a processor that has the instruction set, and from code compiled for it (else it is
/// slow). Pointers must be valid for the lanes that are touched; no alignment is needed.
pub(crate) trait Simd: Copy {
    /// A vector.
    type Vector: Copy;
    /// Which lanes take part in a load or a store.
    type Mask: Copy;
    /// Numbers in a vector.
    const LANES: usize;
    /// Vectors per row, and rows, of the widest tile whose sums stay in registers.
    const TILE: (usize, usize);

    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self::Vector;
    /// The first `lanes` lanes, at most all.
    unsafe fn mask(lanes: usize) -> Self::Mask;
    /// Loads the lanes of the mask, zero elsewhere.
    unsafe fn load(from: *const f32, mask: Self::Mask) -> Self::Vector;
    /// Loads all lanes.
    unsafe fn load_all(from: *const f32) -> Self::Vector;
    /// Stores the lanes of the mask.
    unsafe fn store(to: *mut f32, mask: Self::Mask, value: Self::Vector);
    /// `a b + c`, rounded once.
    unsafe fn mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a + b`.
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a` where `a > b`, else `b`; NaN in `b` stays.
    unsafe fn max(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a` where `a < b`, else `b`; NaN in `b` stays.
    unsafe fn min(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a` where it is larger than `b` or NaN, else `b`; NaN in `b` stays.
    unsafe fn larger(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `then` where `a` equals `b` or both are NaN, else `otherwise`.
    unsafe fn same(a: Self::Vector, b: Self::Vector, then: Self::Vector, otherwise: Self::Vector) -> Self::Vector;
}

/// Plain Rust, for processors without a kernel of their own.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// Applies `f` lane by lane.
#[inline(always)]
fn lanes(f: impl Fn(usize) -> f32) -> [f32; Portable::LANES] {
    std::array::from_fn(f)
}
impl Simd for Portable {
    type Vector = [f32; 8];
    type Mask = usize;
    const LANES: usize = 8;
    const TILE: (usize, usize) = (2, 4);

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::Vector {
        [value; 8]
    }
    #[inline(always)]
    unsafe fn mask(lanes: usize) -> usize {
        lanes.min(Self::LANES)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32, mask: usize) -> Self::Vector {
        if mask == Self::LANES {
            // SAFETY: the caller vouches for all lanes.
            return unsafe { Self::load_all(from) };
        }
        let mut out = [0.0; 8];
        // SAFETY: the caller vouches for the lanes of the mask, at most eight.
        unsafe { std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), mask) };
        out
    }
    #[inline(always)]
    unsafe fn load_all(from: *const f32) -> Self::Vector {
        // SAFETY: the caller vouches for all lanes.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, mask: usize, value: Self::Vector) {
        // SAFETY: the caller vouches for the lanes of the mask, at most eight.
        unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), to, mask) };
    }
    #[inline(always)]
    unsafe fn mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        lanes(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector {
        lanes(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn max(a: Self::Vector, b: Self::Vector) -> Self::Vector {
        lanes(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn min(a: Self::Vector, b: Self::Vector) -> Self::Vector {
        lanes(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn larger(a: Self::Vector, b: Self::Vector) -> Self::Vector {
        lanes(|i| if (a[i] > b[i] || a[i].is_nan()) && !b[i].is_nan() { a[i] } else { b[i] })
    }
    #[expect(clippy::float_cmp, reason = "a maximum is found again by its exact value")]
    #[inline(always)]
    unsafe fn same(a: Self::Vector, b: Self::Vector, then: Self::Vector, otherwise: Self::Vector) -> Self::Vector {
        lanes(|i| if a[i] == b[i] || (a[i].is_nan() && b[i].is_nan()) { then[i] } else { otherwise[i] })
    }
}
