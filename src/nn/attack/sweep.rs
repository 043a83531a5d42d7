//! Growing perturbations: each sample's critical epsilon, at the price of attacking survivors only.
//!
//! Balls are nested: what fools a network within a small epsilon fools it within every larger one. So the sizes are taken in
//! ascending order and a sample that was fooled is not attacked again; its perturbed point stands for the larger sizes too, and
//! the share of survivors can only fall.

use super::judge::{Attacked, attack, attack_from};
use super::{Attack, AttackError, AttackedClass, Samples};
use crate::nn::classifier::Classifier;

/// How sizes build on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SweepOptions {
    /// Attack only the samples that no smaller size has fooled. Otherwise every size is an attack of its own on all samples,
    /// as published protocols with one size have it, and a curve need not be monotone.
    pub survivors_only: bool,
    /// Start PGD from where the next smaller size ended.
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
    /// One per size, in ascending order. For a size at which the sample was not attacked any more, the result that stands.
    pub at: Vec<Attacked>,
    /// Whether it was attacked at each size.
    pub attacked: Vec<bool>,
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
/// What [`attack`] refuses, and [`AttackError::Epsilon`] for no sizes or sizes that do not ascend.
pub fn sweep(
    classifier: &Classifier,
    samples: &Samples<'_>,
    plan: &Attack,
    sizes: &[f64],
    options: SweepOptions,
) -> Result<Sweep, AttackError> {
    sweep_from(classifier, classifier, samples, plan, sizes, options)
}

/// The same with perturbations that are made against `surrogate`.
///
/// # Errors
/// As [`sweep`].
pub fn sweep_from(
    surrogate: &Classifier,
    classifier: &Classifier,
    samples: &Samples<'_>,
    plan: &Attack,
    sizes: &[f64],
    options: SweepOptions,
) -> Result<Sweep, AttackError> {
    if let Some(pair) = sizes.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(AttackError::Epsilon(pair[1]));
    }
    // Size zero tests the inputs once, and is where samples that are wrong when clean stop.
    let (_, clean) = attack(classifier, samples, plan, 0.0, None)?;
    let mut state = State::new(samples, plan, clean);
    for &eps in sizes {
        state.step([surrogate, classifier], samples, plan, eps, options)?;
    }
    Ok(Sweep { samples: state.done, x: state.x })
}

struct State {
    x: Vec<f32>,
    current: Vec<Attacked>,
    done: Vec<SweepSample>,
}

impl State {
    fn new(samples: &Samples<'_>, plan: &Attack, clean: Vec<Attacked>) -> Self {
        let missed = |a: &Attacked| plan.class == AttackedClass::True && a.success;
        let start =
            |a: &Attacked| SweepSample { at: Vec::new(), attacked: Vec::new(), critical_eps: missed(a).then_some(0.0) };
        Self { x: samples.x.to_vec(), done: clean.iter().map(start).collect(), current: clean }
    }

    /// One size: attacks who is left, and lets the others' results stand.
    fn step(
        &mut self,
        [surrogate, classifier]: [&Classifier; 2],
        samples: &Samples<'_>,
        plan: &Attack,
        eps: f64,
        options: SweepOptions,
    ) -> Result<(), AttackError> {
        let features = classifier.inputs();
        let open = |s: &SweepSample| !options.survivors_only || s.critical_eps.is_none();
        let rows: Vec<usize> = (0..self.done.len()).filter(|r| open(&self.done[*r])).collect();
        let pick = |from: &[f32]| -> Vec<f32> {
            rows.iter().flat_map(|r| &from[r * features..(r + 1) * features]).copied().collect()
        };
        let x = pick(samples.x);
        let labels: Vec<u32> = rows.iter().map(|r| samples.labels[*r]).collect();
        let ids: Vec<u64> = rows.iter().map(|r| samples.ids[*r]).collect();
        let part = Samples { x: &x, labels: &labels, ids: &ids, draw: samples.draw };
        let later = self.done.first().is_some_and(|s| !s.at.is_empty());
        let warm = (options.warm_start && later).then(|| pick(&self.x));
        let (moved, results) = attack_from(surrogate, classifier, &part, plan, eps, warm.as_deref())?;
        let mut attacked = vec![false; self.done.len()];
        for ((&r, result), moved) in rows.iter().zip(results).zip(moved.chunks_exact(features)) {
            self.x[r * features..(r + 1) * features].copy_from_slice(moved);
            self.current[r] = result;
            attacked[r] = true;
        }
        for ((sample, result), attacked) in self.done.iter_mut().zip(&self.current).zip(attacked) {
            sample.at.push(*result);
            sample.attacked.push(attacked);
            if result.success && sample.critical_eps.is_none() {
                sample.critical_eps = Some(eps);
            }
        }
        Ok(())
    }
}
