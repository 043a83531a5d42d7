//! Where a perturbed sample may be: a box around it, within the range of the data.

use super::{Attack, AttackError, Method, Samples};

/// For each value the interval that it may be moved in, exact in real arithmetic: no point inside is further than epsilon from
/// its sample, however the sum was rounded.
pub(super) struct Region {
    lo: Vec<f32>,
    hi: Vec<f32>,
}

impl Region {
    /// The region of `samples` at `eps`.
    pub(super) fn new(samples: &Samples<'_>, attack: &Attack, eps: f64) -> Result<Self, AttackError> {
        let (lowest, highest) = attack.clip.unwrap_or((f32::MIN, f32::MAX));
        let features = samples.x.len() / samples.ids.len().max(1);
        if let Some(at) = samples.x.iter().position(|v| !(lowest..=highest).contains(v)) {
            let (id, feature) = (samples.ids[at / features], at % features);
            return Err(AttackError::OutsideRange { id, feature, value: samples.x[at], lo: lowest, hi: highest });
        }
        let reach = if matches!(attack.method, Method::Gaussian) { f64::INFINITY } else { eps };
        Ok(Self {
            lo: samples.x.iter().map(|x| lowest.max(round_up(f64::from(*x) - reach))).collect(),
            hi: samples.x.iter().map(|x| highest.min(round_down(f64::from(*x) + reach))).collect(),
        })
    }

    /// Moves every value of `x` into its interval.
    pub(super) fn project(&self, x: &mut [f32]) {
        for ((v, lo), hi) in x.iter_mut().zip(&self.lo).zip(&self.hi) {
            // Unlike `clamp`, which looks whether there is an interval, this is done on many values at once.
            let raised = if *v < *lo { *lo } else { *v };
            *v = if raised > *hi { *hi } else { raised };
        }
    }

    /// The region of the rows `rows` alone, each of `features` values.
    pub(super) fn select(&self, rows: &[usize], features: usize) -> Self {
        let pick = |from: &[f32]| {
            let mut picked = Vec::with_capacity(rows.len() * features);
            for r in rows {
                picked.extend_from_slice(&from[r * features..(r + 1) * features]);
            }
            picked
        };
        Self { lo: pick(&self.lo), hi: pick(&self.hi) }
    }
}

/// The largest `f32` that is not above `v`.
fn round_down(v: f64) -> f32 {
    let near = v as f32;
    if f64::from(near) > v { near.next_down() } else { near }
}

/// The smallest `f32` that is not below `v`.
fn round_up(v: f64) -> f32 {
    -round_down(-v)
}

/// Infinity norm and Euclidean norm of the difference of two rows, in double precision.
pub(super) fn distance(a: &[f32], b: &[f32]) -> (f64, f64) {
    let differences = || a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b));
    (differences().fold(0.0, |m, d| f64::max(m, d.abs())), differences().map(|d| d * d).sum::<f64>().sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_keeps_to_its_side() {
        for v in [0.3_f64, -0.3, 1.0, 1.0 + 1e-12, 1.0 - 1e-12, 0.1 + 0.2, 1e-50, -1e-50, 1e300] {
            assert!(f64::from(round_down(v)) <= v, "{v}");
            assert!(f64::from(round_up(v)) >= v, "{v}");
        }
        assert_eq!(round_down(0.5).to_bits(), 0.5f32.to_bits());
        assert_eq!(round_up(0.5).to_bits(), 0.5f32.to_bits());
        assert!(f64::from(round_up(0.3)) - f64::from(round_down(0.3)) < 1e-7);
    }
}
