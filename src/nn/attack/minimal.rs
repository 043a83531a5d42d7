//! Attacks that look for a small perturbation rather than for one of a given size.

use super::loss::{ranked, runner_up};
use super::perturb::Run;
use super::{AttackError, Norm};
use crate::nn::executor::argmax;

/// Settings of an attack that looks for the smallest perturbation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minimal {
    /// Gradient steps.
    pub steps: usize,
    /// The norm that is made small: infinity or Euclidean.
    pub norm: Norm,
}

/// How much further than the linear boundary `DeepFool` goes.
const OVERSHOOT: f64 = 0.02;
/// Classes that `DeepFool` looks at: the most likely ones, as its authors do for many classes.
const CANDIDATES: usize = 10;

impl Run<'_> {
    /// `x` within the range of the data.
    fn clip(&self, x: f64) -> f32 {
        let (lowest, highest) = self.attack.clip.unwrap_or((f32::MIN, f32::MAX));
        (x as f32).clamp(lowest, highest)
    }

    /// The points that were found, moved into their balls.
    fn within(&self, mut found: Vec<f32>) -> Vec<f32> {
        self.region.project(&mut found);
        found
    }
}

/// Of each norm the dual one, in which gradients are measured.
fn dual(norm: Norm, gradient: &[f32]) -> f64 {
    let sizes = gradient.iter().map(|g| f64::from(g.abs()));
    match norm {
        Norm::L2 => sizes.map(|g| g * g).sum::<f64>().sqrt(),
        _ => sizes.sum(),
    }
}

/// The step of unit length that gains most along `gradient`, entry by entry.
fn unit(norm: Norm, g: f32, length: f64) -> f64 {
    match norm {
        Norm::L2 => f64::from(g) / length,
        _ if g > 0.0 => 1.0,
        _ if g < 0.0 => -1.0,
        _ => 0.0,
    }
}

/// Steps to the nearest boundary of the linearised network, until another class is largest.
pub(super) fn deepfool(run: &Run<'_>, settings: Minimal) -> Result<Vec<f32>, AttackError> {
    let (n, outputs) = (run.features(), run.outputs());
    let clean = run.samples.x;
    let mut x = clean.to_vec();
    let mut sum = vec![0.0_f64; x.len()];
    let first = run.classifier.logits(clean, run.classes.len())?;
    let ranks: Vec<Vec<usize>> = first.chunks_exact(outputs).map(ranked).collect();
    // For each rank among the other classes, the class that has it, row by row.
    let candidates: Vec<Vec<usize>> = (0..CANDIDATES.min(outputs.saturating_sub(1)))
        .map(|rank| {
            let other = |(order, class): (&Vec<usize>, &u32)| {
                let mut others = order.iter().copied().filter(|k| *k != *class as usize);
                others.nth(rank).unwrap_or(*class as usize)
            };
            ranks.iter().zip(&run.classes).map(other).collect()
        })
        .collect();
    let mut open: Vec<usize> = (0..run.classes.len()).collect();
    for _ in 0..settings.steps {
        let points: Vec<f32> = open.iter().flat_map(|r| &x[r * n..(r + 1) * n]).copied().collect();
        let logits = run.classifier.logits(&points, open.len())?;
        let fooled = |at: usize| argmax(&logits[at * outputs..(at + 1) * outputs]) != run.classes[open[at]] as usize;
        let left: Vec<usize> = (0..open.len()).filter(|at| !fooled(*at)).collect();
        let points: Vec<f32> = left.iter().flat_map(|at| &points[at * n..(at + 1) * n]).copied().collect();
        open = left.iter().map(|at| open[*at]).collect();
        if open.is_empty() {
            break;
        }
        let steps = nearest(run, settings.norm, &open, &points, &candidates)?;
        for (&r, step) in open.iter().zip(steps.chunks_exact(n)) {
            for (i, step) in step.iter().enumerate() {
                sum[r * n + i] += step;
                x[r * n + i] = run.clip(f64::from(clean[r * n + i]) + (1.0 + OVERSHOOT) * sum[r * n + i]);
            }
        }
    }
    Ok(run.within(x))
}

