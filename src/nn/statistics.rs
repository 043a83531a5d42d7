//! Intervals and standard errors: how sure a rate or a mean is.
//!
//! Every rate the program reports carries its denominator and one of these intervals, named by [`Method`].
//! Nothing here panics on odd input: no trials means no interval (`None`).

mod running;
mod sequential;
mod special;
mod survey;

pub use running::Moments;
pub use sequential::{ConfidenceSequence, level_of_look};
pub use special::{beta_cdf, beta_quantile, ln_gamma, normal_quantile, t_quantile};
pub use survey::{Drawn, Share, Survey, neyman, two_stage_rate};

/// How an interval was made; its text goes beside the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Wilson's score interval for a binomial rate.
    Wilson,
    /// The exact (conservative) binomial interval of Clopper and Pearson.
    ClopperPearson,
    /// Mean plus and minus normal quantile times standard error.
    Normal,
    /// Mean plus and minus Student quantile times standard error.
    StudentT,
    /// Ratio of sums over clusters, Student quantile with clusters minus one degrees of freedom.
    Clustered,
    /// Weighted mean over strata, Student quantile with Satterthwaite's degrees of freedom.
    Stratified,
    /// A confidence sequence, valid whenever one looks.
    Anytime,
}

impl Method {
    /// The name written into tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wilson => "wilson",
            Self::ClopperPearson => "clopper-pearson",
            Self::Normal => "normal",
            Self::StudentT => "student-t",
            Self::Clustered => "clustered-t",
            Self::Stratified => "stratified-t",
            Self::Anytime => "confidence-sequence",
        }
    }
}

/// A two-sided confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
    /// Nominal coverage, 0.95 by custom.
    pub level: f64,
    /// How it was made.
    pub method: Method,
}

/// Wilson's score interval for `successes` of `trials` at coverage `level` (0.95).
///
/// Wilson (1927); it never leaves `[0, 1]` and keeps its coverage at rates near 0 where the Wald interval collapses.
/// `None` without trials, with more successes than trials, or with a level outside `(0, 1)`.
#[must_use]
pub fn wilson(successes: u64, trials: u64, level: f64) -> Option<Interval> {
    check_counts(successes, trials, level)?;
    let (k, n) = (successes as f64, trials as f64);
    let p = k / n;
    let z = normal_quantile(f64::midpoint(1.0, level));
    let z2 = z * z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // At the two ends the formula is 0 and 1 exactly; rounding must not say otherwise.
    let lo = if successes == 0 { 0.0 } else { (centre - half).max(0.0) };
    let hi = if successes == trials { 1.0 } else { (centre + half).min(1.0) };
    Some(Interval { lo, hi, level, method: Method::Wilson })
}

/// The exact interval of Clopper and Pearson (1934) for `successes` of `trials`, from beta quantiles.
///
/// `None` in the same cases as [`wilson`].
#[must_use]
pub fn clopper_pearson(successes: u64, trials: u64, level: f64) -> Option<Interval> {
    check_counts(successes, trials, level)?;
    let (k, n) = (successes as f64, trials as f64);
    let alpha = 1.0 - level;
    let lo = if successes == 0 { 0.0 } else { beta_quantile(alpha / 2.0, k, n - k + 1.0) };
    let hi = if successes == trials { 1.0 } else { beta_quantile(1.0 - alpha / 2.0, k + 1.0, n - k) };
    Some(Interval { lo, hi, level, method: Method::ClopperPearson })
}

/// Mean and standard error to an interval by the normal quantile, for means of many draws.
///
/// `None` unless both numbers are finite and the level lies in `(0, 1)`.
#[must_use]
pub fn normal_interval(mean: f64, standard_error: f64, level: f64) -> Option<Interval> {
    around(mean, standard_error, normal_quantile(f64::midpoint(1.0, level)), level, Method::Normal)
}

/// Mean and standard error to an interval by Student's quantile, for means of a few draws (seeds, repetitions).
///
/// `df` is the degrees of freedom, draws minus one. `None` unless everything is finite and `df > 0`.
#[must_use]
pub fn t_interval(mean: f64, standard_error: f64, df: f64, level: f64) -> Option<Interval> {
    around(mean, standard_error, t_quantile(f64::midpoint(1.0, level), df), level, Method::StudentT)
}

/// Exact upper tail `P(X >= k)` of a binomial with `n` trials of probability `p`.
///
/// The identity `P(X >= k) = I_p(k, n - k + 1)` (Abramowitz and Stegun 26.5.24).
#[must_use]
pub fn binomial_upper_tail(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if k > n {
        return 0.0;
    }
    beta_cdf(p, k as f64, (n - k) as f64 + 1.0)
}

