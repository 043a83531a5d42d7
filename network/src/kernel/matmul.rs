//! Matrix products.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::instruction_set::{InstructionSet, Work};
use super::pack::Panels;
use super::simd::Simd;
use super::spread::Threads;
use super::tile::{Chain, Finish, Grid, Out, Start, sweep};

/// Products per block of the summed index: a panel of that many rows stays in the first-level cache.
const DEPTH: usize = 256;
/// Multiplications below which another thread costs more than it saves.
const ALONE: usize = 1 << 17;

/// A matrix inside a slice: element `(r, c)` is at `r row_step + c column_step`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// Where it begins, and at least all that it touches.
    pub values: &'a [f32],
    /// Distance between rows.
    pub row_step: usize,
    /// Distance between columns.
    pub column_step: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix of `columns` columns.
    #[must_use]
    pub const fn rows(values: &'a [f32], columns: usize) -> Self {
        Self { values, row_step: columns, column_step: 1 }
    }

    /// The transpose.
    #[must_use]
    pub const fn transposed(self) -> Self {
        Self { values: self.values, row_step: self.column_step, column_step: self.row_step }
    }
}

/// The right factor of a product, arranged for the kernels.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    panels: Panels,
    depth: usize,
    columns: usize,
}

impl Packed {
    /// Arranges the `depth x columns` matrix `b`.
    #[must_use]
    pub fn new(set: InstructionSet, b: Matrix<'_>, depth: usize, columns: usize) -> Self {
        let mut packed = Self::default();
        packed.pack(set, b, depth, columns);
        packed
    }

    /// [`Packed::new`] into the same memory.
    ///
    /// # Panics
    /// If neither rows nor columns of `b` are contiguous, or it is too short.
    pub fn pack(&mut self, set: InstructionSet, b: Matrix<'_>, depth: usize, columns: usize) {
        (self.depth, self.columns) = (depth, columns);
        self.panels.reshape(depth, columns, set.panel());
        if b.column_step == 1 || columns == 1 {
            self.panels.copy_rows(b.values, b.row_step);
        } else {
            assert_eq!(b.row_step, 1, "rows or columns are contiguous");
            self.panels.copy_columns(b.values, b.column_step);
        }
    }

    /// Rows of the matrix: the products in a sum.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the matrix.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }
}

/// What sums begin with, and what happens to them before they are stored.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// Whether sums go on from what is stored.
    pub accumulate: bool,
    /// What sums begin with where they do not: a number per column.
    pub bias: Option<&'a [f32]>,
    /// Added to the finished sum, laid out as the result.
    pub residual: Option<&'a [f32]>,
    /// Lower and upper limit of the result; NaN passes.
    pub clip: (f32, f32),
}

impl Default for Around<'_> {
    fn default() -> Self {
        Self { accumulate: false, bias: None, residual: None, clip: (f32::NEG_INFINITY, f32::INFINITY) }
    }
}

impl<'a> Around<'a> {
    /// Sums that go on from what is stored.
    #[must_use]
    pub fn accumulating(accumulate: bool) -> Self {
        Self { accumulate, ..Self::default() }
    }

    /// The start of columns `first..`.
    #[inline]
    pub(super) fn start(&self, first: usize) -> Start<'a> {
        match self.bias {
            _ if self.accumulate => Start::Stored,
            Some(bias) => Start::Bias(&bias[first..]),
            None => Start::Zero,
        }
    }

    /// The finish from offset `first` of the result on.
    #[inline]
    pub(super) fn finish(&self, first: usize) -> Finish<'a> {
        Finish { residual: self.residual.map(|r| &r[first..]), clip: self.clip }
    }
}

/// `c = a b` for the `rows x depth` matrix `a`; `c` is row-major, with what `around` asks for.
///
/// # Panics
/// If `c` is not `rows x columns`, or `a` is too short.
pub fn matmul(
    (set, threads): (InstructionSet, Threads),
    rows: usize,
    a: Matrix<'_>,
    b: &Packed,
    around: &Around<'_>,
    c: &mut [f32],
) {
    let columns = b.columns;
    assert_eq!(c.len(), rows * columns, "c is rows x columns");
    if c.is_empty() {
        return;
    }
    let share = if rows * columns * b.depth < ALONE { rows } else { threads.share(rows, 64, 8) };
    threads.chunks(c, share * columns, |chunk, c| {
        let first = chunk * share;
        let around = Around { residual: around.residual.map(|r| &r[first * columns..]), ..*around };
        let a = Matrix { values: a.values.get(first * a.row_step..).unwrap_or(&[]), ..a };
        set.run(Product { a, b, around, c });
    });
}

struct Product<'a, 'b> {
    a: Matrix<'a>,
    b: &'a Packed,
    around: Around<'a>,
    c: &'b mut [f32],
}

impl Work for Product<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { a, b, around, c } = self;
        let (depth, columns) = (b.depth, b.columns);
        let grid = Grid::line(c.len() / columns, a.row_step, columns);
        let blocks = depth.div_ceil(DEPTH).max(1);
        for block in 0..blocks {
            let from = block * DEPTH;
            let (some, taps) = (DEPTH.min(depth - from), [from * a.column_step]);
            for p in 0..b.panels.count() {
                let (first, lanes) = b.panels.span(p);
                let panel = &b.panels.panel(p)[from * b.panels.width()..];
                let chain = Chain::new(a.values, (&taps, some, a.column_step), (panel, b.panels.width()));
                let start = if block == 0 { around.start(first) } else { Start::Stored };
                let finish = if block + 1 == blocks { around.finish(first) } else { Finish::NOTHING };
                sweep::<S, false>(&chain, &grid, &mut Out { y: &mut c[first..], columns: lanes, start, finish });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Stream;

    fn random(seed: u64, len: usize) -> Vec<f32> {
        let mut values = vec![0.0; len];
        Stream::new(seed, "matmul", &[]).fill_normal(&mut values, 0.0, 1.0);
        values
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn every_instruction_set_and_layout_gives_the_bits_of_the_definition(
            (m, k, n) in (1usize..40, 1usize..600, 1usize..80),
            (a_transposed, b_transposed, accumulate) in any::<(bool, bool, bool)>(),
            seed in any::<u64>(),
        ) {
            let (a, b, start, bias) = (random(seed, m * k), random(!seed, k * n), random(1, m * n), random(2, n));
            let a_at = |r: usize, c: usize| if a_transposed { a[c * m + r] } else { a[r * k + c] };
            let b_at = |r: usize, c: usize| if b_transposed { b[c * k + r] } else { b[r * n + c] };
            let wanted: Vec<f32> = (0..m * n)
                .map(|i| {
                    let first = if accumulate { start[i] } else { bias[i % n] };
                    (0..k).fold(first, |sum, j| a_at(i / n, j).mul_add(b_at(j, i % n), sum)).max(0.0)
                })
                .collect();
            let a = if a_transposed { Matrix::rows(&a, m).transposed() } else { Matrix::rows(&a, k) };
            let b = if b_transposed { Matrix::rows(&b, k).transposed() } else { Matrix::rows(&b, n) };
            for set in InstructionSet::available() {
                for threads in [Threads::One, Threads::Pool] {
                    let mut found = start.clone();
                    let around = Around { accumulate, bias: Some(&bias), residual: None, clip: (0.0, f32::INFINITY) };
                    matmul((set, threads), m, a, &Packed::new(set, b, k, n), &around, &mut found);
                    prop_assert_eq!(&found, &wanted, "{}", set.name());
                }
            }
        }
    }
}
