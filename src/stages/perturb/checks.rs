//! What speaks against a robust accuracy: findings about the survivors of an attack, and warnings where they are many.

use duress_cache::{Table, TableError};
use duress_engine::stage::StageError;

use super::Perturb;
use crate::nn::attack::{Samples, Strength, strength};
use crate::nn::statistics::wilson;
use crate::nn::{Classifier, Examples};
use crate::stages::tidy::{LEVEL, Measure};

/// A warning where at least this share of all samples is concerned, at the lower end of the interval.
const CONCERNED: f64 = 0.01;
/// How much larger than the smallest the largest size must be for a comparison.
const WIDER: f64 = 2.0;

/// What was looked into.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// The attack that was looked into, what was found, and how many survivors there are in all.
    looked: Option<(String, Strength, u64)>,
    /// Numbers of the attacks of a set that see outputs alone.
    black_box: Vec<usize>,
    /// Whether the curve of sizes is one that an attack should bend.
    curve: bool,
}

/// What happened at one size.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) eps: f64,
    /// Samples.
    pub(super) rows: u64,
    /// Samples that were right when clean and are fooled.
    pub(super) fooled: u64,
    /// Mean rise of the loss of the attacked class.
    pub(super) rise: f64,
    /// By attack of the set, samples that it fooled.
    pub(super) found: Vec<u64>,
}

/// Something about an attack's strength, and the warning that it gives rise to.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) metric: &'static str,
    pub(super) eps: f64,
    pub(super) by: Option<String>,
    pub(super) warning: Option<&'static str>,
    /// Of so many.
    successes: f64,
    trials: u64,
}

impl Finding {
    /// The row's number; a gain can be negative and is no rate.
    pub(super) fn measure(&self) -> Measure {
        if self.trials == 0 {
            Measure::undefined("no survivors")
        } else if self.by.is_some() {
            Measure::rate(self.successes as u64, self.trials)
        } else {
            Measure::number(self.successes / self.trials as f64, self.trials)
        }
    }

    /// The warning in a sentence.
    pub(super) fn said(&self) -> Option<String> {
        let (by, of) = match &self.by {
            Some(by) => (format!(" under `{by}`"), format!(" ({} of {} survivors)", self.successes, self.trials)),
            None => (String::new(), String::new()),
        };
        self.warning.map(|warning| format!("the robust accuracy{by} may be too high: {warning}{of}"))
    }
}

impl Checks {
    /// Looks into the survivors of the largest size, the first of them.
    pub(super) fn look(
        stage: &Perturb,
        classifier: &Classifier,
        data: &Examples,
        samples: &Table,
    ) -> Result<Self, StageError> {
        let plans = stage.attack.plans(stage.seed.0);
        let own = stage.surrogate.is_none();
        let black_box = (0..plans.len()).filter(|at| plans[*at].method.is_black_box() && plans.len() > 1).collect();
        let curve = own && !stage.attack.is_noise();
        let none = Self { looked: None, black_box, curve };
        let follows = |at: &usize| plans[*at].method.follows().is_some();
        let steps = |at: &usize| stage.attack.members()[*at].has_steps();
        let number = (0..plans.len()).filter(follows).find(steps).or_else(|| (0..plans.len()).find(follows));
        let (Some(number), Some(eps)) = (number, stage.attack.sizes().last().copied()) else {
            return Ok(none);
        };
        if stage.checked() == 0 || eps <= 0.0 {
            return Ok(none);
        }
        let standing = standing(samples, eps).map_err(StageError::failed)?;
        let first: Vec<usize> = standing.iter().copied().take(stage.checked()).collect();
        let (rows, ids) = (data.select(&first), first.iter().map(|id| *id as u64).collect::<Vec<_>>());
        let survivors = Samples { x: &rows.x, labels: &rows.labels, ids: &ids, draw: 0 };
        let found = strength(classifier, &survivors, &plans[number], eps).map_err(StageError::failed)?;
        let name = stage.attack.names().swap_remove(number);
        Ok(Self { looked: Some((name, found, standing.len() as u64)), ..none })
    }

    /// What is to be said of a curve, its points in ascending order of their sizes.
    pub(super) fn findings(&self, curve: &[Point]) -> Vec<Finding> {
        let Some(last) = curve.last() else { return Vec::new() };
        let mut findings = Vec::new();
        if let Some((by, strength, standing)) = &self.looked {
            let rows = last.rows.max(1) as f64;
            let survivors = |metric, count: Option<usize>, warning| {
                let count = count?;
                let share = *standing as f64 / rows;
                Some(rate((metric, last.eps, by), (count as u64, strength.checked as u64), share, warning))
            };
            findings.extend(survivors("zero_gradient_rate", strength.zero_gradient, VANISHING));
            findings.extend(survivors("rising_rate", strength.rising, RISING));
            findings.extend(survivors("more_steps_rate", strength.more_steps, FEW_STEPS));
            if self.black_box.is_empty() {
                findings.extend(survivors("black_box_rate", strength.black_box, MASKED));
            } else {
                // The set has asked already, and not the first survivors alone.
                let found: u64 = self.black_box.iter().map(|at| last.found[*at]).sum();
                let left = found + standing;
                findings.push(rate(("black_box_rate", last.eps, by), (found, left), left as f64 / rows, MASKED));
            }
            findings.extend(survivors("unbounded_rate", strength.unbounded, FAILING));
        }
        findings.extend(self.curve.then(|| gain(curve)).flatten());
        findings
    }
}

