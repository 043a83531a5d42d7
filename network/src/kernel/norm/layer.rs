//! Layer normalisation.

use super::super::elementwise::How;
use super::super::spread::TOUCH;

/// Normalises each row of `weight.len()` numbers: `(x - mean) / sqrt(variance + eps) weight + bias`.
///
/// # Panics
/// If `x` and `y` are not equally long.
pub fn layer_norm((_, threads): How, eps: f64, weight: &[f32], bias: &[f32], x: &[f32], y: &mut [f32]) {
    let len = weight.len();
    assert!(x.len() == y.len() && bias.len() == len, "x and y, weight and bias are equally long");
    let share = threads.share(y.len() / len.max(1), (1 << 13) / len.clamp(1, 1 << 13), 1, 4 * TOUCH * len) * len;
    threads.chunks(y, share, |i, y| {
        for (x, y) in x[i * share..][..y.len()].chunks_exact(len).zip(y.chunks_exact_mut(len)) {
            let (mean, inverse) = row_statistics(x, eps);
            for ((x, y), (w, b)) in x.iter().zip(y).zip(weight.iter().zip(bias)) {
                *y = (x - mean) * inverse * w + b;
            }
        }
    });
}

/// Mean, and one over the standard deviation, of a row.
fn row_statistics(x: &[f32], eps: f64) -> (f32, f32) {
    let n = x.len() as f64;
    let mean = x.iter().fold(0.0, |sum, x| sum + f64::from(*x)) / n;
    let square = x.iter().fold(0.0, |sum, x| {
        let d = f64::from(*x) - mean;
        sum + d * d
    });
    (mean as f32, (1.0 / (square / n + eps).sqrt()) as f32)
}

/// Gradients of a layer normalisation: `dx` (or added to it), and those of weight and bias, added to theirs in the order of
/// the rows.
///
/// # Panics
/// If the slices do not fit each other.
pub fn layer_norm_backward(
    (_, threads): How,
    (eps, weight): (f64, &[f32]),
    (x, dy): (&[f32], &[f32]),
    accumulate: bool,
    dx: &mut [f32],
    (dw, db): (&mut [f32], &mut [f32]),
) {
    let len = weight.len();
    assert!(x.len() == dx.len() && dy.len() == dx.len() && dw.len() == len && db.len() == len, "slices fit");
    let share = threads.share(dx.len() / len.max(1), (1 << 13) / len.clamp(1, 1 << 13), 1, 4 * TOUCH * len) * len;
    threads.chunks(dx, share, |i, dx| {
        let (x, dy) = (&x[i * share..][..dx.len()], &dy[i * share..][..dx.len()]);
        for ((x, dy), dx) in x.chunks_exact(len).zip(dy.chunks_exact(len)).zip(dx.chunks_exact_mut(len)) {
            layer_norm_row(eps, weight, x, dy, accumulate, dx);
        }
    });
    for (x, dy) in x.chunks_exact(len).zip(dy.chunks_exact(len)) {
        let (mean, inverse) = row_statistics(x, eps);
        for ((x, dy), (dw, db)) in x.iter().zip(dy).zip(dw.iter_mut().zip(db.iter_mut())) {
            *dw += dy * (x - mean) * inverse;
            *db += dy;
        }
    }
}

/// `dx = inverse (g - mean(g) - z mean(g z))` with `g = dy weight` and the normalised `z`.
fn layer_norm_row(eps: f64, weight: &[f32], x: &[f32], dy: &[f32], accumulate: bool, dx: &mut [f32]) {
    let (mean, inverse) = row_statistics(x, eps);
    let (mut sum, mut product) = (0.0f64, 0.0f64);
    for ((x, dy), w) in x.iter().zip(dy).zip(weight) {
        let g = f64::from(dy * w);
        sum += g;
        product += g * f64::from((x - mean) * inverse);
    }
    let n = x.len() as f64;
    let (sum, product) = ((sum / n) as f32, (product / n) as f32);
    for ((dx, x), (dy, w)) in dx.iter_mut().zip(x).zip(dy.iter().zip(weight)) {
        let value = inverse * (dy * w - sum - (x - mean) * inverse * product);
        *dx = if accumulate { *dx + value } else { value };
    }
}