/// One cluster of trials that share their cause: the images run under one fault, the repetitions on one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Trials with the outcome counted.
    pub successes: u64,
    /// All trials of this cluster.
    pub trials: u64,
}

/// A rate over clusters with a standard error that does not pretend their trials are independent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusteredRate {
    /// Successes over trials, all clusters together.
    pub rate: f64,
    /// Standard error of the rate; `None` from fewer than two clusters.
    pub standard_error: Option<f64>,
    /// Clusters with at least one trial.
    pub clusters: u64,
    /// Trials over all clusters.
    pub trials: u64,
    /// Whether these are all clusters that there are, so that nothing is left to chance.
    pub exhaustive: bool,
    /// Degrees of freedom of the standard error.
    pub freedom: f64,
    /// Clusters drawn alike that would tell as much of what was never seen; the clusters themselves unless strata were drawn
    /// unequally.
    pub effective: f64,
    /// How the interval is made.
    pub method: Method,
}

impl ClusteredRate {
    /// The interval at coverage `level`, cut to `[0, 1]`; `None` from fewer than two clusters.
    ///
    /// Where not one trial (or every one) succeeded the clusters show no spread, which is no certainty: then it is the exact
    /// interval of a rate of clusters, which bounds the rate of trials.
    #[must_use]
    pub fn interval(&self, level: f64) -> Option<Interval> {
        if self.exhaustive {
            return Some(Interval { lo: self.rate, hi: self.rate, level, method: self.method });
        }
        if self.rate <= 0.0 || self.rate >= 1.0 {
            let clusters = self.effective.floor().max(1.0) as u64;
            return clopper_pearson(if self.rate <= 0.0 { 0 } else { clusters }, clusters, level);
        }
        let wide = t_interval(self.rate, self.standard_error?, self.freedom, level)?;
        Some(Interval { lo: wide.lo.max(0.0), hi: wide.hi.min(1.0), method: self.method, ..wide })
    }
}

/// The rate over clusters sampled at random, with the linearised ratio estimator's standard error
/// `sqrt(m/(m-1) * sum (s_i - r n_i)^2) / sum n_i` (Cochran, Sampling Techniques, 3rd ed., section 6.3).
///
/// With equal clusters it is the sample standard deviation of the cluster rates over `sqrt(m)`. `population` is the number of
/// clusters that could have been drawn: then the finite-population factor `sqrt(1 - m/population)` applies, and an
/// exhaustive campaign has no sampling error. `None` without trials.
#[must_use]
pub fn clustered_rate(clusters: &[Cluster], population: Option<u64>) -> Option<ClusteredRate> {
    two_stage_rate(clusters, population, None)
}

fn check_counts(successes: u64, trials: u64, level: f64) -> Option<()> {
    (trials > 0 && successes <= trials && level > 0.0 && level < 1.0).then_some(())
}