const VANISHING: &str = "the gradient that the attack follows vanishes; use another loss, or a black-box attack";
const RISING: &str = "the loss was still rising at the last step; use more or longer steps";
const FEW_STEPS: &str = "twice the steps fool more; use more steps";
const MASKED: &str = "a black-box attack fools what gradients do not; they may be masked, use other attacks too";
const FAILING: &str = "samples stand though any change is allowed; the attack fails, use another loss or more steps";
const FLAT: &str = "larger sizes neither fool more nor raise the loss; gradients may be masked, use a black-box attack";
const FALLING: &str = "a larger size fools fewer; use more steps, or go on with survivors only";

fn rate(
    (metric, eps, by): (&'static str, f64, &str),
    (successes, trials): (u64, u64),
    share: f64,
    warning: &'static str,
) -> Finding {
    let lower = wilson(successes, trials, LEVEL).map_or(0.0, |interval| interval.lo);
    let warning = (lower * share >= CONCERNED).then_some(warning);
    Finding { metric, eps, by: Some(by.to_owned()), warning, successes: successes as f64, trials }
}

/// What the largest size does beyond the smallest above 0.
fn gain(curve: &[Point]) -> Option<Finding> {
    let first = curve.iter().find(|point| point.eps > 0.0)?;
    let last = curve.last().filter(|last| last.eps >= WIDER * first.eps)?;
    let rows = last.rows.max(1) as f64;
    let more = |from: &Point, to: &Point| (to.fooled as f64 - from.fooled as f64) / rows;
    let falling = curve.windows(2).any(|pair| more(&pair[0], &pair[1]) <= -CONCERNED);
    let standing = 1.0 - last.fooled as f64 / rows >= CONCERNED;
    // Sizes that are all tiny may fool nobody, but raise the loss.
    let flat = standing && more(first, last) < CONCERNED && last.rise <= 1.25 * first.rise.max(0.0);
    let warning = if falling { Some(FALLING) } else { flat.then_some(FLAT) };
    let successes = last.fooled as f64 - first.fooled as f64;
    Some(Finding { metric: "larger_eps_gain", eps: last.eps, by: None, warning, successes, trials: last.rows })
}

/// The samples that are right when clean and that the size `eps` does not fool, in order.
fn standing(samples: &Table, eps: f64) -> Result<Vec<usize>, TableError> {
    let (ids, sizes, draws) = (samples.i64s("sample")?, samples.f64s("eps")?, samples.i64s("draw")?);
    let (right, fooled) = (samples.bools("clean_correct")?, samples.bools("success")?);
    let stands =
        |row: &usize| sizes.value(*row) >= eps && draws.value(*row) == 0 && right.value(*row) && !fooled.value(*row);
    Ok((0..samples.rows()).filter(stands).map(|row| ids.value(row) as usize).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, u64, f64)]) -> Vec<Point> {
        points
            .iter()
            .map(|(eps, fooled, rise)| Point { eps: *eps, rows: 100, fooled: *fooled, rise: *rise, found: vec![1, 9] })
            .collect()
    }

    fn warnings(checks: &Checks, points: &[(f64, u64, f64)]) -> Vec<&'static str> {
        checks.findings(&curve(points)).iter().filter_map(|finding| finding.warning).collect()
    }

    #[test]
    fn curves_that_no_attack_bends_are_warned_of_and_others_are_not() {
        let checks = Checks { curve: true, ..Checks::default() };
        assert_eq!(warnings(&checks, &[(0.1, 20, 1.0), (0.2, 60, 2.0), (0.3, 90, 3.0)]), [""; 0]);
        assert_eq!(warnings(&checks, &[(0.1, 5, 0.0), (0.3, 5, 0.0)]), [FLAT]);
        assert_eq!(warnings(&checks, &[(0.0, 0, 0.0), (0.1, 5, 0.2), (0.3, 5, 0.21)]), [FLAT]);
        // Tiny sizes fool nobody, yet raise the loss; sizes that are much alike prove nothing; and all may be fooled at once.
        assert_eq!(warnings(&checks, &[(0.001, 0, 0.01), (0.002, 0, 0.02)]), [""; 0]);
        assert_eq!(warnings(&checks, &[(0.10, 5, 0.1), (0.11, 5, 0.1)]), [""; 0]);
        assert_eq!(warnings(&checks, &[(0.1, 100, 9.0), (0.3, 100, 9.0)]), [""; 0]);
        assert_eq!(warnings(&checks, &[(0.1, 40, 1.0), (0.2, 20, 1.0), (0.3, 60, 2.0)]), [FALLING]);
        assert_eq!(warnings(&Checks::default(), &[(0.1, 5, 0.0), (0.3, 5, 0.0)]), [""; 0]);
    }

    #[test]
    fn warnings_come_where_a_hundredth_of_all_samples_is_concerned() {
        let strength = |count| Strength {
            checked: 60,
            zero_gradient: Some(count),
            rising: Some(count),
            more_steps: Some(count),
            black_box: Some(count),
            unbounded: Some(count),
        };
        let looked = |count, standing| Checks {
            looked: Some(("pgd".to_owned(), strength(count), standing)),
            ..Checks::default()
        };
        let points = [(0.1, 40, 1.0)];
        let all = [VANISHING, RISING, FEW_STEPS, MASKED, FAILING];
        assert_eq!(warnings(&looked(30, 60), &points), all);
        assert_eq!(warnings(&looked(0, 60), &points), [""; 0]);
        // Half of the survivors, but survivors are few.
        assert_eq!(warnings(&looked(30, 2), &points), [""; 0]);
        // In a set, the black box that comes after: 9 of 9 + 20.
        let set = Checks { black_box: vec![1], ..looked(0, 20) };
        assert_eq!(warnings(&set, &points), [MASKED]);
        let said: Vec<String> = set.findings(&curve(&points)).iter().filter_map(Finding::said).collect();
        assert_eq!(said, [format!("the robust accuracy under `pgd` may be too high: {MASKED} (9 of 29 survivors)")]);
    }
}
