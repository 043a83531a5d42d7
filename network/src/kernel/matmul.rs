//! Matrix products.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::copy::{Strided, copy};
use super::elementwise::How;
use super::instruction_set::{InstructionSet, Work};
use super::pack::Panels;
use super::simd::Simd;
use super::spread::{Threads, with_scratch};
use super::tile::{Chain, Finish, Grid, Out, Start, sweep};

/// Products per block of the summed index: a panel of that many rows stays in the first-level cache.
const DEPTH: usize = 256;

/// Rows of a task are a multiple of this: of the tiles of every instruction set.
const UNIT: usize = 24;

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

/// Where a matrix is in a buffer: element `(r, c)` is at `offset + r row_step + c column_step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// First element.
    pub offset: usize,
    /// Distance between rows.
    pub row_step: usize,
    /// Distance between columns.
    pub column_step: usize,
}

impl Place {
    /// A row-major matrix at the start of a buffer.
    #[must_use]
    pub const fn rows(columns: usize) -> Self {
        Self { offset: 0, row_step: columns, column_step: 1 }
    }

    /// The transpose of a row-major matrix of `columns` columns at the start of a buffer.
    #[must_use]
    pub const fn transposed(columns: usize) -> Self {
        Self { offset: 0, row_step: 1, column_step: columns }
    }

    /// The same, `offset` numbers further on.
    #[must_use]
    pub const fn at(self, offset: usize) -> Self {
        Self { offset: self.offset + offset, ..self }
    }
}

/// Products `c = a b`, or added to `c`, for matrices at regular distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Rows of `a` and `c`, columns of `a`, columns of `b` and `c`.
    pub size: [usize; 3],
    /// Any distances.
    pub a: Place,
    /// Rows or columns are contiguous.
    pub b: Place,
    /// Rows are contiguous.
    pub c: Place,
    /// Two nested loops: `(count, distance in a, in b, in c)`.
    pub batch: [(usize, usize, usize, usize); 2],
    /// Whether to add to `c`.
    pub accumulate: bool,
}

impl Product {
    /// One product.
    #[must_use]
    pub const fn one(size: [usize; 3], a: Place, b: Place, c: Place) -> Self {
        Self { size, a, b, c, batch: [(1, 0, 0, 0); 2], accumulate: false }
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
    let share = threads.share(rows, 64, UNIT, columns * b.depth);
    threads.chunks(c, share * columns, |chunk, c| {
        let first = chunk * share;
        let around = Around { residual: around.residual.map(|r| &r[first * columns..]), ..*around };
        let a = Matrix { values: a.values.get(first * a.row_step..).unwrap_or(&[]), ..a };
        set.run(Part { rows: c.len() / columns, a, b, around, c, c_step: columns });
    });
}

/// For each row `i` of `x`, adds to row `i` of the sums in `c` the product of that row with rows `firsts[i]..` of `b`, as many as the row
/// of `x` is long, then does what `around` says after sums. A row of `c` is `places` times the columns of `b`, and one of `x` as many times
/// as long.
///
/// # Panics
/// If a slice is not as long as that, or `b` has no such rows.
pub fn add_rows(
    set: InstructionSet,
    (places, firsts): (usize, &[usize]),
    x: &[f32],
    b: &Packed,
    around: &Around<'_>,
    c: &mut [f32],
) {
    let (rows, len) = (firsts.len(), places * b.columns);
    assert_eq!(c.len(), rows * len, "places x columns for each row");
    let width = x.len() / (rows * places).max(1);
    for (i, &first) in firsts.iter().enumerate() {
        assert!(first + width <= b.depth, "b has such rows");
        let around = Around { residual: around.residual.map(|r| &r[i * len..]), ..*around };
        let x = &x[i * places * width..][..places * width];
        set.run(Slab { first, width, places, x, b, around, c: &mut c[i * len..][..len] });
    }
}

/// Some rows of the right factor.
struct Slab<'a, 'b> {
    first: usize,
    width: usize,
    places: usize,
    x: &'a [f32],
    b: &'a Packed,
    around: Around<'a>,
    c: &'b mut [f32],
}

impl Work for Slab<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { first: row, width, places, x, b, around, c } = self;
        let grid = Grid::line(places, width, b.columns);
        for p in 0..b.panels.count() {
            let (first, lanes) = b.panels.span(p);
            let panel = &b.panels.panel(p)[row * b.panels.width()..];
            let chain = Chain::new(x, (&[0], width, 1), (panel, b.panels.width()));
            let finish = around.finish(first);
            let out = &mut Out { y: &mut c[first..], columns: lanes, start: Start::Stored, finish };
            sweep::<S, false>(&chain, &grid, out);
        }
    }
}

