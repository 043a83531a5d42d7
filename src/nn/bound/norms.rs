//! Norms of linear operations as matrices: the input-free baselines, and the factors of the bound b1.

use super::chain::{Chain, Layer};
use super::map::Map;

/// Which norm, for vectors and the matrix norm it induces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Norm {
    /// Sum of absolutes; largest absolute column sum.
    One,
    /// Euclidean; largest singular value.
    Two,
    /// Largest absolute; largest absolute row sum.
    Infinity,
}

impl Norm {
    /// The three, in the order of the reports.
    pub const ALL: [Self; 3] = [Self::One, Self::Two, Self::Infinity];

    /// The norm of a vector.
    #[must_use]
    pub fn of_vector(self, v: &[f64]) -> f64 {
        match self {
            Self::One => v.iter().map(|x| x.abs()).sum(),
            Self::Two => length(v),
            Self::Infinity => v.iter().fold(0.0, |m, x| f64::max(m, x.abs())),
        }
    }

    /// The matrix norm induced by the vector norm.
    #[must_use]
    pub fn of_map(self, map: &Map) -> f64 {
        match self {
            Self::One => Self::Infinity.of_vector(&map.apply_transposed(&vec![1.0; map.outputs()], f64::abs)),
            Self::Two => spectral(map),
            Self::Infinity => Self::Infinity.of_vector(&map.apply(&vec![1.0; map.inputs()], f64::abs)),
        }
    }

    /// The product of the norms of a layer's operations, and of its activation's Lipschitz constant.
    #[must_use]
    pub fn of_layer(self, layer: &Layer) -> f64 {
        layer.maps.iter().fold(layer.activation.lipschitz(), |product, map| product * self.of_map(map))
    }
}

/// Sums of the layers' norms: baselines that know neither the input nor the crash rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormSums {
    /// Of the induced 1-norms.
    pub one: f64,
    /// Of the spectral norms.
    pub two: f64,
    /// Of the induced infinity-norms.
    pub infinity: f64,
    /// Of the Frobenius norms.
    pub frobenius: f64,
}

/// The norm sums of a chain, every linear operation included.
#[must_use]
pub fn norm_sums(chain: &Chain) -> NormSums {
    let sum = |f: &dyn Fn(&Map) -> f64| chain.layers().iter().flat_map(|layer| &layer.maps).map(f).sum();
    NormSums {
        one: sum(&|w| Norm::One.of_map(w)),
        two: sum(&spectral),
        infinity: sum(&|w| Norm::Infinity.of_map(w)),
        frobenius: sum(&|w| w.squares().sqrt()),
    }
}

/// Largest singular value by Lanczos' method on `W^T W` with full reorthogonalisation.
///
/// Exact to rounding once the Krylov space is exhausted or has converged; stopped early it is a lower estimate.
fn spectral(w: &Map) -> f64 {
    const STEPS: usize = 300;
    if let Map::Scale { factor, .. } = w {
        return Norm::Infinity.of_vector(factor);
    }
    let n = w.inputs();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let (mut diagonal, mut beside): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    // No zeros and no symmetry, so that the start is not orthogonal to the leading singular vector.
    let mut v: Vec<f64> = (0..n).map(|i| 1.0 + ((i as f64 + 1.0) * 0.618_033_988_749_895).fract()).collect();
    scale(&mut v);
    let mut top = 0.0;
    for step in 0..n.min(w.outputs() + 1).min(STEPS) {
        let mut next = w.apply_transposed(&w.apply(&v, |x| x), |x| x);
        diagonal.push(dot(&v, &next));
        basis.push(v);
        // Twice is enough (Parlett): rounding leaves components behind the first time.
        for _ in 0..2 {
            for b in &basis {
                let along = dot(b, &next);
                next.iter_mut().zip(b).for_each(|(x, b)| *x -= along * b);
            }
        }
        let before = top;
        top = largest_eigenvalue(&diagonal, &beside);
        let rest = scale(&mut next);
        if rest <= 1e-14 * top || (step > 30 && top - before <= 1e-16 * top) {
            break;
        }
        beside.push(rest);
        v = next;
    }
    top.max(0.0).sqrt()
}

/// Largest eigenvalue of a symmetric tridiagonal matrix by bisection on Sturm counts.
fn largest_eigenvalue(diagonal: &[f64], beside: &[f64]) -> f64 {
    let side = |i: usize| beside.get(i).copied().unwrap_or(0.0).abs();
    let reach = |i: usize| side(i) + if i == 0 { 0.0 } else { side(i - 1) };
    let last = diagonal.len() - 1;
    let side_within = |i: usize| if i < last { side(i) } else { 0.0 };
    let mut hi = (0..=last).map(|i| diagonal[i] + reach(i)).fold(f64::MIN, f64::max);
    let mut lo = diagonal.iter().copied().fold(f64::MIN, f64::max);
    // All eigenvalues lie below `x` exactly if every pivot of `T - x` is negative.
    let above_all = |x: f64| {
        let mut pivot = -1.0;
        (0..=last).all(|i| {
            let coupling = if i == 0 { 0.0 } else { side_within(i - 1).powi(2) };
            pivot = diagonal[i] - x - coupling / pivot;
            pivot < 0.0
        })
    };
    loop {
        let mid = f64::midpoint(lo, hi);
        if mid <= lo || mid >= hi {
            return mid;
        }
        if above_all(mid) {
            hi = mid;
        } else {
            lo = mid;
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn length(v: &[f64]) -> f64 {
    dot(v, v).sqrt()
}

/// Makes `v` of unit length and returns the length it had.
fn scale(v: &mut [f64]) -> f64 {
    let was = length(v);
    if was > 0.0 {
        for x in v {
            *x /= was;
        }
    }
    was
}

#[cfg(test)]
mod tests {
    use super::super::map::Matrix;
    use super::*;

    #[track_caller]
    fn close(got: f64, want: f64) {
        assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "got {got}, want {want}");
    }

    fn matrix(rows: usize, columns: usize, values: Vec<f64>) -> Map {
        let weight = Matrix::new(rows, columns, values).expect("as many values");
        Map::Dense { weight, bias: Vec::new() }
    }

    #[test]
    fn norms_of_a_small_matrix_equal_those_worked_by_hand() {
        let w = matrix(2, 2, vec![3.0, 0.0, 4.0, 5.0]);
        close(Norm::One.of_map(&w), 7.0);
        close(Norm::Infinity.of_map(&w), 9.0);
        // W^T W = [[25, 20], [20, 25]] has eigenvalues 45 and 5.
        close(Norm::Two.of_map(&w), 45.0_f64.sqrt());
    }

    #[test]
    fn the_spectral_norm_is_exact_on_rank_one_tall_wide_and_zero_matrices() {
        let (u, v): (Vec<f64>, Vec<f64>) =
            ((1..8).map(f64::from).collect(), (1..4).map(|i| f64::from(i) - 2.0).collect());
        let outer = |a: &[f64], b: &[f64]| {
            let values = a.iter().flat_map(|x| b.iter().map(move |y| x * y)).collect();
            matrix(a.len(), b.len(), values)
        };
        close(Norm::Two.of_map(&outer(&u, &v)), length(&u) * length(&v));
        close(Norm::Two.of_map(&outer(&v, &u)), length(&u) * length(&v));
        close(Norm::Two.of_map(&matrix(3, 3, vec![0.0; 9])), 0.0);
        let identity = matrix(2, 2, vec![1.0, 0.0, 0.0, 1.0]);
        close(Norm::Two.of_map(&identity), 1.0);
    }
}
