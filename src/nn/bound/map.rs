//! The linear operations of a chain, in double precision: matrices, convolutions without unrolling them, factors.

use duress_network::op::window::Window;

/// A dense matrix, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix from its values, `rows * columns` of them, row after row; `None` if the count differs or either side is empty.
    #[must_use]
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Option<Self> {
        (rows > 0 && columns > 0 && values.len() == rows * columns).then_some(Self { rows, columns, values })
    }

    /// Number of rows (a layer's outputs).
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns (a layer's inputs).
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The rows in order, each of [`Matrix::columns`] values.
    pub fn row_slices(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.columns)
    }
}

/// A convolution of an image, row-major `[channel][row][column]`: the matrix whose entry is the kernel's weight that joins an
/// input and an output, and 0 where none does.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// Channels, height and width of what it reads.
    pub(super) input: [usize; 3],
    /// The same of what it gives.
    pub(super) output: [usize; 3],
    pub(super) window: Window,
    pub(super) groups: usize,
    /// `[output channel][channel of its group][kernel row][kernel column]`.
    pub(super) weight: Vec<f64>,
}

/// A run of places in one row of an image that one weight of a kernel joins: so many outputs from `output` on, one after the
/// other, and inputs from `input` on, [`Convolution::step`] apart.
struct Run {
    weight: usize,
    output: usize,
    input: usize,
    places: usize,
}

impl Convolution {
    fn step(&self) -> usize {
        self.window.stride[1]
    }

    /// Calls `each` with all that the kernel joins, output channel by output channel.
    fn each_run(&self, mut each: impl FnMut(&Run)) {
        let [channels, height, width] = self.input;
        let [outputs, rows, columns] = self.output;
        let (inside, per_group) = (channels / self.groups, outputs / self.groups);
        let [tall, wide] = self.window.kernel;
        for (weight, _) in self.weight.iter().enumerate() {
            let (kx, ky) = (weight % wide, weight / wide % tall);
            let (channel, output) = (weight / wide / tall % inside, weight / wide / tall / inside);
            let channel = output / per_group * inside + channel;
            let down = Reach::new(&self.window, 0, ky, height, rows);
            let right = Reach::new(&self.window, 1, kx, width, columns);
            if right.places == 0 {
                continue;
            }
            for place in 0..down.places {
                let input = (channel * height + down.input + place * self.window.stride[0]) * width + right.input;
                let output = (output * rows + down.output + place) * columns + right.output;
                each(&Run { weight, output, input, places: right.places });
            }
        }
    }
}

/// Each of `values` times its own `f(factor)`.
fn scaled(factor: &[f64], mut values: Vec<f64>, f: impl Fn(f64) -> f64) -> Vec<f64> {
    values.iter_mut().zip(factor).for_each(|(value, factor)| *value *= f(*factor));
    values
}

impl Convolution {
    /// As [`Map::apply`].
    pub(super) fn apply(&self, x: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut y = vec![0.0; self.output.iter().product()];
        self.each_run(|run| {
            let (w, y) = (f(self.weight[run.weight]), &mut y[run.output..run.output + run.places]);
            y.iter_mut().zip(x[run.input..].iter().step_by(self.step())).for_each(|(y, x)| *y += w * x);
        });
        y
    }

    /// As [`Map::apply_transposed`].
    fn apply_transposed(&self, v: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut out = vec![0.0; self.input.iter().product()];
        self.each_run(|run| {
            let (w, v) = (f(self.weight[run.weight]), &v[run.output..run.output + run.places]);
            out[run.input..].iter_mut().step_by(self.step()).zip(v).for_each(|(o, v)| *o += w * v);
        });
        out
    }

    /// As [`Map::column`].
    fn column(&self, index: usize, value: f64) -> Vec<f64> {
        let ([channels, height, width], [outputs, rows, columns]) = (self.input, self.output);
        let (inside, per_group) = (channels / self.groups, outputs / self.groups);
        let [tall, wide] = self.window.kernel;
        let channel = index / width / height;
        let at = [index / width % height, index % width];
        // The place whose kernel has its row or column `tap` here.
        let place = |axis: usize, tap: usize, places: usize| {
            let from = (at[axis] + self.window.padding[axis]).checked_sub(tap * self.window.dilation[axis])?;
            let place = from / self.window.stride[axis];
            (from.is_multiple_of(self.window.stride[axis]) && place < places).then_some(place)
        };
        let mut y = vec![0.0; outputs * rows * columns];
        for (ky, kx) in (0..tall * wide).map(|tap| (tap / wide, tap % wide)) {
            let (Some(row), Some(column)) = (place(0, ky, rows), place(1, kx, columns)) else { continue };
            for output in channel / inside * per_group..(channel / inside + 1) * per_group {
                let weight = self.weight[((output * inside + channel % inside) * tall + ky) * wide + kx];
                y[(output * rows + row) * columns + column] += weight * value;
            }
        }
        y
    }
}

