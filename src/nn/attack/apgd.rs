//! Auto-PGD: projected gradient ascent that needs no step size. In the infinity and the Euclidean norm with momentum and a step
//! that halves where progress stalls (Croce and Hein 2020); in the 1-norm with steps along the largest entries of the gradient
//! alone, as many as the best point has changed, and in balls that shrink to the one that counts (Croce and Hein 2021).

use super::direction::{Direction, random_start};
use super::loss::{ranked, targeted, targeted_gradient};
use super::perturb::{Attempt, Run};
use super::region::Region;
use super::{AttackError, Loss, Norm};
use crate::nn::classes::argmax;

/// Settings of Auto-PGD.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apgd {
    /// Gradient steps of an attempt, 100 as published.
    pub steps: usize,
    /// Random starts of an attempt.
    pub restarts: usize,
    /// The ball.
    pub norm: Norm,
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
/// More than this share of the steps of a window must have made progress, as in the authors' code.
const PROGRESS: f64 = 0.75;
/// In the 1-norm: radii in multiples of epsilon, and tenths of the steps that are made in the first two of them.
const RADII: [f64; 3] = [3.0, 2.0, 1.0];
const TENTHS: usize = 3;
/// In the 1-norm: a step moves one in so many of the features that the best point has changed; steps shorten by as much.
const SPARSER: f64 = 1.5;
/// In the 1-norm: the shortest step is this part of the longest.
const SHORTEST: f64 = 0.1;

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
            let number = (round * apgd.restarts + restart) as u64;
            let climb = Climb::new(run, apgd.goal, round, &attempt.open)?;
            if apgd.norm == Norm::L1 {
                climb.in_shrinking_balls(apgd.steps, number, &mut attempt)?;
            } else {
                climb.with_halving_steps(apgd, number, &mut attempt)?;
            }
            attempt.close();
        }
    }
    Ok(attempt.best)
}

/// One attempt at the rows that are still open.
struct Climb<'a> {
    run: &'a Run<'a>,
    goal: Goal,
    open: Vec<usize>,
    classes: Vec<usize>,
    targets: Vec<usize>,
    /// Where each row is, the gradient there, and the loss.
    x: Vec<f32>,
    gradient: Vec<f32>,
    loss: Vec<f32>,
    /// The same of its best point so far.
    best: Vec<f32>,
    best_gradient: Vec<f32>,
    best_loss: Vec<f32>,
}

