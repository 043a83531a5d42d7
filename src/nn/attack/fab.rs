//! FAB (Croce and Hein 2020, "Minimally distorted adversarial examples with a fast adaptive boundary attack"), targeted: to the
//! boundary of the linearised network between the attacked class and another one, with a pull back to the clean sample; once the
//! class has fallen, a step back towards the clean sample. Each of the most likely other classes in turn.

use super::loss::ranked;
use super::minimal::dual;
use super::perturb::Run;
use super::{AttackError, Norm};
use crate::nn::classes::argmax;

/// Settings of FAB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fab {
    /// Gradient steps towards each class, 100 as published.
    pub steps: usize,
    /// Other classes, the most likely ones first, 9 as published.
    pub targets: usize,
    /// The norm that is made small.
    pub norm: Norm,
}

/// The largest weight of the pull to the clean sample, the extrapolation beyond the boundary, and the step back, as published.
const PULL: f64 = 0.1;
const BEYOND: f64 = 1.05;
const BACK: f64 = 0.9;

/// The closest points found, however far they are; a sample that none was found for stays.
pub(super) fn run(run: &Run<'_>, fab: Fab) -> Result<Vec<f32>, AttackError> {
    let (n, outputs, rows) = (run.features(), run.outputs(), run.classes.len());
    let clean = run.samples.x;
    let logits = run.classifier.logits(clean, rows)?;
    let ranks: Vec<Vec<usize>> = logits.chunks_exact(outputs).map(ranked).collect();
    let right = |row: &usize| argmax(&logits[row * outputs..(row + 1) * outputs]) == run.classes[*row] as usize;
    let open: Vec<usize> = (0..rows).filter(right).collect();
    let mut found = Found { best: clean.to_vec(), distance: vec![f64::INFINITY; rows] };
    for round in 0..fab.targets.min(outputs.saturating_sub(1)) {
        let target = |row: usize| {
            let mut others = ranks[row].iter().copied().filter(|k| *k != run.classes[row] as usize);
            others.nth(round).unwrap_or(run.classes[row] as usize)
        };
        let targets: Vec<usize> = open.iter().map(|row| target(*row)).collect();
        let mut x: Vec<f32> = open.iter().flat_map(|r| &clean[r * n..(r + 1) * n]).copied().collect();
        for _ in 0..fab.steps {
            approach(run, fab.norm, &open, &targets, &mut x)?;
            let logits = run.classifier.logits(&x, open.len())?;
            for (at, &row) in open.iter().enumerate() {
                let (x, clean) = (&mut x[at * n..(at + 1) * n], &clean[row * n..(row + 1) * n]);
                if argmax(&logits[at * outputs..(at + 1) * outputs]) != run.classes[row] as usize {
                    found.note(row, x, fab.norm.of(clean, x));
                    for (x, c) in x.iter_mut().zip(clean) {
                        *x = run.clip(f64::from(*c) + BACK * (f64::from(*x) - f64::from(*c)));
                    }
                }
            }
        }
    }
    Ok(found.best)
}

/// The closest points so far.
struct Found {
    best: Vec<f32>,
    distance: Vec<f64>,
}

impl Found {
    fn note(&mut self, row: usize, x: &[f32], distance: f64) {
        if distance < self.distance[row] {
            self.distance[row] = distance;
            self.best[row * x.len()..(row + 1) * x.len()].copy_from_slice(x);
        }
    }
}

/// One step of every row: a mean of where the row and where its clean sample meet the linearised boundary.
fn approach(run: &Run<'_>, norm: Norm, open: &[usize], targets: &[usize], x: &mut [f32]) -> Result<(), AttackError> {
    let (n, outputs) = (run.features(), run.outputs());
    let class = |at: usize| run.classes[open[at]] as usize;
    let (logits, gradient) = run.forward_backward(x, open.len(), |at, _, out| {
        out.fill(0.0);
        out[targets[at]] += 1.0;
        out[class(at)] -= 1.0;
    })?;
    for (at, x) in x.chunks_exact_mut(n).enumerate() {
        let (logits, gradient) = (&logits[at * outputs..(at + 1) * outputs], &gradient[at * n..(at + 1) * n]);
        let size = dual(norm, gradient);
        let lead = f64::from(logits[targets[at]]) - f64::from(logits[class(at)]);
        if !(size > 0.0 && size.is_finite() && lead.is_finite()) {
            continue;
        }
        let clean = &run.samples.x[open[at] * n..(open[at] + 1) * n];
        let along = |from: &[f32], to: &[f32]| -> f64 {
            let terms = from.iter().zip(to).zip(gradient);
            terms.map(|((a, b), g)| (f64::from(*b) - f64::from(*a)) * f64::from(*g)).sum()
        };
        // What is missing to the boundary along the gradient, from the row and from its clean sample.
        let near = onto_boundary(run, norm, x, gradient, -lead);
        let far = onto_boundary(run, norm, clean, gradient, -lead - along(x, clean));
        let (a, b) = (length(norm, &near).max(1e-8), length(norm, &far).max(1e-8));
        let pull = (a / (a + b)).min(PULL);
        for (((x, c), near), far) in x.iter_mut().zip(clean).zip(near).zip(far) {
            let (here, there) = (f64::from(*x) + BEYOND * near, f64::from(*c) + BEYOND * far);
            *x = run.clip(here * (1.0 - pull) + there * pull);
        }
    }
    Ok(())
}

fn length(norm: Norm, d: &[f64]) -> f64 {
    let sizes = d.iter().map(|d| d.abs());
    match norm {
        Norm::L2 => sizes.map(|d| d * d).sum::<f64>().sqrt(),
        Norm::L1 => sizes.sum(),
        Norm::Linf | Norm::None => sizes.fold(0.0, f64::max),
    }
}

