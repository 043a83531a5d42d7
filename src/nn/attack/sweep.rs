//! Growing perturbations: each sample's critical epsilon, at the price of attacking survivors only.
//!
//! Balls are nested: what fools a network within a small epsilon fools it within every larger one. So the sizes are taken in
//! ascending order and a sample that was fooled is not attacked again; its perturbed point stands for the larger sizes too, and
//! the share of survivors can only fall. Of several attacks the next one goes on with those that the ones before it left: what
//! counts for a sample is the worst case over the set.

use super::judge::{Attacked, judge};
use super::perturb::perturb;
use super::{Attack, AttackError, AttackedClass, Samples, search};
use crate::nn::classifier::Classifier;

/// How sizes build on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SweepOptions {
    /// Attack only the samples that no smaller size has fooled. Otherwise every size is an attack of its own on all samples,
    /// as published protocols with one size have it, and a curve need not be monotone.
    pub survivors_only: bool,
    /// Start PGD with the change that the next smaller size ended with, scaled up: where that ended little is left to do.
    pub warm_start: bool,
}

impl Default for SweepOptions {
    fn default() -> Self {
        Self { survivors_only: true, warm_start: false }
    }
}

/// One sample under all sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepSample {
    /// One per size, in ascending order. For a size at which the sample was not attacked any more, the result that stands; where
    /// several attacks failed, that of the largest loss.
    pub at: Vec<Attacked>,
    /// Whether it was attacked at each size.
    pub attacked: Vec<bool>,
    /// For each size the number of the attack that fools it there; `None` where none does, or where none had to.
    pub by: Vec<Option<usize>>,
    /// The smallest tested size that fools it; 0 for a sample whose label is attacked and missed without any perturbation, `None`
    /// where every size failed.
    pub critical_eps: Option<f64>,
}

/// A sweep's outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// One per sample, in order.
    pub samples: Vec<SweepSample>,
    /// The samples as perturbed at the largest size, row for row.
    pub x: Vec<f32>,
}

impl Sweep {
    /// Samples, of all of them, that are predicted as their label at size number `k`; `labels` as attacked.
    #[must_use]
    pub fn correct(&self, k: usize, labels: &[u32]) -> usize {
        self.samples.iter().zip(labels).filter(|(s, label)| s.at[k].prediction == **label).count()
    }

    /// Samples that were right when clean and are fooled at size number `k`, and how many were right when clean.
    #[must_use]
    pub fn fooled(&self, k: usize) -> (usize, usize) {
        let clean = || self.samples.iter().filter(|s| s.at[k].clean_correct);
        (clean().filter(|s| s.at[k].success).count(), clean().count())
    }
}

/// Attacks the samples at each of `sizes`, which ascend.
///
/// # Errors
/// What [`super::attack`] refuses, and [`AttackError::Epsilon`] for sizes that do not ascend.
pub fn sweep(
    classifier: &Classifier,
    samples: &Samples<'_>,
    plan: &Attack,
    sizes: &[f64],
    options: SweepOptions,
) -> Result<Sweep, AttackError> {
    sweep_set([classifier; 2], samples, std::slice::from_ref(plan), sizes, options)
}

/// The same by a set of attacks, cheap ones first, made against the first of two networks and judged by the second. They are to
/// agree in the class that they attack.
///
/// # Errors
/// As [`sweep`], and [`AttackError::NoAttack`] for an empty set.
pub fn sweep_set(
    [surrogate, classifier]: [&Classifier; 2],
    samples: &Samples<'_>,
    plans: &[Attack],
    sizes: &[f64],
    options: SweepOptions,
) -> Result<Sweep, AttackError> {
    if let Some(pair) = sizes.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(AttackError::Epsilon(pair[1]));
    }
    let first = plans.first().ok_or(AttackError::NoAttack)?;
    // Size zero tests the inputs once, and is where samples that are wrong when clean stop.
    let x = perturb(classifier, samples, first, 0.0, None)?;
    let before = classifier.logits(samples.x, samples.ids.len())?;
    let clean = judge(classifier, samples, first, 0.0, (&before, &x))?;
    let mut state = State::new([surrogate, classifier], samples, plans, (before, clean));
    for &eps in sizes {
        state.step(eps, options)?;
    }
    Ok(Sweep { samples: state.done, x: state.x })
}

struct State<'a> {
    networks: [&'a Classifier; 2],
    samples: &'a Samples<'a>,
    plans: &'a [Attack],
    x: Vec<f32>,
    /// The size that was attacked last; 0 before the first.
    eps: f64,
    /// The outputs for the samples themselves.
    before: Vec<f32>,
    current: Vec<Attacked>,
    by: Vec<Option<usize>>,
    done: Vec<SweepSample>,
    /// What each attack for small perturbations has found, sample by sample; empty where it has not been asked.
    found: Vec<Vec<Vec<f32>>>,
}

