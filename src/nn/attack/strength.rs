//! What speaks against an attack whose survivors are taken for robust (Carlini et al. 2019, "On evaluating adversarial robustness";
//! the flags of `AutoAttack`, Croce and Hein 2020): looked into on samples that it left standing.

use super::{Apgd, Attack, AttackError, Fab, Loss, Method, Minimal, Norm, Pgd, Samples, Square, Step, attack, perturb};
use crate::nn::classifier::Classifier;

/// Of the survivors of an attack, how many speak against it. `None` where the question does not fit the attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strength {
    /// Survivors that were looked at.
    pub checked: usize,
    /// Those at which the gradient that the attack follows is zero (or no number): it sees no way.
    pub zero_gradient: Option<usize>,
    /// Those whose loss the last fifth of the steps still raised by more than a tenth of all that it rose. For PGD.
    pub rising: Option<usize>,
    /// Those that twice the steps fool. For attacks of several steps.
    pub more_steps: Option<usize>,
    /// Those that Square fools, which sees outputs alone. For attacks of several steps in the infinity norm.
    pub black_box: Option<usize>,
    /// Those that stand where any change within the range of the data is allowed. For attacks of several steps.
    pub unbounded: Option<usize>,
}

/// Questions that Square asks about a survivor.
const QUERIES: usize = 300;
/// Share of its whole rise that a loss may still gain in the last fifth of the steps.
const STILL_RISING: f32 = 0.1;

/// Looks into `plan` on `survivors`, samples that it did not fool at `eps`.
///
/// # Errors
/// What [`attack`] refuses.
pub fn strength(
    classifier: &Classifier,
    survivors: &Samples<'_>,
    plan: &Attack,
    eps: f64,
) -> Result<Strength, AttackError> {
    let checked = survivors.labels.len();
    let none = Strength { checked, ..Strength::default() };
    let Some(loss) = plan.method.follows().filter(|_| checked > 0) else {
        return Ok(none);
    };
    let zero_gradient = Some(zero_gradients(classifier, survivors, loss)?);
    let Some(longer) = with_steps(plan.method, 2.0, eps) else {
        return Ok(Strength { zero_gradient, ..none });
    };
    let fooled = |method: Method, eps: f64| -> Result<usize, AttackError> {
        let (_, results) = attack(classifier, survivors, &Attack { method, ..*plan }, eps, None)?;
        Ok(results.iter().filter(|result| result.success).count())
    };
    let square = Method::Square(Square { queries: QUERIES, share: 0.8 });
    let linf = plan.method.norm() == Norm::Linf;
    let whole = whole_range(plan, classifier.inputs());
    Ok(Strength {
        checked,
        zero_gradient,
        rising: rising(classifier, survivors, plan, eps)?,
        more_steps: Some(fooled(longer, eps)?),
        black_box: if linf { Some(fooled(square, eps)?) } else { None },
        unbounded: match whole {
            Some(whole) => Some(checked - fooled(unhurried(plan.method), whole)?),
            None => None,
        },
    })
}

fn zero_gradients(classifier: &Classifier, samples: &Samples<'_>, loss: Loss) -> Result<usize, AttackError> {
    let rows = samples.labels.len();
    let gradient = classifier.input_gradient(samples.x, rows, |row, logits, out| {
        loss.gradient(logits, samples.labels[row] as usize, out);
    })?;
    let shows_a_way = |g: &&[f32]| g.iter().any(|g| g.abs() > 0.0);
    Ok(rows - gradient.chunks_exact(classifier.inputs()).filter(shows_a_way).count())
}

/// How many losses the last fifth of the steps of PGD still raised.
fn rising(
    classifier: &Classifier,
    samples: &Samples<'_>,
    plan: &Attack,
    eps: f64,
) -> Result<Option<usize>, AttackError> {
    let (Method::Pgd(Pgd { steps: 5.., shortening: false, loss, .. }), Some(all), Some(most)) =
        (plan.method, with_steps(plan.method, 1.0, eps), with_steps(plan.method, 0.8, eps))
    else {
        return Ok(None);
    };
    let outputs = classifier.outputs();
    let losses = |x: &[f32]| -> Result<Vec<f32>, AttackError> {
        let logits = classifier.logits(x, samples.labels.len())?;
        let pairs = logits.chunks_exact(outputs).zip(samples.labels);
        Ok(pairs.map(|(logits, label)| loss.value(logits, *label as usize)).collect())
    };
    let after = |method| losses(&perturb(classifier, samples, &Attack { method, ..*plan }, eps, None)?);
    let (clean, most, all) = (losses(samples.x)?, after(most)?, after(all)?);
    let still = clean.iter().zip(most).zip(all).filter(|((clean, most), all)| {
        let (gain, whole) = (all - most, all - *clean);
        gain > 0.0 && gain > STILL_RISING * whole
    });
    Ok(Some(still.count()))
}

/// The attack with `times` its steps, of the length that they have at `eps`, in a single attempt; `None` for attacks without.
fn with_steps(method: Method, times: f64, eps: f64) -> Option<Method> {
    let scaled = |steps: usize| ((steps as f64 * times).round() as usize).max(1);
    Some(match method {
        Method::Pgd(pgd) => {
            let step = Step::Absolute(pgd.step.at(eps));
            Method::Pgd(Pgd { steps: scaled(pgd.steps), step, restarts: 1, ..pgd })
        }
        Method::Apgd(apgd) => Method::Apgd(Apgd { steps: scaled(apgd.steps), restarts: 1, ..apgd }),
        Method::DeepFool(minimal) => Method::DeepFool(Minimal { steps: scaled(minimal.steps), ..minimal }),
        Method::Fmn(minimal) => Method::Fmn(Minimal { steps: scaled(minimal.steps), ..minimal }),
        Method::Fab(fab) => Method::Fab(Fab { steps: scaled(fab.steps), ..fab }),
        _ => return None,
    })
}

