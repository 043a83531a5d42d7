//! The matrix product under everything: `y[r, :] += sum over i of x[r, i] * wt[i, :]`.
//!
//! Each element of `y` is one chain of additions in the order of `i`, a product rounded before it is added (never a fused
//! multiply-add). Blocking over rows and columns changes which elements are worked on together but not that chain, so a
//! result has the same bits for every batch size, thread count, vector width and processor. The same body is compiled for
//! three instruction sets and chosen at run time.

use rayon::prelude::*;

use super::real::Real;

/// Rows that one task takes; a constant, so that the work is cut alike for any number of threads.
const TASK_ROWS: usize = 48;
/// Multiplications below which tasks cost more than they save.
const PARALLEL_FROM: usize = 1 << 19;

/// Side of the square tiles in which matrices are transposed, so that neither side strides through memory for long.
const TILE: usize = 16;

/// A type with a kernel.
pub trait Kernel: Sized {
    /// [`accumulate`] on slices whose lengths were checked.
    #[doc(hidden)]
    fn accumulate_checked(x: &[Self], inputs: usize, wt: &[Self], outputs: usize, y: &mut [Self]);
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
        T::accumulate_checked(x, inputs, wt, outputs, y);
    }
}

/// [`accumulate`] with the rows spread over the current rayon pool; the same bits.
///
/// # Panics
/// If a slice is not as long as its shape says.
pub fn accumulate_parallel<T: Real>(x: &[T], rows: usize, inputs: usize, wt: &[T], outputs: usize, y: &mut [T]) {
    assert_eq!(x.len(), rows * inputs, "x is rows x inputs");
    assert_eq!(y.len(), rows * outputs, "y is rows x outputs");
    if rows * inputs * outputs < PARALLEL_FROM || rayon::current_num_threads() == 1 {
        return accumulate(x, rows, inputs, wt, outputs, y);
    }
    x.par_chunks(TASK_ROWS * inputs)
        .zip(y.par_chunks_mut(TASK_ROWS * outputs))
        .for_each(|(x, y)| accumulate(x, x.len() / inputs, inputs, wt, outputs, y));
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

/// `y[r, o..o + valid] += x[r, :] * panel` for `MR` rows `x`, with the `NR` sums of each row kept in registers.
///
/// Row `i` of the panel starts at `i * stride` in `panel` and is `NR` long.
#[expect(clippy::inline_always, reason = "it must be compiled anew for each instruction set")]
#[inline(always)]
fn tile<T: Real, const MR: usize, const NR: usize>(
    x: [&[T]; MR],
    inputs: usize,
    panel: &[T],
    stride: usize,
    y: &mut [T],
    (outputs, o, valid): (usize, usize, usize),
) {
    let mut sums = [[T::ZERO; NR]; MR];
    for (m, row) in sums.iter_mut().enumerate() {
        row[..valid].copy_from_slice(&y[m * outputs + o..m * outputs + o + valid]);
    }
    for i in 0..inputs {
        let weights = &panel[i * stride..i * stride + NR];
        for m in 0..MR {
            let factor = x[m][i];
            for n in 0..NR {
                sums[m][n] += factor * weights[n];
            }
        }
    }
    for (m, row) in sums.iter().enumerate() {
        y[m * outputs + o..m * outputs + o + valid].copy_from_slice(&row[..valid]);
    }
}

/// All rows against one panel of `NR` columns: `MR` rows at a time, then one at a time.
#[expect(clippy::inline_always, reason = "it must be compiled anew for each instruction set")]
#[inline(always)]
fn panel_rows<T: Real, const MR: usize, const NR: usize>(
    x: &[T],
    inputs: usize,
    panel: &[T],
    stride: usize,
    y: &mut [T],
    columns: (usize, usize, usize),
) {
    let outputs = columns.0;
    let rows = x.len() / inputs;
    let mut r = 0;
    while r + MR <= rows {
        let mut block = [&x[..0]; MR];
        for (m, row) in block.iter_mut().enumerate() {
            *row = &x[(r + m) * inputs..][..inputs];
        }
        tile::<T, MR, NR>(block, inputs, panel, stride, &mut y[r * outputs..], columns);
        r += MR;
    }
    while r < rows {
        tile::<T, 1, NR>([&x[r * inputs..][..inputs]], inputs, panel, stride, &mut y[r * outputs..], columns);
        r += 1;
    }
}

/// The whole product, panel by panel; a last panel narrower than `NR` is copied and padded first.
#[expect(clippy::inline_always, reason = "it must be compiled anew for each instruction set")]
#[inline(always)]
fn body<T: Real, const MR: usize, const NR: usize>(x: &[T], inputs: usize, wt: &[T], outputs: usize, y: &mut [T]) {
    let mut o = 0;
    while o + NR <= outputs {
        panel_rows::<T, MR, NR>(x, inputs, &wt[o..], outputs, y, (outputs, o, NR));
        o += NR;
    }
    if o < outputs {
        let valid = outputs - o;
        let mut padded = vec![T::ZERO; inputs * NR];
        for i in 0..inputs {
            padded[i * NR..i * NR + valid].copy_from_slice(&wt[i * outputs + o..(i + 1) * outputs]);
        }
        panel_rows::<T, MR, NR>(x, inputs, &padded, NR, y, (outputs, o, valid));
    }
}

/// The body compiled for wider registers; the arithmetic is the same.
#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{Real, body};

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2<T: Real, const MR: usize, const NR: usize>(
        x: &[T],
        inputs: usize,
        wt: &[T],
        outputs: usize,
        y: &mut [T],
    ) {
        body::<T, MR, NR>(x, inputs, wt, outputs, y);
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512<T: Real, const MR: usize, const NR: usize>(
        x: &[T],
        inputs: usize,
        wt: &[T],
        outputs: usize,
        y: &mut [T],
    ) {
        body::<T, MR, NR>(x, inputs, wt, outputs, y);
    }
}

/// Tiles are sized so that the sums fill most of an instruction set's registers.
macro_rules! kernel {
    ($type:ty, avx512: $wide_columns:literal, avx2: $columns:literal, other: $narrow_columns:literal) => {
        impl Kernel for $type {
            fn accumulate_checked(x: &[Self], inputs: usize, wt: &[Self], outputs: usize, y: &mut [Self]) {
                #[cfg(target_arch = "x86_64")]
                {
                    if is_x86_feature_detected!("avx512f") {
                        #[expect(unsafe_code, reason = "a call across instruction sets")]
                        // SAFETY: the processor was just found to have the feature that the function needs.
                        return unsafe { wide::avx512::<$type, 8, $wide_columns>(x, inputs, wt, outputs, y) };
                    }
                    if is_x86_feature_detected!("avx2") {
                        #[expect(unsafe_code, reason = "a call across instruction sets")]
                        // SAFETY: the processor was just found to have the feature that the function needs.
                        return unsafe { wide::avx2::<$type, 6, $columns>(x, inputs, wt, outputs, y) };
                    }
                }
                body::<$type, 4, $narrow_columns>(x, inputs, wt, outputs, y);
            }
        }
    };
}

kernel!(f32, avx512: 32, avx2: 16, other: 8);
kernel!(f64, avx512: 16, avx2: 8, other: 4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::random::Stream;

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
            let mut narrow = start.clone();
            body::<f32, 4, 8>(&x, inputs, &wt, outputs, &mut narrow);
            assert_eq!(narrow, wanted);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                let mut wide = start.clone();
                #[expect(unsafe_code, reason = "a call across instruction sets")]
                // SAFETY: the feature was just detected.
                unsafe {
                    wide::avx2::<f32, 6, 16>(&x, inputs, &wt, outputs, &mut wide);
                }
                assert_eq!(wide, wanted);
            }
        }
    }

    #[test]
    fn thread_count_does_not_change_a_bit() {
        let (rows, inputs, outputs) = (301, 150, 70);
        let (x, wt) = (random("x", rows * inputs), random("w", inputs * outputs));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut y = vec![0.0; rows * outputs];
            pool.install(|| accumulate_parallel(&x, rows, inputs, &wt, outputs, &mut y));
            y
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(5));
    }

    #[test]
    fn transposing_twice_changes_nothing() {
        let a = random("a", 37 * 21);
        let t = transpose(&a, 37, 21);
        assert_eq!(t[5 * 37 + 30].to_bits(), a[30 * 21 + 5].to_bits());
        assert_eq!(transpose(&t, 21, 37), a);
    }
}