impl<'a> State<'a> {
    fn new(
        networks: [&'a Classifier; 2],
        samples: &'a Samples<'a>,
        plans: &'a [Attack],
        (before, clean): (Vec<f32>, Vec<Attacked>),
    ) -> Self {
        let missed = |a: &Attacked| plans.iter().any(|plan| plan.class == AttackedClass::True) && a.success;
        let start = |a: &Attacked| SweepSample {
            at: Vec::new(),
            attacked: Vec::new(),
            by: Vec::new(),
            critical_eps: missed(a).then_some(0.0),
        };
        let rows = clean.len();
        Self {
            networks,
            samples,
            plans,
            x: samples.x.to_vec(),
            eps: 0.0,
            before,
            done: clean.iter().map(start).collect(),
            current: clean,
            by: vec![None; rows],
            found: vec![vec![Vec::new(); rows]; plans.len()],
        }
    }

    /// One size: attacks who is left, and lets the others' results stand.
    fn step(&mut self, eps: f64, options: SweepOptions) -> Result<(), AttackError> {
        let open = |s: &SweepSample| !options.survivors_only || s.critical_eps.is_none();
        let mut rows: Vec<usize> = (0..self.done.len()).filter(|r| open(&self.done[*r])).collect();
        let attacked = rows.clone();
        let warm = (options.warm_start && self.eps > 0.0).then(|| self.grown(eps / self.eps));
        self.eps = eps;
        for number in 0..self.plans.len() {
            self.attack(number, &rows, eps, warm.as_deref())?;
            rows.retain(|r| !self.current[*r].success);
        }
        for (row, sample) in self.done.iter_mut().enumerate() {
            sample.at.push(self.current[row]);
            sample.attacked.push(false);
            sample.by.push(self.by[row]);
            if self.current[row].success && sample.critical_eps.is_none() {
                sample.critical_eps = Some(eps);
            }
        }
        for row in attacked {
            if let Some(last) = self.done[row].attacked.last_mut() {
                *last = true;
            }
        }
        Ok(())
    }

    /// The points with their changes `times` as large, not always within the range.
    fn grown(&self, times: f64) -> Vec<f32> {
        let pairs = self.samples.x.iter().zip(&self.x);
        pairs.map(|(clean, x)| (f64::from(*clean) + times * (f64::from(*x) - f64::from(*clean))) as f32).collect()
    }

    /// Attack `number` on the rows `rows`; `warm` is where all of them may start.
    fn attack(&mut self, number: usize, rows: &[usize], eps: f64, warm: Option<&[f32]>) -> Result<(), AttackError> {
        let plan = &self.plans[number];
        let features = self.networks[1].inputs();
        let x = pick(self.samples.x, rows, features);
        let (labels, ids) = self.names(rows);
        let part = Samples { x: &x, labels: &labels, ids: &ids, draw: self.samples.draw };
        let known = if plan.method.is_minimal() && eps > 0.0 {
            self.search(number, rows)?;
            Some(rows.iter().flat_map(|r| &self.found[number][*r]).copied().collect())
        } else {
            warm.map(|x| pick(x, rows, features))
        };
        let [surrogate, classifier] = self.networks;
        let moved = perturb(surrogate, &part, plan, eps, known.as_deref())?;
        let before = pick(&self.before, rows, classifier.outputs());
        let results = judge(classifier, &part, plan, eps, (&before, &moved))?;
        for ((&r, result), moved) in rows.iter().zip(results).zip(moved.chunks_exact(features)) {
            // Of attacks that fail the first one's point stands until another raises the loss further.
            if number == 0 || result.success || result.loss_after > self.current[r].loss_after {
                self.x[r * features..(r + 1) * features].copy_from_slice(moved);
                self.current[r] = result;
                self.by[r] = result.success.then_some(number);
            }
        }
        Ok(())
    }

    /// Lets attack `number` search for small perturbations of those of `rows` that it has not been asked about.
    fn search(&mut self, number: usize, rows: &[usize]) -> Result<(), AttackError> {
        let features = self.networks[1].inputs();
        let rows: Vec<usize> = rows.iter().copied().filter(|r| self.found[number][*r].is_empty()).collect();
        let x = pick(self.samples.x, &rows, features);
        let (labels, ids) = self.names(&rows);
        let part = Samples { x: &x, labels: &labels, ids: &ids, draw: self.samples.draw };
        let found = search(self.networks[0], &part, &self.plans[number])?.unwrap_or(x);
        for (row, found) in rows.into_iter().zip(found.chunks_exact(features)) {
            self.found[number][row] = found.to_vec();
        }
        Ok(())
    }

    fn names(&self, rows: &[usize]) -> (Vec<u32>, Vec<u64>) {
        rows.iter().map(|r| (self.samples.labels[*r], self.samples.ids[*r])).unzip()
    }
}

/// The rows `rows` of `from`.
fn pick(from: &[f32], rows: &[usize], features: usize) -> Vec<f32> {
    rows.iter().flat_map(|r| &from[r * features..(r + 1) * features]).copied().collect()
}
