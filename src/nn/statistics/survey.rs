//! Rates from faults drawn unequally: strata, parts of them, and a few images each.

use super::{Cluster, ClusteredRate, Method};

/// A cluster that was drawn, and the stratum it was drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The stratum, an index into the survey's populations.
    pub stratum: usize,
    /// What was seen.
    pub cluster: Cluster,
}

/// What there was to draw from.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Clusters in each stratum; `None` where there is no end of them.
    pub populations: Vec<Option<u64>>,
    /// Trials that each cluster could have had: the images of the whole set. `None` where every trial is a draw of its own.
    pub trials: Option<u64>,
    /// How far the rate of one fault more than were drawn is taken to lie from the others, in every stratum that is no census;
    /// see [`Survey::deviation`]. It plays no part where there is a single stratum.
    pub unseen: f64,
}

impl Survey {
    /// The rate over all clusters that there are.
    ///
    /// `p = sum W_h p_h` with `W_h = N_h / N` and `p_h` the mean rate of the clusters drawn from stratum `h`; its variance is
    /// `sum W_h^2 ((1 - f_h) s_h^2 / n_h + f_h mean((1 - g) p_i (1 - p_i) / (m_i - 1)) / n_h)` with `f_h = n_h / N_h` and `g`
    /// the share of trials seen of a cluster (Cochran, Sampling Techniques, 3rd ed., sections 5.3, 5.4 and 10.3), and its
    /// degrees of freedom are Satterthwaite's. `None` of no trials.
    #[must_use]
    pub fn rate(&self, drawn: &[Drawn]) -> Option<ClusteredRate> {
        self.domain(drawn, |_| true, self.population())
    }

    /// The rate over those clusters for which `belongs` says so by their position in `drawn`, of which there are `population`.
    ///
    /// Of a sample drawn from everything alike such clusters are a sample of their own. Of strata it is the ratio of two
    /// weighted sums, with the linearised variance (Cochran, section 5A.14); a stratum that was not drawn from adds nothing.
    #[must_use]
    pub fn domain(
        &self,
        drawn: &[Drawn],
        belongs: impl Fn(usize) -> bool,
        population: Option<u64>,
    ) -> Option<ClusteredRate> {
        if self.populations.len() <= 1 {
            let clusters = drawn.iter().enumerate().filter(|(at, _)| belongs(*at)).map(|(_, drawn)| drawn.cluster);
            return two_stage_rate(&clusters.collect::<Vec<_>>(), population, self.trials);
        }
        Some(self.weighted(drawn, &belongs)?.rate(self.populations.len()))
    }

    /// Clusters that there are; `None` where there is no end of them.
    #[must_use]
    pub fn population(&self) -> Option<u64> {
        self.populations.iter().copied().sum()
    }

    /// The standard deviation to reckon with for a stratum in which `drawn` clusters with `seen` trials each show a variance.
    ///
    /// `sqrt(((n - 1) s^2 + u^2) / n)`: as if one cluster more had been drawn, at a distance `u` from the others, in which
    /// [`Survey::unseen`] and half a trial add up. Rates of faults are mostly 0 and now and then large; a stratum in which
    /// nothing was seen is not one in which nothing can be, neither for the interval nor for what is drawn next.
    #[must_use]
    pub fn deviation(&self, drawn: u64, variance: f64, seen: f64) -> f64 {
        let n = drawn.max(1) as f64;
        let few = self.trials.is_some_and(|all| seen < all as f64);
        if self.unseen <= 0.0 {
            return variance.sqrt();
        }
        let half = if few { 0.5 / seen.max(1.0) } else { 0.0 };
        (((n - 1.0) * variance + self.unseen.powi(2) + half * half) / n).sqrt()
    }

