//! The matrix product under everything: `y[r, :] += sum over i of x[r, i] * wt[i, :]`.
//!
//! Each element of `y` is one chain of additions in the order of `i`, a product rounded before it is added (never a fused
//! multiply-add). Blocking over rows and columns changes which elements are worked on together but not that chain, so a
//! result has the same bits for every batch size, thread count, vector width and processor. The same body is compiled for
//! three instruction sets and chosen at run time.

use super::kernel::InstructionSet;
use super::real::Real;

/// Side of the square tiles in which matrices are transposed, so that neither side strides through memory for long.
const TILE: usize = 16;

/// A type with a kernel.
pub trait Kernel: Sized {
    /// [`accumulate`] by the instructions `set` on slices whose lengths were checked.
    #[doc(hidden)]
    fn accumulate_checked(set: InstructionSet, x: &[Self], inputs: usize, wt: &[Self], outputs: usize, y: &mut [Self]);
}

/// `y[r, :] += sum over i of x[r, i] * wt[i, :]`, where `x` is `rows x inputs`, `wt` is `inputs x outputs` (a weight
/// matrix transposed) and `y` is `rows x outputs`, on this thread.
///
/// # Panics
/// If a slice is not as long as its shape says.
pub fn accumulate<T: Real>(x: &[T], rows: usize, inputs: usize, wt: &[T], outputs: usize, y: &mut [T]) {
    assert_eq!(x.len(), rows * inputs, "x is rows x inputs");
    assert_eq!(wt.len(), inputs * outputs, "wt is inputs x outputs");
    assert_eq!(y.len(), rows * outputs, "y is rows x outputs");
    if rows > 0 && inputs > 0 && outputs > 0 {
        T::accumulate_checked(InstructionSet::detect(), x, inputs, wt, outputs, y);
    }
}

/// The `columns x rows` transpose of the `rows x columns` matrix `a`.
///
/// # Panics
/// If `a` is not `rows x columns`.
#[must_use]
pub fn transpose<T: Real>(a: &[T], rows: usize, columns: usize) -> Vec<T> {
    assert_eq!(a.len(), rows * columns, "a is rows x columns");
    let mut out = vec![T::ZERO; a.len()];
    for r0 in (0..rows).step_by(TILE) {
        for c0 in (0..columns).step_by(TILE) {
            for r in r0..(r0 + TILE).min(rows) {
                for c in c0..(c0 + TILE).min(columns) {
                    out[c * rows + r] = a[r * columns + c];
                }
            }
        }
    }
    out
}

/// `y[m, o..o + NR] += x[m] * panel` for the `MR` rows `x`, with all sums kept in registers.
///
/// Row `i` of the panel starts at `i * stride` in `panel`, row `m` of `y` at `m * outputs`; both are `NR` wide. Extents that
/// are not constants would push the sums out of the registers, which is why narrow panels are padded before they get here.
#[expect(clippy::inline_always, reason = "it must be compiled anew for each instruction set")]
#[inline(always)]
fn tile<T: Real, const MR: usize, const NR: usize>(
    x: [&[T]; MR],
    inputs: usize,
    (panel, stride): (&[T], usize),
    y: &mut [T],
    (outputs, o): (usize, usize),
) {
    let mut sums = [[T::ZERO; NR]; MR];
    for m in 0..MR {
        sums[m].copy_from_slice(&y[m * outputs + o..][..NR]);
    }
    for i in 0..inputs {
        let weights = &panel[i * stride..][..NR];
        for m in 0..MR {
            let factor = x[m][i];
            for n in 0..NR {
                sums[m][n] += factor * weights[n];
            }
        }
    }
    for m in 0..MR {
        y[m * outputs + o..][..NR].copy_from_slice(&sums[m]);
    }
}

/// All rows against one panel of `NR` columns: `MR` rows at a time, then one at a time.
#[expect(clippy::inline_always, reason = "it must be compiled anew for each instruction set")]
#[inline(always)]
fn panel_rows<T: Real, const MR: usize, const NR: usize>(
    x: &[T],
    inputs: usize,
    panel: (&[T], usize),
    y: &mut [T],
    columns: (usize, usize),
) {
    let (rows, outputs) = (x.len() / inputs, columns.0);
    let mut r = 0;
    while r + MR <= rows {
        let mut block = [&x[..0]; MR];
        for (m, row) in block.iter_mut().enumerate() {
            *row = &x[(r + m) * inputs..][..inputs];
        }
        tile::<T, MR, NR>(block, inputs, panel, &mut y[r * outputs..], columns);
        r += MR;
    }
    while r < rows {
        tile::<T, 1, NR>([&x[r * inputs..][..inputs]], inputs, panel, &mut y[r * outputs..], columns);
        r += 1;
    }
}

/// The columns from `o` on, fewer than `NR`: weights and sums are copied to a panel of `NR` columns and back.
#[expect(clippy::inline_always, reason = "it must be compiled anew for each instruction set")]
#[inline(always)]
fn padded_panel<T: Real, const MR: usize, const NR: usize>(
    x: &[T],
    inputs: usize,
    wt: &[T],
    y: &mut [T],
    (outputs, o): (usize, usize),
) {
    let pad = |from: &[T]| {
        let mut panel = vec![T::ZERO; from.len() / outputs * NR];
        for (row, padded) in from.chunks_exact(outputs).zip(panel.chunks_exact_mut(NR)) {
            padded[..outputs - o].copy_from_slice(&row[o..]);
        }
        panel
    };
    let (panel, mut sums) = (pad(wt), pad(y));
    panel_rows::<T, MR, NR>(x, inputs, (&panel, NR), &mut sums, (NR, 0));
    for (row, padded) in y.chunks_exact_mut(outputs).zip(sums.chunks_exact(NR)) {
        row[o..].copy_from_slice(&padded[..outputs - o]);
    }
}

