//! Steps along gradients, and random starts, in each norm.

use super::Norm;
use super::perturb::Run;
use crate::nn::random::Stream;

/// The steepest direction of a norm.
pub(super) struct Direction(Norm);

/// Share of the features that one step in the 1-norm moves.
const SPARSE: f64 = 0.05;

impl Direction {
    pub(super) const fn of(norm: Norm) -> Self {
        Self(norm)
    }

    /// Moves `x` by `length` along the gradient: its sign in the infinity norm, itself in the Euclidean one, and in the
    /// 1-norm the signs of its largest entries (Tramèr and Boneh 2019). A gradient of zeros moves nothing.
    pub(super) fn step(&self, x: &mut [f32], gradient: &[f32], length: f64) {
        match self.0 {
            Norm::Linf | Norm::None => {
                let length = length as f32;
                for (v, g) in x.iter_mut().zip(gradient) {
                    // The sign of 0 is 0, and NaN points nowhere; -0 changes nothing that it is added to.
                    let down = if *g < 0.0 { -length } else { -0.0 };
                    *v += if *g > 0.0 { length } else { down };
                }
            }
            Norm::L2 => {
                let norm = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
                if norm > 0.0 && norm.is_finite() {
                    let by = length / norm;
                    x.iter_mut().zip(gradient).for_each(|(v, g)| *v = (f64::from(*v) + by * f64::from(*g)) as f32);
                }
            }
            Norm::L1 => {
                let mut order: Vec<usize> = (0..x.len()).filter(|i| gradient[*i].abs() > 0.0).collect();
                order.sort_by(|a, b| gradient[*b].abs().total_cmp(&gradient[*a].abs()).then(a.cmp(b)));
                let count = ((x.len() as f64 * SPARSE) as usize).clamp(1, order.len().max(1)).min(order.len());
                for i in &order[..count] {
                    x[*i] = (f64::from(x[*i]) + length / count as f64 * f64::from(gradient[*i].signum())) as f32;
                }
            }
        }
    }
}

/// A random point of each row's ball: uniform in the box, uniform in the Euclidean and in the 1-norm ball (before the range).
pub(super) fn random_start(run: &Run<'_>, rows: &[usize], attempt: u64, norm: Norm) -> Vec<f32> {
    let n = run.features();
    let mut all = Vec::with_capacity(rows.len() * n);
    for &row in rows {
        let mut random = run.stream("attack-start", row, attempt as usize);
        let clean = &run.samples.x[row * n..(row + 1) * n];
        let offset = offset(&mut random, n, run.eps, norm);
        all.extend(clean.iter().zip(offset).map(|(x, d)| (f64::from(*x) + d) as f32));
    }
    all
}

fn offset(random: &mut Stream, n: usize, eps: f64, norm: Norm) -> Vec<f64> {
    match norm {
        Norm::Linf | Norm::None => (0..n).map(|_| eps * (2.0 * random.uniform_f64() - 1.0)).collect(),
        Norm::L2 => {
            let direction: Vec<f64> = (0..n).map(|_| random.normal()).collect();
            let length = direction.iter().map(|d| d * d).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            let radius = eps * random.uniform_f64().powf(1.0 / n as f64);
            direction.into_iter().map(|d| d * radius / length).collect()
        }
        Norm::L1 => {
            // Exponential numbers over their sum are uniform on the simplex; one more makes them uniform inside.
            let mut sizes: Vec<f64> = (0..=n).map(|_| -(1.0 - random.uniform_f64()).ln()).collect();
            let sum = sizes.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            sizes.truncate(n);
            sizes
                .into_iter()
                .map(|size| if random.uniform_f64() < 0.5 { -1.0 } else { 1.0 } * eps * size / sum)
                .collect()
        }
    }
}
