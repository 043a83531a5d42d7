//! Two campaigns over the same faults: how much a protection takes off the rate of critical outcomes.

use crate::nn::statistics::{Interval, Method, clopper_pearson, t_quantile};

/// What one fault did without and with a protection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// How much the fault counts: the faults of the space that it stands for.
    pub weight: f64,
    /// Share of its examples with a critical outcome, without protection.
    pub before: f64,
    /// The same with protection.
    pub after: f64,
}

/// A protection against none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Critical rate with protection over that without; `None` where nothing was critical without.
    pub ratio: Option<f64>,
    /// Its interval.
    pub interval: Option<Interval>,
    /// Faults that were critical for some example without protection.
    pub critical_before: u64,
    /// Those of them that still are.
    pub critical_after: u64,
}

/// Compares the two rates, with the faults as clusters.
///
/// The standard error is that of a linearised ratio estimator on paired observations, `sqrt(n/(n-1) sum (w (a - R b))^2) /
/// sum w b` (Cochran, Sampling Techniques, 3rd ed., section 6.3). It vanishes where no fault stayed critical, or each stayed as
/// it was; then the interval is the exact one of the share of critical faults that stayed critical, which bounds nothing that
/// was not drawn but owns up to how few were.
#[must_use]
pub fn compare(pairs: &[Pair], level: f64) -> Comparison {
    let sum = |of: &dyn Fn(&Pair) -> f64| pairs.iter().map(of).sum::<f64>();
    let (before, after) = (sum(&|p| p.weight * p.before), sum(&|p| p.weight * p.after));
    let critical = |of: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|p| p.before > 0.0 && of(p)).count() as u64;
    let (critical_before, critical_after) = (critical(&|_| true), critical(&|p| p.after > 0.0));
    let ratio = (before > 0.0).then(|| after / before);
    let interval = ratio.and_then(|ratio| {
        let squares = sum(&|p| (p.weight * (p.after - ratio * p.before)).powi(2));
        if squares <= 0.0 {
            return clopper_pearson(critical_after, critical_before, level);
        }
        let df = pairs.len() as f64 - 1.0;
        let error = ((df + 1.0) / df * squares).sqrt() / before;
        let half = t_quantile(f64::midpoint(1.0, level), df) * error;
        let (lo, hi) = ((ratio - half).max(0.0), ratio + half);
        half.is_finite().then_some(Interval { lo, hi, level, method: Method::Clustered })
    });
    Comparison { ratio, interval, critical_before, critical_after }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::random::Stream;

    fn pair(before: f64, after: f64) -> Pair {
        Pair { weight: 1.0, before, after }
    }

    #[test]
    fn a_protection_that_does_nothing_has_ratio_one_and_one_that_removes_all_has_none() {
        let same = compare(&[pair(0.5, 0.5), pair(0.0, 0.0), pair(0.25, 0.25)], 0.95);
        assert_eq!((same.ratio, same.critical_before, same.critical_after), (Some(1.0), 2, 2));
        let gone: Vec<Pair> = (0..40).map(|i| pair(if i < 10 { 0.8 } else { 0.0 }, 0.0)).collect();
        let gone = compare(&gone, 0.95);
        let interval = gone.interval.expect("an interval");
        // Of ten critical faults none stayed so: 1 - 0.025^(1/10).
        assert_eq!((gone.ratio, interval.lo), (Some(0.0), 0.0));
        assert!((interval.hi - 0.308_497).abs() < 1e-5, "{interval:?}");
        assert_eq!(compare(&[pair(0.0, 0.0)], 0.95).ratio, None);
        assert_eq!(compare(&[], 0.95).interval, None);
    }

    #[test]
    fn weights_make_a_fault_count_for_those_it_stands_for() {
        let twice = compare(&[pair(0.4, 0.1), pair(0.4, 0.1), pair(0.2, 0.2)], 0.95).ratio;
        let weighted = compare(&[Pair { weight: 2.0, before: 0.4, after: 0.1 }, pair(0.2, 0.2)], 0.95).ratio;
        assert_eq!(twice, weighted);
        assert!((weighted.expect("a ratio") - 0.4).abs() < 1e-12);
    }

    #[test]
    fn the_interval_covers_the_true_ratio_about_as_often_as_it_says() {
        // A space of which a tenth of the faults is critical, half as much with protection: R = 0.5 by construction.
        let mut covered = 0;
        for repetition in 0..1000 {
            let mut stream = Stream::new(repetition, "pairs", &[]);
            let draw = |stream: &mut Stream| {
                let before = if stream.bernoulli(0.1) { f64::from(stream.uniform_f32()) } else { 0.0 };
                pair(before, before * f64::from(stream.uniform_f32()))
            };
            let pairs: Vec<Pair> = (0..600).map(|_| draw(&mut stream)).collect();
            let interval = compare(&pairs, 0.95).interval.expect("an interval");
            covered += u32::from(interval.lo <= 0.5 && 0.5 <= interval.hi);
        }
        // 950 expected, standard deviation 6.9.
        assert!((925..=975).contains(&covered), "{covered}");
    }
}