impl<'a> Climb<'a> {
    fn new(run: &'a Run<'a>, goal: Goal, round: usize, open: &[usize]) -> Result<Self, AttackError> {
        let classes: Vec<usize> = open.iter().map(|r| run.classes[*r] as usize).collect();
        let targets = targets(run, open, &classes, round)?;
        let open = open.to_vec();
        let (x, gradient, loss) = (Vec::new(), Vec::new(), Vec::new());
        let (best, best_gradient, best_loss) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { run, goal, open, classes, targets, x, gradient, loss, best, best_gradient, best_loss })
    }

    /// The values of row `row` in a list of all rows.
    fn at(&self, row: usize) -> std::ops::Range<usize> {
        row * self.run.features()..(row + 1) * self.run.features()
    }

    /// Starts at `x`, of which nothing is known to be better.
    fn start(&mut self, x: Vec<f32>, attempt: Option<&mut Attempt>) -> Result<(), AttackError> {
        self.best.clone_from(&x);
        self.best_loss = vec![f32::NEG_INFINITY; self.open.len()];
        self.best_gradient = vec![0.0; x.len()];
        self.go(x, attempt)?;
        // A loss that is no number is where a row starts nevertheless.
        self.best_loss.clone_from(&self.loss);
        self.best_gradient.clone_from(&self.gradient);
        Ok(())
    }

    /// Goes to `x`: its outputs, which `attempt` is told of, the gradient there, and whether it is better.
    fn go(&mut self, x: Vec<f32>, attempt: Option<&mut Attempt>) -> Result<(), AttackError> {
        let (run, goal, classes, targets) = (self.run, self.goal, &self.classes, &self.targets);
        let (logits, gradient) = run.forward_backward(&x, self.open.len(), |row, logits, out| match goal {
            Goal::Loss(loss) => loss.gradient(logits, classes[row], out),
            Goal::Targets(_) => targeted_gradient(logits, classes[row], targets[row], out),
        })?;
        self.loss = logits
            .chunks_exact(run.outputs())
            .enumerate()
            .map(|(row, logits)| match goal {
                Goal::Loss(loss) => loss.value(logits, classes[row]),
                Goal::Targets(_) => targeted(logits, classes[row], targets[row]),
            })
            .collect();
        if let Some(attempt) = attempt {
            attempt.note(run, &self.open, &x, &logits);
        }
        (self.x, self.gradient) = (x, gradient);
        for row in 0..self.open.len() {
            if self.loss[row] > self.best_loss[row] {
                self.best_loss[row] = self.loss[row];
                let at = self.at(row);
                self.best[at.clone()].copy_from_slice(&self.x[at.clone()]);
                self.best_gradient[at.clone()].copy_from_slice(&self.gradient[at]);
            }
        }
        Ok(())
    }

    /// Goes back to the best point of a row.
    fn back(&mut self, row: usize) {
        let at = self.at(row);
        self.x[at.clone()].copy_from_slice(&self.best[at.clone()]);
        self.gradient[at.clone()].copy_from_slice(&self.best_gradient[at]);
    }

    fn with_halving_steps(mut self, apgd: Apgd, number: u64, attempt: &mut Attempt) -> Result<(), AttackError> {
        let region = self.run.region.select(&self.open);
        let mut x = random_start(self.run, &self.open, number, apgd.norm);
        region.project(&mut x);
        self.start(x, Some(&mut *attempt))?;
        let first = |loss: &f32| Row { step: 2.0 * self.run.eps, looked: (*loss, true), progress: 0 };
        let mut rows: Vec<Row> = self.loss.iter().map(first).collect();
        let (looks, mut since) = (looks(apgd.steps), 0_u32);
        let mut before = self.x.clone();
        for step in 1..=apgd.steps {
            let mut moved = self.x.clone();
            for (row, x) in moved.chunks_exact_mut(self.run.features()).enumerate() {
                Direction::of(apgd.norm).step(x, &self.gradient[self.at(row)], rows[row].step);
            }
            region.project(&mut moved);
            let momentum = if step == 1 { 1.0 } else { MOMENTUM };
            for ((moved, x), before) in moved.iter_mut().zip(&self.x).zip(&before) {
                *moved = x + momentum * (*moved - x) + (1.0 - momentum) * (x - before);
            }
            region.project(&mut moved);
            before.clone_from(&self.x);
            let last = self.loss.clone();
            self.go(moved, Some(&mut *attempt))?;
            since += 1;
            for (row, last) in last.into_iter().enumerate() {
                rows[row].progress += u32::from(self.loss[row] > last);
            }
            if looks.contains(&step) {
                for (row, state) in rows.iter_mut().enumerate() {
                    if state.stalls(self.best_loss[row], since) {
                        self.back(row);
                    }
                }
                since = 0;
            }
        }
        Ok(())
    }

    fn in_shrinking_balls(mut self, steps: usize, number: u64, attempt: &mut Attempt) -> Result<(), AttackError> {
        let (run, n) = (self.run, self.run.features());
        let center = run.region.select(&self.open).center().to_vec();
        let early = (steps * TENTHS).div_ceil(10);
        let mut x = center.clone();
        for (row, x) in x.chunks_exact_mut(n).enumerate() {
            let mut random = run.stream("attack-start", self.open[row], number as usize);
            for v in x {
                *v = (f64::from(*v) + random.normal()) as f32;
            }
        }
        for radius in RADII {
            let counts = radius <= 1.0;
            let eps = radius * run.eps;
            let region = Region::around(center.clone(), n, run.attack, eps);
            region.project(&mut x);
            self.start(x, counts.then_some(&mut *attempt))?;
            let mut rows: Vec<Sparse> =
                (0..self.open.len()).map(|row| Sparse::new(self.changed(row, &center), eps)).collect();
            let steps = if counts { steps.saturating_sub(2 * early).max(1) } else { early };
            let span = (early_look(steps)).max(1);
            for step in 1..=steps {
                let mut moved = self.x.clone();
                for (row, x) in moved.chunks_exact_mut(n).enumerate() {
                    rows[row].step(x, &self.gradient[self.at(row)]);
                }
                region.project(&mut moved);
                self.go(moved, counts.then_some(&mut *attempt))?;
                if step % span == 0 {
                    for (row, state) in rows.iter_mut().enumerate() {
                        if state.settles(self.changed(row, &center), eps) {
                            self.back(row);
                        }
                    }
                }
            }
            x = std::mem::take(&mut self.best);
        }
        Ok(())
    }

    /// Features that the best point of a row changes.
    fn changed(&self, row: usize, center: &[f32]) -> usize {
        let at = self.at(row);
        self.best[at.clone()].iter().zip(&center[at]).filter(|(a, b)| a.to_bits() != b.to_bits()).count()
    }
}