fn around(mean: f64, standard_error: f64, quantile: f64, level: f64, method: Method) -> Option<Interval> {
    let half = quantile * standard_error;
    (mean.is_finite() && half.is_finite() && level > 0.0 && level < 1.0).then_some(Interval {
        lo: mean - half,
        hi: mean + half,
        level,
        method,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance, "got {got}, want {want}");
    }

    /// Newcombe (1998), Statistics in Medicine 17, table I: successes, trials, Wilson, Clopper-Pearson.
    const NEWCOMBE: [(u64, u64, [f64; 2], [f64; 2]); 4] = [
        (81, 263, [0.2553, 0.3662], [0.2527, 0.3676]),
        (15, 148, [0.0624, 0.1605], [0.0578, 0.1617]),
        (0, 20, [0.0, 0.1611], [0.0, 0.1684]),
        (1, 29, [0.0061, 0.1718], [0.0009, 0.1776]),
    ];

    #[test]
    fn wilson_and_clopper_pearson_equal_newcombes_table() {
        for (k, n, score, exact) in NEWCOMBE {
            let w = wilson(k, n, 0.95).expect("counts are sane");
            close(w.lo, score[0], 5e-5);
            close(w.hi, score[1], 5e-5);
            let c = clopper_pearson(k, n, 0.95).expect("counts are sane");
            close(c.lo, exact[0], 5e-5);
            close(c.hi, exact[1], 5e-5);
        }
    }

    #[test]
    fn intervals_mirror_when_successes_and_failures_swap() {
        for f in [wilson, clopper_pearson] {
            let (a, b) = (f(3, 40, 0.99).expect("sane"), f(37, 40, 0.99).expect("sane"));
            close(a.lo, 1.0 - b.hi, 1e-12);
            close(a.hi, 1.0 - b.lo, 1e-12);
            assert!(f(0, 7, 0.95).expect("sane").lo.abs() < f64::MIN_POSITIVE);
            assert!((f(7, 7, 0.95).expect("sane").hi - 1.0).abs() < f64::MIN_POSITIVE);
        }
    }

    #[test]
    fn nonsense_counts_and_levels_have_no_interval() {
        assert_eq!(wilson(0, 0, 0.95), None);
        assert_eq!(wilson(3, 2, 0.95), None);
        assert_eq!(clopper_pearson(1, 2, 1.0), None);
        assert_eq!(t_interval(1.0, 0.1, 0.0, 0.95), None);
        assert_eq!(normal_interval(f64::NAN, 0.1, 0.95), None);
    }

    #[test]
    fn a_zero_of_n_exact_bound_is_the_rule_of_three() {
        // One-sided 95 %: 1 - 0.05^(1/n), which the two-sided 90 % interval ends in.
        let c = clopper_pearson(0, 1000, 0.90).expect("sane");
        close(c.hi, 1.0 - 0.05_f64.powf(1e-3), 1e-12);
    }

    #[test]
    fn binomial_tails_equal_the_published_majority_figures() {
        close(binomial_upper_tail(10, 20, 1.0 / 3.0), 0.0919, 5e-5);
        let printed = [0.1, 0.19, 0.028, 0.0523, 0.00856, 0.01585, 0.002_728, 0.005_024_35, 0.000_890_92];
        for (d, want) in (1u64..).zip(printed) {
            close(binomial_upper_tail(d.div_ceil(2), d, 0.1), want, 1e-14);
        }
        close(binomial_upper_tail(7, 13, 0.1), 0.000_099_285_486_4, 1e-15);
        close(binomial_upper_tail(0, 5, 0.1), 1.0, 0.0);
        close(binomial_upper_tail(6, 5, 0.1), 0.0, 0.0);
    }

    #[test]
    fn odd_copies_needed_for_a_majority_equal_the_known_counts() {
        let needed = |p: f64| (1u64..).step_by(2).find(|r| binomial_upper_tail(r.div_ceil(2), *r, p) <= 1e-5);
        for (p, copies) in [(1.0 / 3.0, 155), (0.25, 63), (0.2, 41), (0.1, 19), (0.07, 13)] {
            assert_eq!(needed(p), Some(copies), "at {p}");
        }
    }

    #[test]
    fn equal_clusters_give_the_standard_error_of_their_mean() {
        let clusters: Vec<_> = [1u64, 4, 7].iter().map(|&s| Cluster { successes: s, trials: 10 }).collect();
        let r = clustered_rate(&clusters, None).expect("there are trials");
        close(r.rate, 0.4, 1e-15);
        // The sample standard deviation of .1, .4, .7 is .3.
        close(r.standard_error.expect("three clusters"), 0.3 / 3.0_f64.sqrt(), 1e-15);
        let i = r.interval(0.95).expect("three clusters");
        close(i.lo, 0.0, 0.0);
        close(i.hi, 1.0, 0.0);
    }

    #[test]
    fn a_finite_population_shrinks_the_error_and_a_census_has_none() {
        let clusters = [Cluster { successes: 1, trials: 4 }, Cluster { successes: 3, trials: 4 }];
        let infinite = clustered_rate(&clusters, None).and_then(|r| r.standard_error).expect("two clusters");
        let half = clustered_rate(&clusters, Some(4)).and_then(|r| r.standard_error).expect("two clusters");
        close(half, infinite * 0.5_f64.sqrt(), 1e-15);
        assert_eq!(clustered_rate(&clusters, Some(2)).and_then(|r| r.standard_error), Some(0.0));
        assert_eq!(clustered_rate(&clusters[..1], None).and_then(|r| r.standard_error), None);
        assert_eq!(clustered_rate(&[], None), None);
        let census = clustered_rate(&clusters, Some(2)).and_then(|r| r.interval(0.95)).expect("a census");
        assert!((census.lo - 0.5).abs() + (census.hi - 0.5).abs() < 1e-15);
    }

    #[test]
    fn no_success_in_any_cluster_leaves_the_exact_bound_on_clusters() {
        let none = [Cluster { successes: 0, trials: 1000 }; 20];
        let interval = clustered_rate(&none, None).and_then(|r| r.interval(0.95)).expect("clusters");
        close(interval.lo, 0.0, 0.0);
        // Newcombe's table again: 0 of 20.
        close(interval.hi, 0.1684, 5e-5);
        assert_eq!(interval.method, Method::ClopperPearson);
    }
}
