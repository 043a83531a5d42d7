//! One pixel (Su, Vargas and Sakurai 2019): the place and the colour of a single pixel, found by differential evolution (Storn
//! and Price 1997) on the outputs alone.

use super::perturb::{Attempt, Run};
use super::square::shape;
use super::{AttackError, Loss};
use crate::nn::random::Stream;

/// Settings of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evolution {
    /// Generations.
    pub steps: usize,
    /// Candidates, at least 4.
    pub population: usize,
}

/// Weight of the difference of two candidates.
const DIFFERENCE: f64 = 0.5;

/// A pixel: its row and column as shares of the image, then each channel as a share of its interval.
type Candidate = Vec<f64>;

/// The perturbed samples.
pub(super) fn run(run: &Run<'_>, evolution: Evolution) -> Result<Vec<f32>, AttackError> {
    let mut attempt = run.attempt()?;
    for row in attempt.open.clone() {
        search(run, evolution, row, &mut attempt)?;
    }
    Ok(attempt.best)
}

fn search(run: &Run<'_>, evolution: Evolution, row: usize, attempt: &mut Attempt) -> Result<(), AttackError> {
    let n = run.features();
    let genes = 2 + channels(run);
    let mut random = run.stream("one-pixel", row, 0);
    let mut members: Vec<Candidate> =
        (0..evolution.population).map(|_| (0..genes).map(|_| random.uniform_f64()).collect()).collect();
    let mut fitness: Vec<f32> = Vec::new();
    for step in 0..=evolution.steps {
        let tried: Vec<Candidate> = if step == 0 {
            members.clone()
        } else {
            (0..members.len()).map(|at| child(&members, at, &mut random)).collect()
        };
        let points: Vec<f32> = tried.iter().flat_map(|candidate| point(run, row, candidate)).collect();
        let logits = run.classifier.logits(&points, tried.len())?;
        let class = run.classes[row] as usize;
        let found: Vec<f32> =
            logits.chunks_exact(run.outputs()).map(|logits| Loss::Margin.value(logits, class)).collect();
        let best = (0..found.len()).reduce(|best, at| if found[at] > found[best] { at } else { best }).unwrap_or(0);
        let (x, logits) =
            (&points[best * n..(best + 1) * n], &logits[best * run.outputs()..(best + 1) * run.outputs()]);
        attempt.note(run, &[row], x, logits);
        if found[best] > 0.0 {
            return Ok(());
        }
        if step == 0 {
            fitness = found;
            continue;
        }
        // A child takes its parent's place where it is better.
        for (at, (child, found)) in tried.into_iter().zip(found).enumerate() {
            if found > fitness[at] {
                members[at] = child;
                fitness[at] = found;
            }
        }
    }
    Ok(())
}

/// A member plus the difference of two others, each of the three another one than the parent.
fn child(members: &[Candidate], parent: usize, random: &mut Stream) -> Candidate {
    let mut picked = [parent; 4];
    for at in 1..4 {
        while picked[..at].contains(&picked[at]) {
            picked[at] = (random.uniform_f64() * members.len() as f64) as usize;
        }
    }
    let [_, a, b, c] = picked.map(|at| &members[at]);
    let gene = |i: usize| (a[i] + DIFFERENCE * (b[i] - c[i])).clamp(0.0, 1.0);
    (0..a.len()).map(gene).collect()
}

fn channels(run: &Run<'_>) -> usize {
    shape(run)[0]
}

/// The sample with that pixel.
fn point(run: &Run<'_>, row: usize, candidate: &Candidate) -> Vec<f32> {
    let [channels, height, width] = shape(run);
    let n = run.features();
    let mut x = run.samples.x[row * n..(row + 1) * n].to_vec();
    let place = |share: f64, extent: usize| ((share * extent as f64) as usize).min(extent - 1);
    let (y, column) = (place(candidate[0], height), place(candidate[1], width));
    for c in 0..channels {
        let at = (c * height + y) * width + column;
        let (lo, hi) = run.region.interval(row * n + at);
        let value = f64::from(lo) + candidate[2 + c] * (f64::from(hi) - f64::from(lo));
        x[at] = (value as f32).clamp(lo, hi);
    }
    x
}
