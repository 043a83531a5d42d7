//! Mean and variance in one pass, without the cancellation of the textbook formula.

/// Running moments of a stream of numbers (Welford 1962; merged by Chan, Golub and `LeVeque` 1979).
///
/// Pushing in one fixed order gives one fixed result; merging partial streams in a fixed order does too, but the two differ in
/// the last bits, so a caller fixes the order (and the cut into parts) once, independently of threads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
    mean_abs: f64,
    max_abs: f64,
}

impl Moments {
    /// Adds one number.
    pub fn push(&mut self, x: f64) {
        self.count += 1;
        let n = self.count as f64;
        let before = x - self.mean;
        self.mean += before / n;
        self.squares += before * (x - self.mean);
        self.mean_abs += (x.abs() - self.mean_abs) / n;
        self.max_abs = larger(self.max_abs, x.abs());
    }

    /// Appends the numbers of `other` after those of `self`.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let apart = other.mean - self.mean;
        self.count += other.count;
        self.mean += apart * b / (a + b);
        self.squares += other.squares + apart * apart * a * b / (a + b);
        self.mean_abs += (other.mean_abs - self.mean_abs) * b / (a + b);
        self.max_abs = larger(self.max_abs, other.max_abs);
    }

    /// How many numbers were pushed.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; 0 of none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Mean of their absolute values; 0 of none.
    #[must_use]
    pub fn mean_abs(&self) -> f64 {
        self.mean_abs
    }

    /// Largest absolute value; 0 of none, NaN once any number was NaN.
    #[must_use]
    pub fn max_abs(&self) -> f64 {
        self.max_abs
    }

    /// Standard deviation of the numbers as a population (divided by `n`), the convention of the crash bounds; 0 of none.
    #[must_use]
    pub fn population_std(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares / self.count as f64).sqrt() }
    }

    /// Standard deviation of a sample (divided by `n - 1`); `None` of fewer than two.
    #[must_use]
    pub fn sample_std(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.squares / (self.count - 1) as f64).sqrt())
    }

    /// Standard error of the mean; `None` of fewer than two.
    #[must_use]
    pub fn standard_error(&self) -> Option<f64> {
        Some(self.sample_std()? / (self.count as f64).sqrt())
    }
}

/// Unlike `f64::max`, does not forget a NaN.
fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

impl Extend<f64> for Moments {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, numbers: I) {
        numbers.into_iter().for_each(|x| self.push(x));
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(numbers: I) -> Self {
        let mut all = Self::default();
        all.extend(numbers);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_equal_the_two_pass_formulas() {
        let x: Vec<f64> = (0..1000).map(|i| f64::from(i % 37) - 11.5 + 1e6).collect();
        let mean = x.iter().sum::<f64>() / 1000.0;
        let var = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1000.0;
        let m: Moments = x.iter().copied().collect();
        assert!((m.mean() - mean).abs() < 1e-8);
        assert!((m.population_std() - var.sqrt()).abs() < 1e-9);
        assert!((m.sample_std().expect("many") - (var * 1000.0 / 999.0).sqrt()).abs() < 1e-9);
        assert!((m.mean_abs() - mean).abs() < 1e-8);
    }

    #[test]
    fn merging_parts_equals_one_stream() {
        let x: Vec<f64> = (0..100).map(|i| f64::from(i * i % 53) - 20.0).collect();
        let whole: Moments = x.iter().copied().collect();
        let mut parts = Moments::default();
        for part in x.chunks(7) {
            parts.merge(&part.iter().copied().collect());
        }
        assert_eq!(parts.count(), 100);
        assert!((parts.mean() - whole.mean()).abs() < 1e-12);
        assert!((parts.population_std() - whole.population_std()).abs() < 1e-12);
        assert!((parts.mean_abs() - whole.mean_abs()).abs() < 1e-12);
        assert!((parts.max_abs() - whole.max_abs()).abs() < 1e-12);
    }

    #[test]
    fn nothing_pushed_has_no_error_and_no_nan() {
        let none = Moments::default();
        assert_eq!((none.count(), none.sample_std(), none.standard_error()), (0, None, None));
        assert!(none.population_std().abs() < f64::MIN_POSITIVE);
    }
}