/// Steps between two looks at how sparse the best point is: 4 % of them.
fn early_look(steps: usize) -> usize {
    steps * 4 / 100
}

/// The step of a row.
struct Row {
    step: f64,
    /// At the last look: the best loss, and whether the step was halved there.
    looked: (f32, bool),
    progress: u32,
}

impl Row {
    /// Looks back at `since` steps: whether too few made progress, or the best loss `best` is what it was though the step stayed.
    /// Then the step is halved.
    fn stalls(&mut self, best: f32, since: u32) -> bool {
        let few = f64::from(self.progress) <= PROGRESS * f64::from(since);
        let stalled = few || (!self.looked.1 && best <= self.looked.0);
        self.looked = (best, stalled);
        self.progress = 0;
        if stalled {
            self.step /= 2.0;
        }
        stalled
    }
}

/// The step of a row in the 1-norm.
struct Sparse {
    step: f64,
    /// Features that a step moves.
    moves: usize,
    /// Features that the best point changed at the last look.
    changed: usize,
}

impl Sparse {
    fn new(changed: usize, eps: f64) -> Self {
        Self { step: eps, moves: moves(changed), changed }
    }

    /// Moves the features of the largest gradients by the same amount each.
    fn step(&self, x: &mut [f32], gradient: &[f32]) {
        let mut order: Vec<usize> = (0..x.len()).filter(|i| gradient[*i].abs() > 0.0).collect();
        let larger = |a: &usize, b: &usize| gradient[*b].abs().total_cmp(&gradient[*a].abs()).then(a.cmp(b));
        let count = self.moves.min(order.len());
        if count == 0 {
            return;
        }
        order.select_nth_unstable_by(count - 1, larger);
        let by = self.step / count as f64;
        for i in &order[..count] {
            x[*i] = (f64::from(x[*i]) + by * f64::from(gradient[*i].signum())) as f32;
        }
    }

    /// Looks at how many features the best point changes: where they have become fewer, steps are long again, and start from it.
    fn settles(&mut self, changed: usize, eps: f64) -> bool {
        let sparser = (changed as f64) < 0.95 * self.changed as f64;
        self.step = if sparser { eps } else { (self.step / SPARSER).max(eps * SHORTEST) };
        self.moves = moves(changed);
        self.changed = changed;
        sparser
    }
}

fn moves(changed: usize) -> usize {
    ((changed as f64 / SPARSER) as usize).max(1)
}

/// The class that each row is driven towards: number `round` of the others, most likely first on the clean sample.
fn targets(run: &Run<'_>, open: &[usize], classes: &[usize], round: usize) -> Result<Vec<usize>, AttackError> {
    let region = run.region.select(open);
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
