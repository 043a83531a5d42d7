//! How faulty outputs compare with those without a fault.
//!
//! The classes are those of the published campaigns (Bolchini et al., IEEE TCAD 2025): masked, non-critical, critical (SDC-1),
//! always against the fault-free *prediction*, never the label.

/// What one fault did, counted in examples. `masked + non_critical + critical` are all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Examples that the fault was tried on.
    pub images: u32,
    /// Every output equals the fault-free one by value: the two zeros are one, and NaN equals nothing.
    pub masked: u32,
    /// Some output differs, but not the predicted class.
    pub non_critical: u32,
    /// The predicted class differs from the fault-free prediction.
    pub critical: u32,
    /// Some output is NaN or infinite; these are counted above too.
    pub non_finite: u32,
    /// The fault-free prediction is not among the five largest outputs any more.
    pub top5_lost: u32,
    /// The predicted class equals the label; `None` without labels.
    pub correct: Option<u32>,
    /// The label is among the five largest outputs; `None` without labels.
    pub correct_top5: Option<u32>,
    /// By how much the softmax probability of the fault-free prediction changed, added up over the examples (of which each is
    /// rounded to a multiple of 2^-40, so that the order does not matter). It is 0 where some output is NaN; where outputs are
    /// plus infinity, they share the probability equally.
    pub confidence_change: f64,
    /// Examples that a screening took for non-critical without running them.
    pub screened_out: u32,
    /// Of those that it would have skipped, examples that were run all the same.
    pub audited: u32,
    /// Of the audited, those that turned out critical.
    pub audit_wrong: u32,
}

/// What an output vector is compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Golden<'a> {
    pub logits: &'a [f32],
    pub predicted: usize,
    pub confidence: f64,
    pub label: Option<u32>,
}

/// How one faulty output vector compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub masked: bool,
    pub critical: bool,
}

/// Counts that can be added in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub images: u32,
    pub masked: u32,
    pub critical: u32,
    pub non_finite: u32,
    pub top5_lost: u32,
    pub correct: u32,
    pub correct_top5: u32,
    /// In units of 2^-40.
    pub confidence_change: i128,
    pub screened_out: u32,
    pub audited: u32,
    pub audit_wrong: u32,
}

/// Units of [`Tally::confidence_change`].
const UNIT: f64 = (1_u64 << 40) as f64;

/// Whether output `a` counts as larger than output `b`: NaN is largest, and the first of equals.
fn beats(logits: &[f32], a: usize, b: usize) -> bool {
    let (x, y) = (logits[a], logits[b]);
    match (x.is_nan(), y.is_nan()) {
        (true, true) => a < b,
        (true, false) => true,
        (false, true) => false,
        _ if a < b => x >= y,
        _ => x > y,
    }
}

/// The predicted class: the first index of the largest output, where NaN counts as largest.
pub(super) fn argmax(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, j| if beats(logits, j, best) { j } else { best })
}

/// Outputs closer than this, as a share of the largest, are told apart only bit for bit: far above what another order of sums
/// changes in single precision.
const CLOSE: f32 = 1e-3;

/// Whether the two largest outputs are so close that rounding might swap them, or an output is not finite.
pub(super) fn is_close(logits: &[f32]) -> bool {
    let largest = logits.iter().fold(0.0, |largest: f32, v| largest.max(v.abs()));
    let best = argmax(logits);
    let second = logits.iter().enumerate().filter(|(j, _)| *j != best).fold(f32::NEG_INFINITY, |s, (_, v)| s.max(*v));
    logits.iter().any(|v| !v.is_finite()) || (logits.len() > 1 && logits[best] - second <= CLOSE * largest)
}

/// Whether `class` is among the five largest outputs.
fn among_five(logits: &[f32], class: usize) -> bool {
    class < logits.len() && (0..logits.len()).filter(|&j| beats(logits, j, class)).count() < 5
}

/// The softmax probability of `class`, as [`Outcome::confidence_change`] has it.
pub(super) fn confidence(logits: &[f32], class: usize) -> f64 {
    let largest = f64::from(logits[argmax(logits)]);
    if largest.is_nan() {
        return 0.0;
    }
    if largest.is_infinite() {
        let among = |v: &&f32| v.is_infinite() && v.is_sign_positive() == (largest > 0.0);
        let equal = logits.iter().filter(among).count();
        return if among(&&logits[class]) { 1.0 / equal as f64 } else { 0.0 };
    }
    let weight = |v: f32| libm::exp(f64::from(v) - largest);
    weight(logits[class]) / logits.iter().map(|v| weight(*v)).sum::<f64>()
}

