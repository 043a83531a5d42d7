//! The one inner loop under every product: a tile of sums held in registers.
//!
//! Row `m` and column `n` of a tile hold `start + sum over k of x[m, k] b[k, n]`, a chain of fused multiply-adds in the order
//! of `k`. What `x` is depends on where its numbers are read: pixels under a kernel's taps make a convolution, rows of a
//! matrix a product, channels against all pixels the gradient of a convolution's weights. Columns are lanes of vectors.
//! Where each column has an `x` of its own (`x[m, k, n]`, a depthwise convolution), the product is lane by lane. Everywhere else whole
//! vectors of `b` are read, also beyond the last column, whose lanes are not stored.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::simd::Simd;

/// Rows of the tallest tile.
const TALLEST: usize = 16;

/// What is summed: `x[row + taps[t] + i step] b[(t depth + i) b_step + n]` over taps `t` and `i` in `0..depth`.
#[derive(Clone, Copy)]
pub(super) struct Chain<'a> {
    x: &'a [f32],
    taps: &'a [usize],
    depth: usize,
    step: usize,
    b: &'a [f32],
    b_step: usize,
    /// Numbers of `x` that a row needs from its offset on.
    reach: usize,
    /// Numbers of `b` before its last row.
    b_last: usize,
}

impl<'a> Chain<'a> {
    /// `x` is read at `taps[t] + i step` beyond a row's offset, for `i` in `0..depth`.
    pub(super) fn new(
        x: &'a [f32],
        (taps, depth, step): (&'a [usize], usize, usize),
        (b, b_step): (&'a [f32], usize),
    ) -> Self {
        let taps = if depth == 0 { &[] } else { taps };
        let reach = taps.iter().max().map_or(0, |tap| tap + (depth - 1) * step + 1);
        let b_last = (taps.len() * depth).saturating_sub(1) * b_step;
        Self { x, taps, depth, step, b, b_step, reach, b_last }
    }
}

/// Where the rows of the tiles are: three nested loops, each with an extent and the strides of its index in `x` and `y`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// `(extent, stride in x, stride in y)`, outermost first.
    pub loops: [(usize, usize, usize); 3],
}

impl Grid {
    /// `rows` rows at equal distances.
    pub(super) fn line(rows: usize, x: usize, y: usize) -> Self {
        Self { loops: [(1, 0, 0), (1, 0, 0), (rows, x, y)] }
    }
}

/// What a sum starts from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start<'a> {
    /// Nothing.
    Zero,
    /// What is in `y`.
    Stored,
    /// A number per column.
    Bias(&'a [f32]),
}

/// What is done to a sum before it is stored: a number is added, then it is clipped (NaN passes).
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish<'a> {
    /// Added, laid out as `y` is.
    pub residual: Option<&'a [f32]>,
    /// Lower and upper limit.
    pub clip: (f32, f32),
}

impl Finish<'_> {
    /// Stores the sum as it is.
    pub(super) const NOTHING: Self = Self { residual: None, clip: (f32::NEG_INFINITY, f32::INFINITY) };
}

/// Where sums begin and end.
pub(super) struct Out<'a, 'b> {
    /// Row `m`, column `n` is at the row's offset plus `n`.
    pub y: &'a mut [f32],
    /// Columns, at most two vectors.
    pub columns: usize,
    pub start: Start<'b>,
    pub finish: Finish<'b>,
}

/// Computes all rows of the grid.
///
/// # Panics
/// If a row lies outside of `x` or `y`, or `b` is too short.
#[inline(always)]
pub(super) fn sweep<S: Simd, const LANEWISE: bool>(chain: &Chain<'_>, grid: &Grid, out: &mut Out<'_, '_>) {
    if out.columns <= S::LANES {
        match S::TILE.1 {
            8 => sweep_with::<S, LANEWISE, 16, 8, 1>(chain, grid, out),
            6 => sweep_with::<S, LANEWISE, 8, 8, 1>(chain, grid, out),
            _ => sweep_with::<S, LANEWISE, 8, 4, 1>(chain, grid, out),
        }
    } else {
        match S::TILE.1 {
            8 => sweep_with::<S, LANEWISE, 8, 8, 2>(chain, grid, out),
            6 => sweep_with::<S, LANEWISE, 6, 6, 2>(chain, grid, out),
            _ => sweep_with::<S, LANEWISE, 4, 4, 2>(chain, grid, out),
        }
    }
}