    fn weighted(&self, drawn: &[Drawn], belongs: &dyn Fn(usize) -> bool) -> Option<Weighted> {
        let mut strata: Vec<Vec<(bool, Cluster)>> = vec![Vec::new(); self.populations.len()];
        for (at, one) in drawn.iter().enumerate().filter(|(_, one)| one.cluster.trials > 0) {
            strata.get_mut(one.stratum)?.push((belongs(at), one.cluster));
        }
        let weight = |h: usize| {
            let n = strata[h].len() as f64;
            self.populations[h].map_or(n, |all| all as f64) / n
        };
        let (mut all, mut hit, mut clusters, mut trials) = (0.0, 0.0, 0, 0);
        for (h, of) in strata.iter().enumerate().filter(|(_, of)| !of.is_empty()) {
            for (_, cluster) in of.iter().filter(|(inside, _)| *inside) {
                all += weight(h);
                hit += weight(h) * rate(*cluster);
                clusters += 1;
                trials += cluster.trials;
            }
        }
        if clusters == 0 {
            return None;
        }
        let mean = hit / all;
        let residual = |(inside, cluster): &(bool, Cluster)| if *inside { rate(*cluster) - mean } else { 0.0 };
        let residuals: Vec<Vec<f64>> = strata.iter().map(|of| of.iter().map(residual).collect()).collect();
        let pooled = spread(&residuals.concat());
        let mut variances = Vec::new();
        let mut effective = f64::INFINITY;
        for (h, of) in strata.iter().enumerate().filter(|(_, of)| of.iter().any(|(inside, _)| *inside)) {
            let n = of.len() as f64;
            let share = self.populations[h].map_or(0.0, |all| (n / all as f64).min(1.0));
            // A single cluster of several shows no spread of its own.
            let between = if of.len() > 1 || share >= 1.0 { spread(&residuals[h]) } else { pooled };
            let seen = of.iter().map(|(_, cluster)| cluster.trials).sum::<u64>() as f64 / n;
            let between = self.deviation(of.len() as u64, between, seen).powi(2);
            let within: f64 =
                of.iter().filter(|(inside, _)| *inside).map(|(_, cluster)| self.within(*cluster)).sum::<f64>() / n;
            let scale = (weight(h) * n / all).powi(2) / n;
            variances.push((scale * ((1.0 - share) * between + share * within), of.len().saturating_sub(1)));
            if share < 1.0 {
                effective = f64::min(effective, all / weight(h));
            }
        }
        Some(Weighted { mean, variances, clusters, trials, effective })
    }

    /// The variance of a cluster's observed rate about its true one.
    fn within(&self, cluster: Cluster) -> f64 {
        within(cluster, self.trials)
    }
}

/// The parts of a stratified estimate.
struct Weighted {
    mean: f64,
    /// Variance and degrees of freedom of each stratum.
    variances: Vec<(f64, usize)>,
    clusters: u64,
    trials: u64,
    /// Clusters drawn alike that would leave as much room for what was never seen.
    effective: f64,
}

impl Weighted {
    fn rate(self, strata: usize) -> ClusteredRate {
        let variance: f64 = self.variances.iter().map(|(v, _)| v).sum();
        let squares: f64 = self.variances.iter().map(|(v, df)| v * v / (*df).max(1) as f64).sum();
        let spare = self.clusters.saturating_sub(strata as u64).max(1) as f64;
        let exhaustive = self.effective.is_infinite() && variance <= 0.0;
        ClusteredRate {
            rate: self.mean,
            standard_error: Some(variance.sqrt()),
            clusters: self.clusters,
            trials: self.trials,
            exhaustive,
            freedom: if squares > 0.0 { variance * variance / squares } else { spare },
            effective: self.effective.min(self.clusters as f64),
            method: Method::Stratified,
        }
    }
}

/// [`clustered_rate`](super::clustered_rate) of clusters of which only some trials were seen, of `trials` that each has: then
/// even all clusters leave something to chance (Cochran, section 10.3).
#[must_use]
pub fn two_stage_rate(clusters: &[Cluster], population: Option<u64>, trials: Option<u64>) -> Option<ClusteredRate> {
    let used: Vec<Cluster> = clusters.iter().copied().filter(|c| c.trials > 0).collect();
    let (m, s, n) = used.iter().fold((0u64, 0u64, 0u64), |(m, s, n), c| (m + 1, s + c.successes, n + c.trials));
    if n == 0 {
        return None;
    }
    let rate = s as f64 / n as f64;
    let squares: f64 = used.iter().map(|c| (c.successes as f64 - rate * c.trials as f64).powi(2)).sum();
    let share = population.map_or(0.0, |all| (m as f64 / all.max(m) as f64).min(1.0));
    // Of single trials the spread within a cluster cannot be told, but that between them holds both.
    let single = trials.is_some_and(|all| all > 1) && used.iter().any(|c| c.trials == 1);
    let unsampled = if single { 1.0 } else { 1.0 - share };
    let inside: f64 = used.iter().map(|c| within(*c, trials) * (c.trials as f64).powi(2)).sum::<f64>() * share;
    let complete = trials.is_none_or(|all| used.iter().all(|c| c.trials >= all));
    let exhaustive = population.is_some_and(|all| all <= m) && complete;
    let standard_error = if exhaustive {
        Some(0.0)
    } else if m < 2 {
        None
    } else {
        Some((m as f64 / (m - 1) as f64 * squares * unsampled + inside).sqrt() / n as f64)
    };
    let freedom = m.saturating_sub(1) as f64;
    let method = Method::Clustered;
    Some(ClusteredRate {
        rate,
        standard_error,
        clusters: m,
        trials: n,
        exhaustive,
        freedom,
        effective: m as f64,
        method,
    })
}

