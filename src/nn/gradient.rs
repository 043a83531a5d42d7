//! Softmax and cross-entropy of single rows, and the derivative with respect to the logits.

use super::real::Real;

/// The softmax of one row of logits.
#[must_use]
pub fn softmax<T: Real>(logits: &[T]) -> Vec<T> {
    let mut out = logits.to_vec();
    softmax_in_place(&mut out);
    out
}

/// Replaces one row of logits by its softmax.
pub fn softmax_in_place<T: Real>(row: &mut [T]) {
    let largest = row.iter().copied().fold(None, |m: Option<T>, v| Some(m.map_or(v, |m| if v > m { v } else { m })));
    let Some(largest) = largest else { return };
    let mut sum = T::ZERO;
    for value in row.iter_mut() {
        *value = (*value - largest).exp();
        sum += *value;
    }
    for value in row.iter_mut() {
        *value = *value / sum;
    }
}

/// The cross-entropy `-ln softmax(logits)[label]` of one row.
///
/// # Panics
/// If `label` is not below the number of logits.
#[must_use]
pub fn cross_entropy<T: Real>(logits: &[T], label: usize) -> T {
    let largest = logits.iter().copied().fold(logits[label], |m, v| if v > m { v } else { m });
    let mut sum = T::ZERO;
    for value in logits {
        sum += (*value - largest).exp();
    }
    sum.ln() - (logits[label] - largest)
}

/// Writes the derivative of [`cross_entropy`] with respect to `logits` into `out`: softmax less the one-hot label.
///
/// # Panics
/// If `label` is not below the number of logits, or `out` is of another length.
pub fn cross_entropy_gradient<T: Real>(logits: &[T], label: usize, out: &mut [T]) {
    out.copy_from_slice(logits);
    softmax_in_place(out);
    // The probability less one, without the digits that a probability near one has lost.
    let others = out.iter().enumerate().filter(|(index, _)| *index != label);
    let sum = others.fold(T::ZERO, |sum, (_, p)| sum + *p);
    out[label] = T::ZERO - sum;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_survives_huge_logits() {
        assert!((cross_entropy(&[1000.0_f32, 0.0], 1) - 1000.0).abs() < 1e-3);
        assert!(cross_entropy(&[1000.0_f32, 0.0], 0).abs() < 1e-6);
        assert!((softmax(&[1.0_f64, 1.0, 1.0])[2] - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn the_gradient_of_a_sure_prediction_is_not_lost() {
        // exp(-20) is less than the distance from 1 to the next number below.
        let mut gradient = [0.0_f32; 3];
        cross_entropy_gradient(&[0.0_f32, 20.0, 0.0], 1, &mut gradient);
        let wanted = (-20.0_f64).exp();
        assert!((f64::from(gradient[1]) / (-2.0 * wanted) - 1.0).abs() < 1e-5, "{gradient:?}");
        assert!((f64::from(gradient[0]) / wanted - 1.0).abs() < 1e-5, "{gradient:?}");
    }

    #[test]
    fn the_gradient_of_cross_entropy_follows_finite_differences() {
        let logits = [0.3_f64, -1.2, 2.0, 0.1];
        for label in 0..4 {
            let mut gradient = [0.0; 4];
            cross_entropy_gradient(&logits, label, &mut gradient);
            for index in 0..4 {
                let at = |shift: f64| {
                    let mut moved = logits;
                    moved[index] += shift;
                    cross_entropy(&moved, label)
                };
                assert!((gradient[index] - (at(1e-5) - at(-1e-5)) / 2e-5).abs() < 1e-9);
            }
        }
    }
}
