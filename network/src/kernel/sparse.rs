//! Products with a matrix of which few numbers are kept.
//!
//! Batches lie `[feature][row]` here, so that vectors run over rows while kept weights are walked through one by one, in
//! ascending order of what is summed: the order of the dense products, whose other terms are zero. So results are those of
//! [`super::matmul`] on the matrix with its zeros, bit for bit but for the sign of a zero, as long as no number is infinite
//! or NaN.
#![expect(clippy::inline_always, reason = "inner loops must be compiled anew for each instruction set")]

use super::elementwise::How;
use super::instruction_set::Work;
use super::simd::Simd;
use super::spread::with_scratch;

/// Vectors of rows whose sums stay in registers: as many as hide a multiply-add behind the others.
const STRIP: usize = 4;

/// Sums of a gradient that are made side by side.
const ABREAST: usize = 8;

/// Which weights of an `outputs x inputs` matrix are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    outputs: usize,
    inputs: usize,
    /// Where in the whole matrix each kept weight is, ascending.
    places: Vec<usize>,
    /// By output, which inputs.
    by_output: Lists,
    /// By input, which outputs.
    by_input: Lists,
    /// In the order of `by_input`, the number of each weight among the kept ones.
    numbers: Vec<u32>,
}

/// Ascending numbers, a list for each of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lists {
    /// Where each list begins, and where the last one ends.
    starts: Vec<usize>,
    items: Vec<u32>,
}

impl Lists {
    fn of(count: usize, pairs: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut lists = Self { starts: vec![0; count + 1], items: Vec::new() };
        for (list, item) in pairs {
            lists.items.push(item as u32);
            lists.starts[list + 1] = lists.items.len();
        }
        // Lists without items begin and end where the one before ends.
        let mut last = 0;
        for start in &mut lists.starts {
            last = last.max(*start);
            *start = last;
        }
        lists
    }
}

impl Pattern {
    /// The pattern of a row-major matrix, from whether each weight is kept; none where a side is beyond 32 bits.
    ///
    /// # Panics
    /// If `keep` has another length than the matrix.
    #[must_use]
    pub fn new([outputs, inputs]: [usize; 2], keep: &[bool]) -> Option<Self> {
        assert_eq!(keep.len(), outputs * inputs, "a flag for each weight");
        if keep.len() > u32::MAX as usize {
            return None;
        }
        let places: Vec<usize> = (0..keep.len()).filter(|&place| keep[place]).collect();
        let mut turned: Vec<(usize, u32)> = places.iter().copied().zip(0..).collect();
        turned.sort_unstable_by_key(|(place, _)| (place % inputs, place / inputs));
        Some(Self {
            outputs,
            inputs,
            by_output: Lists::of(outputs, places.iter().map(|place| (place / inputs, place % inputs))),
            by_input: Lists::of(inputs, turned.iter().map(|(place, _)| (place % inputs, place / inputs))),
            numbers: turned.iter().map(|(_, number)| *number).collect(),
            places,
        })
    }

    /// Outputs and inputs.
    #[must_use]
    pub const fn size(&self) -> (usize, usize) {
        (self.outputs, self.inputs)
    }

    /// How many weights are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.places.len()
    }

    /// Where in the row-major matrix the kept weights are, ascending.
    #[must_use]
    pub fn places(&self) -> &[usize] {
        &self.places
    }

    /// The kept ones of a whole matrix.
    ///
    /// # Panics
    /// If the matrix is too short.
    #[must_use]
    pub fn gather(&self, matrix: &[f32]) -> Vec<f32> {
        self.places.iter().map(|&place| matrix[place]).collect()
    }

    /// Writes the kept ones into a whole matrix, and leaves the others.
    ///
    /// # Panics
    /// If the matrix is too short.
    pub fn scatter(&self, kept: &[f32], matrix: &mut [f32]) {
        self.places.iter().zip(kept).for_each(|(&place, value)| matrix[place] = *value);
    }
}

/// `y = W x`, a bias per output first and limits last: `x` is `[input][row]`, `y` is `[output][row]`, `weight` the kept ones.
///
/// # Panics
/// If a slice has another length than that.
pub fn forward(
    how: How,
    (pattern, rows): (&Pattern, usize),
    weight: &[f32],
    x: &[f32],
    (bias, clip): (Option<&[f32]>, (f32, f32)),
    y: &mut [f32],
) {
    assert!(x.len() == pattern.inputs * rows && y.len() == pattern.outputs * rows, "slices fit");
    assert!(weight.len() == pattern.kept() && bias.is_none_or(|bias| bias.len() >= pattern.outputs), "weights fit");
    product(how, rows, (&pattern.by_output, weight), x, (Start::Bias(bias), clip), y);
}