/// For each row the shortest step to a boundary of the linearised network.
fn nearest(
    run: &Run<'_>,
    norm: Norm,
    open: &[usize],
    points: &[f32],
    candidates: &[Vec<usize>],
) -> Result<Vec<f64>, AttackError> {
    let (n, outputs) = (run.features(), run.outputs());
    let mut shortest = vec![f64::INFINITY; open.len()];
    let mut steps = vec![0.0; points.len()];
    for others in candidates {
        let pair = |row: usize| (others[open[row]], run.classes[open[row]] as usize);
        let (logits, gradient) = run.forward_backward(points, open.len(), |row, _, out| {
            let (other, class) = pair(row);
            out.fill(0.0);
            out[other] += 1.0;
            out[class] -= 1.0;
        })?;
        for row in 0..open.len() {
            let (other, class) = pair(row);
            let gap = f64::from(logits[row * outputs + class]) - f64::from(logits[row * outputs + other]);
            let gradient = &gradient[row * n..(row + 1) * n];
            let size = dual(norm, gradient);
            let length = gap.abs() / size;
            if size > 0.0 && length < shortest[row] {
                shortest[row] = length;
                // A little more than nothing, so that a tie is broken.
                let length = length + 1e-4 / size.max(1.0);
                for (step, g) in steps[row * n..(row + 1) * n].iter_mut().zip(gradient) {
                    *step = length * unit(norm, *g, size);
                }
            }
        }
    }
    Ok(steps)
}

/// One row of the fast minimum-norm attack.
#[derive(Clone)]
struct Ball {
    radius: f64,
    smallest: f64,
}

/// Steps along the gradient of the margin within a ball that grows while the class stands and shrinks once it has fallen.
pub(super) fn fmn(run: &Run<'_>, settings: Minimal) -> Result<Vec<f32>, AttackError> {
    let (n, outputs) = (run.features(), run.outputs());
    let (clean, rows) = (run.samples.x, run.classes.len());
    let mut x = clean.to_vec();
    let mut best = clean.to_vec();
    let mut balls = vec![Ball { radius: f64::INFINITY, smallest: f64::INFINITY }; rows];
    for step in 0..=settings.steps {
        let (logits, gradient) = run.forward_backward(&x, rows, |row, logits, out| {
            let class = run.classes[row] as usize;
            out.fill(0.0);
            out[runner_up(logits, class)] += 1.0;
            out[class] -= 1.0;
        })?;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / settings.steps as f64).cos());
        // Lengths fall from 1 to 0.01 and changes of the radius from 5 % to 0.1 %, as published.
        let (length, change) = (0.01 + 0.99 * cosine, 0.001 + 0.049 * cosine);
        for (row, ball) in balls.iter_mut().enumerate() {
            let at = row * n..(row + 1) * n;
            let (clean, gradient) = (&clean[at.clone()], &gradient[at.clone()]);
            let logits = &logits[row * outputs..(row + 1) * outputs];
            let class = run.classes[row] as usize;
            let point = &mut x[at.clone()];
            let (size, distance) = (dual(settings.norm, gradient), settings.norm.of(clean, point));
            let length_of_gradient = dual(Norm::L2, gradient);
            if argmax(logits) == class {
                let gap = f64::from(logits[class]) - f64::from(logits[runner_up(logits, class)]);
                ball.radius = match (ball.smallest.is_finite(), size > 0.0) {
                    (true, _) => ball.radius * (1.0 + change),
                    (false, true) => distance + gap / size,
                    (false, false) => f64::INFINITY,
                };
            } else {
                if distance < ball.smallest {
                    ball.smallest = distance;
                    best[at].copy_from_slice(point);
                }
                ball.radius = ball.radius.min(ball.smallest) * (1.0 - change);
            }
            let mut delta: Vec<f64> = point
                .iter()
                .zip(clean)
                .zip(gradient)
                .map(|((x, c), g)| {
                    // In every norm along the gradient itself; the ball makes the difference.
                    let by = if size > 0.0 { length * unit(Norm::L2, *g, length_of_gradient) } else { 0.0 };
                    f64::from(*x) - f64::from(*c) + by
                })
                .collect();
            shorten(settings.norm, &mut delta, ball.radius);
            point.iter_mut().zip(clean).zip(delta).for_each(|((x, c), d)| *x = run.clip(f64::from(*c) + d));
        }
    }
    Ok(run.within(best))
}

/// Moves `delta` into the ball of radius `radius`.
fn shorten(norm: Norm, delta: &mut [f64], radius: f64) {
    if norm == Norm::L2 {
        let length = delta.iter().map(|d| d * d).sum::<f64>().sqrt();
        if length > radius {
            for d in delta {
                *d *= radius / length;
            }
        }
    } else {
        // A radius that is no number leaves everything where it is.
        for d in delta {
            *d = d.max(-radius).min(radius);
        }
    }
}
