//! A step of long short-term memory.

use crate::activation::Activation;
use crate::real::Real;

/// From the sums in `gates` (`i f g o`, `hidden` each, for each image) and the cells `c` to the gates' values (in place), the
/// cells `after` and the outputs `h`.
pub fn cell<T: Real>(hidden: usize, gates: &mut [T], c: &[T], after: &mut [T], h: &mut [T]) {
    let images = gates.chunks_exact_mut(4 * hidden).zip(c.chunks_exact(hidden));
    for ((gates, c), (after, h)) in images.zip(after.chunks_exact_mut(hidden).zip(h.chunks_exact_mut(hidden))) {
        for (gate, values) in gates.chunks_exact_mut(hidden).enumerate() {
            let f = if gate == 2 { Activation::Tanh } else { Activation::sigmoid() };
            f.apply(values);
        }
        for j in 0..hidden {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| gates[gate * hidden + j]);
            after[j] = f * c[j] + i * g;
            h[j] = o * after[j].tanh();
        }
    }
}

/// The gradient `dgates` of the sums from that of the outputs `dh` and of the cells afterwards `dc`, which becomes that of the
/// cells before.
pub fn cell_backward<T: Real>(
    hidden: usize,
    gates: &[T],
    (before, after): (&[T], &[T]),
    dh: &[T],
    dc: &mut [T],
    dgates: &mut [T],
) {
    for (at, dgates) in dgates.chunks_exact_mut(4 * hidden).enumerate() {
        let gates = &gates[at * 4 * hidden..];
        for j in 0..hidden {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| gates[gate * hidden + j]);
            let n = at * hidden + j;
            let t = after[n].tanh();
            let cell = dc[n] + dh[n] * o * (T::ONE - t * t);
            let logistic = |value: T| value * (T::ONE - value);
            let sums = [
                cell * g * logistic(i),
                cell * before[n] * logistic(f),
                cell * i * (T::ONE - g * g),
                dh[n] * t * logistic(o),
            ];
            for (gate, value) in sums.into_iter().enumerate() {
                dgates[gate * hidden + j] = value;
            }
            dc[n] = cell * f;
        }
    }
}
