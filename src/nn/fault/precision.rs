//! How many faults are enough, and what a number of them can tell.

/// What a statistical fault-injection campaign wants to be sure of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precision {
    /// Half-width of the interval, as a fraction (0.01).
    pub margin: f64,
    /// Normal quantile of the confidence: 1.96 for 95 %, 2.58 for 99 %.
    pub quantile: f64,
    /// Expected rate; 0.5 is the safe choice.
    pub rate: f64,
}

/// Faults needed out of `population`: `n = N / (1 + e^2 (N - 1) / (t^2 p (1 - p)))`, rounded half to even.
///
/// Leveugle et al., "Statistical fault injection: quantified error and confidence", DATE 2009. Never more than the population,
/// and all of it for a margin of zero or less.
#[must_use]
pub fn sample_size(population: u64, precision: Precision) -> u64 {
    let Precision { margin, quantile, rate } = precision;
    let n = population as f64;
    let spread = quantile * quantile * rate * (1.0 - rate);
    if margin <= 0.0 {
        return population;
    }
    // A rate of 0 or 1 has no variance, and this makes n zero: one fault is the least that says anything.
    let size = n / (1.0 + margin * margin * (n - 1.0) / spread);
    (size.round_ties_even() as u64).clamp(population.min(1), population)
}

/// Faults needed of an endless population: `n = t^2 p (1 - p) / e^2`, the limit of [`sample_size`]; at least 1.
#[must_use]
pub fn sample_size_endless(precision: Precision) -> u64 {
    sample_size(u64::MAX >> 12, precision)
}

/// The margin that `count` faults out of `population` reach: `e = t sqrt(p (1 - p) / n * (N - n) / (N - 1))`.
///
/// The inverse of [`sample_size`]; 0 once the whole population was run, infinite for no faults. An endless population is `None`.
#[must_use]
pub fn margin_of(count: u64, population: Option<u64>, quantile: f64, rate: f64) -> f64 {
    if count == 0 {
        return f64::INFINITY;
    }
    let n = count as f64;
    let left = match population {
        Some(all) if count >= all => return 0.0,
        Some(all) => (all as f64 - n) / (all as f64 - 1.0),
        None => 1.0,
    };
    quantile * (rate * (1.0 - rate) / n * left).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: Precision = Precision { margin: 0.01, quantile: 2.58, rate: 0.5 };

    #[test]
    fn sample_sizes_equal_those_of_the_published_campaigns() {
        for (weights, size) in [
            (6_964_928, 16_640),
            (11_210_432, 16_641),
            (2_261_824, 16_639),
            (268_336, 16_625),
            (461_872, 16_632),
            (655_408, 16_634),
            (848_944, 16_636),
        ] {
            let population = weights * 32 * 2;
            assert_eq!(sample_size(population, PUBLISHED), size);
            let margin = margin_of(size, Some(population), 2.58, 0.5);
            assert!((margin - 0.01).abs() < 1e-6, "{margin}");
        }
        assert_eq!(sample_size_endless(PUBLISHED), 16_641);
    }

    #[test]
    fn sizes_and_margins_at_the_ends_are_sane() {
        assert_eq!(sample_size(10, PUBLISHED), 10);
        assert_eq!(sample_size(0, PUBLISHED), 0);
        assert_eq!(sample_size(1000, Precision { margin: 0.0, ..PUBLISHED }), 1000);
        assert_eq!(sample_size(1000, Precision { rate: 0.0, ..PUBLISHED }), 1);
        assert!(margin_of(0, Some(10), 1.96, 0.5).is_infinite());
        assert!(margin_of(10, Some(10), 1.96, 0.5).abs() < f64::MIN_POSITIVE);
        assert!((margin_of(16_641, None, 2.58, 0.5) - 0.01).abs() < 1e-6);
    }
}
