//! Softmax over rows.

use super::spread::Threads;
use crate::real::Real;

/// What an exponential costs, in multiply-adds.
const EXPONENTIAL: usize = 300;
/// Numbers per task.
const SHARE: usize = 1 << 13;

/// `y = softmax(x)` over each row of `len` numbers, from differences to the row's largest.
///
/// # Panics
/// If the slices are not equally long.
pub fn softmax(threads: Threads, len: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "x and y are equally long");
    if len == 0 {
        return;
    }
    let share = threads.share(y.len() / len, SHARE / len.min(SHARE), 1, EXPONENTIAL * len) * len;
    threads.chunks(y, share, |i, y| {
        let x = &x[i * share..][..y.len()];
        for (x, y) in x.chunks_exact(len).zip(y.chunks_exact_mut(len)) {
            row(x, y);
        }
    });
}

/// Softmax of one row, in any arithmetic; NaN anywhere makes all of it NaN.
pub fn row<T: Real>(x: &[T], y: &mut [T]) {
    let largest = x.iter().copied().reduce(|a, b| if a > b || a.is_nan() { a } else { b }).unwrap_or(T::ZERO);
    let mut sum = T::ZERO;
    for (x, y) in x.iter().zip(y.iter_mut()) {
        *y = (*x - largest).exp();
        sum += *y;
    }
    for y in y {
        *y = *y / sum;
    }
}

/// The gradient of the softmax's input from its output `y` and the gradient `dy` of that: `dx = y (dy - sum of y dy)`, or
/// added to `dx`.
///
/// # Panics
/// If the slices are not equally long.
pub fn softmax_backward(threads: Threads, len: usize, y: &[f32], dy: &[f32], accumulate: bool, dx: &mut [f32]) {
    assert!(y.len() == dx.len() && dy.len() == dx.len(), "y, dy and dx are equally long");
    if len == 0 {
        return;
    }
    let share = threads.share(dx.len() / len, SHARE / len.min(SHARE), 1, EXPONENTIAL * len) * len;
    threads.chunks(dx, share, |i, dx| {
        let (y, dy) = (&y[i * share..][..dx.len()], &dy[i * share..][..dx.len()]);
        for ((y, dy), dx) in y.chunks_exact(len).zip(dy.chunks_exact(len)).zip(dx.chunks_exact_mut(len)) {
            let inner = y.iter().zip(dy).fold(0.0, |sum: f32, (y, dy)| y.mul_add(*dy, sum));
            for ((y, dy), dx) in y.iter().zip(dy).zip(dx) {
                let value = y * (dy - inner);
                *dx = if accumulate { *dx + value } else { value };
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_sum_to_one_and_large_inputs_do_not_overflow() {
        let mut y = [0.0; 6];
        softmax(Threads::One, 3, &[1000.0, 1000.0, -1000.0, 0.0, 1.0, 2.0], &mut y);
        assert_eq!(y[..3], [0.5, 0.5, 0.0]);
        // Published to seven digits in many textbooks: softmax(0, 1, 2).
        for (found, wanted) in y[3..].iter().zip([0.090_030_57, 0.244_728_47, 0.665_240_96]) {
            assert!((found - wanted).abs() < 1e-7);
        }
    }
}
