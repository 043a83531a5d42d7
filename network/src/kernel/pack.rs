//! Panels: a matrix cut into groups of columns, each group's rows one after another, so that a tile reads in a straight line.

use super::aligned::Aligned;

/// A matrix `[rows x columns]` in panels of `width` columns, the last one filled up with zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Panels {
    data: Aligned,
    rows: usize,
    columns: usize,
    width: usize,
}

impl Panels {
    /// Room for a matrix; the values are unspecified.
    pub(super) fn reshape(&mut self, rows: usize, columns: usize, width: usize) {
        self.data.reshape(columns.div_ceil(width) * rows * width);
        (self.rows, self.columns, self.width) = (rows, columns, width);
    }

    /// Packs the matrix whose row `r`, column `c` is `value(r, c)`.
    pub(super) fn fill(rows: usize, columns: usize, width: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let mut panels = Self { data: Aligned::zeros(columns.div_ceil(width) * rows * width), rows, columns, width };
        for p in 0..panels.count() {
            let (first, lanes) = panels.span(p);
            for (r, row) in panels.panel_mut(p).chunks_exact_mut(width).enumerate() {
                for (n, to) in row[..lanes].iter_mut().enumerate() {
                    *to = value(r, first + n);
                }
            }
        }
        panels
    }

    /// Packs a row-major matrix of which row `r` starts at `r stride`.
    pub(super) fn copy_rows(&mut self, from: &[f32], stride: usize) {
        for p in 0..self.count() {
            let (first, lanes) = self.span(p);
            let width = self.width;
            for (r, row) in self.panel_mut(p).chunks_exact_mut(width).enumerate() {
                row[..lanes].copy_from_slice(&from[r * stride + first..][..lanes]);
                row[lanes..].fill(0.0);
            }
        }
    }

    /// Packs the transpose of a row-major matrix: column `c` starts at `c stride`.
    pub(super) fn copy_columns(&mut self, from: &[f32], stride: usize) {
        const BLOCK: usize = 8;
        let (rows, width) = (self.rows, self.width);
        for p in 0..self.count() {
            let (first, lanes) = self.span(p);
            let panel = self.panel_mut(p);
            for n in (0..width).step_by(BLOCK) {
                // Lanes beyond the last column repeat it at first.
                let columns: [&[f32]; BLOCK] = std::array::from_fn(|i| {
                    let column = first + (n + i).min(lanes - 1);
                    &from[column * stride..][..rows]
                });
                for (r, to) in panel.chunks_exact_mut(width).enumerate() {
                    let row: [f32; BLOCK] = std::array::from_fn(|i| columns[i][r]);
                    to[n..n + BLOCK].copy_from_slice(&row);
                }
            }
            if lanes < width {
                panel.chunks_exact_mut(width).for_each(|row| row[lanes..].fill(0.0));
            }
        }
    }

    /// How many panels there are.
    pub(super) fn count(&self) -> usize {
        self.columns.div_ceil(self.width.max(1))
    }

    /// First column of a panel, and how many it has.
    pub(super) fn span(&self, panel: usize) -> (usize, usize) {
        let first = panel * self.width;
        (first, self.width.min(self.columns - first))
    }

    /// Columns of a full panel: the distance between a panel's rows.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// A panel, `[rows x width]`.
    pub(super) fn panel(&self, panel: usize) -> &[f32] {
        let len = self.rows * self.width;
        &self.data[panel * len..][..len]
    }

    fn panel_mut(&mut self, panel: usize) -> &mut [f32] {
        let len = self.rows * self.width;
        &mut self.data[panel * len..][..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_columns_and_values_pack_the_same_matrix_alike() {
        let (rows, columns) = (21, 19);
        let value = |r: usize, c: usize| (r * 100 + c) as f32;
        let by_rows: Vec<f32> = (0..rows * columns).map(|i| value(i / columns, i % columns)).collect();
        let by_columns: Vec<f32> = (0..rows * columns).map(|i| value(i % rows, i / rows)).collect();
        let wanted = Panels::fill(rows, columns, 8, value);
        let (mut a, mut b) = (Panels::default(), Panels::default());
        a.reshape(rows, columns, 8);
        a.copy_rows(&by_rows, columns);
        b.reshape(rows, columns, 8);
        b.copy_columns(&by_columns, rows);
        for p in 0..3 {
            assert_eq!(a.panel(p), wanted.panel(p));
            assert_eq!(b.panel(p), wanted.panel(p));
        }
        assert_eq!(wanted.panel(2)[2..5], [18.0, 0.0, 0.0]);
    }
}