/// `dx = W^T dy`, the gradient of the input, or adds it: `dy` is `[output][row]`, `dx` is `[input][row]`.
///
/// # Panics
/// If a slice has another length than that.
pub fn backward_input(
    how: How,
    (pattern, rows): (&Pattern, usize),
    weight: &[f32],
    dy: &[f32],
    accumulate: bool,
    dx: &mut [f32],
) {
    assert!(dx.len() == pattern.inputs * rows && dy.len() == pattern.outputs * rows, "slices fit");
    assert_eq!(weight.len(), pattern.kept(), "weights fit");
    with_scratch(weight.len(), |turned| {
        turned.iter_mut().zip(&pattern.numbers).for_each(|(to, number)| *to = weight[*number as usize]);
        let limits = (f32::NEG_INFINITY, f32::INFINITY);
        let start = if accumulate { Start::Stored } else { Start::Bias(None) };
        product(how, rows, (&pattern.by_input, turned), dy, (start, limits), dx);
    });
}

/// `dW = dy x^T` where weights are kept: `x` is `[input][row]`, `dy` is `[output][row]`.
///
/// # Panics
/// If a slice has another length than that.
pub fn backward_weight((set, threads): How, (pattern, rows): (&Pattern, usize), x: &[f32], dy: &[f32], dw: &mut [f32]) {
    assert!(x.len() == pattern.inputs * rows && dy.len() == pattern.outputs * rows, "slices fit");
    assert_eq!(dw.len(), pattern.kept(), "a gradient for each kept weight");
    if rows == 0 {
        return dw.fill(0.0);
    }
    let share = threads.for_cost(dw.len() * rows).share(pattern.kept(), usize::MAX, ABREAST, rows);
    threads.for_cost(dw.len() * rows).chunks(dw, share.max(1), |chunk, dw| {
        set.run(Gradient { first: chunk * share, pattern, rows, x, dy, dw });
    });
}

/// `from`, which is `rows x columns`, transposed.
///
/// # Panics
/// If a slice has another length than that.
pub fn transpose((set, threads): How, [rows, columns]: [usize; 2], from: &[f32], to: &mut [f32]) {
    assert!(from.len() == rows * columns && to.len() == from.len(), "slices fit");
    if from.is_empty() {
        return;
    }
    let share = threads.share(columns, usize::MAX, BLOCK, super::spread::TOUCH * rows);
    threads.chunks(to, share * rows, |chunk, to| {
        set.run(Transpose { first: chunk * share, rows, columns, from, to });
    });
}

/// For each list of numbers, the sum of weights times the rows of `x` that it names.
fn product(
    (set, threads): How,
    rows: usize,
    (lists, weight): (&Lists, &[f32]),
    x: &[f32],
    (start, clip): (Start<'_>, (f32, f32)),
    y: &mut [f32],
) {
    let count = lists.starts.len() - 1;
    if count * rows == 0 {
        return;
    }
    let cost = rows * (1 + weight.len() / count);
    let threads = threads.for_cost(cost * count);
    let share = threads.share(count, usize::MAX, 1, cost);
    threads.chunks(y, share * rows, |chunk, y| {
        set.run(Sums { first: chunk * share, rows, lists, weight, x, start, clip, y });
    });
}

/// What sums begin with.
#[derive(Clone, Copy)]
enum Start<'a> {
    /// What is there.
    Stored,
    /// A number for each list, or zero.
    Bias(Option<&'a [f32]>),
}

/// Sums of some lists.
struct Sums<'a, 'b> {
    first: usize,
    rows: usize,
    lists: &'a Lists,
    weight: &'a [f32],
    x: &'a [f32],
    start: Start<'a>,
    clip: (f32, f32),
    y: &'b mut [f32],
}

impl Work for Sums<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { first, rows, lists, weight, x, start, clip, y } = self;
        assert!(lists.items.iter().all(|&item| (item as usize + 1) * rows <= x.len()), "lists name rows of x");
        for (o, y) in y.chunks_exact_mut(rows).enumerate() {
            let list = lists.starts[first + o]..lists.starts[first + o + 1];
            let (items, weight) = (&lists.items[list.clone()], &weight[list]);
            let start = match start {
                Start::Stored => None,
                Start::Bias(bias) => Some(bias.map_or(0.0, |bias| bias[first + o])),
            };
            for row in (0..rows).step_by(STRIP * S::LANES) {
                strip::<S>((items, weight), (x, rows, row), (start, clip), &mut y[row..]);
            }
        }
    }
}