/// The variance of a cluster's observed rate about that of all its trials.
fn within(cluster: Cluster, trials: Option<u64>) -> f64 {
    let seen = cluster.trials as f64;
    let unseen = trials.map_or(0.0, |all| (1.0 - seen / all as f64).max(0.0));
    let p = rate(cluster);
    unseen * p * (1.0 - p) / (seen - 1.0).max(1.0)
}

fn rate(cluster: Cluster) -> f64 {
    cluster.successes as f64 / cluster.trials as f64
}

/// The sample variance; 0 of fewer than two numbers.
fn spread(numbers: &[f64]) -> f64 {
    let n = numbers.len() as f64;
    if numbers.len() < 2 {
        return 0.0;
    }
    let mean = numbers.iter().sum::<f64>() / n;
    numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)
}

/// A stratum as an allocation sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Clusters that there are.
    pub population: u64,
    /// Clusters drawn so far.
    pub drawn: u64,
    /// Estimate of the standard deviation of the clusters' rates.
    pub deviation: f64,
}

/// How many clusters to draw from each stratum beside those drawn, `budget` in all: Neyman's allocation, `n_h` in proportion to
/// `N_h S_h` (Neyman 1934; Cochran, section 5.5), as near as what was drawn and what there is allow. Deterministic: what
/// rounding leaves goes to the largest remainders, the first of equals.
#[must_use]
pub fn neyman(strata: &[Share], budget: u64) -> Vec<u64> {
    let open: u64 = strata.iter().map(|s| s.population - s.drawn.min(s.population)).sum();
    let mut left = budget.min(open) as f64;
    let mut more = vec![0.0; strata.len()];
    let mut free: Vec<usize> = (0..strata.len()).filter(|h| strata[*h].drawn < strata[*h].population).collect();
    let need = |h: usize| strata[h].population as f64 * strata[h].deviation.max(f64::MIN_POSITIVE);
    // Strata that got too much already, or cannot take as much as they should, leave the others to share the rest.
    while !free.is_empty() {
        let total: f64 = free.iter().map(|h| need(*h)).sum();
        let all = left + free.iter().map(|h| strata[*h].drawn as f64).sum::<f64>();
        let wish = |h: usize| all * need(h) / total - strata[h].drawn as f64;
        if let Some(at) = free.iter().position(|h| wish(*h) < 0.0) {
            free.remove(at);
            continue;
        }
        let room = |h: usize| (strata[h].population - strata[h].drawn) as f64;
        let Some(at) = free.iter().position(|h| wish(*h) > room(*h)) else {
            for h in &free {
                more[*h] = wish(*h);
            }
            break;
        };
        let full = free.remove(at);
        more[full] = room(full);
        left -= room(full);
    }
    rounded(strata, &more, budget.min(open))
}