impl Tally {
    /// Counts the faulty outputs `logits` of one example.
    pub(super) fn count(&mut self, golden: &Golden<'_>, logits: &[f32]) -> Verdict {
        // By value, as the classes are defined.
        let masked = logits == golden.logits;
        if masked {
            self.untouched(golden);
            return Verdict { masked, critical: false };
        }
        let now = argmax(logits);
        let critical = now != golden.predicted;
        self.images += 1;
        self.critical += u32::from(critical);
        self.non_finite += u32::from(logits.iter().any(|v| !v.is_finite()));
        self.top5_lost += u32::from(!among_five(logits, golden.predicted));
        if let Some(label) = golden.label {
            self.correct += u32::from(now == label as usize);
            self.correct_top5 += u32::from(among_five(logits, label as usize));
        }
        let change = confidence(logits, golden.predicted) - golden.confidence;
        self.confidence_change += (change * UNIT).round() as i128;
        Verdict { masked, critical }
    }

    /// Counts an example whose outputs are those without a fault.
    pub(super) fn untouched(&mut self, golden: &Golden<'_>) {
        self.images += 1;
        self.masked += 1;
        self.as_golden(golden);
    }

    /// Counts an example that is taken for non-critical without having been run.
    pub(super) fn skipped(&mut self, golden: &Golden<'_>) {
        self.images += 1;
        self.screened_out += 1;
        self.as_golden(golden);
    }

    fn as_golden(&mut self, golden: &Golden<'_>) {
        if let Some(label) = golden.label {
            self.correct += u32::from(golden.predicted == label as usize);
            self.correct_top5 += u32::from(among_five(golden.logits, label as usize));
        }
    }

    /// Adds other examples of the same fault.
    pub(super) fn add(&mut self, other: &Self) {
        self.images += other.images;
        self.masked += other.masked;
        self.critical += other.critical;
        self.non_finite += other.non_finite;
        self.top5_lost += other.top5_lost;
        self.correct += other.correct;
        self.correct_top5 += other.correct_top5;
        self.confidence_change += other.confidence_change;
        self.screened_out += other.screened_out;
        self.audited += other.audited;
        self.audit_wrong += other.audit_wrong;
    }

    /// The counts as they are told.
    pub(super) fn outcome(&self, labelled: bool) -> Outcome {
        Outcome {
            images: self.images,
            masked: self.masked,
            non_critical: self.images - self.masked - self.critical,
            critical: self.critical,
            non_finite: self.non_finite,
            top5_lost: self.top5_lost,
            correct: labelled.then_some(self.correct),
            correct_top5: labelled.then_some(self.correct_top5),
            confidence_change: self.confidence_change as f64 / UNIT,
            screened_out: self.screened_out,
            audited: self.audited,
            audit_wrong: self.audit_wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;

    fn count(golden: &[f32], faulty: &[f32]) -> (Verdict, Outcome) {
        let predicted = argmax(golden);
        let golden = Golden { logits: golden, predicted, confidence: confidence(golden, predicted), label: Some(1) };
        let mut tally = Tally::default();
        (tally.count(&golden, faulty), tally.outcome(true))
    }

    #[test]
    fn nan_is_largest_and_the_first_of_equals_wins() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[1.0, NAN, f32::INFINITY, NAN]), 1);
        assert_eq!(argmax(&[NAN; 3]), 0);
        assert_eq!(argmax(&[f32::NEG_INFINITY; 2]), 0);
    }

    #[test]
    fn an_output_of_nan_alone_is_class_0_and_never_masked() {
        let (verdict, outcome) = count(&[2.0, 1.0], &[NAN, NAN]);
        assert_eq!(verdict, Verdict { masked: false, critical: false });
        assert_eq!((outcome.non_critical, outcome.non_finite, outcome.correct), (1, 1, Some(0)));
        assert!(count(&[1.0, 2.0], &[NAN, NAN]).0.critical);
    }

    #[test]
    fn the_two_zeros_are_one() {
        assert!(count(&[0.0, -1.0], &[-0.0, -1.0]).0.masked);
    }

    #[test]
    fn five_largest_are_counted_with_ties_by_index() {
        let (_, outcome) = count(&[9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!((outcome.top5_lost, outcome.correct_top5, outcome.critical), (1, Some(0), 1));
        let (_, outcome) = count(&[9.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], &[1.0; 7]);
        assert_eq!((outcome.top5_lost, outcome.correct_top5), (0, Some(1)));
    }

    #[test]
    fn confidence_is_that_of_softmax_and_defined_for_broken_outputs() {
        assert!((confidence(&[0.0, 3.0_f32.ln()], 1) - 0.75).abs() < 1e-7);
        let infinity = f32::INFINITY;
        assert_eq!(confidence(&[infinity, 1.0, infinity], 2).to_bits(), 0.5_f64.to_bits());
        assert_eq!(confidence(&[infinity, 1.0, infinity], 1).to_bits(), 0.0_f64.to_bits());
        assert_eq!(confidence(&[NAN, 1.0], 1).to_bits(), 0.0_f64.to_bits());
        let (_, outcome) = count(&[0.0, 3.0_f32.ln()], &[0.0, 0.0]);
        assert!((outcome.confidence_change + 0.25).abs() < 1e-7);
    }
}