/// The smallest `d` in the norm with `gradient . d = missing` and `x + d` within the range; as far as the range goes where it does
/// not go that far.
fn onto_boundary(run: &Run<'_>, norm: Norm, x: &[f32], gradient: &[f32], missing: f64) -> Vec<f64> {
    let (lowest, highest) = run.attack.clip.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
    let sign = missing.signum();
    // How far each entry can go in its useful direction.
    let room = |i: usize| {
        let up = f64::from(gradient[i]) * sign > 0.0;
        (f64::from(if up { highest } else { lowest }) - f64::from(x[i])).abs()
    };
    let slopes: Vec<f64> = gradient.iter().map(|g| f64::from(g.abs())).collect();
    let amount = amounts(norm, &slopes, room, missing.abs());
    (0..x.len()).map(|i| amount[i] * f64::from(gradient[i]).signum() * sign).collect()
}

/// How far each entry goes so that the sum of `slopes` times that is `missing`: each by `min(share * speed, room)` for one share,
/// where in the infinity norm all entries are as fast and in the Euclidean one as their slopes say; in the 1-norm one entry after
/// the other, steepest first.
fn amounts(norm: Norm, slopes: &[f64], room: impl Fn(usize) -> f64, missing: f64) -> Vec<f64> {
    let speed = |i: usize| if norm == Norm::L2 { slopes[i] } else { 1.0 };
    let mut order: Vec<usize> = (0..slopes.len()).filter(|i| slopes[*i] > 0.0).collect();
    let mut amount = vec![0.0; slopes.len()];
    if norm == Norm::L1 {
        order.sort_by(|a, b| slopes[*b].total_cmp(&slopes[*a]).then(a.cmp(b)));
        let mut left = missing;
        for i in order {
            // What is left after an entry that had room enough is nothing, and not what rounding left.
            let (whole, wanted) = (room(i), left / slopes[i]);
            amount[i] = whole.min(wanted);
            left = if wanted <= whole { 0.0 } else { left - whole * slopes[i] };
        }
        return amount;
    }
    let share = share_that_reaches(&order, slopes, (&speed, &room), missing);
    for i in order {
        amount[i] = (share * speed(i)).min(room(i));
    }
    amount
}

/// The share at which the entries `order` reach `missing`, or all are at the end of their room: by Newton's method, which on a
/// concave function of straight pieces comes from below and ends on the piece it looks for.
fn share_that_reaches(
    order: &[usize],
    slopes: &[f64],
    (speed, room): (&impl Fn(usize) -> f64, &impl Fn(usize) -> f64),
    missing: f64,
) -> f64 {
    let mut share = 0.0;
    for _ in 0..=order.len() {
        let (mut sum, mut rate) = (0.0, 0.0);
        for &i in order {
            let (speed, room) = (speed(i), room(i));
            if share * speed < room {
                sum += slopes[i] * share * speed;
                rate += slopes[i] * speed;
            } else {
                sum += slopes[i] * room;
            }
        }
        let next = share + (missing - sum) / rate;
        // Nothing is left to reach, or nothing to reach it with.
        if !(next.is_finite() && next > share) {
            break;
        }
        share = next;
    }
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `min |d|` over `slopes . d = missing`, `0 <= d <= room`, by bisection on the share.
    fn bisected(norm: Norm, slopes: &[f64], room: &[f64], missing: f64) -> Vec<f64> {
        let at = |share: f64| -> Vec<f64> {
            let speed = |i: usize| if norm == Norm::L2 { slopes[i] } else { 1.0 };
            (0..slopes.len()).map(|i| if slopes[i] > 0.0 { (share * speed(i)).min(room[i]) } else { 0.0 }).collect()
        };
        let reach = |d: &[f64]| d.iter().zip(slopes).map(|(d, s)| d * s).sum::<f64>();
        let (mut low, mut high) = (0.0, 1e4);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if reach(&at(middle)) < missing { low = middle } else { high = middle }
        }
        at(high)
    }

    #[test]
    fn the_nearest_point_of_a_plane_within_a_box_is_found_in_every_norm() {
        let mut random = crate::nn::random::Stream::new(8, "planes", &[]);
        for trial in 0..300 {
            let n = 1 + trial % 6;
            let slopes: Vec<f64> = (0..n).map(|_| (random.normal().abs() - 0.2).max(0.0)).collect();
            let room: Vec<f64> = (0..n).map(|_| random.uniform_f64()).collect();
            let most: f64 = slopes.iter().zip(&room).map(|(s, r)| s * r).sum();
            let missing = most * 0.9 * random.uniform_f64();
            for norm in [Norm::Linf, Norm::L2] {
                let found = amounts(norm, &slopes, |i| room[i], missing);
                let wanted = bisected(norm, &slopes, &room, missing);
                assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{norm:?} {found:?} {wanted:?}");
            }
            let found = amounts(Norm::L1, &slopes, |i| room[i], missing);
            let reach: f64 = found.iter().zip(&slopes).map(|(d, s)| d * s).sum();
            assert!((reach - missing).abs() < 1e-9);
            // No entry moves while a steeper one has room.
            for (i, d) in found.iter().enumerate() {
                let idle = (0..n).any(|j| slopes[j] > slopes[i] && found[j] < room[j] - 1e-12);
                assert!(*d <= 0.0 || !idle, "{found:?}");
            }
            // Further than the range goes: to its end.
            let end = amounts(Norm::L2, &slopes, |i| room[i], most + 1.0);
            let reach: f64 = end.iter().zip(&slopes).map(|(d, s)| d * s).sum();
            assert!((reach - most).abs() < 1e-9, "{end:?}");
        }
    }
}
