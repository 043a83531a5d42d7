//! Reordering the indices of an array.

/// The array whose index `k` is index `axes[k]` of `values`, which has `shape`; both in row-major order.
///
/// `values` holds as many numbers as `shape` asks for, and `axes` is a permutation.
pub(super) fn permute<T: Copy>(shape: &[usize], values: &[T], axes: &[usize]) -> Vec<T> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let extents: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    let steps: Vec<usize> = axes.iter().map(|&axis| strides[axis]).collect();
    let mut index = vec![0; extents.len()];
    let mut at = 0;
    let mut permuted = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        permuted.push(values[at]);
        for axis in (0..extents.len()).rev() {
            index[axis] += 1;
            at += steps[axis];
            if index[axis] < extents[axis] {
                break;
            }
            at -= steps[axis] * extents[axis];
            index[axis] = 0;
        }
    }
    permuted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permuting_agrees_with_indexing() {
        let shape = [2, 3, 4];
        let values: Vec<f32> = (0_u8..24).map(f32::from).collect();
        let permuted = permute(&shape, &values, &[2, 0, 1]);
        for (i, j, k) in (0..2).flat_map(|i| (0..3).flat_map(move |j| (0..4).map(move |k| (i, j, k)))) {
            assert_eq!(permuted[(k * 2 + i) * 3 + j].to_bits(), values[(i * 3 + j) * 4 + k].to_bits());
        }
        assert_eq!(permute(&[], &[5], &[]), [5]);
        assert!(permute::<f32>(&[0, 3], &[], &[1, 0]).is_empty());
    }
}