/// `y = x weight^T` for the row-major `rows x inputs` matrix `x` and `outputs x inputs` matrix `weight`, by way of the
/// transposed result: that arranges `x` instead of `weight`. Then a bias per output and limits.
///
/// # Panics
/// If a slice is not as long as its shape.
pub fn linear_transposed(
    how: How,
    [rows, inputs, outputs]: [usize; 3],
    weight: &[f32],
    x: &[f32],
    (bias, clip): (Option<&[f32]>, (f32, f32)),
    y: &mut [f32],
) {
    assert!(weight.len() == outputs * inputs && x.len() == rows * inputs && y.len() == rows * outputs, "slices fit");
    let packed = Packed::new(how.0, Matrix::rows(x, inputs).transposed(), inputs, rows);
    with_scratch(outputs * rows, |turned| {
        if let Some(bias) = bias {
            for (row, bias) in turned.chunks_exact_mut(rows.max(1)).zip(bias) {
                row.fill(*bias);
            }
        }
        let around = Around { accumulate: bias.is_some(), clip, ..Around::default() };
        matmul(how, outputs, Matrix::rows(weight, inputs), &packed, &around, turned);
        let turn = Strided {
            images: [rows * outputs; 2],
            offset: [0; 2],
            loops: [(1, 0, 0), (rows, 1, outputs), (outputs, rows, 1)],
        };
        copy(how.1, &turn, turned, false, y);
    });
}

/// The products that `how` describes.
///
/// # Panics
/// If they lead out of a slice.
pub fn product(on: How, how: &Product, a: &[f32], b: &[f32], c: &mut [f32]) {
    let ([rows, depth, columns], [outer, inner]) = (how.size, how.batch);
    if rows * columns * outer.0 * inner.0 == 0 {
        return;
    }
    let right = |offset: usize| {
        let b =
            Matrix { values: &b[how.b.offset + offset..], row_step: how.b.row_step, column_step: how.b.column_step };
        Packed::new(on.0, b, depth, columns)
    };
    let left = |offset: usize| Matrix {
        values: a.get(how.a.offset + offset..).unwrap_or(&[]),
        row_step: how.a.row_step,
        column_step: how.a.column_step,
    };
    let around = Around::accumulating(how.accumulate);
    let c = &mut c[how.c.offset..];
    if outer.0 * inner.0 == 1 {
        let (b, step) = (right(0), how.c.row_step);
        let share = on.1.share(rows, 64, UNIT, columns * depth);
        let end = (rows - 1) * step + columns;
        return on.1.chunks(&mut c[..end], share * step, |chunk, c| {
            let a = left(chunk * share * how.a.row_step);
            let rows = share.min(rows - chunk * share);
            on.0.run(Part { rows, a, b: &b, around, c, c_step: step });
        });
    }
    let one = if outer.0 == 1 { c.len() } else { outer.3 };
    let end = c.len().min(outer.0 * one);
    on.1.chunks(&mut c[..end], one, |o, c| {
        for i in 0..inner.0 {
            let b = right(o * outer.2 + i * inner.2);
            let a = left(o * outer.1 + i * inner.1);
            let (c, c_step) = (&mut c[i * inner.3..], how.c.row_step);
            on.0.run(Part { rows, a, b: &b, around, c, c_step });
        }
    });
}

/// Some rows of a product.
struct Part<'a, 'b> {
    rows: usize,
    a: Matrix<'a>,
    b: &'a Packed,
    around: Around<'a>,
    c: &'b mut [f32],
    c_step: usize,
}

impl Work for Part<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { rows, a, b, around, c, c_step } = self;
        let depth = b.depth;
        let grid = Grid::line(rows, a.row_step, c_step);
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
