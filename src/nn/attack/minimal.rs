//! Attacks that look for a small perturbation rather than for one of a given size. What they find does not depend on epsilon: one
//! search answers every size of a sweep.

use super::loss::{ranked, runner_up};
use super::perturb::{Run, check};
use super::region::onto_l1;
use super::{Attack, AttackError, Method, Norm, Samples, fab};
use crate::nn::classes::argmax;
use crate::nn::classifier::Classifier;

/// Settings of an attack that looks for the smallest perturbation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minimal {
    /// Gradient steps.
    pub steps: usize,
    /// The norm that is made small.
    pub norm: Norm,
}

/// How much further than the linear boundary `DeepFool` goes.
const OVERSHOOT: f64 = 0.02;
/// Classes that `DeepFool` looks at: the most likely ones, as its authors do for many classes.
const CANDIDATES: usize = 10;

/// The points that an attack for small perturbations finds, however far they are; `None` for other attacks. To be given to
/// [`super::perturb()`] at every epsilon.
///
/// # Errors
/// As [`super::perturb()`].
pub fn search(
    classifier: &Classifier,
    samples: &Samples<'_>,
    attack: &Attack,
) -> Result<Option<Vec<f32>>, AttackError> {
    if !attack.method.is_minimal() {
        return Ok(None);
    }
    check(classifier, samples, attack, f64::MAX)?;
    let n = classifier.inputs();
    let parts = classifier
        .spread(samples.ids.len(), |local, rows| run(&Run::new(local, &samples.part(n, rows), attack, f64::MAX)?));
    Ok(Some(parts?.concat()))
}

/// The points that an attack for small perturbations finds; the samples themselves for other attacks.
pub(super) fn run(run: &Run<'_>) -> Result<Vec<f32>, AttackError> {
    match run.attack.method {
        Method::DeepFool(minimal) => deepfool(run, minimal),
        Method::Fmn(minimal) => fmn(run, minimal),
        Method::Fab(fab) => fab::run(run, fab),
        _ => Ok(run.samples.x.to_vec()),
    }
}

impl Run<'_> {
    /// `x` within the range of the data.
    pub(super) fn clip(&self, x: f64) -> f32 {
        let (lowest, highest) = self.attack.clip.unwrap_or((f32::MIN, f32::MAX));
        (x as f32).clamp(lowest, highest)
    }
}

/// Of each norm the dual one, in which gradients are measured.
pub(super) fn dual(norm: Norm, gradient: &[f32]) -> f64 {
    let sizes = gradient.iter().map(|g| f64::from(g.abs()));
    match norm {
        Norm::L2 => sizes.map(|g| g * g).sum::<f64>().sqrt(),
        Norm::L1 => sizes.fold(0.0, f64::max),
        Norm::Linf | Norm::None => sizes.sum(),
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
fn deepfool(run: &Run<'_>, settings: Minimal) -> Result<Vec<f32>, AttackError> {
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
    Ok(x)
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

/// The ball of one row of the fast minimum-norm attack.
struct Ball {
    radius: f64,
    /// The size of the smallest perturbation that fooled; infinite before there is one.
    smallest: f64,
    /// The largest that the range of the data allows, beyond which no ball need grow.
    largest: f64,
}

impl Ball {
    fn new(run: &Run<'_>, norm: Norm, clean: &[f32]) -> Self {
        let Some((lo, hi)) = run.attack.clip else {
            return Self { radius: f64::INFINITY, smallest: f64::INFINITY, largest: f64::INFINITY };
        };
        let far: Vec<f32> = clean.iter().map(|x| if *x - lo > hi - *x { lo } else { hi }).collect();
        Self { radius: f64::INFINITY, smallest: f64::INFINITY, largest: norm.of(clean, &far) }
    }

    /// The next radius (Pintor et al. 2021, algorithm 1): less once the class has fallen, more while it stands, and before it has
    /// ever fallen as far as the boundary of the linearised network is.
    fn update(&mut self, fooled: bool, distance: f64, to_boundary: f64, change: f64) {
        if fooled {
            self.smallest = self.smallest.min(distance);
            self.radius = (self.radius * (1.0 - change)).min(self.smallest);
        } else if self.smallest.is_finite() {
            self.radius *= 1.0 + change;
        } else {
            self.radius = distance + to_boundary;
        }
        self.radius = self.radius.min(self.largest);
    }
}

/// Steps along the gradient of the margin within a ball that grows while the class stands and shrinks once it has fallen.
fn fmn(run: &Run<'_>, settings: Minimal) -> Result<Vec<f32>, AttackError> {
    let (n, outputs, norm) = (run.features(), run.outputs(), settings.norm);
    let (clean, rows) = (run.samples.x, run.classes.len());
    let (mut x, mut best) = (clean.to_vec(), clean.to_vec());
    let mut balls: Vec<Ball> = clean.chunks_exact(n).map(|clean| Ball::new(run, norm, clean)).collect();
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
            let (point, fooled) = (&mut x[at.clone()], argmax(logits) != class);
            let (size, distance) = (dual(norm, gradient), norm.of(clean, point));
            if fooled && distance < ball.smallest {
                best[at].copy_from_slice(point);
            }
            let gap = f64::from(logits[class]) - f64::from(logits[runner_up(logits, class)]);
            let to_boundary = if size > 0.0 { gap.abs() / size } else { f64::INFINITY };
            ball.update(fooled, distance, to_boundary, change);
            advance(run, norm, point, clean, (gradient, length), ball.radius);
        }
    }
    Ok(best)
}

/// In every norm along the gradient itself, by `length`; then into the ball, which makes the difference, and the range.
fn advance(
    run: &Run<'_>,
    norm: Norm,
    point: &mut [f32],
    clean: &[f32],
    (gradient, length): (&[f32], f64),
    radius: f64,
) {
    let size = dual(Norm::L2, gradient);
    let by = if size > 0.0 && size.is_finite() { length / size } else { 0.0 };
    let mut delta: Vec<f64> = point
        .iter()
        .zip(clean)
        .zip(gradient)
        .map(|((x, c), g)| f64::from(*x) - f64::from(*c) + if by > 0.0 { by * f64::from(*g) } else { 0.0 })
        .collect();
    shorten(norm, &mut delta, radius);
    point.iter_mut().zip(clean).zip(delta).for_each(|((x, c), d)| *x = run.clip(f64::from(*c) + d));
}

/// Moves `delta` into the ball of radius `radius`.
fn shorten(norm: Norm, delta: &mut Vec<f64>, radius: f64) {
    match norm {
        Norm::L2 => {
            let length = delta.iter().map(|d| d * d).sum::<f64>().sqrt();
            if length > radius {
                for d in delta {
                    *d *= radius / length;
                }
            }
        }
        Norm::L1 => *delta = onto_l1(delta, &vec![f64::INFINITY; delta.len()], radius),
        // A radius that is no number leaves everything where it is.
        Norm::Linf | Norm::None => delta.iter_mut().for_each(|d| *d = d.max(-radius).min(radius)),
    }
}