/// The places along one axis at which a row or column of a kernel lies on the image.
struct Reach {
    /// The first of them, and where it lies on the image.
    output: usize,
    input: usize,
    places: usize,
}

impl Reach {
    fn new(window: &Window, axis: usize, tap: usize, extent: usize, places: usize) -> Self {
        let (stride, padding, offset) = (window.stride[axis], window.padding[axis], tap * window.dilation[axis]);
        // Place `o` lies at `o * stride + offset - padding`.
        let output = padding.saturating_sub(offset).div_ceil(stride);
        let input = (output * stride + offset).saturating_sub(padding);
        let end = (extent + padding).saturating_sub(offset).div_ceil(stride).min(places);
        Self { output, input, places: if input < extent { end.saturating_sub(output) } else { 0 } }
    }
}

/// A linear operation with what it adds.
#[derive(Clone, Debug, PartialEq)]
pub enum Map {
    /// A matrix; the bias has one number per row, or none at all.
    Dense {
        /// Out by in.
        weight: Matrix,
        /// One per output; empty for none.
        bias: Vec<f64>,
    },
    /// A convolution; the bias has one number per channel, or none at all.
    Convolution {
        /// The kernels and where they lie.
        kernel: Convolution,
        /// One per output channel; empty for none.
        bias: Vec<f64>,
    },
    /// The mean over each window: sums, each times one over how many values it is of.
    Average {
        /// A convolution of each channel by itself, with ones.
        sum: Convolution,
        /// One per output.
        factor: Vec<f64>,
    },
    /// A factor and an offset for each value: a diagonal matrix.
    Scale {
        /// One per value.
        factor: Vec<f64>,
        /// One per value.
        shift: Vec<f64>,
    },
}

impl Map {
    /// How many values it reads.
    #[must_use]
    pub fn inputs(&self) -> usize {
        match self {
            Self::Dense { weight, .. } => weight.columns,
            Self::Convolution { kernel, .. } | Self::Average { sum: kernel, .. } => kernel.input.iter().product(),
            Self::Scale { factor, .. } => factor.len(),
        }
    }