/// Runs of rows at equal distances go `FULL` at a time; what is left of them is gathered, `SOME` rows at a time.
#[inline(always)]
fn sweep_with<S: Simd, const LANEWISE: bool, const FULL: usize, const SOME: usize, const Z: usize>(
    chain: &Chain<'_>,
    grid: &Grid,
    out: &mut Out<'_, '_>,
) {
    check::<S, LANEWISE, Z>(chain, grid, out);
    let [outer, middle, inner] = grid.loops;
    let full = inner.0 / FULL * FULL;
    let mut waiting = Waiting { rows: [(0, 0); TALLEST], count: 0 };
    for o in 0..outer.0 {
        for m in 0..middle.0 {
            let (x, y) = (o * outer.1 + m * middle.1, o * outer.2 + m * middle.2);
            for i in (0..full).step_by(FULL) {
                let rows = Strided { x: x + i * inner.1, y: y + i * inner.2, x_step: inner.1, y_step: inner.2 };
                tile::<S, LANEWISE, FULL, Z>(chain, &rows, FULL, out);
            }
            for i in full..inner.0 {
                waiting.rows[waiting.count] = (x + i * inner.1, y + i * inner.2);
                waiting.count += 1;
                if waiting.count == SOME {
                    tile::<S, LANEWISE, SOME, Z>(chain, &waiting, SOME, out);
                    waiting.count = 0;
                }
            }
        }
    }
    if waiting.count > 0 {
        // The rows that are missing repeat the last one and are not stored.
        let last = waiting.rows[waiting.count - 1];
        waiting.rows[waiting.count..SOME].fill(last);
        tile::<S, LANEWISE, SOME, Z>(chain, &waiting, waiting.count, out);
    }
}

/// Proves, once for all tiles, that none touches memory outside of its slices.
#[inline(always)]
fn check<S: Simd, const LANEWISE: bool, const Z: usize>(chain: &Chain<'_>, grid: &Grid, out: &Out<'_, '_>) {
    assert!(out.columns <= Z * S::LANES, "columns fit the tile");
    if let Start::Bias(bias) = out.start {
        assert!(bias.len() >= out.columns, "a bias per column");
    }
    if grid.loops.iter().any(|l| l.0 == 0) || out.columns == 0 {
        return;
    }
    let farthest = |stride: fn(&(usize, usize, usize)) -> usize| -> usize {
        grid.loops.iter().map(|l| (l.0 - 1) * stride(l)).sum()
    };
    let (x, y) = (farthest(|l| l.1), farthest(|l| l.2));
    if chain.reach > 0 {
        let more = if LANEWISE { out.columns - 1 } else { 0 };
        assert!(x + chain.reach + more <= chain.x.len(), "rows lie inside x");
        let lanes = if LANEWISE { out.columns } else { Z * S::LANES };
        assert!(chain.b_last + lanes <= chain.b.len(), "b has a row per product, of whole vectors");
    }
    assert!(y + out.columns <= out.y.len(), "rows lie inside y");
    if let Some(residual) = out.finish.residual {
        assert!(y + out.columns <= residual.len(), "rows lie inside the residual");
    }
}

/// Offsets of a tile's rows.
trait Rows {
    /// Offset of row `t` in `x` and in `y`.
    fn at(&self, t: usize) -> (usize, usize);
}

/// Rows at equal distances.
struct Strided {
    x: usize,
    y: usize,
    x_step: usize,
    y_step: usize,
}
impl Rows for Strided {
    #[inline(always)]
    fn at(&self, t: usize) -> (usize, usize) {
        (self.x + t * self.x_step, self.y + t * self.y_step)
    }
}

/// Rows anywhere.
struct Waiting {
    rows: [(usize, usize); TALLEST],
    count: usize,
}
impl Rows for Waiting {
    #[inline(always)]
    fn at(&self, t: usize) -> (usize, usize) {
        self.rows[t]
    }
}

