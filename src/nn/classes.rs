//! Which class outputs speak for.

use super::real::Real;

/// The index of the largest of `row`: the first of equals, and NaN counts as larger than any number (as in `NumPy`).
#[must_use]
pub fn argmax<T: Real>(row: &[T]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if value.is_nan() {
            return index;
        }
        if *value > row[best] {
            best = index;
        }
    }
    best
}

/// The predicted class of each row of `logits`, `rows x outputs`; see [`argmax`].
///
/// # Panics
/// If `outputs` is 0.
#[must_use]
pub fn predict<T: Real>(logits: &[T], outputs: usize) -> Vec<u32> {
    logits.chunks_exact(outputs).map(|row| argmax(row) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_maximum_wins_and_nan_beats_every_number() {
        assert_eq!(argmax(&[1.0_f32, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[1.0_f32, f32::INFINITY, f32::NAN, f32::NAN]), 2);
        assert_eq!(argmax(&[f32::NAN, f32::NAN]), 0);
        assert_eq!(argmax(&[f32::NEG_INFINITY, f32::NEG_INFINITY]), 0);
        assert_eq!(predict(&[0.0_f64, 1.0, 5.0, 2.0], 2), [1, 0]);
    }
}