/// The sums of one list over the rows from `row` on, as many as a strip has.
#[expect(unsafe_code, reason = "sums stay in registers only if nothing is checked between them")]
#[inline(always)]
fn strip<S: Simd>(
    (items, weight): (&[u32], &[f32]),
    (x, rows, row): (&[f32], usize, usize),
    (start, clip): (Option<f32>, (f32, f32)),
    y: &mut [f32],
) {
    // SAFETY: every item was found to name `rows` numbers of `x`, of which masks let pass those from `row` on; `y` holds as
    // many.
    unsafe {
        let masks: [S::Mask; STRIP] = std::array::from_fn(|z| S::mask(y.len().saturating_sub(z * S::LANES)));
        let mut sums: [S::Vector; STRIP] = std::array::from_fn(|z| match start {
            Some(start) => S::splat(start),
            None => S::load(y.as_ptr().wrapping_add(z * S::LANES), masks[z]),
        });
        let from = x.as_ptr().add(row);
        for (&item, &weight) in items.iter().zip(weight) {
            let (at, weight) = (from.wrapping_add(item as usize * rows), S::splat(weight));
            for z in 0..STRIP {
                sums[z] = S::mul_add(S::load(at.wrapping_add(z * S::LANES), masks[z]), weight, sums[z]);
            }
        }
        let (low, high) = (S::splat(clip.0), S::splat(clip.1));
        for z in 0..STRIP {
            let value = S::min(high, S::max(low, sums[z]));
            S::store(y.as_mut_ptr().wrapping_add(z * S::LANES), masks[z], value);
        }
    }
}

/// Gradients of the kept weights from number `first` on.
struct Gradient<'a, 'b> {
    first: usize,
    pattern: &'a Pattern,
    rows: usize,
    x: &'a [f32],
    dy: &'a [f32],
    dw: &'b mut [f32],
}

impl Work for Gradient<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { first, pattern, rows, x, dy, dw } = self;
        let Lists { starts, items } = &pattern.by_output;
        let end = first + dw.len();
        let output = starts.partition_point(|&start| start <= first) - 1;
        // Rows at which the output's gradient is not zero, and that gradient: the others add nothing.
        let mut active: Vec<(u32, f32)> = Vec::with_capacity(rows);
        for o in output..pattern.outputs {
            let (from, to) = (starts[o].max(first), starts[o + 1].min(end));
            if from >= end {
                break;
            }
            active.clear();
            let row = dy[o * rows..][..rows].iter().enumerate();
            active.extend(row.filter(|(_, d)| **d != 0.0).map(|(r, d)| (r as u32, *d)));
            let dw = &mut dw[from - first..to - first];
            for (dw, items) in dw.chunks_mut(ABREAST).zip(items[from..to].chunks(ABREAST)) {
                abreast((x, rows), items, &active, dw);
            }
        }
    }
}

/// The sums over the active rows for a few inputs.
#[inline(always)]
fn abreast((x, rows): (&[f32], usize), items: &[u32], active: &[(u32, f32)], dw: &mut [f32]) {
    // Places beyond the last repeat it.
    let inputs: [&[f32]; ABREAST] =
        std::array::from_fn(|i| &x[items[i.min(items.len() - 1)] as usize * rows..][..rows]);
    let mut sums = [0.0_f32; ABREAST];
    for &(row, d) in active {
        for (sum, input) in sums.iter_mut().zip(inputs) {
            *sum = input[row as usize].mul_add(d, *sum);
        }
    }
    dw.copy_from_slice(&sums[..dw.len()]);
}

/// Rows and columns that are turned at a time.
const BLOCK: usize = 8;

/// Some columns, as rows.
struct Transpose<'a, 'b> {
    first: usize,
    rows: usize,
    columns: usize,
    from: &'a [f32],
    to: &'b mut [f32],
}

