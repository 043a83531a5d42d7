//! What attacks drive up: functions of the outputs that grow as the attacked class loses.

use crate::nn::gradient::{cross_entropy, cross_entropy_gradient};

/// A loss; every one is above its value at the boundary exactly where the class is lost, but for the cross-entropy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The cross-entropy of the softmax.
    #[default]
    CrossEntropy,
    /// The largest other output less that of the class (Carlini and Wagner 2017, without confidence).
    Margin,
    /// The margin over the distance from the largest output to the third largest (Croce and Hein 2020); it does not change
    /// when the outputs are scaled or shifted. With fewer than three outputs, the margin.
    Dlr,
}

/// The largest output other than `class`, first of equals.
pub(super) fn runner_up(logits: &[f32], class: usize) -> usize {
    let others = (0..logits.len()).filter(|k| *k != class);
    others.reduce(|best, k| if logits[k] > logits[best] { k } else { best }).unwrap_or(class)
}

/// Positions of the outputs, largest first; equals in order.
pub(super) fn ranked(logits: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
    order
}

impl Loss {
    /// The loss of one row of outputs.
    pub(super) fn value(self, logits: &[f32], class: usize) -> f32 {
        match self {
            Self::CrossEntropy => cross_entropy(logits, class),
            Self::Margin => logits[runner_up(logits, class)] - logits[class],
            Self::Dlr => match ranked(logits)[..] {
                [first, _, third, ..] => {
                    quotient(logits[runner_up(logits, class)] - logits[class], logits[first] - logits[third])
                }
                _ => Self::Margin.value(logits, class),
            },
        }
    }

    /// Its derivative with respect to the outputs, into `out`.
    pub(super) fn gradient(self, logits: &[f32], class: usize, out: &mut [f32]) {
        match self {
            Self::CrossEntropy => return cross_entropy_gradient(logits, class, out),
            Self::Margin => out.fill(0.0),
            Self::Dlr => {
                out.fill(0.0);
                if let [first, _, third, ..] = ranked(logits)[..] {
                    let (other, scale) = (runner_up(logits, class), logits[first] - logits[third]);
                    return ratio_gradient((other, class), logits, &[(first, 1.0), (third, -1.0)], scale, out);
                }
            }
        }
        out[runner_up(logits, class)] += 1.0;
        out[class] -= 1.0;
    }
}

/// `-(z_class - z_target) / (z_1 - (z_3 + z_4) / 2)`, the outputs in descending order (Croce and Hein 2020, equation 7); with
/// fewer than four outputs `z_target - z_class`.
pub(super) fn targeted(logits: &[f32], class: usize, target: usize) -> f32 {
    let margin = logits[target] - logits[class];
    match ranked(logits)[..] {
        [first, _, third, fourth, ..] => quotient(margin, logits[first] - 0.5 * (logits[third] + logits[fourth])),
        _ => margin,
    }
}

/// The derivative of [`targeted`].
pub(super) fn targeted_gradient(logits: &[f32], class: usize, target: usize, out: &mut [f32]) {
    out.fill(0.0);
    if let [first, _, third, fourth, ..] = ranked(logits)[..] {
        let scale = logits[first] - 0.5 * (logits[third] + logits[fourth]);
        let parts = [(first, 1.0), (third, -0.5), (fourth, -0.5)];
        return ratio_gradient((target, class), logits, &parts, scale, out);
    }
    out[target] += 1.0;
    out[class] -= 1.0;
}

/// Keeps the denominators of equal outputs from 0, as the authors' code does.
const TINY: f32 = 1e-12;

fn quotient(margin: f32, scale: f32) -> f32 {
    margin / (scale + TINY)
}

/// The derivative of `(z_other - z_class) / scale`, where `scale` is the sum of `parts`.
fn ratio_gradient((other, class): (usize, usize), logits: &[f32], parts: &[(usize, f32)], scale: f32, out: &mut [f32]) {
    let scale = scale + TINY;
    let ratio = (logits[other] - logits[class]) / scale;
    out[other] += 1.0 / scale;
    out[class] -= 1.0 / scale;
    for (k, weight) in parts {
        out[*k] -= ratio * weight / scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pair<'a> = (&'a dyn Fn(&[f32]) -> f32, &'a dyn Fn(&mut [f32]));

    #[test]
    fn gradients_of_losses_follow_finite_differences() {
        let logits = [0.3_f32, -1.2, 2.5, 0.9, 1.7];
        let value = |loss: Loss| move |z: &[f32]| loss.value(z, 3);
        let slope = |loss: Loss| move |out: &mut [f32]| loss.gradient(&logits, 3, out);
        let (ce, dce) = (value(Loss::CrossEntropy), slope(Loss::CrossEntropy));
        let (margin, dmargin) = (value(Loss::Margin), slope(Loss::Margin));
        let (dlr, ddlr) = (value(Loss::Dlr), slope(Loss::Dlr));
        let aim = |z: &[f32]| targeted(z, 3, 0);
        let daim = |out: &mut [f32]| targeted_gradient(&logits, 3, 0, out);
        let all: [Pair<'_>; 4] = [(&ce, &dce), (&margin, &dmargin), (&dlr, &ddlr), (&aim, &daim)];
        for (value, gradient) in all {
            let mut out = [0.0; 5];
            gradient(&mut out);
            for k in 0..5 {
                let at = |shift: f32| {
                    let mut moved = logits;
                    moved[k] += shift;
                    value(&moved)
                };
                let difference = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!((difference - out[k]).abs() < 2e-3, "{k}: {difference} {}", out[k]);
            }
        }
    }

    #[test]
    fn losses_are_what_their_papers_say() {
        // By hand: outputs 4, 3, 1, class 0: margin -1, divided by 4 - 1; targeted with outputs 4, 3, 1, 0: -4 / (4 - 0.5).
        assert!((Loss::Margin.value(&[4.0, 3.0, 1.0], 0) + 1.0).abs() < 1e-6);
        assert!((Loss::Dlr.value(&[4.0, 3.0, 1.0], 0) + 1.0 / 3.0).abs() < 1e-6);
        assert!((targeted(&[4.0, 3.0, 1.0, 0.0], 0, 3) + 4.0 / 3.5).abs() < 1e-6);
        assert!((Loss::Dlr.value(&[1.0, 2.0], 0) - 1.0).abs() < 1e-6);
    }
}