    /// How many values it gives.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self {
            Self::Dense { weight, .. } => weight.rows,
            Self::Convolution { kernel, .. } | Self::Average { sum: kernel, .. } => kernel.output.iter().product(),
            Self::Scale { factor, .. } => factor.len(),
        }
    }

    /// `f(W) x`, the function applied to each weight; `f` of a product must be the product of the `f`, as of absolute values.
    pub(super) fn apply(&self, x: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
        match self {
            Self::Dense { weight, .. } => {
                weight.row_slices().map(|row| row.iter().zip(x).map(|(w, x)| f(*w) * x).sum()).collect()
            }
            Self::Convolution { kernel, .. } => kernel.apply(x, f),
            Self::Average { sum, factor } => scaled(factor, sum.apply(x, &f), f),
            Self::Scale { factor, .. } => scaled(factor, x.to_vec(), f),
        }
    }

    /// `v^T f(W)`, with `f` as in [`Map::apply`].
    pub(super) fn apply_transposed(&self, v: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
        match self {
            Self::Dense { weight, .. } => {
                let mut out = vec![0.0; weight.columns];
                for (row, v) in weight.row_slices().zip(v) {
                    out.iter_mut().zip(row).for_each(|(o, w)| *o += f(*w) * v);
                }
                out
            }
            Self::Convolution { kernel, .. } => kernel.apply_transposed(v, f),
            Self::Average { sum, factor } => sum.apply_transposed(&scaled(factor, v.to_vec(), &f), f),
            Self::Scale { factor, .. } => scaled(factor, v.to_vec(), f),
        }
    }

    /// `W x` and what is added to it.
    pub(super) fn forward(&self, x: &[f64]) -> Vec<f64> {
        let mut y = self.apply(x, |w| w);
        match self {
            Self::Dense { bias, .. } => y.iter_mut().zip(bias).for_each(|(y, b)| *y += b),
            Self::Convolution { kernel, bias } => {
                let places = kernel.output[1] * kernel.output[2];
                for (y, b) in y.chunks_exact_mut(places).zip(bias) {
                    for y in y {
                        *y += b;
                    }
                }
            }
            Self::Average { .. } => {}
            Self::Scale { shift, .. } => y.iter_mut().zip(shift).for_each(|(y, b)| *y += b),
        }
        y
    }

    /// `W` times a vector of which only number `index` is not zero: `value`.
    pub(super) fn column(&self, index: usize, value: f64) -> Vec<f64> {
        match self {
            Self::Dense { weight, .. } => weight.row_slices().map(|row| row[index] * value).collect(),
            Self::Convolution { kernel, .. } => kernel.column(index, value),
            Self::Average { sum, factor } => scaled(factor, sum.column(index, value), |w| w),
            Self::Scale { factor, .. } => {
                let mut y = vec![0.0; factor.len()];
                y[index] = factor[index] * value;
                y
            }
        }
    }

    /// The sum of the squares of all entries of the matrix.
    pub(super) fn squares(&self) -> f64 {
        let square = |w: &f64| w * w;
        match self {
            Self::Dense { weight, .. } => weight.values.iter().map(square).sum(),
            Self::Convolution { kernel, .. } => kernel.apply(&vec![1.0; self.inputs()], |w| w * w).iter().sum(),
            Self::Average { sum, factor } => {
                let counts = sum.apply(&vec![1.0; self.inputs()], |w| w);
                factor.iter().zip(counts).map(|(w, count)| square(w) * count).sum()
            }
            Self::Scale { factor, .. } => factor.iter().map(square).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix of `map`, entry by entry from the definition of a convolution in the operations' own reference.
    fn entries(kernel: &Convolution) -> Vec<Vec<f64>> {
        let [channels, height, width] = kernel.input;
        let [outputs, rows, columns] = kernel.output;
        let (inside, each) = (channels / kernel.groups, outputs / kernel.groups);
        let [tall, wide] = kernel.window.kernel;
        let mut matrix = vec![vec![0.0; channels * height * width]; outputs * rows * columns];
        for (at, row) in matrix.iter_mut().enumerate() {
            let (o, oy, ox) = (at / columns / rows, at / columns % rows, at % columns);
            for (i, ky, kx) in (0..inside * tall * wide).map(|k| (k / wide / tall, k / wide % tall, k % wide)) {
                let place = |axis: usize, o: usize, k: usize| {
                    (o * kernel.window.stride[axis] + k * kernel.window.dilation[axis])
                        .checked_sub(kernel.window.padding[axis])
                };
                if let (Some(y), Some(x)) = (place(0, oy, ky), place(1, ox, kx))
                    && y < height
                    && x < width
                {
                    let channel = o / each * inside + i;
                    row[(channel * height + y) * width + x] +=
                        kernel.weight[((o * inside + i) * tall + ky) * wide + kx];
                }
            }
        }
        matrix
    }

    #[test]
    fn a_convolution_is_the_matrix_of_its_definition() {
        for (kernel, stride, padding, dilation, groups) in [
            ([3, 3], [1, 1], [1, 1, 1, 1], [1, 1], 1),
            ([3, 2], [2, 1], [0, 1, 2, 0], [1, 1], 2),
            ([2, 3], [3, 2], [1, 2, 0, 3], [2, 1], 4),
            ([1, 1], [2, 3], [0, 0, 0, 0], [1, 1], 1),
            ([5, 7], [1, 1], [0, 0, 0, 0], [1, 1], 2),
            ([2, 2], [1, 4], [5, 5, 4, 6], [2, 3], 1),
        ] {
            let window = Window { kernel, stride, padding, dilation };
            let [rows, columns] = window.places(5, 7).expect("fits");
            let count = 8 * 4 / groups * kernel[0] * kernel[1];
            let weight = (0..count).map(|i| ((i * 37 + 11) % 17) as f64 / 8.0 - 1.0).collect();
            let kernel = Convolution { input: [4, 5, 7], output: [8, rows, columns], window, groups, weight };
            let matrix = entries(&kernel);
            let map = Map::Convolution { kernel, bias: Vec::new() };
            let x: Vec<f64> = (0..map.inputs()).map(|i| ((i * 29 + 3) % 23) as f64 / 11.0 - 1.0).collect();
            let v: Vec<f64> = (0..map.outputs()).map(|i| ((i * 31 + 5) % 19) as f64 / 9.0 - 1.0).collect();
            for f in [|w: f64| w, f64::abs, |w: f64| w * w] {
                for (got, row) in map.apply(&x, f).iter().zip(&matrix) {
                    let want: f64 = row.iter().zip(&x).map(|(w, x)| f(*w) * x).sum();
                    assert!((got - want).abs() < 1e-12, "{window:?}: {got} {want}");
                }
                for (i, got) in map.apply_transposed(&v, f).iter().enumerate() {
                    let want: f64 = matrix.iter().zip(&v).map(|(row, v)| f(row[i]) * v).sum();
                    assert!((got - want).abs() < 1e-12, "{window:?}: {got} {want}");
                }
            }
            for (got, row) in map.column(9, -2.0).iter().zip(&matrix) {
                assert!((got + 2.0 * row[9]).abs() < 1e-12);
            }
            let squares: f64 = matrix.iter().flatten().map(|w| w * w).sum();
            assert!((map.squares() - squares).abs() < 1e-9);
        }
    }
}