impl Work for Transpose<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { first, rows, columns, from, to } = self;
        let some = to.len() / rows;
        let (full_rows, full) = (rows / BLOCK * BLOCK, some / BLOCK * BLOCK);
        for c in (0..full).step_by(BLOCK) {
            for r in (0..full_rows).step_by(BLOCK) {
                let block: [[f32; BLOCK]; BLOCK] = std::array::from_fn(|i| {
                    let row = &from[(r + i) * columns + first + c..][..BLOCK];
                    std::array::from_fn(|k| row[k])
                });
                for k in 0..BLOCK {
                    let turned: [f32; BLOCK] = std::array::from_fn(|i| block[i][k]);
                    to[(c + k) * rows + r..][..BLOCK].copy_from_slice(&turned);
                }
            }
        }
        for c in 0..some {
            let begin = if c < full { full_rows } else { 0 };
            for r in begin..rows {
                to[c * rows + r] = from[r * columns + first + c];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::matmul::{Place, Product, product as dense};
    use super::super::{InstructionSet, Threads};
    use super::*;
    use crate::random::Stream;

    fn random(seed: u64, len: usize) -> Vec<f32> {
        let mut values = vec![0.0; len];
        Stream::new(seed, "sparse", &[]).fill_normal(&mut values, 0.0, 1.0);
        values
    }

    fn turned(rows: usize, columns: usize, from: &[f32]) -> Vec<f32> {
        (0..from.len()).map(|i| from[i % rows * columns + i / rows]).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn sparse_products_have_the_bits_of_dense_ones_on_a_matrix_with_zeros(
            (rows, inputs, outputs) in (1usize..90, 1usize..60, 1usize..40),
            percent in 0u64..100,
            seed in any::<u64>(),
        ) {
            let mut stream = Stream::new(seed, "keep", &[]);
            let keep: Vec<bool> = (0..outputs * inputs).map(|_| stream.below(100) < percent).collect();
            let whole: Vec<f32> =
                random(seed, keep.len()).iter().zip(&keep).map(|(w, keep)| if *keep { *w } else { 0.0 }).collect();
            let (x, mut dy, bias) = (random(!seed, rows * inputs), random(1, rows * outputs), random(2, outputs));
            for d in dy.iter_mut().filter(|d| **d < 0.3) {
                *d = 0.0;
            }
            let pattern = Pattern::new([outputs, inputs], &keep).unwrap();
            let weight = pattern.gather(&whole);
            prop_assert_eq!(weight.len(), pattern.kept());
            for set in InstructionSet::available() {
                for threads in [Threads::One, Threads::Pool] {
                    let how = (set, threads);
                    let mut wanted: Vec<f32> = (0..rows).flat_map(|_| bias.iter().copied()).collect();
                    let of = Product {
                        accumulate: true,
                        ..Product::one([rows, inputs, outputs], Place::rows(inputs), Place::transposed(inputs), Place::rows(outputs))
                    };
                    dense(how, &of, &x, &whole, &mut wanted);
                    for y in &mut wanted {
                        *y = y.max(0.0);
                    }
                    let mut found = vec![7.0; rows * outputs];
                    let mut x_turned = vec![0.0; x.len()];
                    transpose(how, [rows, inputs], &x, &mut x_turned);
                    prop_assert_eq!(&x_turned, &turned(rows, inputs, &x));
                    forward(how, (&pattern, rows), &weight, &x_turned, (Some(&bias), (0.0, f32::INFINITY)), &mut found);
                    prop_assert_eq!(&turned(outputs, rows, &found), &wanted);

                    let mut wanted = vec![0.0; rows * inputs];
                    let of = Product::one([rows, outputs, inputs], Place::rows(outputs), Place::rows(inputs), Place::rows(inputs));
                    dense(how, &of, &dy, &whole, &mut wanted);
                    let dy_turned = turned(rows, outputs, &dy);
                    let mut found = vec![7.0; rows * inputs];
                    backward_input(how, (&pattern, rows), &weight, &dy_turned, false, &mut found);
                    prop_assert_eq!(&turned(inputs, rows, &found), &wanted);

                    let mut wanted = vec![0.0; outputs * inputs];
                    let of = Product::one([outputs, rows, inputs], Place::transposed(outputs), Place::rows(inputs), Place::rows(inputs));
                    dense(how, &of, &dy, &x, &mut wanted);
                    let mut found = vec![7.0; pattern.kept()];
                    backward_weight(how, (&pattern, rows), &x_turned, &dy_turned, &mut found);
                    prop_assert_eq!(&found, &pattern.gather(&wanted));
                    let mut back = vec![0.0; wanted.len()];
                    pattern.scatter(&found, &mut back);
                    for ((back, wanted), keep) in back.iter().zip(&wanted).zip(&keep) {
                        prop_assert_eq!(back.to_bits(), if *keep { wanted.to_bits() } else { 0 });
                    }
                }
            }
        }
    }

    #[test]
    fn matrices_of_which_nothing_is_kept_give_their_biases() {
        let pattern = Pattern::new([2, 3], &[false; 6]).unwrap();
        let how = (InstructionSet::detect(), Threads::One);
        let mut y = vec![9.0; 8];
        forward(how, (&pattern, 4), &[], &[1.0; 12], (Some(&[0.5, -0.5]), (0.0, f32::INFINITY)), &mut y);
        assert_eq!(y, vec![0.5, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(pattern.kept(), 0);
    }
}
