//! Where a perturbed sample may be: a ball around it, within the range of the data.

use super::{Attack, AttackError, Norm, Samples};

/// The balls of some samples, exact in real arithmetic: no point inside is further than epsilon from its sample, however the
/// sums were rounded.
pub(super) struct Region {
    norm: Norm,
    eps: f64,
    features: usize,
    center: Vec<f32>,
    /// For each value the interval that it may be moved in.
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
        Ok(Self::around(samples.x.to_vec(), features, attack, eps))
    }

    /// The region of the points `center`, which lie within the range, rows of `features` values.
    pub(super) fn around(center: Vec<f32>, features: usize, attack: &Attack, eps: f64) -> Self {
        let (lowest, highest) = attack.clip.unwrap_or((f32::MIN, f32::MAX));
        let norm = attack.method.norm();
        // Every ball lies in the box of its radius.
        let reach = if norm == Norm::None { f64::INFINITY } else { eps };
        let lo = center.iter().map(|x| lowest.max(round_up(f64::from(*x) - reach))).collect();
        let hi = center.iter().map(|x| highest.min(round_down(f64::from(*x) + reach))).collect();
        Self { norm, eps, features, center, lo, hi }
    }

    /// Moves every row of `x` into its ball: in the infinity and the 1-norm to the nearest point that is also within the range,
    /// in the Euclidean norm to the nearest point of the ball, then into the range.
    pub(super) fn project(&self, x: &mut [f32]) {
        if matches!(self.norm, Norm::Linf | Norm::None) {
            return into_intervals(x, &self.lo, &self.hi);
        }
        let n = self.features.max(1);
        for (row, x) in x.chunks_exact_mut(n).enumerate() {
            let at = row * n..(row + 1) * n;
            self.project_row(x, &self.center[at.clone()], (&self.lo[at.clone()], &self.hi[at]));
        }
    }

    fn project_row(&self, x: &mut [f32], center: &[f32], (lo, hi): (&[f32], &[f32])) {
        match self.norm {
            Norm::Linf | Norm::None => {}
            Norm::L2 => shrink(x, center, |d| {
                let length = d.iter().map(|d| d * d).sum::<f64>().sqrt();
                (length > self.eps).then(|| d.iter().map(|d| d * self.eps / length).collect())
            }),
            Norm::L1 => shrink(x, center, |d| {
                let room = |at: usize| f64::from(if d[at] > 0.0 { hi[at] } else { lo[at] }) - f64::from(center[at]);
                let room: Vec<f64> = (0..d.len()).map(|at| room(at).abs()).collect();
                Some(onto_l1(d, &room, self.eps))
            }),
        }
        // Towards the sample, which lies in its range itself: no norm grows.
        into_intervals(x, lo, hi);
        // What rounding to single precision added.
        let mut share = 1.0 - 1e-7;
        while self.norm.of(center, x) > self.eps {
            for (v, c) in x.iter_mut().zip(center) {
                *v = (f64::from(*c) + (f64::from(*v) - f64::from(*c)) * share) as f32;
            }
            share = share * share;
            if share < 0.5 {
                x.copy_from_slice(center);
            }
        }
    }

    /// The region of the rows `rows` alone.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        let n = self.features;
        let pick = |from: &[f32]| {
            let mut picked = Vec::with_capacity(rows.len() * n);
            for r in rows {
                picked.extend_from_slice(&from[r * n..(r + 1) * n]);
            }
            picked
        };
        let (center, lo, hi) = (pick(&self.center), pick(&self.lo), pick(&self.hi));
        Self { norm: self.norm, eps: self.eps, features: n, center, lo, hi }
    }

    /// The samples themselves.
    pub(super) fn center(&self) -> &[f32] {
        &self.center
    }

    /// The interval of value `at`.
    pub(super) fn interval(&self, at: usize) -> (f32, f32) {
        (self.lo[at], self.hi[at])
    }
}

/// Moves every value into its interval.
fn into_intervals(x: &mut [f32], lo: &[f32], hi: &[f32]) {
    for ((v, lo), hi) in x.iter_mut().zip(lo).zip(hi) {
        // Unlike `clamp`, which looks whether there is an interval, this is done on many values at once.
        let raised = if *v < *lo { *lo } else { *v };
        *v = if raised > *hi { *hi } else { raised };
    }
}

/// Replaces what was added to `center` by what `shorter` makes of it, where that is something.
fn shrink(x: &mut [f32], center: &[f32], shorter: impl Fn(&[f64]) -> Option<Vec<f64>>) {
    let d: Vec<f64> = x.iter().zip(center).map(|(x, c)| f64::from(*x) - f64::from(*c)).collect();
    if let Some(d) = shorter(&d) {
        for ((x, c), d) in x.iter_mut().zip(center).zip(d) {
            *x = (f64::from(*c) + d) as f32;
        }
    }
}