/// The attack in a single attempt, with steps that reach through any ball.
fn unhurried(method: Method) -> Method {
    match method {
        Method::Pgd(pgd) => {
            Method::Pgd(Pgd { step: Step::Relative(2.5 / pgd.steps.max(1) as f64), restarts: 1, ..pgd })
        }
        other => other,
    }
}

/// The size of the ball that holds the whole range of the data, around whichever sample.
fn whole_range(plan: &Attack, features: usize) -> Option<f64> {
    let (lo, hi) = plan.clip?;
    let side = f64::from(hi) - f64::from(lo);
    Some(match plan.method.norm() {
        Norm::Linf | Norm::None => side,
        Norm::L2 => side * (features as f64).sqrt(),
        Norm::L1 => side * features as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::attack::AttackedClass;
    use crate::nn::mlp_weights::MlpWeights;
    use crate::nn::{Activation, Mlp};

    const FEATURES: usize = 25;
    const ROWS: usize = 20;

    /// A network of one hidden unit, `relu(gain * (mean(x) - threshold))`, that is class 1 where the unit exceeds 0.1 and class 0
    /// elsewhere; and samples of class 0 whose means lie around 0.5.
    fn setting(gain: f32, threshold: f32) -> (Classifier, Vec<f32>) {
        let net = Mlp::new(FEATURES, &[1], 2, Activation::relu(), true);
        let mut weights = MlpWeights::zeros(&net);
        for tensor in &mut weights.tensors {
            match tensor.values.len() {
                FEATURES => tensor.values.fill(gain / FEATURES as f32),
                1 => tensor.values[0] = -gain * threshold,
                _ if tensor.name.ends_with("bias") => tensor.values[0] = 0.1,
                _ => tensor.values[1] = 1.0,
            }
        }
        let mut x = vec![0.0; ROWS * FEATURES];
        crate::nn::random::Stream::new(1, "x", &[]).fill_uniform(&mut x, 0.4, 0.6);
        (weights.classifier(), x)
    }

    fn look(gain: f32, threshold: f32, method: Method, eps: f64) -> Strength {
        let (classifier, x) = setting(gain, threshold);
        let ids: Vec<u64> = (0..ROWS as u64).collect();
        let samples = Samples { x: &x, labels: &[0; ROWS], ids: &ids, draw: 0 };
        let plan = Attack { method, class: AttackedClass::True, clip: Some((0.0, 1.0)), seed: 4 };
        let (_, results) = attack(&classifier, &samples, &plan, eps, None).expect("valid");
        assert!(results.iter().all(|result| !result.success), "all are to survive");
        strength(&classifier, &samples, &plan, eps).expect("valid")
    }

    const PGD: Pgd = Pgd {
        steps: 40,
        step: Step::Relative(2.5 / 40.0),
        shortening: false,
        random_start: true,
        restarts: 1,
        norm: Norm::Linf,
        loss: Loss::CrossEntropy,
    };

    #[test]
    fn a_network_without_gradients_is_seen_through() {
        // The unit is dead at every sample: nothing to follow, though epsilon reaches means of 0.8.
        let found = look(10.0, 0.63, Method::Pgd(PGD), 0.3);
        assert_eq!((found.checked, found.zero_gradient), (ROWS, Some(ROWS)));
        assert!(found.black_box.is_some_and(|count| count > ROWS / 5), "{found:?}");
        assert!(found.unbounded.is_some_and(|count| count > ROWS / 2), "{found:?}");
        assert_eq!((found.rising, found.more_steps), (Some(0), Some(0)));
        let once = look(10.0, 0.63, Method::Fgsm, 0.3);
        assert_eq!(once, Strength { checked: ROWS, zero_gradient: Some(ROWS), ..Strength::default() });
    }

    #[test]
    fn an_attack_that_does_what_can_be_done_raises_no_suspicion() {
        // The unit lives everywhere, and class 1 begins at means of 0.75, which epsilon does not reach.
        for method in [
            Method::Pgd(PGD),
            Method::Apgd(Apgd {
                steps: 30,
                restarts: 1,
                norm: Norm::Linf,
                goal: super::super::Goal::Loss(Loss::CrossEntropy),
            }),
        ] {
            let found = look(0.2, 0.25, method, 0.15);
            let none = Some(0);
            let rising = matches!(method, Method::Pgd(_)).then_some(0);
            let wanted = Strength {
                checked: ROWS,
                zero_gradient: none,
                rising,
                more_steps: none,
                black_box: none,
                unbounded: none,
            };
            assert_eq!(found, wanted, "{method:?}");
        }
    }

    #[test]
    fn too_few_and_too_short_steps_show() {
        // Class 1 begins at means of 0.6, which epsilon reaches, but five steps of 0.012 do not.
        let short = Method::Pgd(Pgd { steps: 5, step: Step::Absolute(0.012), random_start: false, ..PGD });
        let found = look(0.2, 0.1, short, 0.3);
        assert_eq!(found.rising, Some(ROWS));
        assert!(found.more_steps.is_some_and(|count| count > ROWS * 3 / 4), "{found:?}");
        assert_eq!(found.unbounded, Some(0));
    }
}