/// `T` rows by `Z` vectors; the first `valid` rows are stored.
#[expect(unsafe_code, reason = "sums stay in registers only if nothing is checked between them")]
#[inline(always)]
fn tile<S: Simd, const LANEWISE: bool, const T: usize, const Z: usize>(
    chain: &Chain<'_>,
    rows: &impl Rows,
    valid: usize,
    out: &mut Out<'_, '_>,
) {
    let x_at: [usize; T] = std::array::from_fn(|t| rows.at(t).0);
    let y_at: [usize; T] = std::array::from_fn(|t| rows.at(t).1);
    let y = out.y.as_mut_ptr();
    // SAFETY: `check` proved for the whole grid, of which these rows are a part, that every number read from `x` and `b` and
    // every number touched in `y`, bias and residual lies inside its slice; lanes beyond the columns are masked.
    unsafe {
        let masks: [S::Mask; Z] = std::array::from_fn(|z| S::mask(out.columns.saturating_sub(z * S::LANES)));
        let mut sums = [[S::splat(0.0); Z]; T];
        match out.start {
            Start::Zero => {}
            Start::Stored => {
                for t in 0..T {
                    for z in 0..Z {
                        sums[t][z] = S::load(y.add(y_at[t] + z * S::LANES), masks[z]);
                    }
                }
            }
            Start::Bias(bias) => {
                for z in 0..Z {
                    let value = S::load(bias.as_ptr().wrapping_add(z * S::LANES), masks[z]);
                    for row in &mut sums {
                        row[z] = value;
                    }
                }
            }
        }
        let mut b = chain.b.as_ptr();
        for &tap in chain.taps {
            let mut x = chain.x.as_ptr().add(tap);
            for _ in 0..chain.depth {
                let values: [S::Vector; Z] = std::array::from_fn(|z| {
                    let at = b.wrapping_add(z * S::LANES);
                    if LANEWISE { S::load(at, masks[z]) } else { S::load_all(at) }
                });
                for t in 0..T {
                    let at = x.wrapping_add(x_at[t]);
                    for z in 0..Z {
                        let factor =
                            if LANEWISE { S::load(at.wrapping_add(z * S::LANES), masks[z]) } else { S::splat(*at) };
                        sums[t][z] = S::mul_add(factor, values[z], sums[t][z]);
                    }
                }
                b = b.wrapping_add(chain.b_step);
                x = x.wrapping_add(chain.step);
            }
        }
        let (low, high) = (S::splat(out.finish.clip.0), S::splat(out.finish.clip.1));
        for t in 0..T {
            if t < valid {
                for z in 0..Z {
                    let at = y_at[t] + z * S::LANES;
                    let mut value = sums[t][z];
                    if let Some(residual) = out.finish.residual {
                        value = S::add(value, S::load(residual.as_ptr().wrapping_add(at), masks[z]));
                    }
                    value = S::min(high, S::max(low, value));
                    S::store(y.wrapping_add(at), masks[z], value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::instruction_set::{InstructionSet, Work};
    use super::*;
    use crate::random::Stream;

    struct Job<'a>(Chain<'a>, Grid, usize, &'a mut [f32], Start<'a>, Finish<'a>);

    impl Work for Job<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self) {
            let Job(chain, grid, columns, y, start, finish) = self;
            sweep::<S, false>(&chain, &grid, &mut Out { y, columns, start, finish });
        }
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_chain() {
        let mut stream = Stream::new(3, "tile", &[]);
        let mut random = |len: usize| {
            let mut v = vec![0.0f32; len];
            stream.fill_normal(&mut v, 0.0, 1.0);
            v
        };
        let (taps, depth) = ([0, 7, 40], 5);
        for columns in 1..=16 {
            for (rows, cols) in [(1, 1), (3, 11), (2, 35)] {
                let (x, b, start) =
                    (random(rows * 60 + cols + 60), random(15 * columns + 32), random(rows * cols * columns));
                let grid = Grid { loops: [(1, 0, 0), (rows, 60, cols * columns), (cols, 1, columns)] };
                let mut wanted = start.clone();
                for (m, row) in wanted.chunks_exact_mut(columns).enumerate() {
                    for (n, sum) in row.iter_mut().enumerate() {
                        for (t, tap) in taps.iter().enumerate() {
                            for i in 0..depth {
                                let factor = x[m / cols * 60 + m % cols + tap + i];
                                *sum = factor.mul_add(b[(t * depth + i) * columns + n], *sum);
                            }
                        }
                    }
                }
                for set in InstructionSet::available() {
                    let mut found = start.clone();
                    let chain = Chain::new(&x, (&taps, depth, 1), (&b, columns));
                    set.run(Job(chain, grid, columns, &mut found, Start::Stored, Finish::NOTHING));
                    assert_eq!(found, wanted, "{} {columns} {rows} {cols}", set.name());
                }
            }
        }
    }

    #[test]
    fn clipping_lets_nan_through_and_an_empty_chain_gives_its_start() {
        let residual = [f32::NAN, -1.0, 9.0];
        for set in InstructionSet::available() {
            let mut y = [7.0; 3];
            let finish = Finish { residual: Some(&residual), clip: (0.0, 6.0) };
            let chain = Chain::new(&[], (&[], 4, 1), (&[], 3));
            set.run(Job(chain, Grid::line(1, 0, 3), 3, &mut y, Start::Bias(&[0.0, 0.5, 0.5]), finish));
            assert!(y[0].is_nan(), "{y:?}");
            assert_eq!(y[1..], [0.0, 6.0]);
        }
    }
}
