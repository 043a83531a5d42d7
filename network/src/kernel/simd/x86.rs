//! Vectors of x86-64: AVX-512 and AVX2 with FMA.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use std::arch::x86_64::{
    __m256, __m256i, __m512, __mmask16, _CMP_EQ_OQ, _CMP_NLE_UQ, _CMP_ORD_Q, _CMP_UNORD_Q, _mm_castps_pd,
    _mm_cvtsd_f64, _mm_movehl_ps, _mm_store_ss, _mm_storeu_ps, _mm256_add_ps, _mm256_and_ps, _mm256_blendv_ps,
    _mm256_castps256_ps128, _mm256_cmp_ps, _mm256_cmpgt_epi32, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_maskload_ps, _mm256_max_ps, _mm256_min_ps, _mm256_or_ps, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setr_epi32, _mm256_storeu_ps, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_mask_blend_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_set1_ps,
};

use super::Simd;

/// 512-bit vectors.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// 256-bit vectors.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// The first lanes of a 256-bit vector.
#[derive(Clone, Copy)]
pub(crate) struct FirstLanes {
    mask: __m256i,
    count: usize,
}

// SAFETY of every block below: the trait's caller vouches for the instruction set and for the lanes behind the pointers.
impl Simd for Avx512 {
    type Vector = __m512;
    type Mask = __mmask16;
    const LANES: usize = 16;
    const TILE: (usize, usize) = (2, 8);

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn mask(lanes: usize) -> __mmask16 {
        if lanes >= 16 { !0 } else { (1 << lanes) - 1 }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32, mask: __mmask16) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }
    #[inline(always)]
    unsafe fn load_all(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, mask: __mmask16, value: __m512) {
        unsafe { _mm512_mask_storeu_ps(to, mask, value) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn larger(a: __m512, b: __m512) -> __m512 {
        unsafe {
            let wins = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(a, b) & _mm512_cmp_ps_mask::<_CMP_ORD_Q>(b, b);
            _mm512_mask_blend_ps(wins, b, a)
        }
    }
    #[inline(always)]
    unsafe fn same(a: __m512, b: __m512, then: __m512, otherwise: __m512) -> __m512 {
        unsafe {
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a) & _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(b, b);
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) | nan, otherwise, then)
        }
    }
}
impl Simd for Avx2 {
    type Vector = __m256;
    type Mask = FirstLanes;
    const LANES: usize = 8;
    const TILE: (usize, usize) = (2, 6);

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn mask(lanes: usize) -> FirstLanes {
        let count = lanes.min(8);
        let mask =
            unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) };
        FirstLanes { mask, count }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32, lanes: FirstLanes) -> __m256 {
        unsafe { _mm256_maskload_ps(from, lanes.mask) }
    }
    #[inline(always)]
    unsafe fn load_all(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(mut to: *mut f32, lanes: FirstLanes, value: __m256) {
        // A masked store takes dozens of operations on some processors; halves, quarters and eighths take one each.
        unsafe {
            if lanes.count == 8 {
                return _mm256_storeu_ps(to, value);
            }
            let mut rest = _mm256_castps256_ps128(value);
            if lanes.count & 4 != 0 {
                _mm_storeu_ps(to, rest);
                (to, rest) = (to.add(4), _mm256_extractf128_ps::<1>(value));
            }
            if lanes.count & 2 != 0 {
                to.cast::<f64>().write_unaligned(_mm_cvtsd_f64(_mm_castps_pd(rest)));
                (to, rest) = (to.add(2), _mm_movehl_ps(rest, rest));
            }
            if lanes.count & 1 != 0 {
                _mm_store_ss(to, rest);
            }
        }
    }
    #[inline(always)]
    unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn larger(a: __m256, b: __m256) -> __m256 {
        unsafe {
            let wins = _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(a, b), _mm256_cmp_ps::<_CMP_ORD_Q>(b, b));
            _mm256_blendv_ps(b, a, wins)
        }
    }
    #[inline(always)]
    unsafe fn same(a: __m256, b: __m256, then: __m256, otherwise: __m256) -> __m256 {
        unsafe {
            let nan = _mm256_and_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(a, a), _mm256_cmp_ps::<_CMP_UNORD_Q>(b, b));
            _mm256_blendv_ps(otherwise, then, _mm256_or_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b), nan))
        }
    }
}
