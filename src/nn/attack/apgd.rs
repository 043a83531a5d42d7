//! Auto-PGD (Croce and Hein 2020): projected gradient ascent with momentum whose step halves where progress stalls.

use super::direction::{Direction, random_start};
use super::loss::{ranked, targeted, targeted_gradient};
use super::perturb::{Attempt, Run};
use super::{AttackError, Loss};
use crate::nn::executor::argmax;

/// Settings of Auto-PGD.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apgd {
    /// Gradient steps of an attempt, 100 as published.
    pub steps: usize,
    /// Random starts of an attempt.
    pub restarts: usize,
    /// The ball: infinity norm or Euclidean.
    pub norm: super::Norm,
    /// What is driven up.
    pub goal: Goal,
}

/// What Auto-PGD drives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A loss of the attacked class.
    Loss(Loss),
    /// The targeted DLR loss towards each of so many of the most likely other classes in turn.
    Targets(usize),
}

/// Weight of the gradient step beside the last movement.
const MOMENTUM: f32 = 0.75;
/// Share of a window's steps that must have made progress.
const PROGRESS: f64 = 0.75;

/// The perturbed samples.
pub(super) fn run(run: &Run<'_>, apgd: Apgd) -> Result<Vec<f32>, AttackError> {
    let mut attempt = run.attempt()?;
    let rounds = match apgd.goal {
        Goal::Loss(_) => 1,
        Goal::Targets(count) => count.min(run.outputs().saturating_sub(1)),
    };
    for round in 0..rounds {
        for restart in 0..apgd.restarts {
            if attempt.open.is_empty() {
                return Ok(attempt.best);
            }
            ascend(run, apgd, round, (round * apgd.restarts + restart) as u64, &mut attempt)?;
        }
    }
    Ok(attempt.best)
}

/// What is known of one row.
struct Row {
    step: f64,
    best: f32,
    /// At the last look: the best loss, and whether the step was halved there.
    looked: (f32, bool),
    progress: usize,
    last: f32,
}

/// One attempt at the rows that are still open.
fn ascend(run: &Run<'_>, apgd: Apgd, round: usize, number: u64, attempt: &mut Attempt) -> Result<(), AttackError> {
    let n = run.features();
    let open = attempt.open.clone();
    let region = run.region.select(&open);
    let classes: Vec<usize> = open.iter().map(|r| run.classes[*r] as usize).collect();
    let targets = targets(run, &region, &classes, round)?;
    let value = |row: usize, logits: &[f32]| match apgd.goal {
        Goal::Loss(loss) => loss.value(logits, classes[row]),
        Goal::Targets(_) => targeted(logits, classes[row], targets[row]),
    };
    let slope = |row: usize, logits: &[f32], out: &mut [f32]| match apgd.goal {
        Goal::Loss(loss) => loss.gradient(logits, classes[row], out),
        Goal::Targets(_) => targeted_gradient(logits, classes[row], targets[row], out),
    };
    let mut x = random_start(run, &open, number, apgd.norm);
    region.project(&mut x);
    let (mut before, mut best) = (x.clone(), x.clone());
    let (mut logits, mut gradient) = run.forward_backward(&x, open.len(), slope)?;
    let mut best_gradient = gradient.clone();
    let mut rows: Vec<Row> = (0..open.len())
        .map(|row| {
            let loss = value(row, &logits[row * run.outputs()..(row + 1) * run.outputs()]);
            Row { step: 2.0 * run.eps, best: loss, looked: (loss, true), progress: 0, last: loss }
        })
        .collect();
    attempt.note(run, &open, &x, &logits);
    let looks = looks(apgd.steps);
    let mut since = 0;
    for step in 1..=apgd.steps {
        let mut moved = x.clone();
        for (row, x) in moved.chunks_exact_mut(n).enumerate() {
            Direction::of(apgd.norm).step(x, &gradient[row * n..(row + 1) * n], rows[row].step);
        }
        region.project(&mut moved);
        let momentum = if step == 1 { 1.0 } else { MOMENTUM };
        for ((moved, x), before) in moved.iter_mut().zip(&x).zip(&before) {
            *moved = x + momentum * (*moved - x) + (1.0 - momentum) * (x - before);
        }
        region.project(&mut moved);
        before = std::mem::replace(&mut x, moved);
        (logits, gradient) = run.forward_backward(&x, open.len(), slope)?;
        attempt.note(run, &open, &x, &logits);
        since += 1;
        let look = looks.contains(&step);
        for (row, state) in rows.iter_mut().enumerate() {
            let at = row * n..(row + 1) * n;
            let loss = value(row, &logits[row * run.outputs()..(row + 1) * run.outputs()]);
            state.progress += usize::from(loss > state.last);
            state.last = loss;
            if loss > state.best {
                state.best = loss;
                best[at.clone()].copy_from_slice(&x[at.clone()]);
                best_gradient[at.clone()].copy_from_slice(&gradient[at.clone()]);
            }
            if look {
                let few = (state.progress as f64) < PROGRESS * f64::from(since);
                let stalled = !state.looked.1 && state.best <= state.looked.0;
                state.looked = (state.best, few || stalled);
                state.progress = 0;
                if few || stalled {
                    state.step /= 2.0;
                    x[at.clone()].copy_from_slice(&best[at.clone()]);
                    gradient[at.clone()].copy_from_slice(&best_gradient[at]);
                }
            }
        }
        if look {
            since = 0;
        }
    }
    attempt.close();
    Ok(())
}

/// The class that each row is driven towards: number `round` of the others, most likely first on the clean sample.
fn targets(
    run: &Run<'_>,
    region: &super::region::Region,
    classes: &[usize],
    round: usize,
) -> Result<Vec<usize>, AttackError> {
    let logits = run.classifier.logits(region.center(), classes.len())?;
    let rows = logits.chunks_exact(run.outputs()).zip(classes);
    Ok(rows
        .map(|(logits, class)| {
            let others: Vec<usize> = ranked(logits).into_iter().filter(|k| k != class).collect();
            others.get(round).copied().unwrap_or_else(|| argmax(logits))
        })
        .collect())
}

/// After which steps progress is looked at: at 22 % of them, then after spans that shrink by 3 % down to 6 %.
fn looks(steps: usize) -> Vec<usize> {
    let (mut before, mut at) = (0.0_f64, 0.22_f64);
    let mut looks = Vec::new();
    while at <= 1.0 {
        // Sums of such shares are a little off.
        looks.push((at * steps as f64 - 1e-9).ceil() as usize);
        let span = (at - before - 0.03).max(0.06);
        before = at;
        at += span;
    }
    looks
}

#[cfg(test)]
mod tests {
    use super::looks;

    #[test]
    fn looks_come_where_the_paper_has_them() {
        // Croce and Hein 2020, section 3.1: p = 0, 0.22, 0.41, 0.57, 0.70, 0.80, 0.87, 0.93, 0.99.
        assert_eq!(looks(100), [22, 41, 57, 70, 80, 87, 93, 99]);
    }
}
