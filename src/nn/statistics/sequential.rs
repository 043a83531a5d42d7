//! Intervals that may be looked at again and again: a campaign that stops when its interval is narrow enough keeps its coverage.
//!
//! "Stop once the 95 % interval is narrow" with an interval made for one look covers less than 95 %: one stops early exactly
//! when the spread happens to look small.

use super::{Interval, Method};

/// A confidence sequence for the mean of numbers in `[0, 1]` that are drawn one after the other: with probability `level` it
/// holds the mean at all times at once, whenever one stops.
///
/// The predictable plug-in empirical-Bernstein sequence of Waudby-Smith and Ramdas, "Estimating means of bounded random
/// variables by betting" (JRSS B, 2024), theorem 2, and for draws without replacement its form with the conditional mean of
/// the next draw, `(N m - S_{t-1}) / (N - t + 1)` (their section 5). It assumes nothing of the numbers but their bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfidenceSequence {
    level: f64,
    population: Option<u64>,
    count: u64,
    sum: f64,
    squares: f64,
    weighted: f64,
    weights: f64,
    radius: f64,
    bounds: (f64, f64),
}

impl ConfidenceSequence {
    /// Of no numbers yet; `population` is how many there are in all, `None` for no end of them.
    #[must_use]
    pub fn new(level: f64, population: Option<u64>) -> Self {
        Self {
            level,
            population,
            count: 0,
            sum: 0.0,
            squares: 0.0,
            weighted: 0.0,
            weights: 0.0,
            radius: 0.0,
            bounds: (0.0, 1.0),
        }
    }

    /// The next number, in the order in which they were drawn.
    pub fn push(&mut self, x: f64) {
        let t = (self.count + 1) as f64;
        let log = libm::log(2.0 / (1.0 - self.level));
        let mean = (0.5 + self.sum) / t;
        let variance = (0.25 + self.squares) / t;
        let lambda = (2.0 * log / (variance * t * libm::log1p(t))).sqrt().min(0.5);
        let psi = (-libm::log1p(-lambda) - lambda) / 4.0;
        let (left, share) = match self.population {
            Some(all) => ((all as f64 - t + 1.0).max(1.0), all as f64),
            None => (1.0, 1.0),
        };
        let seen = if self.population.is_some() { self.sum / left } else { 0.0 };
        self.weighted += lambda * (x + seen);
        self.weights += lambda * share / left;
        self.radius += 4.0 * (x - mean).powi(2) * psi;
        self.count += 1;
        self.sum += x;
        self.squares += (x - (0.5 + self.sum) / (t + 1.0)).powi(2);
        let (centre, half) = (self.weighted / self.weights, (log + self.radius) / self.weights);
        // The sequence holds the mean at all times at once, so all its intervals do together.
        self.bounds = (self.bounds.0.max(centre - half), self.bounds.1.min(centre + half));
        if let Some(all) = self.population {
            // What was seen bounds the mean of all, too.
            let (seen, unseen) = (self.sum / all as f64, 1.0 - t / all as f64);
            self.bounds = (self.bounds.0.max(seen), self.bounds.1.min(seen + unseen.max(0.0)));
        }
    }

    /// The interval so far.
    #[must_use]
    pub fn interval(&self) -> Interval {
        let (lo, hi) = self.bounds;
        Interval { lo, hi: hi.max(lo), level: self.level, method: Method::Anytime }
    }
}

/// The level of the interval to look at in look `look` (from 1) of any number of looks that together are to keep `level`: each
/// spends `6 / (pi k)^2` of the permitted error, which adds up to all of it (Bonferroni).
#[must_use]
pub fn level_of_look(level: f64, look: u32) -> f64 {
    let k = f64::from(look.max(1));
    1.0 - (1.0 - level) * 6.0 / (std::f64::consts::PI * k).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::random::Stream;

    #[test]
    fn a_sequence_covers_the_mean_at_all_times_at_once() {
        // Critical fractions as a campaign has them: most 0, one in eighty nearly 1.
        let population: Vec<f64> =
            (0..4000).map(|i| if i % 80 == 0 { 0.9 } else { f64::from(i % 7 == 0) * 0.001 }).collect();
        let mean = population.iter().sum::<f64>() / 4000.0;
        let missed = (0..300).filter(|seed| {
            let order = Stream::new(*seed, "order", &[]).permutation(4000);
            let mut sequence = ConfidenceSequence::new(0.9, Some(4000));
            order.into_iter().take(2000).any(|at| {
                sequence.push(population[at]);
                let interval = sequence.interval();
                interval.lo > mean || interval.hi < mean
            })
        });
        // 30 may miss; such a bound is never tight, and 45 would be three standard deviations too many.
        assert!(missed.count() < 45);
    }

    #[test]
    fn a_sequence_narrows_and_a_census_is_exact() {
        let mut sequence = ConfidenceSequence::new(0.95, Some(1000));
        let mut widths = Vec::new();
        for i in 0..1000 {
            sequence.push(if i % 50 == 0 { 1.0 } else { 0.0 });
            let interval = sequence.interval();
            widths.push(interval.hi - interval.lo);
        }
        assert!(widths.is_sorted_by(|a, b| a >= b) && widths[999] < 1e-12, "{}", widths[999]);
        assert!(widths[499] < 0.1, "{}", widths[499]);
        assert!((sequence.interval().lo - 0.02).abs() < 1e-12);
    }

    #[test]
    fn an_endless_sequence_is_that_of_the_paper() {
        // By hand from theorem 2 for the numbers 1, 0 at 95 %.
        let mut sequence = ConfidenceSequence::new(0.95, None);
        let log = 40.0_f64.ln();
        let l1 = (2.0 * log / (0.25 * 2.0_f64.ln())).sqrt().min(0.5);
        let mean1 = 0.75;
        let variance1 = (0.25 + 0.25_f64.powi(2)) * 0.5;
        let l2 = (2.0 * log / (variance1 * 2.0 * 3.0_f64.ln())).sqrt().min(0.5);
        let psi = |l: f64| (-(1.0 - l).ln() - l) / 4.0;
        let radius = (log + 4.0 * 0.25 * psi(l1) + 4.0 * mean1 * mean1 * psi(l2)) / (l1 + l2);
        sequence.push(1.0);
        sequence.push(0.0);
        let centre = l1 / (l1 + l2);
        assert!((sequence.bounds.1 - (centre + radius).min(1.0)).abs() < 1e-12);
        assert!(sequence.interval().lo <= centre && centre <= sequence.interval().hi);
    }

    #[test]
    fn looks_spend_no_more_than_there_is() {
        let spent: f64 = (1..100_000).map(|look| 1.0 - level_of_look(0.95, look)).sum();
        assert!(spent < 0.05 && spent > 0.0499, "{spent}");
    }
}
