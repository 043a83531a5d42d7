//! Running an attack and measuring what it did.

use super::perturb::{classes, perturb};
use super::region::distance;
use super::{Attack, AttackError, Norm, Samples};
use crate::nn::classifier::Classifier;
use crate::nn::executor::argmax;
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
    audit(samples, attack, eps, &x)?;
    let rows = samples.ids.len();
    let outputs = classifier.outputs();
    let (before, after) = (classifier.logits(samples.x, rows)?, classifier.logits(&x, rows)?);
    let classes = classes(classifier, samples, attack.class)?;
    let norm = attack.method.norm();
    let judged = (0..rows).map(|r| {
        let row = |v: &[f32]| argmax(&v[r * outputs..(r + 1) * outputs]) as u32;
        let loss = |v: &[f32]| cross_entropy(&v[r * outputs..(r + 1) * outputs], classes[r] as usize);
        let features = r * classifier.inputs()..(r + 1) * classifier.inputs();
        let (clean, moved) = (&samples.x[features.clone()], &x[features]);
        let (linf, l2) = distance(clean, moved);
        Attacked {
            clean_prediction: row(&before),
            clean_correct: row(&before) == samples.labels[r],
            prediction: row(&after),
            success: row(&after) != classes[r],
            linf,
            l2,
            size: (norm != Norm::None).then(|| norm.of(clean, moved)),
            extremes: moved.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), v| (lo.min(*v), hi.max(*v))),
            loss_before: loss(&before),
            loss_after: loss(&after),
        }
    });
    let judged = judged.collect();
    Ok((x, judged))
}

/// Measures every perturbation against what it may be: its norm, and the range of the data.
fn audit(samples: &Samples<'_>, attack: &Attack, eps: f64, x: &[f32]) -> Result<(), AttackError> {
    let features = samples.x.len() / samples.ids.len().max(1);
    // Without perturbation the infinity norm tells whether there is none.
    let norm = if eps <= 0.0 { Norm::Linf } else { attack.method.norm() };
    let (lo, hi) = attack.clip.unwrap_or((f32::MIN, f32::MAX));
    for ((clean, moved), id) in
        samples.x.chunks_exact(features.max(1)).zip(x.chunks_exact(features.max(1))).zip(samples.ids)
    {
        let measured = norm.of(clean, moved);
        if norm != Norm::None && measured > eps {
            return Err(AttackError::Audit { id: *id, measured, allowed: eps });
        }
        if let Some(v) = moved.iter().find(|v| !(lo..=hi).contains(*v)) {
            let allowed = if *v < lo { lo } else { hi };
            return Err(AttackError::Audit { id: *id, measured: f64::from(*v), allowed: f64::from(allowed) });
        }
    }
    Ok(())
}