/// Whole numbers near `wishes` that add up to `budget` and do not exceed what there is.
fn rounded(strata: &[Share], wishes: &[f64], budget: u64) -> Vec<u64> {
    let room = |h: usize| strata[h].population - strata[h].drawn.min(strata[h].population);
    let mut counts: Vec<u64> =
        wishes.iter().enumerate().map(|(h, w)| (w.floor().max(0.0) as u64).min(room(h))).collect();
    let mut order: Vec<usize> = (0..strata.len()).collect();
    order.sort_by(|a, b| (wishes[*b].fract()).total_cmp(&wishes[*a].fract()));
    let mut left = budget.saturating_sub(counts.iter().sum());
    while left > 0 {
        let before = left;
        for h in &order {
            if left > 0 && counts[*h] < room(*h) {
                counts[*h] += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(stratum: usize, successes: u64, trials: u64) -> Drawn {
        Drawn { stratum, cluster: Cluster { successes, trials } }
    }

    #[track_caller]
    fn close(got: f64, want: f64) {
        assert!((got - want).abs() <= 1e-12, "got {got}, want {want}");
    }

    #[test]
    fn strata_are_weighed_by_what_there_is_and_not_by_what_was_drawn() {
        let survey = Survey { populations: vec![Some(30), Some(10)], trials: None, unseen: 0.0 };
        let all = [drawn(0, 0, 10), drawn(0, 2, 10), drawn(1, 5, 10), drawn(1, 7, 10), drawn(1, 9, 10)];
        let rate = survey.rate(&all).expect("drawn");
        // 0.75 * 0.1 + 0.25 * 0.7, by hand; variances .02 and .04.
        close(rate.rate, 0.25);
        let v0 = 0.75_f64.powi(2) * (1.0 - 2.0 / 30.0) * 0.02 / 2.0;
        let v1 = 0.25_f64.powi(2) * (1.0 - 3.0 / 10.0) * 0.04 / 3.0;
        close(rate.standard_error.expect("an error"), (v0 + v1).sqrt());
        close(rate.freedom, (v0 + v1).powi(2) / (v0 * v0 + v1 * v1 / 2.0));
        // A domain that is one stratum is that stratum alone.
        let second = survey.domain(&all, |at| at >= 2, Some(10)).expect("drawn");
        close(second.rate, 0.7);
        close(second.standard_error.expect("an error"), (0.7_f64 * 0.04 / 3.0).sqrt());
    }

    #[test]
    fn a_stratum_in_which_nothing_was_seen_is_not_taken_for_harmless() {
        let survey = Survey { populations: vec![Some(30), Some(10)], trials: None, unseen: 0.1 };
        let rate = survey.rate(&[drawn(0, 0, 10), drawn(0, 0, 10), drawn(1, 5, 10), drawn(1, 5, 10)]).expect("drawn");
        let v0 = 0.75_f64.powi(2) * (1.0 - 2.0 / 30.0) * (0.01 / 2.0) / 2.0;
        let v1 = 0.25_f64.powi(2) * (1.0 - 2.0 / 10.0) * (0.01 / 2.0) / 2.0;
        close(rate.standard_error.expect("an error"), (v0 + v1).sqrt());
        // A few of many images leave half an image more in doubt.
        let few = Survey { trials: Some(100), ..survey };
        close(few.deviation(2, 0.0, 10.0), (0.0125_f64 / 2.0).sqrt());
    }

    #[test]
    fn a_census_of_all_strata_leaves_nothing_to_chance() {
        let survey = Survey { populations: vec![Some(2), Some(1)], trials: Some(10), unseen: 0.0 };
        let rate = survey.rate(&[drawn(0, 0, 10), drawn(0, 2, 10), drawn(1, 10, 10)]).expect("drawn");
        assert!(rate.exhaustive);
        close(rate.rate, 0.4);
        // With half of the images something is left.
        let half = survey.rate(&[drawn(0, 0, 5), drawn(0, 1, 5), drawn(1, 5, 5)]).expect("drawn");
        assert!(!half.exhaustive && half.standard_error.is_some_and(|error| error > 0.0));
    }

    #[test]
    fn one_stratum_is_a_plain_sample_and_its_parts_are_too() {
        let survey = Survey { populations: vec![Some(100)], trials: None, unseen: 0.0 };
        let all = [drawn(0, 1, 10), drawn(0, 4, 10), drawn(0, 7, 10)];
        let clusters: Vec<Cluster> = all.iter().map(|d| d.cluster).collect();
        assert_eq!(survey.rate(&all), super::super::clustered_rate(&clusters, Some(100)));
        assert_eq!(survey.domain(&all, |at| at > 0, Some(40)), super::super::clustered_rate(&clusters[1..], Some(40)));
        assert_eq!(survey.domain(&all, |_| false, Some(40)), None);
    }

    #[test]
    fn images_redrawn_for_every_cluster_of_a_census_have_cochrans_variance() {
        // Section 10.3 with f1 = 1: mean of (1 - f2) s2^2 / m over the clusters, over n.
        let clusters = [Cluster { successes: 2, trials: 5 }, Cluster { successes: 5, trials: 5 }];
        let rate = two_stage_rate(&clusters, Some(2), Some(10)).expect("trials");
        let s2 = 5.0 / 4.0 * 0.4 * 0.6;
        close(rate.standard_error.expect("two"), (0.5 * s2 / 5.0 / 4.0_f64).sqrt());
        // Without any share of the population only the clusters' own spread counts.
        let few = two_stage_rate(&clusters, None, Some(10)).expect("trials");
        close(few.standard_error.expect("two"), (0.5_f64 * (0.3 * 0.3 * 2.0)).sqrt());
    }

    #[test]
    fn neymans_allocation_is_proportional_to_size_times_spread() {
        let strata =
            |deviations: [f64; 3]| deviations.map(|deviation| Share { population: 1000, drawn: 0, deviation }).to_vec();
        assert_eq!(neyman(&strata([0.1, 0.3, 0.6]), 100), [10, 30, 60]);
        // What was drawn counts; a stratum that got too much already gets no more.
        let mut some = strata([0.1, 0.3, 0.6]);
        some[0].drawn = 50;
        assert_eq!(neyman(&some, 90), [0, 30, 60]);
        // A stratum cannot give more than it has; rounding adds up.
        (some[2].population, some[2].deviation) = (20, 60.0);
        let more = neyman(&some, 91);
        assert_eq!((more[2], more.iter().sum::<u64>()), (20, 91));
        assert_eq!(neyman(&some, u64::MAX).iter().sum::<u64>(), 950 + 1000 + 20);
        assert_eq!(neyman(&[], 10), [0; 0]);
    }
}