/// The whole product: panels of `NR` columns, then what is left in one of `NR` or of `HALF`.
#[expect(clippy::inline_always, reason = "it must be compiled anew for each instruction set")]
#[inline(always)]
fn body<T: Real, const MR: usize, const NR: usize, const HALF: usize>(
    x: &[T],
    inputs: usize,
    wt: &[T],
    outputs: usize,
    y: &mut [T],
) {
    let mut o = 0;
    while o + NR <= outputs {
        panel_rows::<T, MR, NR>(x, inputs, (&wt[o..], outputs), y, (outputs, o));
        o += NR;
    }
    if o + HALF < outputs {
        padded_panel::<T, MR, NR>(x, inputs, wt, y, (outputs, o));
    } else if o < outputs {
        padded_panel::<T, MR, HALF>(x, inputs, wt, y, (outputs, o));
    }
}

/// The body compiled for wider registers; the arithmetic is the same.
#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{Real, body};

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2<T: Real, const MR: usize, const NR: usize, const HALF: usize>(
        x: &[T],
        inputs: usize,
        wt: &[T],
        outputs: usize,
        y: &mut [T],
    ) {
        body::<T, MR, NR, HALF>(x, inputs, wt, outputs, y);
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512<T: Real, const MR: usize, const NR: usize, const HALF: usize>(
        x: &[T],
        inputs: usize,
        wt: &[T],
        outputs: usize,
        y: &mut [T],
    ) {
        body::<T, MR, NR, HALF>(x, inputs, wt, outputs, y);
    }
}

/// Tiles are sized so that the sums fill most of an instruction set's registers.
macro_rules! kernel {
    ($type:ty, avx512: $wide:literal $half_wide:literal, avx2: $middle:literal $half_middle:literal, other: $narrow:literal $half_narrow:literal) => {
        impl Kernel for $type {
            #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "there is one set only"))]
            fn accumulate_checked(
                set: InstructionSet,
                x: &[Self],
                inputs: usize,
                wt: &[Self],
                outputs: usize,
                y: &mut [Self],
            ) {
                #[cfg(target_arch = "x86_64")]
                {
                    if set.has_avx512() {
                        #[expect(unsafe_code, reason = "a call across instruction sets")]
                        // SAFETY: there is such a set only where the processor has the feature that the function needs.
                        return unsafe { wide::avx512::<$type, 8, $wide, $half_wide>(x, inputs, wt, outputs, y) };
                    }
                    if set.has_avx2() {
                        #[expect(unsafe_code, reason = "a call across instruction sets")]
                        // SAFETY: as above.
                        return unsafe { wide::avx2::<$type, 6, $middle, $half_middle>(x, inputs, wt, outputs, y) };
                    }
                }
                body::<$type, 4, $narrow, $half_narrow>(x, inputs, wt, outputs, y);
            }
        }
    };
}

kernel!(f32, avx512: 32 16, avx2: 16 8, other: 8 4);
kernel!(f64, avx512: 16 8, avx2: 8 4, other: 4 2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn random(purpose: &str, len: usize) -> Vec<f32> {
        let mut values = vec![0.0; len];
        Stream::new(1, purpose, &[len as u64]).fill_normal(&mut values, 0.0, 1.0);
        values
    }

    /// The definition, in its order.
    fn naive(x: &[f32], rows: usize, inputs: usize, wt: &[f32], outputs: usize, y: &mut [f32]) {
        for r in 0..rows {
            for o in 0..outputs {
                for i in 0..inputs {
                    y[r * outputs + o] += x[r * inputs + i] * wt[i * outputs + o];
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_definition() {
        for (rows, inputs, outputs) in [(1, 1, 1), (3, 5, 2), (17, 33, 65), (9, 20, 10), (64, 100, 32), (50, 784, 100)]
        {
            let (x, wt) = (random("x", rows * inputs), random("w", inputs * outputs));
            let start = random("y", rows * outputs);
            let (mut wanted, mut found) = (start.clone(), start.clone());
            naive(&x, rows, inputs, &wt, outputs, &mut wanted);
            accumulate(&x, rows, inputs, &wt, outputs, &mut found);
            assert_eq!(found, wanted, "{rows} {inputs} {outputs}");
            for set in InstructionSet::available() {
                let mut found = start.clone();
                f32::accumulate_checked(set, &x, inputs, &wt, outputs, &mut found);
                assert_eq!(found, wanted, "{}", set.name());
            }
        }
    }

    #[test]
    fn transposing_twice_changes_nothing() {
        let a = random("a", 37 * 21);
        let t = transpose(&a, 37, 21);
        assert_eq!(t[5 * 37 + 30].to_bits(), a[30 * 21 + 5].to_bits());
        assert_eq!(transpose(&t, 21, 37), a);
    }
}