/// The nearest point to `d` of the ball of radius `eps` in the 1-norm of which no entry is larger than its `room`: every entry
/// loses the same amount, but no more than it has, and those with little room have lost theirs anyway (Duchi et al. 2008;
/// Croce and Hein 2021, proposition 1).
pub(super) fn onto_l1(d: &[f64], room: &[f64], eps: f64) -> Vec<f64> {
    let kept = |loss: f64| d.iter().zip(room).map(move |(d, room)| (d.abs() - loss).clamp(0.0, *room));
    let loss = if kept(0.0).sum::<f64>() <= eps { 0.0 } else { common_loss(d, room, eps) };
    kept(loss).zip(d).map(|(size, d)| d.signum() * size).collect()
}

/// How much every entry loses so that the sum of what is kept is `eps`, which is less than that of what there is.
fn common_loss(d: &[f64], room: &[f64], eps: f64) -> f64 {
    // As the loss falls, an entry begins to be kept where it is as large as the loss, and is kept whole once it fills its room.
    let begin = d.iter().map(|d| (d.abs(), 1.0));
    let full = d.iter().zip(room).map(|(d, room)| (d.abs() - room, -1.0));
    let mut events: Vec<(f64, f64)> = begin.chain(full).filter(|(at, _)| *at > 0.0).collect();
    events.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
    events.push((0.0, 0.0));
    let (mut sum, mut slope, mut loss) = (0.0, 0.0, f64::INFINITY);
    for (at, change) in events {
        if slope > 0.0 {
            let more = slope * (loss - at);
            if sum + more >= eps {
                return loss - (eps - sum) / slope;
            }
            sum += more;
        }
        slope += change;
        loss = at;
    }
    loss
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
    (Norm::Linf.of(a, b), Norm::L2.of(a, b))
}

impl Norm {
    /// The norm of the difference of two rows, in double precision; 0 of [`Norm::None`].
    #[must_use]
    pub fn of(self, a: &[f32], b: &[f32]) -> f64 {
        let differences = || a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
        match self {
            Self::Linf => differences().fold(0.0, f64::max),
            Self::L2 => differences().map(|d| d * d).sum::<f64>().sqrt(),
            Self::L1 => differences().sum(),
            Self::None => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::attack::{AttackedClass, Loss, Method, Pgd, Step};

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

    #[test]
    fn projections_end_in_the_ball_and_are_nearest() {
        // By hand: from (3, 1, 0) the nearest points of unit balls are (0.9487, 0.3162, 0) and (1, 0, 0).
        let samples = Samples { x: &[0.0; 3], labels: &[0], ids: &[0], draw: 0 };
        for (norm, wanted) in [(Norm::L2, [0.948_683, 0.316_228, 0.0]), (Norm::L1, [1.0, 0.0, 0.0])] {
            let pgd = Pgd {
                steps: 1,
                step: Step::Relative(1.0),
                random_start: false,
                shortening: false,
                restarts: 1,
                norm,
                loss: Loss::Margin,
            };
            let attack = Attack { method: Method::Pgd(pgd), class: AttackedClass::True, clip: None, seed: 0 };
            let region = Region::new(&samples, &attack, 1.0).expect("sound");
            let mut x = [3.0, 1.0, 0.0];
            region.project(&mut x);
            assert!(norm.of(&[0.0; 3], &x) <= 1.0, "{x:?}");
            assert!(x.iter().zip(wanted).all(|(x, w)| (x - w).abs() < 1e-5), "{x:?}");
        }
        let near = onto_l1(&[0.5, -0.4, 0.1], &[9.0; 3], 0.6);
        assert!(near.iter().zip([0.35, -0.25, 0.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{near:?}");
    }

    #[test]
    fn the_nearest_point_of_a_ball_within_a_box_leaves_no_entry_worth_a_change() {
        let mut random = crate::nn::random::Stream::new(3, "points", &[]);
        for trial in 0..200 {
            let n = 2 + trial % 7;
            let d: Vec<f64> = (0..n).map(|_| random.normal()).collect();
            let room: Vec<f64> = (0..n).map(|_| random.uniform_f64()).collect();
            let eps = 0.2 + random.uniform_f64();
            let near = onto_l1(&d, &room, eps);
            let cut = |loss: f64| -> Vec<f64> {
                d.iter().zip(&room).map(|(d, room)| d.signum() * (d.abs() - loss).max(0.0).min(*room)).collect()
            };
            let size = |z: &[f64]| z.iter().map(|z| z.abs()).sum::<f64>();
            // The loss by bisection, which is slow and plain.
            let (mut low, mut high) = (0.0, 10.0);
            for _ in 0..200 {
                let middle = 0.5 * (low + high);
                if size(&cut(middle)) > eps { low = middle } else { high = middle }
            }
            let wanted = if size(&cut(0.0)) <= eps { cut(0.0) } else { cut(high) };
            assert!(near.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{d:?} {room:?} {eps}: {near:?}");
            // And nearer than points of the ball and box at random.
            let distance = |z: &[f64]| z.iter().zip(&d).map(|(z, d)| (z - d).powi(2)).sum::<f64>();
            for _ in 0..50 {
                let other: Vec<f64> = room.iter().map(|room| room * (2.0 * random.uniform_f64() - 1.0)).collect();
                let shrunk = (eps / size(&other)).min(1.0);
                let other: Vec<f64> = other.iter().map(|z| z * shrunk).collect();
                assert!(distance(&near) <= distance(&other) + 1e-12);
            }
        }
    }
}
