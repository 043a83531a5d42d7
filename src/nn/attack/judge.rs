//! Running an attack and measuring what it did.

use rayon::prelude::*;

use super::perturb::perturb;
use super::region::distance;
use super::{Attack, AttackError, AttackedClass, Norm, Samples};
use crate::nn::classes::argmax;
use crate::nn::classifier::Classifier;
use crate::nn::gradient::cross_entropy;

/// One sample before and after a perturbation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attacked {
    /// The prediction on the clean sample.
    pub clean_prediction: u32,
    /// Whether it is the label.
    pub clean_correct: bool,
    /// The prediction on the perturbed sample.
    pub prediction: u32,
    /// Whether the perturbed sample is predicted as another class than the attacked one (see [`super::AttackedClass`]). Of
    /// attacks on the label this includes the samples that were wrong already.
    pub success: bool,
    /// Infinity norm of the perturbation, as measured.
    pub linf: f64,
    /// Euclidean norm of the perturbation, as measured.
    pub l2: f64,
    /// The perturbation in the norm that epsilon bounds, as measured; `None` of noise that no norm bounds.
    pub size: Option<f64>,
    /// The lowest and the highest perturbed feature.
    pub extremes: (f32, f32),
    /// Cross-entropy of the attacked class on the clean sample.
    pub loss_before: f32,
    /// Cross-entropy of the attacked class on the perturbed sample.
    pub loss_after: f32,
}

/// Perturbs the samples and measures each: the perturbed features, row for row, and one [`Attacked`] per sample.
///
/// # Errors
/// What [`perturb`] refuses, and [`AttackError::Audit`] should a perturbation ever break its limits.
pub fn attack(
    classifier: &Classifier,
    samples: &Samples<'_>,
    attack: &Attack,
    eps: f64,
    known: Option<&[f32]>,
) -> Result<(Vec<f32>, Vec<Attacked>), AttackError> {
    attack_from(classifier, classifier, samples, attack, eps, known)
}

/// Perturbs the samples against `surrogate` and measures what that does to `classifier`: a transferred attack.
///
/// # Errors
/// As [`attack`].
pub fn attack_from(
    surrogate: &Classifier,
    classifier: &Classifier,
    samples: &Samples<'_>,
    attack: &Attack,
    eps: f64,
    known: Option<&[f32]>,
) -> Result<(Vec<f32>, Vec<Attacked>), AttackError> {
    let x = perturb(surrogate, samples, attack, eps, known)?;
    let before = classifier.logits(samples.x, samples.ids.len())?;
    let judged = judge(classifier, samples, attack, eps, (&before, &x))?;
    Ok((x, judged))
}

/// Measures what moved the samples to `x`; `before` are the outputs for the samples themselves.
pub(super) fn judge(
    classifier: &Classifier,
    samples: &Samples<'_>,
    attack: &Attack,
    eps: f64,
    (before, x): (&[f32], &[f32]),
) -> Result<Vec<Attacked>, AttackError> {
    let (rows, outputs, features) = (samples.ids.len(), classifier.outputs(), classifier.inputs());
    let after = classifier.logits(x, rows)?;
    let norm = attack.method.norm();
    let judged = (0..rows).into_par_iter().map(|r| {
        let at = r * features..(r + 1) * features;
        let (clean, moved) = (&samples.x[at.clone()], &x[at]);
        let (before, after) = (&before[r * outputs..][..outputs], &after[r * outputs..][..outputs]);
        let class = match attack.class {
            AttackedClass::True => samples.labels[r] as usize,
            AttackedClass::Predicted => argmax(before),
        };
        let (linf, l2) = distance(clean, moved);
        let size = match norm {
            Norm::None => None,
            Norm::Linf => Some(linf),
            Norm::L2 => Some(l2),
            Norm::L1 => Some(norm.of(clean, moved)),
        };
        // Without perturbation the infinity norm tells whether there is none.
        audit(samples.ids[r], if eps <= 0.0 { Some(linf) } else { size }, eps, attack.clip, moved)?;
        Ok(Attacked {
            clean_prediction: argmax(before) as u32,
            clean_correct: argmax(before) == samples.labels[r] as usize,
            prediction: argmax(after) as u32,
            success: argmax(after) != class,
            linf,
            l2,
            size,
            extremes: moved.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), v| (lo.min(*v), hi.max(*v))),
            loss_before: cross_entropy(before, class),
            loss_after: cross_entropy(after, class),
        })
    });
    let judged: Vec<Result<Attacked, AttackError>> = judged.collect();
    judged.into_iter().collect()
}

/// Compares a perturbation with what it may be: its size, and the range of the data.
fn audit(id: u64, size: Option<f64>, eps: f64, clip: Option<(f32, f32)>, moved: &[f32]) -> Result<(), AttackError> {
    if let Some(measured) = size.filter(|size| *size > eps) {
        return Err(AttackError::Audit { id, measured, allowed: eps });
    }
    let (lo, hi) = clip.unwrap_or((f32::MIN, f32::MAX));
    let Some(v) = moved.iter().find(|v| !(lo..=hi).contains(*v)) else { return Ok(()) };
    let allowed = if *v < lo { lo } else { hi };
    Err(AttackError::Audit { id, measured: f64::from(*v), allowed: f64::from(allowed) })
}
